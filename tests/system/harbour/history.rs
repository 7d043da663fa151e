//! A week of the harbour, written into the store as WakeDock itself would have written it.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use wakedock::domain::name::ServiceName;
use wakedock::domain::time::Timestamp;
use wakedock::domain::words::{StopCause, WakeCause, WakeOutcome};
use wakedock::store::{
    Activity, AskedBy, SessionEnd, SessionReady, SessionStart, SessionStop, Store, Table, WakeFailed,
};

use super::ships::{HARBOUR, Now, Ship};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// As many days are drawn.
const DAYS: i64 = 7;

/// As `src/supervisor/rollup` keeps them.
static HOURS: Table<Value> = Table::new("hours");
static TODAY: Table<Value> = Table::new("today");

/// Figures that look like chance and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let figure = i64::try_from(self.0 >> 33).expect("31 bits");
        figure % below.max(1)
    }
}

/// One time of being awake.
struct Stay {
    from: i64,
    took: i64,
    to: i64,
}

/// Writes it, for people whose clock is ahead of UTC by `offset` hours. Nobody else has the store open.
pub fn write(data_dir: &Path, now: Timestamp, offset: i64) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let (store, _) = Store::open(&data_dir.join("wakedock.redb")).expect("a new store");
        let (mut hours, mut today) = (Vec::new(), Vec::new());
        let midnight = midnight(now.as_millis(), offset);
        let day = now.as_millis().div_euclid(DAY) * DAY;
        for (number, ship) in (1..).zip(HARBOUR) {
            let stays = stays(ship, now.as_millis(), midnight, &mut Dice(number));
            let name = ServiceName::parse(ship.name).expect("a name");
            for (at, stay) in stays.iter().enumerate() {
                session(&store, ship, &name, stay, at, stays.len());
            }
            if let Some(last) = stays.last() {
                let quiet = Activity::Quiet { since: Timestamp::from_millis(last.to) };
                store.activities(vec![(name, quiet)]).await.expect("a store that writes");
            }
            hours.extend(roll_ups(ship, &stays, now.as_millis()));
            today
                .extend(stays.iter().filter(|stay| stay.from >= midnight).map(|stay| (ship.name, stay.took)));
        }
        let written = store.change(move |tables| {
            for (key, record) in &hours {
                tables.put(&HOURS, key, record)?;
            }
            let mut wakes = serde_json::Map::new();
            for (name, _) in &today {
                let count = wakes.get(*name).and_then(Value::as_u64).unwrap_or(0);
                wakes.insert((*name).to_owned(), json!(count + 1));
            }
            let took: Vec<i64> = today.iter().map(|(_, took)| *took).collect();
            tables.put(&TODAY, "today", &json!({ "day": day, "wakes": wakes, "took_ms": took }))?;
            Ok::<_, wakedock::store::Interrupted<std::convert::Infallible>>(())
        });
        written.await.expect("a store that writes");
        store.close().await.expect("a store that writes");
    });
}

fn midnight(now: i64, offset: i64) -> i64 {
    (now + offset * HOUR).div_euclid(DAY) * DAY - offset * HOUR
}

/// The times of a service, the oldest first: in the evening more than by day, at night never.
fn stays(ship: &Ship, now: i64, midnight: i64, dice: &mut Dice) -> Vec<Stay> {
    let mut stays: Vec<Stay> = Vec::new();
    let first = midnight - DAYS * DAY;
    for day in 0..=DAYS {
        let mut starts: Vec<i64> = (0..ship.wakes)
            .map(|_| match dice.roll(3) {
                0 => 7 * HOUR + dice.roll(4 * HOUR),
                _ => 15 * HOUR + dice.roll(8 * HOUR),
            })
            .collect();
        starts.sort_unstable();
        for start in starts {
            let from = first + day * DAY + start + dice.roll(MINUTE);
            let takes = i64::from(ship.takes);
            let slow = if dice.roll(9) == 0 { takes } else { 0 };
            let took = takes * 85 / 100 + dice.roll(takes * 3 / 10) + slow;
            let used = i64::from(ship.used) * MINUTE;
            let to = from + took + used / 2 + dice.roll(used) + 15 * MINUTE;
            let overlaps = stays.last().is_some_and(|last| from <= last.to + 5 * MINUTE);
            if to < now - 6 * MINUTE && !overlaps {
                stays.push(Stay { from, took, to });
            }
        }
    }
    stays
}

fn session(store: &Store, ship: &Ship, name: &ServiceName, stay: &Stay, at: usize, of: usize) {
    let time = Timestamp::from_millis;
    let millis = |ms: i64| Duration::from_millis(u64::try_from(ms).expect("a duration"));
    let by_hand = at % 7 == 5;
    let (method, path) = ship.asked.split_once(' ').expect("method and path");
    let client: IpAddr = ["192.168.1.23", "192.168.1.40", "10.8.0.3"][at % 3].parse().expect("an address");
    let by = if by_hand {
        AskedBy::user("anna")
    } else {
        AskedBy {
            host: Some(ship.host().into()),
            method: Some(method.into()),
            path: Some(path.split('?').next().unwrap_or_default().into()),
            client: Some(client),
            ..AskedBy::default()
        }
    };
    let cause = if by_hand { WakeCause::Manual } else { WakeCause::Request };
    store.session_started(SessionStart { service: name.clone(), cause, ordered_at: time(stay.from), by });
    // One that did not come up, in the middle of the week.
    if ship.now == Now::Failed && at == of / 2 {
        return store.wake_failed(WakeFailed {
            service: name.clone(),
            outcome: WakeOutcome::Failed,
            reason: "exited with code 1".to_owned(),
            at: time(stay.from + stay.took / 4),
        });
    }
    store.session_ready(SessionReady {
        service: name.clone(),
        at: time(stay.from + stay.took),
        wake: Some(millis(stay.took)),
        engine: Some(millis(170 + stay.took % 140)),
    });
    let cause = if at % 11 == 8 { StopCause::Manual } else { StopCause::Idle };
    let stop = SessionStop { cause, at: time(stay.to), took: Some(millis(300)) };
    store.session_ended(SessionEnd { service: name.clone(), stop });
}

/// What the hours add up to.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "seconds of a week")]
fn roll_ups(ship: &Ship, stays: &[Stay], now: i64) -> Vec<(String, Value)> {
    let first = (now.div_euclid(DAY) - DAYS) * DAY;
    let hours = (first..now.div_euclid(HOUR) * HOUR).step_by(usize::try_from(HOUR).expect("an hour"));
    let record = |start: i64| {
        let end = start + HOUR;
        let inside = |stay: &Stay| (stay.to.min(end) - stay.from.max(start)).max(0);
        let awake: i64 = stays.iter().map(inside).sum();
        let wakes = stays.iter().filter(|stay| (start..end).contains(&stay.from)).count();
        let (awake, asleep) = (awake as f64 / 1e3, (HOUR - awake) as f64 / 1e3);
        let memory = f64::from(ship.memory) * 1e6 * (0.8 + 0.2 * (start / HOUR % 7) as f64 / 6.0);
        let (requests, cpu) =
            ((awake / 40.0) as i64 * (1 + start / HOUR % 5), 0.01 * (1 + start / HOUR % 6) as f64);
        let record = json!({
            "requests": requests, "wakes": wakes, "awake": awake, "asleep": asleep,
            "memory": (awake * memory).round(), "cpu": awake * cpu, "saved": (asleep * memory).round(),
        });
        (format!("{start:015}/{}", ship.name), record)
    };
    hours.map(record).collect()
}
