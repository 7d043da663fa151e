//! `wakedock serve` that cannot start: what it says, and what it leaves behind.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// Runs it with these listeners; its exit code, and what it said.
fn serve(folder: &Path, proxy: &str, admin: &str) -> (Option<i32>, String) {
    let file = folder.join("wakedock.yml");
    let (data, docker) = (folder.join("data"), folder.join("docker.sock"));
    let text = format!(
        "data_dir: {}\nproxy: {{ listen: ['unix:{}', '{proxy}'] }}\nadmin: {{ listen: '{admin}' }}\n\
         caddy: {{ mode: off }}\ndocker: {{ host: 'unix://{}' }}\n",
        data.display(),
        folder.join("run/proxy.sock").display(),
        docker.display(),
    );
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wakedock"));
    command.args(["serve", "--config"]).arg(&file).env_clear().current_dir("/");
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// It said no more than "Address already in use", and left the folders it had made before.
#[test]
fn a_taken_port_is_said_with_its_key_and_mend_and_leaves_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (proxy, admin, key) in
        [(address.as_str(), "127.0.0.1:0", "proxy.listen"), ("127.0.0.1:0", &address, "admin.listen")]
    {
        let folder = tempfile::tempdir().unwrap();
        let (code, said) = serve(folder.path(), proxy, admin);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(&format!("error: cannot listen on {address}: ")), "{said}");
        assert!(said.contains(&format!("\n  at     {key}\n")), "{said}");
        assert!(said.contains("\n  mend   stop whoever listens there"), "{said}");
        let left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["wakedock.yml"], "nothing was made");
    }
}

#[test]
fn a_data_directory_that_cannot_be_is_said_the_same_way() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("data"), "a file").unwrap();
    let (code, said) = serve(folder.path(), "127.0.0.1:0", "127.0.0.1:0");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("error: cannot make the directory"), "{said}");
    assert!(said.contains("\n  at     data_dir\n  mend   give that folder"), "{said}");
    assert!(!folder.path().join("run/proxy.sock").exists(), "the socket went with it");
}
