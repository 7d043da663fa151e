//! One HTTP/2 stream: the task in which hyper answers it, and how it ends before its time.
//!
//! hyper hands every stream to an executor, which is the one place from where a single stream can
//! be let go: a task that is dropped resets its stream, and no other.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use pin_project_lite::pin_project;

use crate::clock;
use crate::domain::time::Moment;
use crate::domain::words::Limit;
use crate::proxy::alarm::Alarm;
use crate::proxy::downstream::state::ConnState;

tokio::task_local! {
    /// The stream whose task runs.
    static CURRENT: Rc<Stream>;
}

/// What the task of a stream and its body tell each other.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Stream {
    /// A part of the answer is there, and waits until the client takes it.
    delivering: Cell<bool>,
    cut: Cell<bool>,
    /// The task that has something to end.
    task: RefCell<Option<Waker>>,
}

impl Stream {
    /// The stream in whose task this is called. `None`: this is none of HTTP/2.
    pub(in crate::proxy) fn current() -> Option<Rc<Self>> {
        CURRENT.try_with(Rc::clone).ok()
    }

    /// Called by the body that is asked for its next part: whether it has to wait for it.
    pub(in crate::proxy) fn asked_for_more(waits: bool) {
        let _ = CURRENT.try_with(|stream| stream.delivering.set(!waits));
    }

    /// Resets the stream: what was said on it was not all.
    pub(in crate::proxy) fn cut(&self) {
        self.cut.set(true);
        if let Some(task) = self.task.borrow_mut().take() {
            task.wake();
        }
    }
}

/// Lets hyper answer the streams of one connection on this worker.
#[derive(Debug, Clone)]
pub(in crate::proxy) struct Streams {
    pub(in crate::proxy) state: Arc<ConnState>,
    /// How long a part of an answer may wait without the client taking any of it. A client that
    /// opens no window blocks no write, so the socket's own limit does not see it.
    pub(in crate::proxy) patience: Option<Duration>,
}

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, task: F) {
        // What a stream's task starts is what writes to the upgraded stream: it ends with it.
        let stream = Stream::current().unwrap_or_default();
        let patience = self.patience;
        let state = Arc::clone(&self.state);
        let alarm = Alarm::default();
        drop(tokio::task::spawn_local(Watched { task, stream, state, patience, deadline: None, alarm }));
    }
}

pin_project! {
    struct Watched<F> {
        #[pin]
        task: F,
        stream: Rc<Stream>,
        state: Arc<ConnState>,
        patience: Option<Duration>,
        // When the part of the answer that waits has waited for too long.
        deadline: Option<Moment>,
        alarm: Alarm,
    }
}

impl<F: Future<Output = ()>> Future for Watched<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.stream.cut.get() {
            return Poll::Ready(());
        }
        if let Some(deadline) = *this.deadline
            && this.alarm.poll(cx, deadline).is_ready()
        {
            this.state.cut(Limit::Write);
            tracing::debug!("a client takes nothing of an answer: its stream is reset");
            return Poll::Ready(());
        }
        let task = this.task;
        if CURRENT.sync_scope(Rc::clone(this.stream), || task.poll(cx)).is_ready() {
            return Poll::Ready(());
        }
        *this.stream.task.borrow_mut() = Some(cx.waker().clone());
        let delivers = this.stream.delivering.get();
        *this.deadline = this.patience.filter(|_| delivers).map(|patience| clock::now() + patience);
        if let Some(deadline) = *this.deadline {
            ready!(this.alarm.poll(cx, deadline));
        }
        Poll::Pending
    }
}
