//! The drain: its stages, what is open, and who must hear of it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use tokio::sync::Notify;

use crate::domain::time::Moment;

/// When the drain begins, a silent HTTP/1 connection is not closed at once: a request that is on
/// its way would be lost with it. It is answered, and that answer announces the end.
pub(super) const LINGER: Duration = Duration::from_millis(300);

/// Whether the plane serves, or ends and by when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Serving,
    Draining { until: Moment },
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

    pub(super) fn drain(&self) {
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

    /// How many connections are open.
    pub(super) fn connections(&self) -> usize {
        self.connections.get()
    }

    /// One more connection is open.
    pub(super) fn connected(&self) {
        self.connections.set(self.connections.get() + 1);
    }

    /// One connection less is open.
    pub(super) fn disconnected(&self) {
        self.connections.set(self.connections.get() - 1);
        self.look();
    }

    /// Waits until nothing is open, and nobody accepts any more.
    pub(super) async fn emptied(&self) {
        while self.connections.get() > 0 || self.acceptors.get() > 0 {
            self.changed.notified().await;
        }
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
pub(super) struct Accepting(Rc<Open>);

impl Accepting {
    pub(super) fn new(open: &Rc<Open>) -> Self {
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
