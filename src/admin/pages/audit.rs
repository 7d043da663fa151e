//! Who did what.

use axum::http::StatusCode;
use axum::response::Response;

use crate::admin::audit;
use crate::admin::pages::answer;
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
    let json = |value: Option<serde_json::Value>| value.map(|value| value.to_string());
    let deed = |entry: audit::Entry| Deed {
        at: entry.at,
        who: entry.who,
        via: entry.via,
        address: entry.address,
        action: entry.what,
        subject: entry.subject,
        before: json(entry.before),
        after: json(entry.after),
    };
    let entries = found.into_iter().take(SHOWN).map(|(_, entry)| deed(entry)).collect();
    answer::page(pages::audit(&visit.frame(Place::Audit), &Audit { entries, next }))
}
