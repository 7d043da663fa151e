//! Sessions: a browser's cookie or a program's tokens, each of one log-in.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use crate::admin::audit::Entry;
use crate::admin::auth::record::{SESSIONS, SessionRecord};
use crate::admin::auth::{Auth, Change, People, User};
use crate::admin::caller::Caller;
use crate::admin::secret;
use crate::domain::time::Timestamp;
use crate::store::{CommitError, Interrupted};

/// How often it is written down that somebody was there.
const SEEN_EVERY: Duration = Duration::from_secs(60);
/// Of one user; the one that was quiet for longest ends when there is one more.
pub(super) const PER_USER: usize = 50;
/// Characters of a user agent that are kept.
const AGENT: usize = 200;

/// One log-in that goes on.
#[derive(Debug)]
pub struct Session {
    /// Public: stands in tokens, lists and the audit.
    pub id: Arc<str>,
    pub user: Arc<str>,
    pub made: Timestamp,
    pub address: Option<IpAddr>,
    /// The program it was made with, in its own words.
    pub agent: String,
    /// SHA-256 of what the cookie holds.
    pub(super) secret: [u8; 32],
    seen: AtomicI64,
    saved: AtomicI64,
    pub(super) generation: AtomicU32,
}

impl Session {
    /// A new one, and what its cookie will hold.
    pub(super) fn new(
        user: &Arc<str>,
        address: Option<IpAddr>,
        agent: &str,
        now: Timestamp,
    ) -> (Self, String) {
        let cookie = secret::token("");
        let hash = secret::sha256(cookie.as_bytes());
        let millis = now.as_millis();
        let session = Self {
            id: id_of(&hash).into(),
            user: Arc::clone(user),
            made: now,
            address,
            agent: agent.chars().filter(|c| !c.is_control()).take(AGENT).collect(),
            secret: hash,
            seen: AtomicI64::new(millis),
            saved: AtomicI64::new(millis),
            generation: AtomicU32::new(0),
        };
        (session, cookie)
    }

    pub(super) fn read(id: &str, record: SessionRecord) -> Option<Self> {
        Some(Self {
            id: id.into(),
            user: record.user.into(),
            made: Timestamp::from_millis(record.made),
            address: record.address.and_then(|address| address.parse().ok()),
            agent: record.agent,
            secret: secret::from_hex(&record.secret)?,
            seen: AtomicI64::new(record.seen),
            saved: AtomicI64::new(record.seen),
            generation: AtomicU32::new(record.generation),
        })
    }

    pub(super) fn record(&self) -> SessionRecord {
        SessionRecord {
            user: self.user.as_ref().to_owned(),
            secret: secret::hex(&self.secret),
            made: self.made.as_millis(),
            seen: self.seen.load(Ordering::Relaxed),
            address: self.address.map(|address| address.to_string()),
            agent: self.agent.clone(),
            generation: self.generation.load(Ordering::Relaxed),
        }
    }

    /// When somebody last came with it.
    #[must_use]
    pub fn seen(&self) -> Timestamp {
        Timestamp::from_millis(self.seen.load(Ordering::Relaxed))
    }
}

/// The id that goes with a secret's hash: half of it, which tells nothing of the secret.
pub(super) fn id_of(hash: &[u8; 32]) -> String {
    secret::hex(&hash[..16])
}

impl People {
    /// The user of a session, where both hold.
    pub(super) fn user_of(&self, session: &Session, now: Timestamp) -> Option<&User> {
        let fresh = now.since(session.seen()) < self.settings.session_idle
            && now.since(session.made) < self.settings.session_absolute;
        self.users.get(&session.user).filter(|user| fresh && !user.disabled)
    }

    /// When a session ends if nobody comes any more.
    pub(super) fn end_of(&self, session: &Session) -> Timestamp {
        let add = |at: Timestamp, time: Duration| {
            at.as_millis().saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
        };
        let idle = add(session.seen(), self.settings.session_idle);
        Timestamp::from_millis(idle.min(add(session.made, self.settings.session_absolute)))
    }

