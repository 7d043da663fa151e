//! What the owners of a service may have API and dashboard say about it: how it sleeps and wakes. What
//! it is, where it is reached, and who may change it is for admins.

use serde_json::{Map, Value};

use crate::admin::caller::Caller;
use crate::domain::words::Role;
use crate::supervisor::catalog::Entry;

/// What leads to a service, what is reached behind it, and who may change it: owners could take what is
/// not theirs. On the host's network, another port is another program of the machine.
const FOR_ADMINS: [&str; 7] = ["container", "hosts", "path", "owners", "port", "address", "protocol"];

/// Whether a key is for admins alone.
#[must_use]
pub(super) fn is_for_admins(key: &str) -> bool {
    FOR_ADMINS.contains(&key)
}

/// Whether somebody may change anything at all of what is said about a service.
#[must_use]
pub(super) fn may_edit(caller: &Caller, entry: &Entry) -> bool {
    let names = |owner: &str| *owner == *caller.name;
    let owns = || entry.spec.as_ref().is_some_and(|spec| spec.owners.iter().any(|owner| names(owner)));
    caller.role == Role::Admin || (caller.role == Role::User && owns())
}

/// What API and dashboard say about a service now.
#[must_use]
pub(super) fn said(entry: &Entry) -> Map<String, Value> {
    match entry.api.as_ref().map(|layer| layer.keys.nested()) {
        Some(Value::Object(keys)) => keys,
        _ => Map::new(),
    }
}

/// The keys of `keys` that are for admins and say something else than is said now. To take everything
/// back is to say nothing.
#[must_use]
pub(super) fn too_much(
    caller: &Caller,
    said: &Map<String, Value>,
    keys: &Map<String, Value>,
) -> Vec<&'static str> {
    if caller.role == Role::Admin {
        return Vec::new();
    }
    FOR_ADMINS.into_iter().filter(|key| keys.get(*key) != said.get(*key)).collect()
}
