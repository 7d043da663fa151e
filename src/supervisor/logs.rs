//! The log of a service: what its container wrote, and what it writes, through every restart.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::mpsc;

use crate::clock;
use crate::domain::words::Phase;
use crate::ports::{ContainerEngine, InspectError, LogLine, LogStart, ReadError};
use crate::supervisor::fleet::Fleet;
use crate::supervisor::handle::ServiceHandle;

/// Lines that wait for a reader who is slow. While they do, the engine's own log holds the rest.
const WAITING: usize = 64;
/// How soon a container is looked for again that is on its way up, or whose engine broke off.
const AGAIN: Duration = Duration::from_millis(500);

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error(transparent)]
    Inspect(#[from] InspectError),
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Fleet {
    /// The last lines that a service's container wrote. Empty where it was never started.
    ///
    /// # Errors
    /// There is no such container, or Docker does not answer.
    pub async fn logs(&self, service: &ServiceHandle, lines: usize) -> Result<Vec<String>, LogError> {
        let engine = self.engine();
        let container = service.spec().container.clone();
        let found = engine.inspect(container.as_str()).await?;
        Ok(engine.logs(&found.id, lines).await?)
    }

    /// What it wrote from `from` on, and every line that comes after, also those of the container's
    /// next run, or of another that takes its place. While Docker is away, nothing comes; what was
    /// written meanwhile comes when it is back.
    ///
    /// # Errors
    /// As [`Fleet::logs`], where it cannot even begin.
    pub async fn follow_logs(
        &self,
        service: &ServiceHandle,
        from: LogStart,
    ) -> Result<mpsc::Receiver<LogLine>, LogError> {
        let engine = self.engine();
        let container = service.spec().container.clone();
        engine.inspect(container.as_str()).await?;
        let (sender, receiver) = mpsc::channel(WAITING);
        let service = service.clone();
        tokio::spawn(async move {
            let told = sender.clone();
            tokio::select! {
                () = follow(engine, service, from, sender) => {}
                // Nobody reads any more.
                () = told.closed() => {}
            }
        });
        Ok(receiver)
    }
}

async fn follow(
    engine: Arc<dyn ContainerEngine>,
    service: ServiceHandle,
    mut from: LogStart,
    sender: mpsc::Sender<LogLine>,
) {
    let mut snapshots = service.watch();
    loop {
        let container = service.spec().container.clone();
        if let Ok(found) = engine.inspect(container.as_str()).await {
            let opened = clock::wall();
            let mut log = engine.follow_logs(&found.id, from);
            let broke = loop {
                match log.next().await {
                    None => break false,
                    Some(Err(_)) => break true,
                    Some(Ok(line)) => {
                        // What came is not asked for again. Standard output and error have their
                        // times each from a task of its own: they may stand in the other order.
                        from = match from {
                            LogStart::After(seen) => LogStart::After(seen.max(line.written)),
                            LogStart::Last(_) => LogStart::After(line.written),
                        };
                        if sender.send(line).await.is_err() {
                            return;
                        }
                    }
                }
            };
            // An empty log: all that its next run writes is new.
            if let (false, LogStart::Last(_)) = (broke, from) {
                from = LogStart::after(opened);
            }
        }
        let rests = matches!(snapshots.borrow_and_update().phase, Phase::Asleep | Phase::Failed);
        if rests {
            if snapshots.changed().await.is_err() {
                return;
            }
        } else {
            tokio::time::sleep(AGAIN).await;
        }
    }
}