    /// Sessions that are over, or one too many of a user that is about to have another.
    pub(super) fn overdue(&self, user: &str, now: Timestamp) -> Vec<Arc<str>> {
        let over = self.sessions.values().filter(|session| self.user_of(session, now).is_none());
        let mut over: Vec<Arc<str>> = over.map(|session| Arc::clone(&session.id)).collect();
        let mut own: Vec<_> = self
            .sessions
            .values()
            .filter(|session| &*session.user == user && !over.contains(&session.id))
            .collect();
        own.sort_by_key(|session| std::cmp::Reverse(session.seen()));
        over.extend(own.into_iter().skip(PER_USER - 1).map(|session| Arc::clone(&session.id)));
        over
    }
}

impl Auth {
    /// The sessions of a user, the newest first.
    #[must_use]
    pub fn sessions_of(&self, user: &str, now: Timestamp) -> Vec<(Arc<Session>, Timestamp)> {
        let people = self.people();
        let own = people.sessions.values().filter(|session| &*session.user == user);
        let mut own: Vec<_> = own
            .filter(|session| people.user_of(session, now).is_some())
            .map(|session| (Arc::clone(session), people.end_of(session)))
            .collect();
        own.sort_by_key(|(session, _)| std::cmp::Reverse(session.made));
        own
    }

    /// Ends sessions of a user: one, or all. How many there were.
    ///
    /// # Errors
    /// While the store is away; then they go on.
    pub async fn end_sessions(
        &self,
        caller: &Caller,
        user: &str,
        one: Option<&str>,
    ) -> Result<usize, CommitError> {
        let _alone = self.changing.lock().await;
        let ids: Vec<Arc<str>> = {
            let people = self.people();
            let own = people.sessions.values().filter(|session| &*session.user == user);
            own.filter(|session| one.is_none_or(|one| &*session.id == one))
                .map(|session| Arc::clone(&session.id))
                .collect()
        };
        if ids.is_empty() {
            return Ok(0);
        }
        let what = if one.is_some() { "session-ended" } else { "sessions-ended" };
        self.commit(remove(&ids), Some(Entry::by(caller, what, user))).await?;
        self.forget_sessions(&ids);
        Ok(ids.len())
    }

    pub(super) fn forget_sessions(&self, ids: &[Arc<str>]) {
        self.change_people(|people| people.sessions.retain(|id, _| !ids.contains(id)));
        self.tell_revoked();
    }

    /// Somebody came with a session. Written down now and then, and waited for by nobody.
    pub(super) fn saw(&self, session: &Session, now: Timestamp) {
        let millis = now.as_millis();
        session.seen.fetch_max(millis, Ordering::Relaxed);
        let saved = session.saved.load(Ordering::Relaxed);
        let due = millis.saturating_sub(saved) >= i64::try_from(SEEN_EVERY.as_millis()).unwrap_or(i64::MAX);
        if !due
            || session.saved.compare_exchange(saved, millis, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return;
        }
        let (store, id) = (self.store.clone(), Arc::clone(&session.id));
        tokio::spawn(async move {
            let written = store.change(move |tables| {
                // One that has ended meanwhile stays ended.
                if let Some(mut record) = tables.get(&SESSIONS, &id)? {
                    record.seen = record.seen.max(millis);
                    tables.put(&SESSIONS, &id, &record)?;
                }
                Ok::<_, Interrupted<std::convert::Infallible>>(())
            });
            if let Err(error) = written.await {
                tracing::debug!(%error, "that a session was used is not written down");
            }
        });
    }
}

pub(super) fn remove(ids: &[Arc<str>]) -> Vec<Change> {
    ids.iter().map(|id| Change::RemoveSession(Arc::clone(id))).collect()
}
