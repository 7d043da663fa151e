//! The upstream connections of one worker.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use crate::clock;
use crate::domain::address::Upstream;
use crate::domain::time::Moment;
use crate::proxy::alarm::Alarm;
use crate::proxy::upstream::interim::Taker;
use crate::proxy::upstream::upload::RequestBody;

/// Lets hyper run its tasks on this worker.
#[derive(Debug, Clone, Copy)]
pub(in crate::proxy) struct Local;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, task: F) {
        // As it is: a block around it would be twice its size.
        drop(tokio::task::spawn_local(task));
    }
}

/// An HTTP/1.1 connection to an upstream.
pub(in crate::proxy) struct Http1 {
    pub(in crate::proxy) sender: http1::SendRequest<RequestBody>,
    pub(in crate::proxy) taker: Taker,
    /// For the time limits of the requests on it, one after the other.
    pub(in crate::proxy) alarm: Alarm,
    /// The task that drives it.
    pub(in crate::proxy) task: AbortHandle,
}

impl Drop for Http1 {
    fn drop(&mut self) {
        // Nobody wants an answer any more. hyper would wait until the rest of what it has is taken,
        // which may be never.
        if self.taker.is_blocked() {
            self.task.abort();
        }
    }
}

/// What drives an HTTP/2 connection, until it ends.
pub(in crate::proxy) type Driver = Option<http2::Connection<TokioIo<TcpStream>, RequestBody, Local>>;

/// An HTTP/2 connection to an upstream, shared by its streams: whoever has it has one of them.
#[derive(Clone)]
pub(in crate::proxy) struct Http2(Rc<Line>);

struct Line {
    sender: http2::SendRequest<RequestBody>,
    driver: Rc<RefCell<Driver>>,
}

impl Http2 {
    pub(in crate::proxy) fn new(
        sender: http2::SendRequest<RequestBody>,
        driver: &Rc<RefCell<Driver>>,
    ) -> Self {
        Self(Rc::new(Line { sender, driver: Rc::clone(driver) }))
    }

    pub(in crate::proxy) fn sender(&self) -> http2::SendRequest<RequestBody> {
        self.0.sender.clone()
    }

    fn is_closed(&self) -> bool {
        self.0.sender.is_closed()
    }

    /// How many streams are under way, as seen by the pool, which has one of these itself.
    fn streams(&self) -> usize {
        Rc::strong_count(&self.0) - 1
    }

    /// Whether the upstream takes one more stream. One too many would wait until another ends, and a
    /// stream may take hours.
    fn has_room(&self) -> bool {
        let driver = self.0.driver.borrow();
        driver
            .as_ref()
            .is_some_and(|driver| !self.is_closed() && self.streams() < driver.current_max_send_streams())
    }
}

/// A connection that a request has taken.
pub(in crate::proxy) enum Channel {
    Http1(Http1),
    Http2(Http2),
}

/// Idle connections are closed after this.
const IDLE: Duration = Duration::from_secs(60);
/// Idle connections that are kept for one upstream.
const KEPT: usize = 1024;
/// A request that cannot be repeated takes no connection that idled longer: many applications
/// close after five seconds, and the close could cross the request.
const FRESH: Duration = Duration::from_secs(3);

/// Idle connections by upstream. An address belongs to one wake: a connection of an older one is
/// never used again (trap 20).
#[derive(Default)]
pub(in crate::proxy) struct Pool {
    shelves: RefCell<HashMap<Upstream, Shelf, BuildHasherDefault<Quick>>>,
}

#[derive(Default)]
struct Shelf {
    /// The one that was used last is used next.
    idle: Vec<Idle>,
    /// Mostly one; the newest first.
    shared: Vec<Http2>,
}

struct Idle {
    connection: Http1,
    since: Moment,
}

impl Pool {
    /// An idle connection, if there is one. `repeatable`: the request may be sent again where the
    /// connection turns out to be closed.
    pub(in crate::proxy) fn take(&self, upstream: Upstream, repeatable: bool, now: Moment) -> Option<Http1> {
        let mut shelves = self.shelves.borrow_mut();
        let shelf = shelves.get_mut(&upstream)?;
        let oldest = if repeatable { IDLE } else { FRESH };
        let mut at = shelf.idle.len();
        while at > 0 {
            at -= 1;
            let idle = &shelf.idle[at];
            if idle.connection.sender.is_closed() {
                shelf.idle.remove(at);
            } else if now.since(idle.since) > oldest {
                // Those below have idled for even longer.
                return None;
            } else if idle.connection.sender.is_ready() {
                return Some(shelf.idle.remove(at).connection);
            }
        }
        None
    }

    /// A shared HTTP/2 connection with room for a stream, if there is one.
    pub(in crate::proxy) fn shared(&self, upstream: Upstream) -> Option<Http2> {
        let shelves = self.shelves.borrow();
        shelves.get(&upstream)?.shared.iter().find(|connection| connection.has_room()).cloned()
    }

    /// Lets others use this HTTP/2 connection.
    pub(in crate::proxy) fn share(&self, upstream: Upstream, connection: Http2) {
        self.with_shelf(upstream, |shelf| shelf.shared.insert(0, connection));
    }

    fn put(&self, upstream: Upstream, connection: Http1) {
        self.with_shelf(upstream, |shelf| {
            if shelf.idle.len() < KEPT {
                shelf.idle.push(Idle { connection, since: clock::now() });
            }
        });
    }

    fn with_shelf(&self, upstream: Upstream, change: impl FnOnce(&mut Shelf)) {
        let mut shelves = self.shelves.borrow_mut();
        if let Some(shelf) = shelves.get_mut(&upstream) {
            return change(shelf);
        }
        let same_place = |other: &Upstream| other.address == upstream.address;
        if shelves.keys().any(|other| same_place(other) && other.generation > upstream.generation) {
            // A connection of an earlier wake, given back late.
            return;
        }
        shelves.retain(|other, _| !same_place(other));
        change(shelves.entry(upstream).or_default());
    }

    /// Closes what has idled for too long, and forgets what has closed.
    pub(in crate::proxy) fn sweep(&self, now: Moment) {
        self.shelves.borrow_mut().retain(|_, shelf| {
            shelf.idle.retain(|idle| !idle.connection.sender.is_closed() && now.since(idle.since) < IDLE);
            let mut first = true;
            shelf.shared.retain(|connection| {
                !connection.is_closed() && (std::mem::take(&mut first) || connection.streams() > 0)
            });
            !shelf.idle.is_empty() || !shelf.shared.is_empty()
        });
    }
}

/// A hash for keys that no stranger chooses: upstreams are looked up twice a request.
#[derive(Default)]
struct Quick(u64);

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // Multiplied by 2^64 over the golden ratio: neighbours end up far apart.
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u16(&mut self, number: u16) {
        self.write_u64(number.into());
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number.cast_unsigned() as u64);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        // The table looks at the highest and the lowest bits.
        self.0.rotate_left(26)
    }
}

/// A connection in use, and where it goes when its answer has been read to the end.
pub(in crate::proxy) struct Returning {
    pool: Rc<Pool>,
    upstream: Upstream,
    channel: Channel,
}

impl Returning {
    pub(in crate::proxy) fn new(pool: &Rc<Pool>, upstream: Upstream, channel: Channel) -> Self {
        Self { pool: Rc::clone(pool), upstream, channel }
    }

    pub(in crate::proxy) fn put_back(self) {
        if let Channel::Http1(connection) = self.channel {
            self.pool.put(self.upstream, connection);
        }
    }
}
