//! The only file that asks what time it is (`clippy.toml` bans it everywhere else).

#![allow(clippy::disallowed_methods, reason = "this is the one file that may ask the clock")]

use std::sync::OnceLock;
use std::time::SystemTime;

use tokio::time::Instant;

use crate::domain::time::{Moment, Timestamp};

/// Tokio's instant, so that a paused clock in a test also stops every [`Moment`].
static START: OnceLock<Instant> = OnceLock::new();

fn start() -> Instant {
    *START.get_or_init(Instant::now)
}

/// Now, on the monotonic clock.
#[must_use]
pub fn now() -> Moment {
    let start = start();
    let since = Instant::now().saturating_duration_since(start);
    Moment::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Now, on the calendar.
#[must_use]
pub fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The instant to sleep until for a deadline.
#[must_use]
pub fn instant(moment: Moment) -> Instant {
    start() + moment.since(Moment::START)
}

/// What the calendar said at `moment`, by today's calendar.
#[must_use]
pub fn wall_at(moment: Moment) -> Timestamp {
    let (now, wall) = (now(), wall());
    let micros = moment.as_micros().saturating_sub(now.as_micros());
    Timestamp::from_millis(wall.as_millis().saturating_add(micros / 1000))
}

/// The moment the calendar said `at`. A time in the future (the clock was set back) is now.
#[must_use]
pub fn moment_at(at: Timestamp) -> Moment {
    now() - wall().since(at)
}
