//! Which problems an operation may answer with: the last words of their `type`s, by status.

use axum::http::Method;
use serde_json::{Map, Value, json};

use crate::admin::access::Access;

/// What is asked of an operation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) id: &'a str,
    pub(super) path: &'a str,
    pub(super) method: &'a Method,
    pub(super) access: Access,
    pub(super) has_body: bool,
}

/// When an operation may answer with a problem.
enum At {
    /// Whenever this holds.
    Where(fn(&Asked<'_>) -> bool),
    /// These, by their ids.
    Of(&'static [&'static str]),
}

use At::{Of, Where};

/// Status, type, title, and where.
type Row = (u16, &'static str, &'static str, At);

const EDITS: At = Of(&["createService", "replaceService", "changeService"]);
const CADDY: At = Of(&["getCaddyConfig", "validateCaddyConfig", "publishCaddyConfig"]);
const ORDERS: At = Of(&["wakeService", "restartService"]);

/// What the handlers and the door say. A test holds the source against it.
const ROWS: &[Row] = &[
    (400, "bad-parameter", "A parameter cannot be used", Where(|_| true)),
    (400, "ambiguous-credentials", "The credentials can be read in two ways", Where(|_| true)),
    (400, "bad-json", "The body cannot be read", Where(|asked| asked.has_body)),
    (400, "bad-body", "The body did not come whole", Where(|asked| asked.has_body)),
    (401, "unauthenticated", "Log in first", Where(is_closed)),
    (401, "bad-token", "The token is not good, or not any more", Where(is_closed)),
    (401, "wrong-credentials", "User name or password is wrong", Of(&["logIn"])),
    (401, "bad-token", "The token is not good, or not any more", Of(&["refreshTokens"])),
    (403, "forbidden", "Your role does not allow this", Where(is_closed)),
    (
        403,
        "csrf",
        "The request shows no token of this session",
        Where(|asked| is_closed(asked) && changes(asked)),
    ),
    (403, "cross-origin", "Another site asked for this", Where(changes)),
    (403, "wrong-password", "The current password is wrong", Of(&["changePassword"])),
    (
        404,
        "unknown-service",
        "No service has this name",
        Where(|asked| asked.path.starts_with("/api/v1/services/{name}")),
    ),
    (
        404,
        "unknown-user",
        "There is no user of this name",
        Where(|asked| asked.path.starts_with("/api/v1/users/{name}")),
    ),
    (404, "unknown-session", "There is no such session", Of(&["endUserSession"])),
    (404, "unknown-token", "There is no such token", Of(&["revokeToken"])),
    (404, "unknown-part", "The API has no such part", Of(&["getReferencePart"])),
    (406, "not-acceptable", "The answer is of no kind that you accept", Where(|_| true)),
    (
        409,
        "exists",
        "There is a service of this name",
        Of(&["createService", "replaceService", "changeService"]),
    ),
    (409, "held-by-file", "The configuration file says this already", EDITS),
    (409, "host-taken", "A host belongs to somebody else", EDITS),
    (409, "nothing-said", "The API says nothing about this service", Of(&["deleteService"])),
    (409, "left-out", "The service is left out", Where(is_of_a_handle)),
    (409, "overtaken", "Somebody else ordered otherwise meanwhile", ORDERS),
    (409, "no-container", "The service has no container", Of(&["getServiceLogs"])),
    (409, "last-admin", "It is the last admin", Of(&["changeUser", "deleteUser"])),
    (409, "user-exists", "There is a user of this name", Of(&["createUser"])),
    (409, "too-many", "There are too many of them", Of(&["createUser", "createToken"])),
    (409, "no-password", "You have no password here", Of(&["changePassword"])),
    (409, "caddy-off", "Nothing is published", Of(&["validateCaddyConfig", "publishCaddyConfig"])),
    (409, "caddyfile-unusable", "The Caddyfile cannot be written", CADDY),
    (412, "changed", "It is not what you expect", Where(is_edited)),
    (413, "too-large", "The body is too large", Where(|asked| asked.has_body)),
    (415, "unsupported-media-type", "The body is of another kind", Where(|asked| asked.has_body)),
    (421, "misdirected", "This is not WakeDock's name", Where(|_| true)),
    (422, "invalid", "A part of the body cannot be used", Where(|asked| asked.has_body)),
    (
        428,
        "precondition-required",
        "Say which version you change",
        Of(&["replaceService", "changeService", "deleteService"]),
    ),
    (429, "too-many-tries", "There were too many tries", Of(&["logIn", "changePassword"])),
    (
        429,
        "too-many-streams",
        "Too many streams are open",
        Of(&["followEvents", "getServiceLogs", "getBackup"]),
    ),
    (502, "wake-failed", "The service could not be woken", ORDERS),
    (502, "engine-refused", "Docker refuses", Of(&["getServiceLogs"])),
    (502, "caddy-unreachable", "Caddy does not answer", Of(&["validateCaddyConfig"])),
    (503, "backup-runs", "Another backup is being made at this moment", Of(&["getBackup"])),
    (503, "store-away", "The store cannot be copied at the moment", Of(&["getBackup"])),
    (503, "store-unavailable", "The store does not answer", Where(|_| true)),
    (
        503,
        "engine-unavailable",
        "Docker does not answer",
        Of(&["getServiceLogs", "listContainers", "wakeService", "restartService"]),
    ),
    (503, "too-many-followers", "Too many logs are followed", Of(&["getServiceLogs"])),
    (503, "busy", "Too many log-ins wait already", Of(&["logIn"])),
    (503, "key-unavailable", "The key was not changed", Of(&["rotateKey"])),
    (503, "starting", "WakeDock does not know every host yet", CADDY),
    (503, "draining", "WakeDock is ending", CADDY),
];

fn is_closed(asked: &Asked<'_>) -> bool {
    asked.access != Access::Open
}

fn changes(asked: &Asked<'_>) -> bool {
    *asked.method != Method::GET
}

/// It speaks to the service itself, and not only of what is said about it.
fn is_of_a_handle(asked: &Asked<'_>) -> bool {
    const PAST: [&str; 3] = ["listServiceEvents", "getServiceMetrics", "listServiceSessions"];
    asked.path.starts_with("/api/v1/services/{name}/") && !PAST.contains(&asked.id)
}

fn is_edited(asked: &Asked<'_>) -> bool {
    const EDITED: [&str; 6] =
        ["replaceService", "changeService", "deleteService", "changeUser", "deleteUser", "changeSettings"];
    EDITED.contains(&asked.id)
}

/// What is said of a status where the operation says nothing of its own.
fn described(status: u16) -> &'static str {
    match status {
        400 => {
            "The request cannot be read: a parameter that is unknown, given twice or out of range, or a body \
             that is no JSON"
        }
        401 => "Log in first",
        403 => "Your role or your token does not allow this",
        404 => "There is none of this name",
        406 => "The answer is of no kind that `Accept` names",
        409 => "The service is left out, and its `problems` say why",
        413 => "The body is larger than 1 MiB",
        415 => "The body is of another kind",
        421 => "`Host` is not one of WakeDock's names",
        422 => "A part of the body cannot be used, and `errors` says which",
        429 => "Too many at once: `Retry-After` says when to come again",
        _ => "It cannot be done now",
    }
}

