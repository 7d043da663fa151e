//! Runs one worker: its sockets, its sweeping, its end.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use tokio::runtime::{LocalOptions, LocalRuntime};
use tokio::sync::mpsc;

use crate::clock;
use crate::proxy::accept::{self, Post};
use crate::proxy::drain::{Accepting, Stage};
use crate::proxy::worker::{Common, Worker};

/// How often idle upstream connections are looked through.
const SWEEP: Duration = Duration::from_secs(5);
/// Where a worker gets its connections from.
pub(super) struct Ingress {
    /// Listening sockets of its own.
    pub(super) own: Vec<(OwnedFd, bool)>,
    /// Listening sockets whose connections it deals out to all workers (the first worker only).
    pub(super) dealt: Vec<(OwnedFd, bool, Vec<mpsc::UnboundedSender<Post>>)>,
    /// Connections that were dealt to it.
    mailbox: mpsc::UnboundedReceiver<Post>,
}

impl Ingress {
    pub(super) fn new(mailbox: mpsc::UnboundedReceiver<Post>) -> Self {
        Self { own: Vec::new(), dealt: Vec::new(), mailbox }
    }
}

pub(super) fn runtime() -> io::Result<LocalRuntime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default())
}

/// Runs one worker until it is drained. Says how many connections it had to cut.
pub(super) fn run(runtime: LocalRuntime, index: usize, common: Common, ingress: Ingress) -> usize {
    runtime.block_on(async move {
        let worker = Rc::new(Worker::new(index, &common));
        // A panic ends the task it happens in, one connection or one HTTP/2 stream, and no other.
        for (socket, unix) in ingress.own {
            let (worker, counted) = (Rc::clone(&worker), Accepting::new(&worker.open));
            tokio::task::spawn_local(async move {
                accept::own(worker, socket, unix).await;
                drop(counted);
            });
        }
        for (socket, unix, posts) in ingress.dealt {
            let (stage, counted) = (worker.stage.clone(), Accepting::new(&worker.open));
            tokio::task::spawn_local(async move {
                accept::deal(stage, socket, unix, posts).await;
                drop(counted);
            });
        }
        let (receiver, counted) = (Rc::clone(&worker), Accepting::new(&worker.open));
        tokio::task::spawn_local(async move {
            accept::dealt(receiver, ingress.mailbox).await;
            drop(counted);
        });
        let sweeper = Rc::clone(&worker);
        tokio::task::spawn_local(async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                sweeper.pool.sweep(clock::now());
            }
        });
        until_drained(&worker).await
    })
}

async fn until_drained(worker: &Worker) -> usize {
    let mut stage = worker.stage.clone();
    let until = loop {
        if let Stage::Draining { until } = *stage.borrow_and_update() {
            break until;
        }
        if stage.changed().await.is_err() {
            // The plane was dropped without a drain: nobody grants any grace.
            break clock::now();
        }
    };
    worker.open.drain();
    // Time over: what is left falls with the runtime.
    let _ = tokio::time::timeout_at(clock::instant(until), worker.open.emptied()).await;
    worker.open.connections()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the data plane relies on: a connection is a task, and falls alone.
    #[test]
    fn a_panic_ends_its_own_task_and_no_other() {
        let runtime = runtime().unwrap();
        runtime.block_on(async {
            let falls = tokio::task::spawn_local(async { panic!("on purpose") });
            let goes_on = tokio::task::spawn_local(async {
                tokio::task::yield_now().await;
                "fine"
            });
            assert!(falls.await.unwrap_err().is_panic());
            assert_eq!(goes_on.await.unwrap(), "fine");
        });
    }
}
