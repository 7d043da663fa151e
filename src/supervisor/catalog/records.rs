//! What the catalog writes down.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::config::sources::read_stored;
use crate::domain::name::ServiceName;
use crate::domain::time::Timestamp;
use crate::store::Table;
use crate::supervisor::catalog::ApiLayer;

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
