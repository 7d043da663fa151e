//! Answers that go on: events and logs that are followed. They have places of their own, so that a
//! hundred open dashboards leave the rest alone, and they end with what let them in: with the
//! session, with the token, with the word of the log-in proxy, with WakeDock.
//!
//! A stream of events says why it ends in its last event, `end`. Where there is no place left, one
//! that has been open for long gives its own to the newcomer: a person who opens one tab too many
//! sees the new one work, and the old one say that it stands still.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http_body::{Body as _, Frame, SizeHint};
use tokio::sync::oneshot;

use crate::admin::AdminState;
use crate::admin::auth::By;
use crate::admin::caller::{Caller, Via};
use crate::admin::health::Stage;
use crate::clock;
use crate::config::AdminConfig;

/// In all, and of one user, or token that is nobody's.
const ALL: usize = 256;
const OF_ONE: usize = 128;
/// A log-in proxy gives its word for one request: one that goes on is asked for it again after this
/// long. Browsers come back by themselves.
const LENT: Duration = Duration::from_secs(60 * 60);
/// How often it is looked whether a caller's time is over; what ends earlier is told at once.
const LOOK: Duration = Duration::from_secs(60);

/// The answers that go on.
#[derive(Debug, Default)]
pub struct Streams(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    next: u64,
    /// The oldest first.
    streams: BTreeMap<u64, Stream>,
}

#[derive(Debug)]
struct Stream {
    of: Arc<str>,
    /// How it is told to give its place away. `None`: what it sends would be worth nothing then.
    end: Option<oneshot::Sender<()>>,
}

/// One answer's place, given back when it is dropped.
#[derive(Debug)]
struct Place {
    streams: Arc<Streams>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.streams.0.lock().unwrap_or_else(PoisonError::into_inner).streams.remove(&self.number);
    }
}

impl Open {
    fn of(&self, key: &str) -> usize {
        self.streams.values().filter(|stream| &*stream.of == key).count()
    }

    /// Whoever has most.
    fn greediest(&self) -> Option<Arc<str>> {
        let mut counts: HashMap<&Arc<str>, usize> = HashMap::new();
        for stream in self.streams.values().filter(|stream| stream.end.is_some()) {
            *counts.entry(&stream.of).or_default() += 1;
        }
        counts.into_iter().max_by_key(|(key, count)| (*count, *key)).map(|(key, _)| Arc::clone(key))
    }

    /// Ends the oldest stream of somebody; whether there was one that can be ended.
    fn end_oldest(&mut self, key: &str) -> bool {
        let mut own = self.streams.iter().filter(|(_, stream)| &*stream.of == key && stream.end.is_some());
        let Some(number) = own.next().map(|(number, _)| *number) else { return false };
        if let Some(end) = self.streams.remove(&number).and_then(|stream| stream.end) {
            // One that has ended by itself meanwhile needs no telling.
            let _ = end.send(());
        }
        true
    }
}

fn key(caller: &Caller) -> String {
    match &caller.via {
        Via::Socket { uid } => format!("uid {uid}"),
        Via::Session { .. } | Via::Proxy => format!("user {}", caller.name),
        Via::Token { id } => format!("token {id}"),
    }
}

/// A place, and how its stream hears that it has to give it away. `None`: there is none.
fn place(streams: &Arc<Streams>, caller: &Caller, gives_way: bool) -> Option<(Place, oneshot::Receiver<()>)> {
    let key: Arc<str> = key(caller).into();
    let mut open = streams.0.lock().unwrap_or_else(PoisonError::into_inner);
    if open.of(&key) >= OF_ONE && !open.end_oldest(&key) {
        return None;
    }
    if open.streams.len() >= ALL {
        let most = open.greediest()?;
        open.end_oldest(&most);
    }
    let number = open.next;
    open.next += 1;
    let (end, ended) = oneshot::channel();
    open.streams.insert(number, Stream { of: key, end: gives_way.then_some(end) });
    Some((Place { streams: Arc::clone(streams), number }, ended))
}

/// Whether an answer goes on for who knows how long.
pub(super) fn goes_on(body: &Body) -> bool {
    body.size_hint().exact().is_none()
}

/// Lets an answer go on for as long as its caller, who came in under `config`, may see it. `None`:
/// there are too many already.
pub(super) fn bound(
    response: Response,
    state: &AdminState,
    config: Arc<AdminConfig>,
    caller: Caller,
    by: By,
) -> Option<Response> {
    let (parts, body) = response.into_parts();
    let is_events = parts.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
    let (place, given_away) = place(&state.streams, &caller, is_events)?;
    let over = over(state.clone(), config, (caller, by), given_away).boxed();
    let body = Bounded { body, over, is_events, is_over: false, _place: place };
    Some(Response::from_parts(parts, Body::new(body)))
}

/// Why a stream ended before its client had enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// WakeDock ends, or starts again.
    Stopping,
    /// The caller has to show again who they are.
    LogIn,
    /// A newer one has the place.
    TooMany,
    /// For no reason but the time: whoever comes back goes on.
    Again,
}

