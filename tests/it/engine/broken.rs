//! The connection to the engine breaks, is not there, or is there and says nothing.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use wakedock::config::DockerHost;
use wakedock::engine::Docker;
use wakedock::ports::{
    BoxStream, ContainerAction, ContainerEngine, ContainerEvent, ContainerId, InspectError, OrderError,
    ReadError,
};

use super::contract::{Bench, Recipe};
use super::docker::{DockerBench, SOCKET};

fn docker(socket: &Path) -> Docker {
    Docker::connect(&DockerHost::Unix(socket.to_owned()))
}

fn id() -> ContainerId {
    ContainerId("0123456789ab".repeat(5))
}

/// A relay to Docker's socket that can cut every connection.
struct Relay {
    socket: PathBuf,
    /// Counts the cuts; a connection ends when it changes.
    cuts: watch::Sender<u32>,
    /// Counts the connections.
    accepted: watch::Sender<u32>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Relay {
    fn open(socket: PathBuf) -> Self {
        let listener = UnixListener::bind(&socket).unwrap();
        let cuts = watch::Sender::new(0);
        let accepted = watch::Sender::new(0);
        let (wire, counter) = (cuts.clone(), accepted.clone());
        let accepting = tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                counter.send_modify(|count| *count += 1);
                let mut cut = wire.subscribe();
                tokio::spawn(async move {
                    let mut far = UnixStream::connect(SOCKET).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { socket, cuts, accepted, accepting }
    }

    /// Cuts what is open, and refuses what comes.
    async fn cut(self) {
        self.accepting.abort();
        let _ = self.accepting.await;
        self.cuts.send_modify(|cuts| *cuts += 1);
        tokio::fs::remove_file(&self.socket).await.unwrap();
    }
}

#[tokio::test]
async fn a_cut_connection_is_noticed_by_whoever_uses_it() {
    let bench = DockerBench::new().await;
    let done = AssertUnwindSafe(cut_in_the_middle(&bench)).catch_unwind().await;
    bench.sweep().await;
    done.expect("see above");
}

async fn cut_in_the_middle(bench: &DockerBench) {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("relay.sock");
    let relay = Relay::open(socket.clone());
    let docker = docker(&socket);
    let name = bench.name("cut");
    let id = bench.create(&name, Recipe { ignores_term: true, ..Recipe::default() }).await;
    let since = wakedock::clock::wall();
    docker.start(&id).await.unwrap();
    let mut events = docker.events(Some(since));
    until_started(&mut events, &id).await;

    // In the middle of a stop that takes ten seconds, and with an event stream open.
    let begun = wakedock::clock::now();
    let connections = *relay.accepted.borrow();
    let stop = docker.stop(&id, Duration::from_secs(10));
    let cut = async {
        relay.accepted.subscribe().wait_for(|count| *count > connections).await.unwrap();
        relay.cut().await;
    };
    let (stopped, ()) = tokio::join!(stop, cut);
    assert!(matches!(stopped, Err(OrderError::Away(_))), "{stopped:?}");
    // What was on the way is still read; then the stream ends, with an error or without.
    while let Some(event) = events.next().await {
        assert!(matches!(event, Ok(_) | Err(ReadError::Away(_))), "{event:?}");
    }
    assert!(wakedock::clock::now().since(begun) < Duration::from_secs(5), "at once");

    let gone = docker.inspect(&name).await;
    assert!(matches!(gone, Err(InspectError::Away(_))), "{gone:?}");

    // The same client goes on when the socket is back, and catches up.
    let relay = Relay::open(socket);
    docker.inspect(&name).await.expect("it answers again");
    let mut events = docker.events(Some(since));
    until_started(&mut events, &id).await;
    relay.cut().await;
}

/// Reads until this container starts; others have events, too.
async fn until_started(events: &mut BoxStream<'_, Result<ContainerEvent, ReadError>>, id: &ContainerId) {
    loop {
        let event = events.next().await.expect("the stream goes on").expect("the connection holds");
        if event.id == *id && event.action == ContainerAction::Start {
            return;
        }
    }
}

#[tokio::test]
async fn no_socket_is_away_not_a_panic() {
    let directory = tempfile::tempdir().unwrap();
    let docker = docker(&directory.path().join("absent.sock"));
    all_away(&docker).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    all_away(&Docker::connect(&DockerHost::Tcp(closed.to_string()))).await;
}

async fn all_away(docker: &Docker) {
    assert!(matches!(docker.inspect("web").await, Err(InspectError::Away(_))));
    assert!(matches!(docker.start(&id()).await, Err(OrderError::Away(_))));
    assert!(matches!(docker.stop(&id(), Duration::ZERO).await, Err(OrderError::Away(_))));
    assert!(matches!(docker.pause(&id()).await, Err(OrderError::Away(_))));
    assert!(matches!(docker.unpause(&id()).await, Err(OrderError::Away(_))));
    assert!(matches!(docker.logs(&id(), 1).await, Err(ReadError::Away(_))));
    assert!(matches!(docker.usage(&id()).await, Err(ReadError::Away(_))));
    assert!(matches!(docker.version().await, Err(ReadError::Away(_))));
    let mut events = docker.events(None);
    assert!(matches!(events.next().await, Some(Err(ReadError::Away(_)))));
    assert!(events.next().await.is_none());
}

/// Accepts, answers with `head`, and never says anything again.
fn mute(socket: &Path, head: &'static [u8]) {
    let listener = UnixListener::bind(socket).unwrap();
    tokio::spawn(async move {
        let mut first = Some(head);
        let mut open = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            stream.write_all(first.take().unwrap_or_default()).await.unwrap();
            open.push(stream);
        }
    });
}

/// Paused time is safe here: nothing real is waited for but bytes in the kernel's own memory.
#[tokio::test(start_paused = true)]
async fn an_engine_that_says_nothing_is_away_in_time() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("mute.sock");
    mute(&socket, b"");
    let docker = docker(&socket);
    let begun = wakedock::clock::now();
    assert!(matches!(docker.inspect("web").await, Err(InspectError::Away(_))));
    let looked = wakedock::clock::now().since(begun);
    assert!(looked >= Duration::from_secs(10) && looked < Duration::from_secs(11), "{looked:?}");
    let begun = wakedock::clock::now();
    let stopped = docker.stop(&id(), Duration::from_secs(20)).await;
    assert!(matches!(stopped, Err(OrderError::Away(_))));
    let stopped = wakedock::clock::now().since(begun);
    assert!(stopped >= Duration::from_secs(50) && stopped < Duration::from_secs(51), "{stopped:?}");
}

/// Trap 22: the connection is there, but nobody is at the other end any more.
#[tokio::test(start_paused = true)]
async fn trap_22_a_dead_event_stream_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("dead.sock");
    mute(&socket, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    let docker = docker(&socket);
    let begun = wakedock::clock::now();
    let mut events = docker.events(None);
    assert!(matches!(events.next().await, Some(Err(ReadError::Away(_)))));
    let noticed = wakedock::clock::now().since(begun);
    assert!(noticed >= Duration::from_secs(30) && noticed < Duration::from_secs(45), "{noticed:?}");
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn half_an_answer_is_away() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("half.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Id\":").await.unwrap();
        }
    });
    let docker = docker(&socket);
    let half = docker.inspect("web").await;
    assert!(matches!(half, Err(InspectError::Away(_))), "{half:?}");
}
