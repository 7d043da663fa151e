//! What can be set here, and what WakeDock says of itself.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;

use crate::admin::auth::{self, SettingsError};
use crate::admin::pages::answer;
use crate::admin::pages::form::Sent;
use crate::admin::pages::visit::Visit;
use crate::clock;
use crate::config::{Place as At, Problem};
use crate::domain::time::Moment;
use crate::html::dashboard::pages::{ConfigProblem, Fact, RefusedEdit, Running, Settings, Value};
use crate::html::dashboard::service::{Field, Wrong};
use crate::html::dashboard::{Place, pages};
use crate::store::StoreHealth;

const IDLE: &str = "session_idle";
const ABSOLUTE: &str = "session_absolute";
const HOUR: u64 = 3600;

pub(super) async fn page(visit: Visit) -> Response {
    show(&visit, StatusCode::OK, None, &[])
}

fn show(visit: &Visit, status: StatusCode, sent: Option<&Sent>, wrong: &[(&str, Wrong)]) -> Response {
    let now = visit.state.auth.settings();
    let field = |key: &str, time: Duration| {
        let own = hours(time);
        Field {
            key: key.to_owned(),
            label: true,
            value: sent.map_or_else(|| own.clone(), |sent| sent.get(key).to_owned()),
            default: own,
            required: true,
            error: wrong.iter().find(|(own, _)| *own == key).map(|(_, wrong)| wrong.clone()),
            ..Field::default()
        }
    };
    let view = Settings {
        fields: vec![field(IDLE, now.session_idle), field(ABSOLUTE, now.session_absolute)],
        revision: now.revision.to_string(),
        wrong: None,
        facts: facts(visit),
        running: running(visit),
    };
    answer::page_with(status, pages::settings(&visit.frame(Place::Settings), &view))
}

/// `12h`, `30m`: as durations are written in the configuration.
fn hours(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds.is_multiple_of(24 * HOUR) => format!("{}d", seconds / (24 * HOUR)),
        seconds if seconds.is_multiple_of(HOUR) => format!("{}h", seconds / HOUR),
        seconds => format!("{}m", seconds / 60),
    }
}

/// The times that the settings take.
fn in_range(time: Duration) -> bool {
    auth::Settings::RANGE.contains(&time.as_secs())
}

fn seconds(text: &str) -> Option<Duration> {
    let text = text.trim();
    let (figure, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "m" => 60,
        "h" => HOUR,
        "d" => 24 * HOUR,
        _ => return None,
    };
    figure.parse::<u64>().ok()?.checked_mul(unit).map(Duration::from_secs)
}

/// The configuration that runs: every key, its value and its origin.
fn running(visit: &Visit) -> Running {
    let running = visit.state.running.load();
    let values = running.values().map(|value| Value {
        key: value.key,
        origin: match &value.place {
            None => "default",
            Some(At::File { .. }) => "file",
            Some(At::Variable(_)) => "environment",
        },
        place: value.place.map(|place| match place {
            At::File { line, .. } => line.to_string(),
            At::Variable(name) => name,
        }),
        value: value.value,
        hidden: value.hidden,
        waits: value.waits,
    });
    let problem = |problem: &Problem| ConfigProblem {
        key: problem.key.clone(),
        value: problem.value.clone(),
        reason: problem.reason.clone(),
        mend: problem.mend.clone(),
        place: problem.place.as_ref().map(ToString::to_string),
    };
    Running {
        file: running.file().map(|file| file.display().to_string()),
        at: running.at().as_millis(),
        refused: running.last_refused().map(|refused| RefusedEdit {
            at: refused.at.as_millis(),
            problems: refused.problems.iter().map(problem).collect(),
        }),
        values: values.collect(),
    }
}

fn facts(visit: &Visit) -> Vec<Fact> {
    let fact = |key, value: String| Fact { key, value, ..Fact::default() };
    let engine = visit.state.fleet.engine_status().borrow().version.clone();
    let store = match visit.state.store.health() {
        StoreHealth::Ok => Fact { key: "store", bytes: visit.state.store.file_size(), ..Fact::default() },
        StoreHealth::ReadOnly { reason, .. } => fact("store", reason.to_string()),
    };
    let mut facts = vec![
        fact("version", env!("CARGO_PKG_VERSION").to_owned()),
        Fact { key: "started", at: Some(clock::wall_at(Moment::START).as_millis()), ..Fact::default() },
        fact("engine", engine.unwrap_or_else(|| "–".to_owned())),
        store,
        fact("file", visit.state.store.path().display().to_string()),
    ];
    if let Some(address) = visit.state.proxy_address {
        facts.push(fact("proxy", address.to_string()));
    }
    facts
}

pub(super) async fn save(visit: Visit, sent: Sent) -> Response {
    let Some(caller) = &visit.caller else { return answer::forbidden(&visit) };
    let wrong = |key: &'static str, reason: &str| {
        let mend = "write `12h` for hours, `30d` for days or `30m` for minutes";
        (key, Wrong { reason: reason.to_owned(), mend: mend.to_owned() })
    };
    let refuse = |wrong: &[(&str, Wrong)]| show(&visit, StatusCode::UNPROCESSABLE_ENTITY, Some(&sent), wrong);
    let (idle, absolute) = (seconds(sent.get(IDLE)), seconds(sent.get(ABSOLUTE)));
    let (Some(idle), Some(absolute)) = (idle, absolute) else {
        let missing = [(IDLE, idle), (ABSOLUTE, absolute)].into_iter().filter(|(_, time)| time.is_none());
        let wrong: Vec<_> = missing.map(|(key, _)| wrong(key, "is no time with its unit")).collect();
        return refuse(&wrong);
    };
    let expect = sent.get("revision").parse().ok();
    match visit.state.auth.change_settings(caller, Some(idle), Some(absolute), expect).await {
        Ok(_) => answer::back("/settings", "settings", ""),
        Err(SettingsError::Range) if idle > absolute => {
            refuse(&[wrong(IDLE, "is longer than the time at which a session ends anyway")])
        }
        Err(SettingsError::Range) => {
            let range = "lies outside of 5 minutes to 365 days";
            let outside =
                [(IDLE, idle), (ABSOLUTE, absolute)].into_iter().filter(|(_, time)| !in_range(*time));
            refuse(&outside.map(|(key, _)| wrong(key, range)).collect::<Vec<_>>())
        }
        Err(SettingsError::Changed) => answer::error(&visit, StatusCode::CONFLICT, "changed", None),
        Err(SettingsError::Store(_) | SettingsError::Key(_)) => {
            answer::error(&visit, StatusCode::SERVICE_UNAVAILABLE, "broken", None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_shown() {
        for text in ["30d", "12h", "45m"] {
            assert_eq!(hours(seconds(text).unwrap()), text);
        }
        for text in ["", "12", "h", "-1h", "é", "99999999999999999999d"] {
            assert_eq!(seconds(text), None, "{text:?}");
        }
    }
}
