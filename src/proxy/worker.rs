//! One worker: a thread, its single-threaded runtime, its upstream pool and its connections.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use arc_swap::{ArcSwap, Cache};
use http::HeaderValue;
use tokio::runtime::{LocalOptions, LocalRuntime};
use tokio::sync::{Notify, mpsc, watch};

use crate::clock;
use crate::domain::route::RouteTable;
use crate::domain::words::Limit;
use crate::metrics::{Cuts, ServiceMetrics};
use crate::proxy::accept;
use crate::proxy::crowd::{Counted, Place};
use crate::proxy::io::Peer;
use crate::proxy::plane::{Common, Routes, Stage};
use crate::proxy::pool::Pool;
use crate::proxy::settings::ProxySettings;
use crate::supervisor::handle::ServiceHandle;

/// How often idle upstream connections are looked through.
const SWEEP: Duration = Duration::from_secs(5);
/// What an upgraded stream reads in one go, whatever their number: the buffer is the worker's.
pub(super) const SCRATCH: usize = 64 * 1024;

/// How many connections over a limit are told so at a time; what comes beside them is closed.
const MOST_TOLD: usize = 32;

/// An accepted socket on its way to the worker that serves it: whether it is a unix socket, and
/// who is at its other end.
pub(super) type Post = (OwnedFd, bool, Peer);

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

/// What the tasks of one worker share. Nothing in it is ever seen by another thread.
pub(super) struct Worker {
    pub(super) index: usize,
    pub(super) pool: Pool,
    pub(super) open: Rc<Open>,
    pub(super) unknown: Arc<ServiceMetrics>,
    pub(super) cuts: Cuts,
    /// Connections over a limit that are being told so.
    turned_away: Rc<Cell<usize>>,
    pub(super) stage: watch::Receiver<Stage>,
    pub(super) scratch: RefCell<Box<[u8]>>,
    routes: RefCell<Cache<Routes, Arc<RouteTable<ServiceHandle>>>>,
    settings: RefCell<Settings>,
    pub(super) connections: Arc<Counted>,
    /// Request ids are this worker's random prefix and a number.
    id_prefix: u64,
    id_next: Cell<u64>,
}

/// The worker's own copy of the settings: a look costs no write to memory that workers share.
struct Settings {
    cache: Cache<Arc<ArcSwap<ProxySettings>>, Arc<ProxySettings>>,
    seen: *const ProxySettings,
    own: Rc<ProxySettings>,
}

impl Worker {
    fn new(index: usize, common: &Common) -> Self {
        let settings = common.settings.load_full();
        Self {
            index,
            pool: Pool::default(),
            open: Rc::default(),
            unknown: Arc::clone(&common.unknown),
            cuts: common.cuts.clone(),
            turned_away: Rc::default(),
            stage: common.stage.clone(),
            scratch: RefCell::new(vec![0; SCRATCH].into()),
            routes: RefCell::new(Cache::new(Arc::clone(&common.routes))),
            settings: RefCell::new(Settings {
                cache: Cache::new(Arc::clone(&common.settings)),
                seen: Arc::as_ptr(&settings),
                own: Rc::new((*settings).clone()),
            }),
            connections: Arc::clone(&common.connections),
            id_prefix: random(),
            id_next: Cell::new(0),
        }
    }

    /// The settings as of now.
    pub(super) fn settings(&self) -> Rc<ProxySettings> {
        let mut settings = self.settings.borrow_mut();
        let Settings { cache, seen, own } = &mut *settings;
        let current = cache.load();
        if Arc::as_ptr(current) != *seen {
            *seen = Arc::as_ptr(current);
            *own = Rc::new((**current).clone());
        }
        Rc::clone(own)
    }

    /// Looks into the routes as of now.
    pub(super) fn with_routes<T>(&self, look: impl FnOnce(&RouteTable<ServiceHandle>) -> T) -> T {
        look(self.routes.borrow_mut().load())
    }

