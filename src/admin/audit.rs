//! Who did what, when and from where: every change, every log-in, and every log-in that failed.
//! Never a secret, and never what somebody typed in the place of a name.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::admin::auth::AUDIT;
use crate::admin::caller::{Caller, Via};
use crate::clock;
use crate::store::{ChangeError, CommitError, Interrupted, Order, StorageFault, Store, Writing};

/// The newest entries that are kept.
pub const KEPT: u64 = 10_000;

/// One entry, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Milliseconds since the Unix epoch.
    pub at: i64,
    pub who: String,
    /// `socket`, `session`, `token`, `proxy`, or `none` for who is not known.
    pub via: String,
    #[serde(default)]
    pub address: Option<String>,
    /// What was done: `user-created`.
    pub what: String,
    /// To whom or what.
    pub subject: String,
    #[serde(default)]
    pub before: Option<Value>,
    #[serde(default)]
    pub after: Option<Value>,
}

impl Entry {
    /// A caller did something to somebody or something.
    #[must_use]
    pub fn by(caller: &Caller, what: &str, subject: impl Into<String>) -> Self {
        let via = match caller.via {
            Via::Socket { .. } => "socket",
            Via::Session { .. } => "session",
            Via::Token { .. } => "token",
            Via::Proxy => "proxy",
        };
        Self {
            at: clock::wall().as_millis(),
            who: caller.name.as_ref().to_owned(),
            via: via.to_owned(),
            address: caller.address.map(|address| address.to_string()),
            what: what.to_owned(),
            subject: subject.into(),
            before: None,
            after: None,
        }
    }

    /// What was there before.
    #[must_use]
    pub fn before(mut self, before: impl Serialize) -> Self {
        self.before = serde_json::to_value(before).ok();
        self
    }

    /// What is there now.
    #[must_use]
    pub fn after(mut self, after: impl Serialize) -> Self {
        self.after = serde_json::to_value(after).ok();
        self
    }
}

/// Writes an entry in the commit of the change that it is about.
///
/// # Errors
/// Where the disk fails.
pub fn record(tables: &Writing<'_>, entry: &Entry) -> Result<(), StorageFault> {
    let key = tables.append(&AUDIT, entry)?;
    // One in, one out: there is never more than one to let go.
    if let Some(oldest) = key.parse::<u64>().ok().and_then(|number| number.checked_sub(KEPT)) {
        tables.remove(&AUDIT, &format!("{oldest:020}"))?;
    }
    Ok(())
}

/// Writes an entry about what changes nothing in the store. Where the store is away it goes to the
/// log instead.
pub async fn note(store: &Store, entry: Entry) {
    let kept = entry.clone();
    let written = store
        .change(move |tables| record(tables, &entry).map_err(Interrupted::<std::convert::Infallible>::from))
        .await;
    if let Err(error) = written {
        let (who, what, subject) = (kept.who, kept.what, kept.subject);
        tracing::warn!(who, what, subject, %error, "an entry of the audit could not be stored");
    }
}

/// The entries before `cursor`, the newest first, each with its key.
///
/// # Errors
/// While the store is away.
pub async fn entries(
    store: &Store,
    before: Option<String>,
    limit: usize,
) -> Result<Vec<(String, Entry)>, CommitError> {
    let read = store.read(move |tables| {
        let end = before.as_deref().unwrap_or("~");
        let found = tables.scan(&AUDIT, ..end, Order::Descending, limit);
        found.map_err(Interrupted::<std::convert::Infallible>::from)
    });
    read.await.map_err(|error| match error {
        ChangeError::Commit(error) => error,
        ChangeError::Refused(never) => match never {},
    })
}
