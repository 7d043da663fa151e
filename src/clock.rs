//! The only file that asks what time it is (`clippy.toml` bans it everywhere else).

#![allow(clippy::disallowed_methods, reason = "this is the one file that may ask the clock")]

use std::sync::OnceLock;
use std::time::SystemTime;

use tokio::time::Instant;

use crate::domain::time::{Moment, Timestamp};

/// Tokio's instant, so that a paused clock in a test also stops every [`Moment`].
static START: OnceLock<(Instant, std::time::Instant)> = OnceLock::new();

fn starts() -> (Instant, std::time::Instant) {
    *START.get_or_init(|| (Instant::now(), std::time::Instant::now()))
}

fn start() -> Instant {
    starts().0
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
    let millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(millis.saturating_add(ahead()))
}

/// By how many milliseconds tokio's clock is ahead of the machine's: none, but where a test has
/// stopped it and moves it on by hand. The calendar moves with it.
fn ahead() -> i64 {
    let (tokio, machine) = starts();
    let tokio = Instant::now().saturating_duration_since(tokio).as_millis();
    let machine = std::time::Instant::now().saturating_duration_since(machine).as_millis();
    let signed = |millis: u128| i64::try_from(millis).unwrap_or(i64::MAX);
    // A millisecond that ended between the two questions is none.
    let ahead = signed(tokio) - signed(machine);
    if ahead.abs() <= 1 { 0 } else { ahead }
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

/// The moment the calendar will say `at`, or said it, by today's calendar.
#[must_use]
pub fn moment_of(at: Timestamp) -> Moment {
    let (now, wall) = (now(), wall());
    let millis = at.as_millis().saturating_sub(wall.as_millis());
    Moment::from_micros(now.as_micros().saturating_add(millis.saturating_mul(1000)))
}

/// The moment the calendar said `at`. A time in the future (the clock was set back) is now.
#[must_use]
pub fn moment_at(at: Timestamp) -> Moment {
    now() - wall().since(at)
}
