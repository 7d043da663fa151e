//! The data plane as a whole: its threads, and how it ends.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock;
use crate::local_socket::SocketFile;
use crate::metrics::{Cuts, ServiceMetrics};
use crate::proxy::accept::Post;
use crate::proxy::crowd::Counted;
use crate::proxy::drain::Stage;
use crate::proxy::listen::{Bound, Sockets};
use crate::proxy::run;
use crate::proxy::run::Ingress;
use crate::proxy::settings::ProxySettings;
use crate::proxy::worker::{Common, Routes};

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrainOutcome {
    /// Every connection ended by itself.
    Finished,
    /// The grace period was over first: so many connections were cut.
    TimedOut { connections: usize },
}

/// The running data plane: one thread with one runtime per worker.
#[derive(Debug)]
pub struct DataPlane {
    stage: watch::Sender<Stage>,
    connections: Arc<Counted>,
    workers: Vec<(JoinHandle<()>, oneshot::Receiver<usize>)>,
    /// Removed with the plane.
    files: Vec<SocketFile>,
}

impl DataPlane {
    /// Starts serving what was bound. `unknown` counts the requests whose host no service has, `cuts`
    /// what is closed for a limit.
    ///
    /// # Errors
    /// Where the kernel grants no thread or no event queue.
    pub fn start(
        bound: Bound,
        routes: Routes,
        settings: Arc<ArcSwap<ProxySettings>>,
        unknown: Arc<ServiceMetrics>,
        cuts: Cuts,
    ) -> io::Result<Self> {
        let (stage, watcher) = watch::channel(Stage::Serving);
        let connections = Arc::new(Counted::default());
        let common =
            Common { routes, settings, unknown, cuts, connections: Arc::clone(&connections), stage: watcher };
        let (posts, mailboxes): (Vec<_>, Vec<_>) =
            (0..bound.workers).map(|_| mpsc::unbounded_channel::<Post>()).unzip();
        let mut ingress: Vec<Ingress> = mailboxes.into_iter().map(Ingress::new).collect();
        let mut files = Vec::new();
        for listener in bound.listeners {
            files.extend(listener.file);
            match listener.sockets {
                Sockets::Each(sockets) => {
                    for (worker, socket) in ingress.iter_mut().zip(sockets) {
                        worker.own.push((socket, listener.unix));
                    }
                }
                Sockets::Dealt(socket) => {
                    if let Some(first) = ingress.first_mut() {
                        first.dealt.push((socket, listener.unix, posts.clone()));
                    }
                }
            }
        }
        // From here on only the dealing tasks hold the senders: when they end, the mailboxes end.
        drop(posts);
        let mut workers = Vec::new();
        for (index, ingress) in ingress.into_iter().enumerate() {
            let (finished, left) = oneshot::channel();
            let (started, outcome) = std::sync::mpsc::channel();
            let common = common.clone();
            // A local runtime cannot leave its thread, so it is built there.
            let thread = std::thread::Builder::new().name(format!("proxy-{index}")).spawn(move || {
                match run::runtime() {
                    Err(error) => drop(started.send(Err(error))),
                    Ok(runtime) => {
                        drop(started.send(Ok(())));
                        let left = run::run(runtime, index, common, ingress);
                        // Nobody waits where the plane was dropped.
                        let _ = finished.send(left);
                    }
                }
            })?;
            outcome.recv().map_err(io::Error::other)??;
            workers.push((thread, left));
        }
        Ok(Self { stage, connections, workers, files })
    }

    /// How many downstream connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.all()
    }

    /// Tells how often connections have been parked: memory that is free, and that nobody may need
    /// again.
    pub fn parkings(&self) -> impl Fn() -> usize + Send + 'static {
        let connections = Arc::clone(&self.connections);
        move || connections.parked()
    }

    /// Stops accepting, ends every connection after its current request, and waits for requests,
    /// bodies and upgraded streams; what is left after `grace` is cut.
    pub async fn drain(self, grace: Duration) -> DrainOutcome {
        self.stage.send_replace(Stage::Draining { until: clock::now() + grace });
        let mut cut = 0;
        for (thread, left) in self.workers {
            // A worker that ended without a word has nothing left to cut.
            cut += left.await.unwrap_or(0);
            // Its last act was that word: joining does not block.
            let _ = thread.join();
        }
        drop(self.files);
        if cut == 0 { DrainOutcome::Finished } else { DrainOutcome::TimedOut { connections: cut } }
    }
}