impl Why {
    /// The last event of a stream.
    const fn event(self) -> Option<&'static [u8]> {
        match self {
            Self::Stopping => Some(b"event: end\ndata: {\"why\":\"stopping\"}\n\n"),
            Self::LogIn => Some(b"event: end\ndata: {\"why\":\"log-in\"}\n\n"),
            Self::TooMany => Some(b"event: end\ndata: {\"why\":\"too-many\"}\n\n"),
            Self::Again => None,
        }
    }
}

/// Until the caller may not see it any more.
async fn over(
    state: AdminState,
    config: Arc<AdminConfig>,
    (caller, by): (Caller, By),
    mut given_away: oneshot::Receiver<()>,
) -> Why {
    let (mut stage, mut configured) = (state.stage.clone(), state.config.clone());
    let mut revoked = state.auth.watch_revoked();
    // What a proxy says counts as long as it is asked for its word in the same way, and an access token
    // as long as the key that it was signed with.
    let key = state.auth.key_number();
    let is_believed = || match caller.via {
        Via::Proxy => state.settings.load().forward_auth == config.forward_auth,
        Via::Session { .. } => by != By::Bearer || state.auth.key_number() == key,
        Via::Socket { .. } | Via::Token { .. } => true,
    };
    let lent = tokio::time::sleep(if caller.via == Via::Proxy { LENT } else { Duration::MAX });
    let mut lent = std::pin::pin!(lent);
    let mut keeps_place = true;
    loop {
        if *stage.borrow_and_update() == Stage::Draining {
            return Why::Stopping;
        }
        if !is_believed() || !state.auth.still_holds(&caller, clock::wall()) {
            return Why::LogIn;
        }
        tokio::select! {
            changed = stage.changed() => if changed.is_err() { return Why::Stopping },
            changed = configured.changed() => if changed.is_err() { return Why::Stopping },
            changed = revoked.changed() => if changed.is_err() { return Why::Stopping },
            told = &mut given_away, if keeps_place => match told {
                Ok(()) => return Why::TooMany,
                // It is of a kind that keeps its place.
                Err(_) => keeps_place = false,
            },
            () = &mut lent => return Why::Again,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

struct Bounded {
    body: Body,
    over: BoxFuture<'static, Why>,
    is_events: bool,
    is_over: bool,
    _place: Place,
}

impl http_body::Body for Bounded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(why) = self.over.poll_unpin(cx) {
            self.is_over = true;
            // Each frame before it was a whole event.
            let last = why.event().filter(|_| self.is_events);
            return Poll::Ready(last.map(|event| Ok(Frame::data(Bytes::from_static(event)))));
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

    fn caller(name: &str) -> Caller {
        Caller {
            name: name.into(),
            role: Role::Viewer,
            via: Via::Session { id: "a".into() },
            address: None,
            services: None,
        }
    }

    fn told(given_away: &mut oneshot::Receiver<()>) -> bool {
        given_away.try_recv().is_ok()
    }

    /// The story: somebody's eleventh tab was told that there are too many, and said that the
    /// connection was lost.
    #[test]
    fn the_oldest_of_one_user_gives_way() {
        let streams = Arc::new(Streams::default());
        let mut own: Vec<_> = (0..OF_ONE).map(|_| place(&streams, &caller("a"), true).unwrap()).collect();
        let other = place(&streams, &caller("b"), true).unwrap();
        let (_newest, mut ended) = place(&streams, &caller("a"), true).unwrap();
        let told: Vec<bool> = own.iter_mut().map(|(_, ended)| told(ended)).collect();
        assert_eq!(told.iter().filter(|told| **told).count(), 1);
        assert!(told[0] && !super::tests::told(&mut ended), "the oldest, and not the newest");
        drop((own, other));
        assert_eq!(streams.0.lock().unwrap().streams.len(), 1, "places come back once");
    }

    #[test]
    fn of_all_it_is_one_of_whoever_has_most() {
        let streams = Arc::new(Streams::default());
        let mut most: Vec<_> = (0..OF_ONE).map(|_| place(&streams, &caller("a"), true).unwrap()).collect();
        let mut others: Vec<_> = (OF_ONE..ALL)
            .map(|number| place(&streams, &caller(&format!("s{number}")), true).unwrap())
            .collect();
        let _one_more = place(&streams, &caller("one more"), true).unwrap();
        assert!(told(&mut most[0].1));
        assert!(!others.iter_mut().any(|(_, ended)| told(ended)));
        assert_eq!(streams.0.lock().unwrap().streams.len(), ALL);
    }

    #[test]
    fn what_cannot_be_told_keeps_its_place() {
        let streams = Arc::new(Streams::default());
        let _downloads: Vec<_> = (0..OF_ONE).map(|_| place(&streams, &caller("a"), false).unwrap()).collect();
        assert!(place(&streams, &caller("a"), true).is_none());
        assert!(place(&streams, &caller("b"), true).is_some());
    }
}