    /// A new id for a request: unique in practice among all processes, and cheap.
    pub(super) fn request_id(&self) -> HeaderValue {
        let number = self.id_next.get();
        self.id_next.set(number.wrapping_add(1));
        let mut text = [b'0'; 32];
        write_hex(&mut text[..16], self.id_prefix);
        write_hex(&mut text[16..], number);
        HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("0"))
    }

    /// A place among the open connections of all workers.
    ///
    /// # Errors
    /// Which limit is reached. It is counted.
    pub(super) fn admit(&self, peer: &Peer) -> Result<Permit, Limit> {
        let admitted = self.connections.admit(peer.address, &self.settings());
        admitted.map(|place| Permit::new(place, &self.open)).inspect_err(|limit| self.cuts.count(*limit))
    }

    /// One more connection is told that there are too many. `None`: so many are being told already
    /// that it is not worth it.
    pub(super) fn turn_away(&self) -> Option<TurnedAway> {
        let count = self.turned_away.get();
        (count < MOST_TOLD).then(|| {
            self.turned_away.set(count + 1);
            TurnedAway(Rc::clone(&self.turned_away))
        })
    }
}

/// Counted while a connection over a limit is told so.
pub(super) struct TurnedAway(Rc<Cell<usize>>);

impl Drop for TurnedAway {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

fn write_hex(into: &mut [u8], mut number: u64) {
    for place in into.iter_mut().rev() {
        *place = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

/// Seeded by the system anew for each process, which is enough to keep ids apart.
fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
    hasher.write_i64(clock::wall().as_millis());
    hasher.finish()
}

/// Counted while a downstream connection, or the stream it was upgraded to, is open.
pub(super) struct Permit {
    _place: Place,
    open: Rc<Open>,
}

impl Permit {
    fn new(place: Place, open: &Rc<Open>) -> Self {
        open.connections.set(open.connections.get() + 1);
        Self { _place: place, open: Rc::clone(open) }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.open.connections.set(self.open.connections.get() - 1);
        self.open.look();
    }
}

/// What is open in this worker, and who must hear of a drain.
#[derive(Default)]
pub(super) struct Open {
    connections: Cell<usize>,
    acceptors: Cell<usize>,
    draining: Cell<bool>,
    wakers: RefCell<HashMap<u64, Waker>>,
    next: Cell<u64>,
    changed: Notify,
}

impl Open {
    /// Whether connections should end after their current request.
    pub(super) fn draining(&self) -> bool {
        self.draining.get()
    }

    /// Has the waker called when the drain begins.
    pub(super) fn call(self: &Rc<Self>, waker: Waker) -> Call {
        let id = self.next.get();
        self.next.set(id + 1);
        self.wakers.borrow_mut().insert(id, waker);
        Call { open: Rc::clone(self), id }
    }

    fn drain(&self) {
        self.draining.set(true);
        for waker in self.wakers.borrow().values() {
            waker.wake_by_ref();
        }
    }

    fn look(&self) {
        if self.draining.get() {
            self.changed.notify_one();
        }
    }

    fn is_empty(&self) -> bool {
        self.connections.get() == 0 && self.acceptors.get() == 0
    }
}

/// A connection's place among those that hear of the drain.
pub(super) struct Call {
    open: Rc<Open>,
    id: u64,
}

impl Drop for Call {
    fn drop(&mut self) {
        self.open.wakers.borrow_mut().remove(&self.id);
    }
}

/// Counted while a task still accepts connections.
struct Accepting(Rc<Open>);

impl Accepting {
    fn new(open: &Rc<Open>) -> Self {
        open.acceptors.set(open.acceptors.get() + 1);
        Self(Rc::clone(open))
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.0.acceptors.set(self.0.acceptors.get() - 1);
        self.0.look();
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
    let all_gone = async {
        while !worker.open.is_empty() {
            worker.open.changed.notified().await;
        }
    };
    // Time over: what is left falls with the runtime.
    let _ = tokio::time::timeout_at(clock::instant(until), all_gone).await;
    worker.open.connections.get()
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
