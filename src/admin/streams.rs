//! Answers that go on: events and logs that are followed. They have places of their own, so that a
//! hundred open dashboards leave the rest alone, and they end with what let them in: with the
//! session, with the token, with WakeDock.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http_body::{Body as _, Frame, SizeHint};
use tokio::sync::watch;

use crate::admin::auth::Auth;
use crate::admin::caller::{Caller, Via};
use crate::admin::health::Stage;
use crate::clock;

/// In all, and of one session, token or name.
const ALL: usize = 256;
const OF_ONE: usize = 10;
/// How often it is looked whether a caller's time is over; what ends earlier is told at once.
const LOOK: Duration = Duration::from_secs(60);

/// The answers that go on.
#[derive(Debug, Default)]
pub struct Streams(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    all: usize,
    of_one: HashMap<String, usize>,
}

/// One answer's place, given back when it is dropped.
#[derive(Debug)]
struct Place {
    streams: Arc<Streams>,
    key: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.all = open.all.saturating_sub(1);
        if let Some(count) = open.of_one.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                open.of_one.remove(&self.key);
            }
        }
    }
}

fn key(caller: &Caller) -> String {
    match &caller.via {
        Via::Socket { uid } => format!("uid {uid}"),
        Via::Session { id } => format!("session {id}"),
        Via::Token { id } => format!("token {id}"),
        Via::Proxy => format!("proxy {}", caller.name),
    }
}

fn place(streams: &Arc<Streams>, caller: &Caller) -> Option<Place> {
    let key = key(caller);
    let mut open = streams.0.lock().unwrap_or_else(PoisonError::into_inner);
    let of_one = open.of_one.get(&key).copied().unwrap_or(0);
    if open.all >= ALL || of_one >= OF_ONE {
        return None;
    }
    open.all += 1;
    open.of_one.insert(key.clone(), of_one + 1);
    Some(Place { streams: Arc::clone(streams), key })
}

/// Whether an answer goes on for who knows how long.
pub(super) fn goes_on(body: &Body) -> bool {
    body.size_hint().exact().is_none()
}

/// Lets an answer go on for as long as its caller may see it. `None`: there are too many already.
pub(super) fn bound(
    body: Body,
    streams: &Arc<Streams>,
    auth: Arc<Auth>,
    caller: Caller,
    stage: watch::Receiver<Stage>,
) -> Option<Body> {
    let place = place(streams, &caller)?;
    let over = over(auth, caller, stage).boxed();
    Some(Body::new(Bounded { body, over, _place: place }))
}

/// Until the caller may not see it any more.
async fn over(auth: Arc<Auth>, caller: Caller, mut stage: watch::Receiver<Stage>) {
    let mut revoked = auth.watch_revoked();
    loop {
        if *stage.borrow_and_update() == Stage::Draining || !auth.still_holds(&caller, clock::wall()) {
            return;
        }
        tokio::select! {
            changed = stage.changed() => if changed.is_err() { return },
            changed = revoked.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

struct Bounded {
    body: Body,
    over: BoxFuture<'static, ()>,
    _place: Place,
}

impl http_body::Body for Bounded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.over.poll_unpin(cx).is_ready() {
            // Ready for ever: it is not asked again after the end.
            return Poll::Ready(None);
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::words::Role;

    #[test]
    fn places_are_bounded_and_come_back() {
        let streams = Arc::new(Streams::default());
        let caller = |id: &str| Caller {
            name: "ann".into(),
            role: Role::Viewer,
            via: Via::Session { id: id.into() },
            address: None,
            services: None,
        };
        let own: Vec<_> = (0..OF_ONE).map(|_| place(&streams, &caller("a")).unwrap()).collect();
        assert!(place(&streams, &caller("a")).is_none());
        drop(own);
        assert!(streams.0.lock().unwrap().of_one.is_empty());
        let all: Vec<_> = (0..ALL).map(|n| place(&streams, &caller(&format!("s{n}"))).unwrap()).collect();
        assert!(place(&streams, &caller("one more")).is_none());
        drop(all);
        assert!(place(&streams, &caller("one more")).is_some());
    }
}
