//! What happens: as a stream of events that goes on, and as a list that looks back.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream, StreamExt};
use tokio::sync::broadcast::{self, error::RecvError};
use utoipa::IntoParams;

use crate::admin::AdminState;
use crate::admin::api::page::{Page, Paging, cursor};
use crate::admin::api::query::{FromQuery, Given, Query};
use crate::admin::api::router::{ApiRouter, Use, at};
use crate::admin::api::services::sessions::store_away;
use crate::admin::api::{accept, sse};
use crate::admin::problem::Problem;
use crate::domain::name::ServiceName;
use crate::supervisor::journal::{Event, Journal};

pub mod wire;

use wire::EventRecord;

pub(super) fn routes<U: Use>() -> ApiRouter<U> {
    ApiRouter::new().any(at!("/api/v1/events": get follow_events))
}

/// Events of the past that a client gets at a time that comes back.
const MISSED: usize = 1000;
/// Encoded events that are kept for the other subscribers: those that a slow one is behind.
const SHARED: usize = 64;

/// No event has a higher number: what `int64` of the document holds.
const LAST: u64 = i64::MAX.unsigned_abs();

const EVENTS: &str = "text/event-stream";
const JSON: &str = "application/json";

/// Which events.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Only those of this service.
    #[param(value_type = String, required = false, max_length = 63)]
    service: Option<String>,
    /// In a stream: begin after this event. `Last-Event-ID` says the same, and goes first.
    #[param(value_type = u64, required = false)]
    after: Option<u64>,
    #[param(ignore)]
    paging: Backwards,
}

impl FromQuery for Wanted {
    const KNOWN: &'static [&'static str] = &["service", "after", "limit", "cursor"];

    fn read(given: &mut Given) -> Self {
        Self {
            service: given.text("service", 63),
            after: given.number("after", 0..=LAST),
            paging: Backwards::read(given),
        }
    }
}

/// A page of events, which are read backwards: its cursor is the number of an event.
#[derive(Debug)]
pub(super) struct Backwards {
    paging: Paging,
    before: Option<u64>,
}

impl FromQuery for Backwards {
    const KNOWN: &'static [&'static str] = &["limit", "cursor"];

    fn read(given: &mut Given) -> Self {
        let paging = Paging::read(given);
        let before = paging.cursor.as_deref().map(str::parse);
        if let Some(Err(_)) = before {
            given.wrong("cursor", "is none of ours", "take `next` of the page before, or leave it out");
        }
        Self { paging, before: before.and_then(Result::ok) }
    }
}

impl Backwards {
    pub(super) async fn page(
        self,
        journal: &Journal,
        service: Option<&ServiceName>,
    ) -> Result<Page<EventRecord>, Problem> {
        let limit = self.paging.limit();
        let mut found = journal.before(self.before, service, limit + 1).await.map_err(|_| store_away())?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|last| cursor(&last.id.to_string()));
        Ok(Page { items: found.iter().map(|event| EventRecord::new(event)).collect(), next })
    }
}

/// Follow what happens
///
/// As `text/event-stream`: every event from now on, or from the one after `Last-Event-ID`; each has
/// an `id`, its kind as `event`, and an `Event` as `data`. As `application/json`: a page of what
/// happened, the newest first.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "events", operation_id = "followEvents",
    params(
        Wanted, Paging,
        ("Last-Event-ID" = Option<String>, Header, description = "Go on after this event"),
    ),
    responses(
        (status = 200, description = "Events", content(
            (String = "text/event-stream"),
            (Page<EventRecord> = "application/json"),
        )),
        (status = 503, description = "The store is away", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn follow_events(
    State(state): State<AdminState>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let kind = accept::choose(&headers, &[EVENTS, JSON])?;
    let journal = state.fleet.journal().clone();
    // A name that nobody can have has no events.
    let service = match wanted.service.as_deref().map(ServiceName::parse) {
        None => None,
        Some(Ok(name)) => Some(name),
        Some(Err(_)) if kind == JSON => return Ok(Json(Page::<EventRecord>::empty()).into_response()),
        Some(Err(_)) => Some(ServiceName::unknown()),
    };
    if kind == JSON {
        return Ok(Json(wanted.paging.page(&journal, service.as_ref()).await?).into_response());
    }
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok()).or(wanted.after);
    Ok(sse::answer(follow(journal, service, last)))
}

/// A subscriber's place.
struct Place {
    journal: Journal,
    service: Option<ServiceName>,
    feed: broadcast::Receiver<Arc<Event>>,
    /// The number of the newest event it knows of.
    last: u64,
    /// What it missed, the oldest first.
    missed: VecDeque<Arc<Event>>,
    /// It missed more than that.
    behind: bool,
}

fn follow(
    journal: Journal,
    service: Option<ServiceName>,
    last: Option<u64>,
) -> impl Stream<Item = Bytes> + Send {
    // First, so that nothing falls between what is looked up and what comes.
    let feed = journal.subscribe();
    let newest = journal.newest();
    // One that was never given is of another store, from before a restore: what comes is new.
    let last = last.filter(|last| *last <= newest);
    let behind = last.is_some();
    let last = last.unwrap_or(newest);
    let place = Place { journal, service, feed, last, missed: VecDeque::new(), behind };
    // Whoever comes back before the first event goes on from here.
    stream::iter([sse::place(last)]).chain(stream::unfold(place, |mut place| async move {
        let event = place.next().await?;
        Some((encoded(&event), place))
    }))
}

impl Place {
    async fn catch_up(&mut self) {
        self.missed = self.journal.since(self.last, self.service.as_ref(), MISSED).await.into();
        self.behind = self.missed.len() == MISSED;
    }

    async fn next(&mut self) -> Option<Arc<Event>> {
        loop {
            if let Some(event) = self.missed.pop_front() {
                self.last = event.id;
                return Some(event);
            }
            if self.behind {
                self.catch_up().await;
                continue;
            }
            match self.feed.recv().await {
                // It was among what was missed.
                Ok(event) if event.id <= self.last => {}
                Ok(event) => {
                    self.last = event.id;
                    if self.service.is_none() || self.service == event.service {
                        return Some(event);
                    }
                }
                Err(RecvError::Lagged(events)) => {
                    self.journal.counts().lagged(events);
                    self.catch_up().await;
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

/// An event as it goes over the wire: encoded once, whatever the number of subscribers.
fn encoded(event: &Arc<Event>) -> Bytes {
    static ENCODED: Mutex<VecDeque<(Arc<Event>, Bytes)>> = Mutex::new(VecDeque::new());
    let mut shared = ENCODED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, bytes)) = shared.iter().rev().find(|(known, _)| Arc::ptr_eq(known, event)) {
        return bytes.clone();
    }
    // A struct of texts and numbers has a JSON form.
    let data = serde_json::to_string(&EventRecord::new(event)).unwrap_or_default();
    let bytes = sse::event(Some(&event.id.to_string()), Some(event.what.kind()), &data);
    if shared.len() == SHARED {
        shared.pop_front();
    }
    shared.push_back((Arc::clone(event), bytes.clone()));
    bytes
}
