//! Trap 23: engines of other ages, played by a socket with their answers.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use wakedock::config::DockerHost;
use wakedock::engine::Docker;
use wakedock::ports::{ContainerEngine, ContainerId, ContainerState, InspectError, OrderError};

/// Answers every request with what `answer` says to its first line, and keeps these lines.
fn engine(socket: &Path, answer: impl Fn(&str) -> (u16, String) + Send + 'static) -> Arc<Mutex<Vec<String>>> {
    let listener = UnixListener::bind(socket).unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let line = request.lines().next().unwrap_or_default().to_owned();
            let (status, body) = answer(&line);
            seen.lock().unwrap().push(line);
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        }
    });
    asked
}

/// An engine that speaks the versions `oldest` to `newest`, and no others.
fn speaks(line: &str, oldest: u32, newest: u32) -> Option<(u16, String)> {
    let version = line.split('/').nth(1)?.strip_prefix("v1.")?.parse::<u32>().ok()?;
    (version < oldest || version > newest)
        .then(|| (400, format!(r#"{{"message":"client version 1.{version} is not supported"}}"#)))
}

#[tokio::test]
async fn trap_23_engines_of_every_age_are_understood() {
    let running = |extra: &str| {
        format!(
            r#"{{"Id":"abc","Name":"/web","State":{{"Status":"running","Running":true,"ExitCode":0,
            "StartedAt":"2026-01-02T03:04:05.6Z"}},"Config":{{"Image":"x"}},
            "NetworkSettings":{{"Networks":{{"bridge":{{"IPAddress":"172.17.0.2"}}}}{extra}}}}}"#
        )
    };
    let ages = [
        (20, 12, 41, running(r#","IPAddress":"172.17.0.2","Ports":{}"#)),
        (29, 44, 60, running(r#","Ports":null,"Somewhere":{"new":[1]}"#)),
        (5, 24, 41, running(r#","Ports":{"80/tcp":[{"HostIp":"","HostPort":"8080"}]}"#)),
    ];
    for (engine_version, oldest, newest, body) in ages {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("engine.sock");
        let asked = engine(&socket, move |line| match speaks(line, oldest, newest) {
            Some(refused) => refused,
            None if line.contains("/version ") => {
                (200, format!(r#"{{"Version":"{engine_version}.0.1","ApiVersion":"1.{newest}"}}"#))
            }
            None if line.contains("/json ") => (200, body.clone()),
            None => (204, String::new()),
        });
        let docker = Docker::connect(&DockerHost::Unix(socket));
        let version = docker.version().await.unwrap();
        assert_eq!(version.api, format!("1.{newest}"));
        let web = docker.inspect("web").await.unwrap();
        assert_eq!((web.state, web.name.as_str()), (ContainerState::Running, "web"));
        assert_eq!(web.networks, [("bridge".to_owned(), Some("172.17.0.2".parse().unwrap()))]);
        docker.start(&web.id).await.unwrap();
        docker.stop(&web.id, Duration::from_millis(1500)).await.unwrap();
        let asked = asked.lock().unwrap();
        assert_eq!(asked.len(), 4);
        assert_eq!(asked[3], "POST /containers/abc/stop?t=2 HTTP/1.1", "whole seconds, rounded up");
    }
}

/// Podman refuses to stop what is paused; 20.10 answers 500 where a newer engine answers 409.
#[tokio::test]
async fn trap_23_a_paused_container_is_stopped_and_a_misfit_is_a_conflict() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("engine.sock");
    let paused = Arc::new(Mutex::new(true));
    let state = Arc::clone(&paused);
    let asked = engine(&socket, move |line| {
        let mut paused = state.lock().unwrap();
        let refusal = |text: &str| (500, format!(r#"{{"message":"{text}"}}"#));
        match line.split(['/', ' ', '?']).nth(4) {
            Some("stop" | "start") if *paused => refusal("container is paused"),
            Some("unpause") if !*paused => refusal("container is not paused"),
            Some("unpause") => {
                *paused = false;
                (204, String::new())
            }
            Some("json") => {
                let word = if *paused { "paused" } else { "running" };
                (200, format!(r#"{{"Id":"abc","Name":"/web","State":{{"Status":"{word}"}}}}"#))
            }
            _ => (204, String::new()),
        }
    });
    let docker = Docker::connect(&DockerHost::Unix(socket));
    let id = ContainerId("abc".to_owned());
    assert!(matches!(docker.start(&id).await, Err(OrderError::Conflict { .. })));
    asked.lock().unwrap().clear();
    docker.stop(&id, Duration::ZERO).await.unwrap();
    let verbs: Vec<String> = asked
        .lock()
        .unwrap()
        .iter()
        .map(|line| line.split(['/', ' ', '?']).nth(4).unwrap().to_owned())
        .collect();
    assert_eq!(verbs, ["stop", "json", "unpause", "stop"]);
    assert!(matches!(docker.unpause(&id).await, Err(OrderError::Conflict { .. })));
}

#[tokio::test]
async fn a_refusal_carries_status_and_message() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("engine.sock");
    engine(&socket, |line| match line.contains("/start") {
        true => (500, r#"{"message":"driver failed: port is\u001b[31m in use"}"#.to_owned()),
        false => (503, "<html>proxy</html>".to_owned()),
    });
    let docker = Docker::connect(&DockerHost::Unix(socket));
    let refused = docker.start(&ContainerId("abc".to_owned())).await;
    let Err(OrderError::Refused { status: 500, message }) = refused else { panic!("{refused:?}") };
    assert_eq!(message, "driver failed: port is in use");
    let refused = docker.inspect("web").await;
    assert!(
        matches!(&refused, Err(InspectError::Refused { status: 503, message }) if message == "<html>proxy</html>"),
        "{refused:?}"
    );
}
