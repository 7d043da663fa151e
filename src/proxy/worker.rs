//! One worker: a thread, its single-threaded runtime, its upstream pool and its connections.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};
use http::HeaderValue;
use tokio::sync::watch;

use crate::clock;
use crate::domain::route::RouteTable;
use crate::domain::words::Limit;
use crate::metrics::{Cuts, ServiceMetrics};
use crate::proxy::crowd::{Counted, Place};
use crate::proxy::downstream::peer::Peer;
use crate::proxy::drain::Open;
use crate::proxy::drain::Stage;
use crate::proxy::settings::ProxySettings;
use crate::proxy::upstream::pool::Pool;
use crate::supervisor::handle::ServiceHandle;

/// What an upgraded stream reads in one go, whatever their number: the buffer is the worker's.
pub(super) const SCRATCH: usize = 64 * 1024;

/// How many connections over a limit are told so at a time; what comes beside them is closed.
const MOST_TOLD: usize = 32;

/// Host and path to service, replaced as a whole when the services change.
pub type Routes = Arc<ArcSwap<RouteTable<ServiceHandle>>>;

/// What the workers have in common.
#[derive(Debug, Clone)]
pub(super) struct Common {
    pub(super) routes: Routes,
    pub(super) settings: Arc<ArcSwap<ProxySettings>>,
    /// Counts requests for hosts that nobody has.
    pub(super) unknown: Arc<ServiceMetrics>,
    /// Counts what is closed for a limit.
    pub(super) cuts: Cuts,
    /// Connections that are open, in all workers.
    pub(super) connections: Arc<Counted>,
    pub(super) stage: watch::Receiver<Stage>,
}

/// What the tasks of one worker share. Nothing in it is ever seen by another thread.
pub(super) struct Worker {
    pub(super) index: usize,
    pub(super) pool: Rc<Pool>,
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
    pub(super) fn new(index: usize, common: &Common) -> Self {
        let settings = common.settings.load_full();
        Self {
            index,
            pool: Rc::default(),
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
        open.connected();
        Self { _place: place, open: Rc::clone(open) }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.open.disconnected();
    }
}
