//! An upgraded stream: bytes both ways, the lease inside, silence, half-closed ends.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::clock;
use crate::domain::time::Moment;
use crate::proxy::alarm::Alarm;
use crate::proxy::downstream::io::Downstream;
use crate::proxy::exchange::connection::Connection;
use crate::proxy::upstream::interim::UpstreamSocket;
use crate::supervisor::handle::ServiceHandle;
use crate::supervisor::lease::{Lease, SilentLease};

/// What a container said last may still be on its way when it has ended. Its end itself may never
/// come: its network goes with it.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Joins the two sides once both have left HTTP, until both are done.
pub(in crate::proxy) async fn join<D: AsyncRead + AsyncWrite + Unpin>(
    connection: Rc<Connection>,
    downstream: impl Future<Output = hyper::Result<Option<(D, Bytes)>>>,
    upstream: OnUpgrade,
    service: ServiceHandle,
    lease: Lease,
    silent_after: Option<Duration>,
) {
    let (downstream, upstream) = match tokio::try_join!(downstream, upstream) {
        Ok(both) => both,
        Err(error) => {
            tracing::debug!(%error, "an upgrade was not completed");
            return;
        }
    };
    let (Some((downstream, first_down)), Some((upstream, first_up))) =
        (downstream, split::<UpstreamSocket>(upstream))
    else {
        // Both are connections that we made: they are of these types.
        tracing::error!("an upgraded connection is not what it was");
        return;
    };
    let dialled = lease.upstream();
    let tunnel = Tunnel {
        downstream,
        upstream: upstream.into_inner(),
        up: Way::starting_with(first_down),
        down: Way::starting_with(first_up),
        counts: Some(Use::Counting(lease)),
        silence: silent_after.map(|after| Silence { after, last: clock::now(), alarm: Alarm::default() }),
        scratch: &connection.worker.scratch,
    };
    let over = async {
        service.outlives(dialled).await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    tokio::select! {
        ended = tunnel => {
            if let Err(error) = ended {
                tracing::debug!(%error, "an upgraded stream broke");
            }
        }
        () = over => tracing::debug!("the container of an upgraded stream is gone"),
    }
}

/// The client's socket, once it has left HTTP/1.1, and what was read from it already.
pub(in crate::proxy) async fn opened(upgrade: OnUpgrade) -> hyper::Result<Option<(Downstream, Bytes)>> {
    Ok(split(upgrade.await?))
}

/// The socket under an upgraded connection, and what was read from it already.
fn split<S>(upgraded: Upgraded) -> Option<(S, Bytes)>
where
    TokioIo<S>: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
{
    let parts = upgraded.downcast::<TokioIo<S>>().ok()?;
    Some((parts.io.into_inner(), parts.read_buf))
}

/// One direction.
struct Way {
    /// Read, and not written yet.
    held: Bytes,
    /// The sender has nothing more to say.
    ended: bool,
    /// The receiver has been told.
    done: bool,
}

impl Way {
    fn starting_with(held: Bytes) -> Self {
        Self { held, ended: false, done: false }
    }

    /// Moves what can be moved. True where any byte was. The buffer is shared by all streams of
    /// the worker: an idle stream holds no memory, only what a slow receiver leaves is kept.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        scratch: &mut [u8],
        moved: &mut bool,
    ) -> Poll<io::Result<()>> {
        loop {
            while !self.held.is_empty() {
                let n = ready!(Pin::new(&mut *to).poll_write(cx, &self.held))?;
                if n == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                *moved = true;
                self.held.advance(n);
            }
            if self.ended {
                if !self.done {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                    self.done = true;
                }
                return Poll::Ready(Ok(()));
            }
            let mut buf = ReadBuf::new(scratch);
            ready!(Pin::new(&mut *from).poll_read(cx, &mut buf))?;
            let read = buf.filled();
            if read.is_empty() {
                self.ended = true;
                continue;
            }
            *moved = true;
            let written = match Pin::new(&mut *to).poll_write(cx, read) {
                Poll::Ready(written) => written?,
                Poll::Pending => 0,
            };
            self.held = Bytes::copy_from_slice(&read[written..]);
        }
    }
}

/// Whether the stream counts as use.
enum Use {
    Counting(Lease),
    Silent(SilentLease),
}

/// When a stream without bytes stops counting (trap 10).
struct Silence {
    after: Duration,
    last: Moment,
    alarm: Alarm,
}

impl Silence {
    /// Ready when nothing has moved for too long.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.alarm.poll(cx, self.last + self.after)
    }
}

struct Tunnel<'a, D> {
    downstream: D,
    upstream: TcpStream,
    up: Way,
    down: Way,
    /// `None`: its upstream is gone.
    counts: Option<Use>,
    silence: Option<Silence>,
    scratch: &'a RefCell<Box<[u8]>>,
}

impl<D> Tunnel<'_, D> {
    /// Bytes moved: the stream counts again. False where its upstream is gone.
    fn speak(&mut self) -> bool {
        if let Some(silence) = &mut self.silence {
            silence.last = clock::now();
        }
        if let Some(Use::Silent(silent)) = &self.counts {
            self.counts = silent.speak().map(Use::Counting);
        }
        self.counts.is_some()
    }

    fn fall_silent(&mut self) {
        self.counts = self.counts.take().map(|counts| match counts {
            Use::Counting(lease) => Use::Silent(lease.silence()),
            silent @ Use::Silent(_) => silent,
        });
    }
}

impl<D: AsyncRead + AsyncWrite + Unpin> Future for Tunnel<'_, D> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut moved = false;
        let (up, down) = {
            let mut scratch = this.scratch.borrow_mut();
            let Tunnel { downstream, upstream, up, down, .. } = this;
            let went_up = up.poll(cx, downstream, upstream, &mut scratch, &mut moved);
            let went_down = down.poll(cx, upstream, downstream, &mut scratch, &mut moved);
            (went_up, went_down)
        };
        if moved && !this.speak() {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        match (up, down) {
            (Poll::Ready(Err(error)), _) | (_, Poll::Ready(Err(error))) => return Poll::Ready(Err(error)),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(Ok(())),
            _ => {}
        }
        if matches!(this.counts, Some(Use::Counting(_)))
            && let Some(silence) = &mut this.silence
            && silence.poll(cx).is_ready()
        {
            this.fall_silent();
        }
        Poll::Pending
    }
}
