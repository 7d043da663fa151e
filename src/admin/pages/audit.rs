//! Who did what.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value as Json;

use crate::admin::audit;
use crate::admin::pages::answer;
use crate::admin::pages::form::shown;
use crate::admin::pages::visit::Visit;
use crate::html::dashboard::pages::{Audit, Deed};
use crate::html::dashboard::{Place, encode, pages};

const SHOWN: usize = 100;

pub(super) async fn page(visit: Visit) -> Response {
    let cursor = Some(visit.asked("before")).filter(|before| !before.is_empty()).map(ToOwned::to_owned);
    let Ok(found) = audit::entries(&visit.state.store, cursor, SHOWN + 1).await else {
        return answer::error(&visit, StatusCode::SERVICE_UNAVAILABLE, "broken", None);
    };
    let next = found.get(SHOWN - 1).filter(|_| found.len() > SHOWN);
    let next = next.map(|(key, _)| format!("/audit?before={}", encode(key)));
    let deed = |entry: audit::Entry| Deed {
        subject: named(&entry),
        at: entry.at,
        who: entry.who,
        via: entry.via,
        address: entry.address,
        action: entry.what,
        changes: changes(entry.before.as_ref(), entry.after.as_ref()),
    };
    let entries = found.into_iter().take(SHOWN).map(|(_, entry)| deed(entry)).collect();
    answer::page(pages::audit(&visit.frame(Place::Audit), &Audit { entries, next }))
}

/// What it was done to: a token by its name, which says more than its number.
fn named(entry: &audit::Entry) -> String {
    let name = |value: &Option<Json>| Some(value.as_ref()?.get("name")?.as_str()?.to_owned());
    let token = entry.what.starts_with("token");
    let name = token.then(|| name(&entry.after).or_else(|| name(&entry.before))).flatten();
    name.unwrap_or_else(|| entry.subject.clone())
}

/// Key by key what was and what is: `role viewer → user`. What stayed is left out.
fn changes(before: Option<&Json>, after: Option<&Json>) -> Vec<String> {
    let (old, new) = (flat(before), flat(after));
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let one = |key: &String| {
        let line = match (old.get(key), new.get(key)) {
            (Some(old), Some(new)) if old == new => return None,
            (Some(old), Some(new)) => format!("{old} → {new}"),
            (Some(old), None) => format!("{old} → –"),
            // What was made is not said to be what it usually is.
            (None, Some(new)) if new == "false" => return None,
            (None, Some(new)) => new.clone(),
            (None, None) => return None,
        };
        Some(format!("{key} {line}").trim().to_owned())
    };
    keys.into_iter().filter_map(one).collect()
}

/// Every value under its path; a value alone has none.
fn flat(value: Option<&Json>) -> BTreeMap<String, String> {
    fn add(path: &str, value: &Json, all: &mut BTreeMap<String, String>) {
        match value {
            Json::Object(parts) => {
                for (key, part) in parts {
                    add(&if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, part, all);
                }
            }
            Json::Null => {}
            other => drop(all.insert(path.to_owned(), shown(other))),
        }
    }
    let mut all = BTreeMap::new();
    if let Some(value) = value {
        add("", value, &mut all);
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_changed_is_told_and_what_stayed_is_not() {
        let before = json!({ "role": "viewer", "disabled": false, "idle": { "stop_after": "15m" } });
        let after = json!({ "role": "user", "disabled": false, "hosts": ["a.test", "b.test"] });
        assert_eq!(
            changes(Some(&before), Some(&after)),
            ["hosts a.test, b.test", "idle.stop_after 15m → –", "role viewer → user"]
        );
        assert_eq!(changes(None, Some(&json!("2h"))), ["2h"]);
        assert!(changes(None, None).is_empty());
    }
}
