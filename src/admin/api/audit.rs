//! `/api/v1/audit`: who did what, when and from where.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::admin::AdminState;
use crate::admin::api::answers::StoreAway;
use crate::admin::api::page::{Page, Paging, cursor};
use crate::admin::api::query::Query;
use crate::admin::api::router::{ApiRouter, Use, at};
use crate::admin::api::sent::store_away;
use crate::admin::api::users::Only;
use crate::admin::api::wire::Time;
use crate::admin::audit;
use crate::admin::problem::Problem;
use crate::domain::time::Timestamp;

pub(super) fn routes<U: Use>() -> ApiRouter<U> {
    ApiRouter::new().json(at!("/api/v1/audit": get list_audit))
}

/// One thing that somebody did.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(super) struct Entry {
    id: String,
    at: Time,
    /// Empty: somebody whom nobody knows.
    who: String,
    /// `socket`, `session`, `token`, `proxy` or `none`.
    via: String,
    address: Option<String>,
    /// What was done: `user-created`.
    what: String,
    /// To whom or what.
    subject: String,
    before: Option<Value>,
    after: Option<Value>,
}

/// List the audit
///
/// The newest first. The newest ten thousand entries are kept.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "audit", operation_id = "listAudit", params(Paging),
    responses((status = 200, description = "One page of entries", body = Page<Entry>), StoreAway),
)]
pub(super) async fn list_audit(
    State(state): State<AdminState>,
    Query(Only(paging)): Query<Only>,
) -> Result<Json<Page<Entry>>, Problem> {
    let limit = paging.limit();
    let read = audit::entries(&state.store, paging.cursor, limit + 1).await;
    let mut entries = read.map_err(|error| store_away(&error))?;
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next = entries.last().filter(|_| more).map(|(key, _)| cursor(key));
    let items = entries.into_iter().map(|(key, entry)| Entry {
        id: key.trim_start_matches('0').to_owned(),
        at: Timestamp::from_millis(entry.at).into(),
        who: entry.who,
        via: entry.via,
        address: entry.address,
        what: entry.what,
        subject: entry.subject,
        before: entry.before,
        after: entry.after,
    });
    Ok(Json(Page { items: items.collect(), next }))
}
