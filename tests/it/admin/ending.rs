//! An orderly end loses nothing that was acknowledged, also what nobody waited for.

use std::process::{Child, Command, Stdio};

use serde_json::json;
use tokio::net::UnixStream;
use wakedock::admin::audit;
use wakedock::store::Store;

use super::rig::{Ask, exchange, soon};

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn what_was_ordered_just_before_the_end_is_in_the_audit() {
    const ORDERS: usize = 20;
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    let config = format!(
        "data_dir: {at}/data\nproxy: {{ listen: ['unix:{at}/proxy.sock'] }}\n\
         admin: {{ listen: '127.0.0.1:0', socket: '{at}/admin.sock' }}\n\
         caddy: {{ mode: off }}\ndocker: {{ host: 'unix://{at}/docker.sock' }}\n\
         services: [{{ name: cloud, container: cloud, hosts: [cloud.test] }}]\n"
    );
    let file = folder.path().join("wakedock.yml");
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wakedock"));
    command.args(["serve", "--config"]).arg(&file).env_clear().current_dir("/");
    let mut running =
        Running(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let socket = folder.path().join("admin.sock");
    let ask = async |ask: Ask| {
        let stream = UnixStream::connect(&socket).await.ok()?;
        Some(soon(exchange(stream, &ask.wire())).await)
    };
    let ready = async {
        while ask(Ask::new("GET", "/readyz")).await.is_none_or(|answer| answer.status != 200) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    soon(ready).await;
    for _ in 0..ORDERS {
        let keep = Ask::new("POST", "/api/v1/services/cloud/keep-awake").json(&json!({ "for": "1h" }));
        assert_eq!(ask(keep).await.unwrap().status, 200);
    }
    let process = rustix::process::Pid::from_child(&running.0);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    let ended = tokio::task::spawn_blocking(move || {
        let status = running.0.wait().unwrap();
        drop(running);
        status
    });
    assert!(soon(ended).await.unwrap().success());
    let (store, _) = Store::open(&folder.path().join("data/wakedock.redb")).unwrap();
    let entries = audit::entries(&store, None, 100).await.unwrap();
    assert_eq!(entries.iter().filter(|(_, entry)| entry.what == "keep-awake").count(), ORDERS);
}
