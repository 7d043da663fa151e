//! Who did what, when and from where: every change, every log-in, and every log-in that failed.
//! Never a secret, and never what somebody typed in the place of a name.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::admin::auth::AUDIT;
use crate::admin::caller::{Caller, Via};
use crate::clock;
use crate::store::{
    ChangeError, CommitError, Interrupted, Order, StorageFault, Store, Table, Writing, number_key,
};
use crate::supervisor::catalog::By;

/// Orders, and log-ins that failed: of these there can be any number in a minute, and they must not
/// push out who was made an admin.
const NOTES: Table<Entry> = Table::new("audit_notes");

/// The newest entries that are kept of what was changed, and as many of what was ordered.
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
    write(tables, &AUDIT, entry)
}

/// Numbers go on through both tables, which are read as one.
fn write(tables: &Writing<'_>, table: &Table<Entry>, entry: &Entry) -> Result<(), StorageFault> {
    tables.put(table, &number_key(tables.number(&AUDIT, 0)?), entry)?;
    // One in, one out.
    let surplus = usize::try_from(tables.count(table)?.saturating_sub(KEPT)).unwrap_or(usize::MAX);
    if surplus > 0 {
        tables.remove_range(table, .., surplus.min(2))?;
    }
    Ok(())
}

/// Writes down, behind it, what somebody ordered: the order waits for no disk. What was noted is saved
/// before an orderly end; where the store is away the entry goes to the log instead.
pub fn note(store: &Store, entry: Entry) {
    let kept = entry.clone();
    let posted = store.post(move |tables| write(tables, &NOTES, &entry));
    tokio::spawn(async move {
        if let Err(error) = posted.await {
            let Entry { who, via, address, what, subject, after, .. } = kept;
            let after = after.map(|after| after.to_string());
            tracing::warn!(who, via, address, what, subject, after, %error, "an entry of the audit could not be stored");
        }
    });
}

/// Somebody who changes what API and dashboard say about a service: the entry of the change is in the
/// commit of the change.
#[must_use]
pub fn service_by(caller: &Caller) -> By {
    let name = caller.name.as_ref().to_owned();
    let caller = caller.clone();
    By::witnessed(name, move |tables, changed| {
        let what = match (&changed.before, &changed.after) {
            (None, _) => "service-created",
            (Some(_), Some(_)) => "service-changed",
            (Some(_), None) => "service-deleted",
        };
        let mut entry = Entry::by(&caller, what, changed.service.as_str());
        (entry.before, entry.after) = (changed.before, changed.after);
        record(tables, &entry)
    })
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
        let mut found = tables.scan(&AUDIT, ..end, Order::Descending, limit)?;
        found.extend(tables.scan(&NOTES, ..end, Order::Descending, limit)?);
        found.sort_by(|(one, _), (other, _)| other.cmp(one));
        found.truncate(limit);
        Ok::<_, Interrupted<std::convert::Infallible>>(found)
    });
    read.await.map_err(|error| match error {
        ChangeError::Commit(error) => error,
        ChangeError::Refused(never) => match never {},
    })
}
