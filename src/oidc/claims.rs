//! What a provider says of a person.

use std::collections::BTreeMap;

use openidconnect::AdditionalClaims;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// Every claim that the library has no field of its own for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Others(BTreeMap<String, Json>);

impl AdditionalClaims for Others {}

/// All claims together, by name.
#[derive(Debug, Default)]
pub(super) struct Claims(Json);

impl Claims {
    pub(super) fn of(claims: &impl Serialize) -> Self {
        Self(serde_json::to_value(claims).unwrap_or_default())
    }

    /// The claim of this name, or what lies at this path: `realm_access.roles` is how Keycloak says
    /// it. Names may hold dots themselves, so the whole name goes first.
    fn find(&self, name: &str) -> Option<&Json> {
        let found = match self.0.get(name) {
            Some(found) => found,
            None => name.split('.').try_fold(&self.0, |at, level| at.get(level))?,
        };
        (!found.is_null()).then_some(found)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        Some(self.find(name)?.as_str()?.to_owned())
    }

    /// A list of texts; one text is a list of one.
    pub(super) fn texts(&self, name: &str) -> Option<Vec<String>> {
        match self.find(name)? {
            Json::String(one) => Some(vec![one.clone()]),
            Json::Array(all) => {
                Some(all.iter().filter_map(|one| one.as_str().map(ToOwned::to_owned)).collect())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn finds_by_name_and_by_path() {
        let claims = Claims(json!({
            "preferred_username": "ada",
            "groups": ["a", 1, "b"],
            "one": "a",
            "number": 7,
            "nothing": null,
            "https://example.com/groups": ["c"],
            "realm_access": { "roles": ["d"] },
        }));
        assert_eq!(claims.text("preferred_username").as_deref(), Some("ada"));
        assert_eq!(claims.text("number"), None);
        assert_eq!(claims.texts("groups").unwrap(), ["a", "b"]);
        assert_eq!(claims.texts("one").unwrap(), ["a"]);
        assert_eq!(claims.texts("https://example.com/groups").unwrap(), ["c"]);
        assert_eq!(claims.texts("realm_access.roles").unwrap(), ["d"]);
        assert_eq!(claims.texts("realm_access"), None);
        assert!(!claims.has("nothing") && !claims.has("realm_access.no") && !claims.has(""));
    }
}
