//! A storm of log-ins leaves no memory behind: each takes 19 MiB for a moment.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tokio::net::{TcpStream, UnixStream};

use super::rig::{Ask, exchange, log_in, password, soon};

/// Ended with the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Without code, which comes and goes as it is called.
fn resident_kib(process: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().split(' ').next().unwrap().parse().unwrap()
}

fn start(folder: &Path) -> Running {
    let file = folder.join("wakedock.yml");
    let text = format!(
        "data_dir: {0}/data\nproxy: {{ listen: ['unix:{0}/proxy.sock'] }}\n\
         admin: {{ listen: '127.0.0.1:0', socket: '{0}/admin.sock' }}\n\
         caddy: {{ mode: off }}\ndocker: {{ host: 'unix://{0}/docker.sock' }}\nlog: {{ format: json }}\n",
        folder.display()
    );
    std::fs::write(&file, text).unwrap();
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wakedock"));
    command.args(["serve", "--config"]).arg(&file).env_clear().current_dir("/");
    Running(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap())
}

/// What the log says, once it says it.
async fn said<T>(folder: &Path, find: impl Fn(&serde_json::Value) -> Option<T>) -> T {
    let look = async {
        loop {
            let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            let mut lines = log.lines().filter_map(|line| serde_json::from_str(line).ok());
            if let Some(found) = lines.find_map(|line| find(&line)) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon(look).await
}

#[tokio::test]
async fn ten_log_ins_side_by_side_leave_no_memory_behind() {
    let folder = tempfile::tempdir().unwrap();
    let wakedock = start(folder.path());
    let address = said(folder.path(), |line| {
        let is_admin = line["message"] == "listening" && line["listener"] == "admin";
        line["address"]
            .as_str()
            .filter(|address| is_admin && !address.starts_with("unix:"))
            .map(ToOwned::to_owned)
    })
    .await;
    let link = said(folder.path(), |line| {
        line["message"].as_str().filter(|text| text.contains("/setup?token=")).map(ToOwned::to_owned)
    })
    .await;
    assert!(link.contains(&address), "{link}");
    let socket = folder.path().join("admin.sock");
    for number in 0..10 {
        let name = format!("user{number}");
        let body = json!({ "username": name, "password": password(&name), "role": "viewer" });
        let ask = Ask::new("POST", "/api/v1/users").json(&body);
        let stream = UnixStream::connect(&socket).await.unwrap();
        assert_eq!(soon(exchange(stream, &ask.wire())).await.status, 201);
    }
    let log_in_all = || {
        futures_util::future::join_all((0..10).map(|number| {
            let (name, address) = (format!("user{number}"), address.clone());
            async move {
                let ask =
                    log_in(&name, &password(&name)).field("X-Forwarded-For", &format!("192.0.2.{number}"));
                let stream = TcpStream::connect(address).await.unwrap();
                soon(exchange(stream, &ask.wire())).await.status
            }
        }))
    };
    // The first ones make what stays: sessions, threads, buffers.
    assert_eq!(log_in_all().await, [200; 10]);
    let before = resident_kib(&wakedock.0);
    assert_eq!(log_in_all().await, [200; 10]);
    let after = resident_kib(&wakedock.0);
    assert!(after < before + 4 * 1024, "{before} KiB before, {after} KiB after");
    assert!(after < 150 * 1024, "{after} KiB, of which each log-in takes 19 MiB: not all at once");
}
