//! What the catalog writes down.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::config::sources::labels::{self, Labelled};
use crate::config::sources::read_stored;
use crate::domain::name::ServiceName;
use crate::domain::time::Timestamp;
use crate::store::Table;
use crate::supervisor::catalog::ApiLayer;
use crate::supervisor::catalog::contenders::Known;

/// What the API said about services, by their names. Read as plain JSON, so that one record that
/// cannot be understood does not hide the others.
pub(super) static API: Table<Json> = Table::new("api_services");

/// One service as the API made or changed it. Times are milliseconds since 1970.
#[derive(Debug, Serialize, Deserialize)]
struct ApiRecord {
    keys: Json,
    revision: u64,
    made_by: String,
    made_at: i64,
    changed_by: String,
    changed_at: i64,
}

pub(super) fn of_api(layer: &ApiLayer) -> Json {
    let record = ApiRecord {
        keys: layer.keys.nested(),
        revision: layer.revision,
        made_by: layer.made_by.clone(),
        made_at: layer.made_at.as_millis(),
        changed_by: layer.changed_by.clone(),
        changed_at: layer.changed_at.as_millis(),
    };
    serde_json::json!(record)
}

/// What was said, as far as this version understands it. `None`: not at all.
pub(super) fn to_api(key: &str, record: Json) -> Option<(ServiceName, ApiLayer)> {
    let name = ServiceName::parse(key).ok()?;
    let record: ApiRecord = serde_json::from_value(record).ok()?;
    let (keys, problems) = read_stored(&name, &record.keys);
    let layer = ApiLayer {
        keys,
        revision: record.revision,
        made_by: record.made_by,
        made_at: Timestamp::from_millis(record.made_at),
        changed_by: record.changed_by,
        changed_at: Timestamp::from_millis(record.changed_at),
        problems,
    };
    Some((name, layer))
}

/// The revision that a record has; zero for one that says none.
pub(super) fn revision(record: &Json) -> u64 {
    record.get("revision").and_then(Json::as_u64).unwrap_or(0)
}

/// The containers that labels make services of, by their names.
pub(super) static LABELLED: Table<Json> = Table::new("label_services");

/// One of them. Times are milliseconds since 1970.
#[derive(Debug, Serialize, Deserialize)]
struct LabelRecord {
    id: String,
    created: i64,
    labels: BTreeMap<String, String>,
    service: Option<String>,
    holds: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    removed_at: Option<i64>,
}

pub(super) fn of_known(known: &Known) -> Json {
    let record = LabelRecord {
        id: known.id.clone(),
        created: known.created.as_millis(),
        // It was made from a map of text.
        labels: serde_json::from_str(&known.labels).unwrap_or_default(),
        service: known.was.as_ref().map(ToString::to_string),
        holds: known.holds.clone(),
        removed_at: known.removed_at.map(Timestamp::as_millis),
    };
    serde_json::json!(record)
}

/// What its labels said, as this version reads them. `None`: nothing that makes a service.
pub(super) fn to_known(container: &str, record: Json) -> Option<Known> {
    let record: LabelRecord = serde_json::from_value(record).ok()?;
    let Labelled::Asks(source) = labels::read(container, &record.labels) else { return None };
    Some(Known {
        id: record.id,
        created: Timestamp::from_millis(record.created),
        source,
        labels: serde_json::json!(record.labels).to_string().into(),
        was: record.service.and_then(|name| ServiceName::parse(&name).ok()),
        holds: record.holds,
        removed_at: record.removed_at.map(Timestamp::from_millis),
    })
}
