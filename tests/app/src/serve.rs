//! From start to end: delay, listener, connections, and what SIGTERM does to them.

use std::collections::hash_map::RandomState;
use std::convert::Infallible;
use std::hash::BuildHasher;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc, watch};

use crate::routes;
use crate::switches::{OnTerm, Switches};

/// What all connections share.
pub struct State {
    pub switches: Switches,
    pub instance: String,
    started: Instant,
    told_to_stop: AtomicBool,
}

impl State {
    pub fn told_to_stop(&self) -> bool {
        self.told_to_stop.load(Ordering::Relaxed)
    }

    pub fn healthy(&self) -> bool {
        self.started.elapsed() >= self.switches.healthy_after
    }

    /// Whether the time of 503 after listening is over.
    pub fn warmed_up(&self) -> bool {
        self.started.elapsed() >= self.switches.listen_delay + self.switches.start_503_for
    }
}

/// Serves until SIGTERM ends it.
///
/// # Errors
/// The address cannot be listened on, or signals cannot be received.
pub async fn run(switches: Switches) -> io::Result<()> {
    let state = Arc::new(State {
        instance: format!("{:016x}", RandomState::new().hash_one(std::process::id())),
        started: Instant::now(),
        told_to_stop: AtomicBool::new(false),
        switches,
    });
    println!("testapp: instance {} starts", state.instance);
    exit_by_itself(&state.switches);
    let stopping = watch_term(Arc::clone(&state))?;
    if !state.switches.listen_delay.is_zero() {
        println!("testapp: listens in {:?}", state.switches.listen_delay);
        tokio::time::sleep(state.switches.listen_delay).await;
    }
    let listener = TcpListener::bind((state.switches.bind, state.switches.port)).await?;
    println!("testapp: listens on {}", listener.local_addr()?);
    accept(listener, state, stopping).await
}

#[allow(clippy::exit, reason = "an application that crashes is what this switch is for")]
fn exit_by_itself(switches: &Switches) {
    if let Some(after) = switches.exit_after {
        let code = switches.exit_code;
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            eprintln!("testapp: exits with code {code} after {after:?}");
            std::process::exit(i32::from(code));
        });
    }
}

/// The value turns true at SIGTERM, unless that exits at once or is ignored.
#[allow(clippy::exit, reason = "to exit at once is one of the things SIGTERM may do")]
fn watch_term(state: Arc<State>) -> io::Result<watch::Receiver<bool>> {
    let (tell, stopping) = watch::channel(false);
    // Installed in every mode: as process 1 of a container it would otherwise not be delivered.
    let mut term = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        loop {
            term.recv().await;
            match state.switches.on_term {
                OnTerm::Ignore => continue,
                OnTerm::Exit => {
                    println!("testapp: told to stop, exits");
                    std::process::exit(0);
                }
                OnTerm::Serve | OnTerm::Linger | OnTerm::Reset | OnTerm::Drain => {}
            }
            state.told_to_stop.store(true, Ordering::Relaxed);
            println!("testapp: told to stop ({:?})", state.switches.on_term);
            tell.send_replace(true);
        }
    });
    Ok(stopping)
}

async fn accept(
    listener: TcpListener,
    state: Arc<State>,
    mut stopping: watch::Receiver<bool>,
) -> io::Result<()> {
    // Every connection holds a clone of `open`; `closed` ends when the last one is dropped.
    let (open, mut closed) = mpsc::channel::<Infallible>(1);
    let on_term = state.switches.on_term;
    let serve = async |stopping: watch::Receiver<bool>| loop {
        let stream = next(&listener).await;
        tokio::spawn(connection(stream, Arc::clone(&state), stopping.clone(), open.clone()));
    };
    tokio::select! {
        () = serve(stopping.clone()) => {}
        told = stopping.wait_for(|stop| *stop) => drop(told.map_err(io::Error::other)?),
    }
    match on_term {
        OnTerm::Serve | OnTerm::Ignore | OnTerm::Exit => serve(stopping).await,
        OnTerm::Reset => loop {
            next(&listener).await.set_zero_linger()?;
        },
        OnTerm::Linger => {
            drop(listener);
            std::future::pending::<()>().await;
        }
        OnTerm::Drain => {
            drop((listener, open));
            closed.recv().await;
        }
    }
    Ok(())
}

async fn next(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // Out of file descriptors, or the client was faster: neither is worth the process.
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// Serves one connection. `_open` is held as long as it is open.
async fn connection(
    stream: TcpStream,
    state: Arc<State>,
    mut stopping: watch::Receiver<bool>,
    _open: mpsc::Sender<Infallible>,
) {
    let Ok((stream, twin)) = twins(stream) else { return };
    let Ok(Some(stream)) = early_hints(stream, &state).await else { return };
    let reset = Arc::new(Notify::new());
    let wanted = Arc::clone(&reset);
    let on_term = state.switches.on_term;
    let service = service_fn(move |request| routes::answer(Arc::clone(&state), Arc::clone(&reset), request));
    let builder = auto::Builder::new(TokioExecutor::new());
    let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let mut told = false;
    loop {
        tokio::select! {
            _ = serving.as_mut() => return,
            () = wanted.notified() => break,
            changed = stopping.wait_for(|stop| *stop), if !told => {
                told = true;
                match on_term {
                    OnTerm::Drain if changed.is_ok() => serving.as_mut().graceful_shutdown(),
                    OnTerm::Reset if changed.is_ok() => break,
                    _ => {}
                }
            }
        }
    }
    // The last close of a socket that doesn't linger is a reset.
    if let Ok(twin) = TcpStream::from_std(twin) {
        let _ = twin.set_zero_linger();
    }
}

/// The same socket twice: one to serve, one to reset it by.
fn twins(stream: TcpStream) -> io::Result<(TcpStream, std::net::TcpStream)> {
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    let twin = stream.try_clone()?;
    Ok((TcpStream::from_std(stream)?, twin))
}

/// hyper's server sends no 103, so that `/1xx` is answered by hand; `None` when it was.
async fn early_hints(mut stream: TcpStream, state: &State) -> io::Result<Option<TcpStream>> {
    const ASKED: &[u8] = b"GET /1xx ";
    let mut start = [0; ASKED.len()];
    let seen = stream.peek(&mut start).await?;
    if seen < ASKED.len() || start != ASKED {
        return Ok(Some(stream));
    }
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    stream.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n").await?;
    let answer = format!(
        "HTTP/1.1 200 OK\r\nX-Instance: {}\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhinted",
        state.instance
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(None)
}
