//! One HTTP/2 stream: the task in which hyper answers it, and how it ends before its time.
//!
//! hyper hands every stream to an executor, which is the one place from where a single stream can
//! be let go: a task that is dropped resets its stream, and no other.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::Sleep;

tokio::task_local! {
    /// The stream whose task runs.
    static CURRENT: Rc<Stream>;
}

/// What the task of a stream and its body tell each other.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// A part of the answer is there, and waits until the client takes it.
    delivering: Cell<bool>,
    cut: Cell<bool>,
    /// The task that has something to end.
    task: RefCell<Option<Waker>>,
}

impl Stream {
    /// The stream in whose task this is called. `None`: this is none of HTTP/2.
    pub(super) fn current() -> Option<Rc<Self>> {
        CURRENT.try_with(Rc::clone).ok()
    }

    /// Called by the body that is asked for its next part: whether it has to wait for it.
    pub(super) fn asked_for_more(waits: bool) {
        let _ = CURRENT.try_with(|stream| stream.delivering.set(!waits));
    }

    /// Resets the stream: what was said on it was not all.
    pub(super) fn cut(&self) {
        self.cut.set(true);
        if let Some(task) = self.task.borrow_mut().take() {
            task.wake();
        }
    }
}

/// Lets hyper answer the streams of one connection on this worker.
#[derive(Debug, Clone, Copy)]
pub(super) struct Streams {
    /// How long a part of an answer may wait without the client taking any of it. A client that
    /// opens no window blocks no write, so the socket's own limit does not see it.
    pub(super) patience: Option<Duration>,
}

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, task: F) {
        // What a stream's task starts is what writes to the upgraded stream: it ends with it.
        let stream = Stream::current().unwrap_or_default();
        let patience = self.patience;
        drop(tokio::task::spawn_local(Watched { task, stream, patience, timer: None }));
    }
}

pin_project! {
    struct Watched<F> {
        #[pin]
        task: F,
        stream: Rc<Stream>,
        patience: Option<Duration>,
        timer: Option<Pin<Box<Sleep>>>,
    }
}

impl<F: Future<Output = ()>> Future for Watched<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.stream.cut.get() {
            return Poll::Ready(());
        }
        if let Some(timer) = this.timer.as_mut()
            && timer.as_mut().poll(cx).is_ready()
        {
            tracing::debug!("a client takes nothing of an answer: its stream is reset");
            return Poll::Ready(());
        }
        let task = this.task;
        if CURRENT.sync_scope(Rc::clone(this.stream), || task.poll(cx)).is_ready() {
            return Poll::Ready(());
        }
        *this.stream.task.borrow_mut() = Some(cx.waker().clone());
        *this.timer = None;
        if this.stream.delivering.get()
            && let Some(patience) = *this.patience
        {
            let timer = this.timer.insert(Box::pin(tokio::time::sleep(patience)));
            ready!(timer.as_mut().poll(cx));
        }
        Poll::Pending
    }
}
