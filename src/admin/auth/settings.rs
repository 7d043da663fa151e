//! What is settable while WakeDock runs.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;

use crate::admin::audit::{self, Entry};
use crate::admin::auth::record::SettingsRecord;
use crate::admin::auth::{Auth, Change, KeyError, key};
use crate::admin::caller::Caller;
use crate::store::CommitError;

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

/// What is settable while WakeDock runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// A session ends when nobody comes with it for this long.
    pub session_idle: Duration,
    /// A session ends after this long in any case.
    pub session_absolute: Duration,
    /// Grows with every change.
    pub revision: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            session_idle: Duration::from_secs(7 * DAY),
            session_absolute: Duration::from_secs(30 * DAY),
            revision: 0,
        }
    }
}

impl From<SettingsRecord> for Settings {
    fn from(record: SettingsRecord) -> Self {
        Self {
            session_idle: Duration::from_secs(record.session_idle_seconds),
            session_absolute: Duration::from_secs(record.session_absolute_seconds),
            revision: record.revision,
        }
    }
}

impl Settings {
    /// Seconds that either may be.
    pub const RANGE: std::ops::RangeInclusive<u64> = 5 * MINUTE..=365 * DAY;

    fn record(&self) -> SettingsRecord {
        SettingsRecord {
            session_idle_seconds: self.session_idle.as_secs(),
            session_absolute_seconds: self.session_absolute.as_secs(),
            revision: self.revision,
        }
    }
}

/// Why settings were not changed.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Somebody else has changed them since.
    #[error("the settings have changed since")]
    Changed,
    /// Seconds outside [`Settings::RANGE`], or idle above absolute.
    #[error("is out of range")]
    Range,
    #[error(transparent)]
    Store(#[from] CommitError),
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// For the audit.
#[derive(Serialize)]
struct Shown {
    session_idle_seconds: u64,
    session_absolute_seconds: u64,
}

impl From<Settings> for Shown {
    fn from(settings: Settings) -> Self {
        Self {
            session_idle_seconds: settings.session_idle.as_secs(),
            session_absolute_seconds: settings.session_absolute.as_secs(),
        }
    }
}

impl Auth {
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.people().settings
    }

    /// Changes what is given; `expect` is the revision it was decided on.
    ///
    /// # Errors
    /// [`SettingsError`]; then nothing is changed.
    pub async fn change_settings(
        &self,
        caller: &Caller,
        idle: Option<Duration>,
        absolute: Option<Duration>,
        expect: Option<u64>,
    ) -> Result<Settings, SettingsError> {
        let _alone = self.changing.lock().await;
        let before = self.settings();
        if expect.is_some_and(|expect| expect != before.revision) {
            return Err(SettingsError::Changed);
        }
        let mut after = Settings {
            session_idle: idle.unwrap_or(before.session_idle),
            session_absolute: absolute.unwrap_or(before.session_absolute),
            revision: before.revision,
        };
        let fits = |time: Duration| Settings::RANGE.contains(&time.as_secs());
        if !fits(after.session_idle)
            || !fits(after.session_absolute)
            || after.session_idle > after.session_absolute
        {
            return Err(SettingsError::Range);
        }
        let entry = Entry::by(caller, "settings-changed", "settings")
            .before(Shown::from(before))
            .after(Shown::from(after));
        after.revision = self.commit(vec![Change::PutSettings(after.record())], Some(entry)).await?;
        self.change_people(|people| people.settings = after);
        self.tell_revoked();
        Ok(after)
    }

    /// Makes a new key: access and refresh tokens that were given out are worth nothing from now on.
    /// Browsers stay signed in, and API tokens stay good.
    ///
    /// # Errors
    /// Where the file cannot be written; then the old key goes on.
    pub async fn rotate_key(&self, caller: &Caller) -> Result<(), SettingsError> {
        let _alone = self.changing.lock().await;
        // What can fail comes before the entry, or a refusal would be told there as done.
        let draft = self.folder.as_deref().map(key::draft).transpose()?;
        self.commit(Vec::new(), Some(Entry::by(caller, "key-rotated", "jwt.key"))).await?;
        let keys = match draft.map(key::Draft::put) {
            Some(Ok(keys)) => keys,
            Some(Err(error)) => {
                audit::note(&self.store, Entry::by(caller, "key-not-rotated", "jwt.key"));
                return Err(error.into());
            }
            None => key::Keys::of(&crate::admin::secret::random()),
        };
        self.keys.store(keys.into());
        self.key_number.fetch_add(1, Ordering::Relaxed);
        self.tell_revoked();
        Ok(())
    }
}
