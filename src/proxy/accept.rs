//! Accepting: a worker's own socket, or one whose connections are dealt out to all workers.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, watch};

use crate::proxy::downstream::peer::Peer;
use crate::proxy::downstream::socket::Socket;
use crate::proxy::drain::Stage;
use crate::proxy::serve;
use crate::proxy::worker::Worker;

/// What a connection over a limit has, to ask for something and to be told that it is.
const TOLD_IN: Duration = Duration::from_secs(2);
/// The first and the longest pause after an error that a retry at once would only repeat.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// An accepted socket on its way to the worker that serves it: whether it is a unix socket, and
/// who is at its other end.
pub(super) type Post = (OwnedFd, bool, Peer);

/// Accepts from a socket of this worker's own until the drain begins.
pub(super) async fn own(worker: Rc<Worker>, socket: OwnedFd, unix: bool) {
    let stage = worker.stage.clone();
    accept(stage, socket, unix, |accepted, peer| serve(&worker, accepted, peer)).await;
}

/// Accepts and deals out, round robin, until the drain begins.
pub(super) async fn deal(
    stage: watch::Receiver<Stage>,
    socket: OwnedFd,
    unix: bool,
    posts: Vec<mpsc::UnboundedSender<Post>>,
) {
    let mut turn = 0;
    accept(stage, socket, unix, |accepted, peer| {
        turn = (turn + 1) % posts.len();
        match accepted.into_std() {
            // A worker that is gone closes what it is sent.
            Ok(accepted) => drop(posts[turn].send((accepted, unix, peer))),
            Err(error) => tracing::warn!(%error, "an accepted connection could not be dealt out"),
        }
    })
    .await;
}

/// Serves what was dealt to this worker, until nobody deals any more.
pub(super) async fn dealt(worker: Rc<Worker>, mut mailbox: mpsc::UnboundedReceiver<Post>) {
    while let Some((accepted, unix, peer)) = mailbox.recv().await {
        match Socket::from_std(accepted, unix) {
            Ok(socket) => serve(&worker, socket, peer),
            Err(error) => tracing::warn!(%error, "an accepted connection could not be taken on"),
        }
    }
}

fn serve(worker: &Rc<Worker>, socket: Socket, peer: Peer) {
    match worker.admit(&peer) {
        Ok(permit) => {
            tokio::task::spawn_local(serve::serve(Rc::clone(worker), socket, peer, Some(permit)));
        }
        // Whoever is inside goes on unhurt. Most are told why they are not; no more than that.
        Err(_) => {
            if let Some(turned_away) = worker.turn_away() {
                let serve = serve::serve(Rc::clone(worker), socket, peer, None);
                tokio::task::spawn_local(async move {
                    let _ = tokio::time::timeout(TOLD_IN, serve).await;
                    drop(turned_away);
                });
            }
        }
    }
}

/// A listening socket that this runtime watches.
enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Acceptor {
    fn new(socket: OwnedFd, unix: bool) -> io::Result<Self> {
        if unix {
            UnixListener::from_std(socket.into()).map(Self::Unix)
        } else {
            TcpListener::from_std(socket.into()).map(Self::Tcp)
        }
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Socket, Peer)>> {
        Poll::Ready(match self {
            Self::Tcp(listener) => ready!(listener.poll_accept(cx))
                .map(|(stream, peer)| (Socket::Tcp(stream), Peer::remote(peer))),
            Self::Unix(listener) => {
                ready!(listener.poll_accept(cx)).map(|(stream, _)| (Socket::Unix(stream), Peer::local()))
            }
        })
    }
}

async fn accept(
    mut stage: watch::Receiver<Stage>,
    socket: OwnedFd,
    unix: bool,
    mut hand_over: impl FnMut(Socket, Peer),
) {
    let acceptor = match Acceptor::new(socket, unix) {
        Ok(acceptor) => acceptor,
        Err(error) => {
            tracing::error!(%error, "a listening socket cannot be watched");
            return;
        }
    };
    let mut pause = PAUSES.0;
    let mut draining = std::pin::pin!(stage.wait_for(|stage| *stage != Stage::Serving));
    loop {
        let accepted = tokio::select! {
            biased;
            _ = &mut draining => break,
            accepted = std::future::poll_fn(|cx| acceptor.poll_accept(cx)) => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                hand_over(socket, peer);
                pause = PAUSES.0;
            }
            Err(error) if concerns_one_client(&error) => {}
            Err(error) => {
                // Out of descriptors or memory: some connection will end.
                tracing::warn!(%error, ?pause, "cannot accept connections for the moment");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
        }
    }
    // Whoever the kernel has let in already is served: closing the socket would reset them. The
    // yield has the runtime learn of those that came this very moment.
    tokio::task::yield_now().await;
    let mut waiting = |cx: &mut Context<'_>| match acceptor.poll_accept(cx) {
        Poll::Ready(Ok((socket, peer))) => Poll::Ready(Some((socket, peer))),
        _ => Poll::Ready(None),
    };
    while let Some((socket, peer)) = std::future::poll_fn(&mut waiting).await {
        hand_over(socket, peer);
    }
}

/// The client gave up while it waited: the next one may be fine.
fn concerns_one_client(error: &io::Error) -> bool {
    use io::ErrorKind;
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted)
}
