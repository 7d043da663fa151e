//! A connection over HTTP/1 that waits for its next request: no more of it is left than its socket.
//! Most connections of a proxy are of this kind at any moment, and hyper would hold two buffers of
//! 8 KiB for each.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::clock;
use crate::domain::time::Moment;
use crate::proxy::alarm::Alarm;
use crate::proxy::downstream::io::Downstream;
use crate::proxy::drain::{Call, LINGER, Open};

/// Ready when there is something to read: true; or nothing came in time.
pub(in crate::proxy) struct Parked<'a> {
    socket: &'a Downstream,
    open: &'a Rc<Open>,
    call: Option<Call>,
    /// At the last look the drain had begun.
    draining: bool,
    until: Option<Moment>,
    alarm: Alarm,
}

impl<'a> Parked<'a> {
    pub(in crate::proxy) fn new(socket: &'a Downstream, open: &'a Rc<Open>, until: Option<Moment>) -> Self {
        Self { socket, open, call: None, draining: false, until, alarm: Alarm::default() }
    }
}

impl Future for Parked<'_> {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let this = &mut *self;
        if this.socket.poll_readable(cx).is_ready() {
            return Poll::Ready(true);
        }
        if this.call.is_none() {
            this.call = Some(this.open.call(cx.waker().clone()));
        }
        if this.open.draining() && !this.draining {
            this.draining = true;
            let linger = clock::now() + LINGER;
            this.until = Some(this.until.map_or(linger, |until| until.min(linger)));
        }
        let Some(until) = this.until else { return Poll::Pending };
        this.alarm.poll(cx, until).map(|()| false)
    }
}