/// The name of an answer that many operations have; `None`: it is one's own.
fn shared(status: u16, response: &Value) -> Option<&'static str> {
    if response["description"] != described(status) {
        return None;
    }
    let examples = response["content"][super::PROBLEM]["examples"].as_object()?;
    let kinds: Vec<&str> = examples.keys().map(String::as_str).collect();
    Some(match (status, kinds.as_slice()) {
        (400, ["ambiguous-credentials", "bad-parameter"]) => "BadRequest",
        (400, ["ambiguous-credentials", "bad-body", "bad-json", "bad-parameter"]) => "BadBody",
        (401, ["bad-token", "unauthenticated"]) => "Unauthenticated",
        (403, ["cross-origin"]) => "CrossOrigin",
        (403, ["cross-origin", "csrf", "forbidden"]) => "ForbiddenChange",
        (403, ["forbidden"]) => "Forbidden",
        (404, ["unknown-service"]) => "UnknownService",
        (404, ["unknown-user"]) => "UnknownUser",
        (406, ["not-acceptable"]) => "NotAcceptable",
        (409, ["left-out"]) => "LeftOut",
        (413, ["too-large"]) => "TooLarge",
        (415, ["unsupported-media-type"]) => "UnsupportedMediaType",
        (421, ["misdirected"]) => "Misdirected",
        _ => return None,
    })
}

/// Moves the answers that many operations have to where all refer to.
pub(super) fn share(responses: &mut Map<String, Value>, all: &mut Map<String, Value>) {
    for (status, response) in responses.iter_mut() {
        let Some(name) = status.parse().ok().and_then(|status| shared(status, response)) else { continue };
        let reference = json!({ "$ref": format!("#/components/responses/{name}") });
        let own = std::mem::replace(response, reference);
        all.insert(name.to_owned(), own);
    }
}

/// Adds to the answers of an operation what it may go wrong with.
pub(super) fn complete(asked: &Asked<'_>, responses: &mut Map<String, Value>) {
    let mut kinds: Vec<&Row> = ROWS.iter().filter(|row| applies(row, asked)).collect();
    // Only who says so speaks of the store, or holds more against a body than its form.
    let told = |status: &str| responses.contains_key(status);
    let (store, content) = (told("503"), told("422"));
    kinds.retain(|row| match row.1 {
        "store-unavailable" => store,
        "invalid" => content,
        _ => true,
    });
    for (status, kind, title, _) in kinds {
        let code = status.to_string();
        let response = responses.entry(code).or_insert_with(|| json!({ "description": described(*status) }));
        let content = &mut response["content"][super::PROBLEM];
        content["schema"] = json!({ "$ref": "#/components/schemas/Problem" });
        content["examples"][*kind] = json!({
            "summary": title,
            "value": { "type": format!("/problems/{kind}"), "title": title, "status": status },
        });
        if matches!(status, 429 | 503) && !response["headers"].is_object() {
            response["headers"] =
                json!({ "Retry-After": { "description": "Seconds", "schema": { "type": "integer" } } });
        }
    }
}

fn applies((.., at): &Row, asked: &Asked<'_>) -> bool {
    match at {
        Where(holds) => holds(asked),
        Of(ids) => ids.contains(&asked.id),
    }
}
