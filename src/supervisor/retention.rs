//! How much of the past is kept: by age, and by the size of the file: then events go before sessions
//! and sessions before the audit, the oldest first, in steps that leave the store's thread to others.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::watch;

use crate::clock;
use crate::domain::time::Timestamp;
use crate::store::{ChangeError, Interrupted, Store, Table};
use crate::supervisor::journal;

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(3_600);
/// How many records go in one step.
const STEP: usize = 500;
/// The past is made this much shorter, time after time, until the rest is small enough.
const SHORTER: (i64, i64) = (7, 8);
/// The newest part of the past, which stays whatever its size.
const LEAST: Duration = Duration::from_secs(3_600);

/// Who did what, written by the control plane; each record says when in `at`.
const AUDIT: Table<()> = Table::new("audit");
const AUDIT_NOTES: Table<()> = Table::new("audit_notes");

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub keep: Duration,
    /// Bytes of the file.
    pub max_size: u64,
}

/// What was let go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Trimmed {
    pub records: usize,
    /// The file was made smaller.
    pub compacted: bool,
}

/// Looks after it for ever.
pub(super) async fn keep(store: Store, mut limits: watch::Receiver<Option<Limits>>) {
    loop {
        let now = *limits.borrow_and_update();
        if let Some(limits) = now {
            match trim(&store, limits).await {
                Ok(Trimmed { records: 0, compacted: false }) => {}
                Ok(Trimmed { records, compacted }) => {
                    tracing::info!(records, compacted, "let go of the past")
                }
                Err(error) => tracing::debug!(%error, "the past was not let go of"),
            }
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            changed = limits.changed() => if changed.is_err() {
                return;
            }
        }
    }
}

/// Lets go of what is too old, and of the oldest of what is too much.
///
/// # Errors
/// While the store is away.
pub async fn trim(store: &Store, limits: Limits) -> Result<Trimmed, ChangeError<Infallible>> {
    let now = clock::wall().as_millis();
    let oldest = i64::try_from(limits.keep.as_millis()).unwrap_or(i64::MAX);
    let least = i64::try_from(LEAST.as_millis()).unwrap_or(i64::MAX);
    let mut trimmed = Trimmed {
        records: trim_before(store, now.saturating_sub(oldest), &Part::ALL).await?,
        compacted: false,
    };
    if store.file_size().is_none_or(|size| size <= limits.max_size) {
        return Ok(trimmed);
    }
    // The next hours want room, too, and a file is never quite as small as what is in it.
    let enough = limits.max_size / 4 * 3;
    // What many make goes first: whoever may ask for pages must not be able to push the audit out.
    for part in Part::ALL {
        let mut age = oldest;
        while used(store).await? > enough && age > least {
            age = age / SHORTER.1 * SHORTER.0;
            trimmed.records += trim_before(store, now.saturating_sub(age), &[part]).await?;
        }
    }
    trimmed.compacted = store.compact().await;
    Ok(trimmed)
}

async fn used(store: &Store) -> Result<u64, ChangeError<Infallible>> {
    store.change(|tables| Ok::<_, Interrupted<Infallible>>(tables.used()?)).await
}

/// What is let go of, the first first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Events,
    Sessions,
    Audit,
}

impl Part {
    const ALL: [Self; 3] = [Self::Events, Self::Sessions, Self::Audit];
}

async fn trim_before(store: &Store, cutoff: i64, parts: &[Part]) -> Result<usize, ChangeError<Infallible>> {
    let cutoff = Timestamp::from_millis(cutoff);
    let has = |part| parts.contains(&part);
    let (events, sessions, audit) = (has(Part::Events), has(Part::Sessions), has(Part::Audit));
    let mut removed = 0;
    loop {
        let step = store.change(move |tables| {
            let mut step = 0;
            if events {
                step += tables.remove_older(&journal::EVENTS, cutoff, STEP)?;
            }
            if sessions {
                step += tables.remove_older_sessions(cutoff, STEP)?;
            }
            if audit {
                step += tables.remove_older(&AUDIT, cutoff, STEP)?;
                step += tables.remove_older(&AUDIT_NOTES, cutoff, STEP)?;
            }
            Ok::<_, Interrupted<Infallible>>(step)
        });
        let step = step.await?;
        removed += step;
        if step == 0 {
            return Ok(removed);
        }
    }
}
