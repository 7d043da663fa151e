//! What can be set here, and what WakeDock says of itself.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;

use crate::admin::auth::SettingsError;
use crate::admin::pages::answer;
use crate::admin::pages::form::Sent;
use crate::admin::pages::visit::Visit;
use crate::clock;
use crate::domain::time::Moment;
use crate::html::dashboard::pages::{Fact, Settings};
use crate::html::dashboard::service::{Field, Wrong};
use crate::html::dashboard::{Place, pages};
use crate::store::StoreHealth;

const IDLE: &str = "session_idle";
const ABSOLUTE: &str = "session_absolute";
const HOUR: u64 = 3600;

pub(super) async fn page(visit: Visit) -> Response {
    show(&visit, StatusCode::OK, None, None)
}

fn show(visit: &Visit, status: StatusCode, sent: Option<&Sent>, wrong: Option<&Wrong>) -> Response {
    let now = visit.state.auth.settings();
    let field = |key: &str, time: Duration| {
        let own = hours(time);
        Field {
            key: key.to_owned(),
            label: true,
            value: sent.map_or_else(|| own.clone(), |sent| sent.get(key).to_owned()),
            default: own,
            required: true,
            error: wrong.cloned(),
            ..Field::default()
        }
    };
    let view = Settings {
        fields: vec![field(IDLE, now.session_idle), field(ABSOLUTE, now.session_absolute)],
        revision: now.revision.to_string(),
        wrong: None,
        facts: facts(visit),
        values: Vec::new(),
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

fn facts(visit: &Visit) -> Vec<Fact> {
    let fact = |key, value: String| Fact { key, value, at: None };
    let engine = visit.state.fleet.engine_status().borrow().version.clone();
    let store = match visit.state.store.health() {
        StoreHealth::Ok => "✓".to_owned(),
        StoreHealth::ReadOnly { reason, .. } => reason.to_string(),
    };
    vec![
        fact("version", env!("CARGO_PKG_VERSION").to_owned()),
        Fact { key: "started", at: Some(clock::wall_at(Moment::START).as_millis()), ..Fact::default() },
        fact("engine", engine.unwrap_or_else(|| "–".to_owned())),
        fact("store", store),
    ]
}

pub(super) async fn save(visit: Visit, sent: Sent) -> Response {
    let Some(caller) = &visit.caller else { return answer::forbidden(&visit) };
    let wrong = Wrong {
        reason: "is no time from 5 minutes to 365 days, or the first is longer than the second".to_owned(),
        mend: "write `12h` for hours, `30d` for days or `30m` for minutes".to_owned(),
    };
    let refuse = |wrong: &Wrong| show(&visit, StatusCode::UNPROCESSABLE_ENTITY, Some(&sent), Some(wrong));
    let (Some(idle), Some(absolute)) = (seconds(sent.get(IDLE)), seconds(sent.get(ABSOLUTE))) else {
        return refuse(&wrong);
    };
    let expect = sent.get("revision").parse().ok();
    match visit.state.auth.change_settings(caller, Some(idle), Some(absolute), expect).await {
        Ok(_) => answer::back("/settings", "settings", ""),
        Err(SettingsError::Range) => refuse(&wrong),
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
