//! The document: what the handlers say of themselves, and what is true of all of them.

use std::collections::BTreeSet;

use axum::http::{Method, header};
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};
use utoipa::openapi::{InfoBuilder, LicenseBuilder, OpenApiBuilder};

use crate::admin::access::{self, Access, Found};
use crate::admin::api::query::Query;
use crate::admin::auth;
use problems::Asked;

mod examples;
mod problems;

/// The committed copy: what is served. A test compares it with [`document`].
pub(super) const COMMITTED: &str = include_str!("../../../docs/reference/openapi.json");

const PROBLEM: &str = "application/problem+json";

/// The OpenAPI document of everything under `/api/v1`.
#[must_use]
pub fn document() -> Value {
    let license =
        LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build();
    let info = InfoBuilder::new()
        .title("WakeDock")
        .description(Some(
            "Containers that sleep until somebody asks for them: what they do, and orders to them.",
        ))
        .version("v1")
        .license(Some(license))
        .build();
    let made = super::operations::<super::Document>().document(OpenApiBuilder::new().info(info).build());
    // A structure of texts has a JSON form.
    let mut document = serde_json::to_value(made).unwrap_or_default();
    document["components"]["securitySchemes"] = schemes();
    document["tags"] = json!(tags());
    schemas(&mut document);
    let mut shared = Map::new();
    for (path, item) in document["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            complete(path, method, operation, &mut shared);
        }
    }
    document["components"]["responses"] = shared.into();
    document
}

/// By what a caller shows who they are. The names are those that the door reads.
fn schemes() -> Value {
    let session = |name: &str, when: &str| {
        json!({
            "type": "apiKey", "in": "cookie", "name": name,
            "description": format!("The session of a browser that logged in on the dashboard {when}."),
        })
    };
    json!({
        "bearer": {
            "type": "http", "scheme": "bearer",
            "description": "An access token from `POST /api/v1/auth/login`, or an API token (`wd_…`).",
        },
        "cookie": session(auth::SECURE_COOKIE, "over TLS"),
        "plainCookie": session(auth::PLAIN_COOKIE, "without TLS"),
        "csrf": {
            "type": "apiKey", "in": "header", "name": auth::CSRF_HEADER,
            "description": "With a cookie, everything but reading wants the session's `csrf_token` besides, \
                            which `GET /api/v1/auth/me` gives.",
        },
    })
}

/// What an operation wants of them: one of these. On the local socket nothing is shown.
fn security(access: Access, method: &Method) -> Value {
    if access == Access::Open {
        return json!([]);
    }
    match *method {
        Method::GET => json!([{ "bearer": [] }, { "cookie": [] }, { "plainCookie": [] }]),
        _ => json!([{ "bearer": [] }, { "cookie": [], "csrf": [] }, { "plainCookie": [], "csrf": [] }]),
    }
}

fn tags() -> Vec<Value> {
    [
        ("services", "What sleeps and wakes."),
        ("events", "What happens."),
        ("system", "How WakeDock itself does."),
        ("caddy", "What Caddy is to run."),
        ("auth", "Who is calling."),
        ("users", "Who may come in."),
        ("tokens", "What programs come in with."),
        ("settings", "What is set here and not in the file."),
        ("audit", "Who did what."),
    ]
    .map(|(name, description)| json!({ "name": name, "description": description }))
    .to_vec()
}

/// The schemas that are made elsewhere, and what holds for all.
fn schemas(document: &mut Value) {
    let paths = document["paths"].as_object().cloned().unwrap_or_default();
    let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) else {
        return;
    };
    let mut keys = crate::config::schema()["properties"]["services"]["items"].take();
    keys["description"] =
        "A service, nested as in the configuration file. `docs/reference/configuration.md` \
                           describes every key."
            .into();
    if let Some(keys) = keys.as_object_mut() {
        keys.remove("required");
    }
    schemas.insert("ServiceKeys".to_owned(), keys);
    schemas.insert(
        "ServicePatch".to_owned(),
        json!({
            "type": "object", "additionalProperties": true,
            "description": "What is to be said differently, as `ServiceKeys`; null takes a key out (RFC 7396).",
        }),
    );
    let mut sent = BTreeSet::new();
    for operation in paths.values().filter_map(Value::as_object).flat_map(Map::values) {
        references(&operation["requestBody"], &mut sent);
    }
    let names: Vec<String> = schemas.keys().cloned().collect();
    for (name, schema) in schemas.iter_mut() {
        // A page is made of what stands elsewhere, and does not say it again.
        if let Some(of) = name.strip_prefix("Page_").filter(|of| names.iter().any(|name| name == of)) {
            schema["properties"]["items"]["items"] = json!({ "$ref": format!("#/components/schemas/{of}") });
        }
        if let Some(example) = examples::of(name).filter(|_| !name.starts_with("Page_")) {
            schema["examples"] = json!([example]);
        }
        if !sent.contains(name) && !WITH_HOLES.contains(&name.as_str()) {
            always_there(schema);
        }
    }
}

/// What is left out of these where it is not there.
const WITH_HOLES: [&str; 2] = ["Problem", "Event"];

/// What an answer holds is always there, and null where there is nothing.
fn always_there(schema: &mut Value) {
    if let Some(parts) = schema.get_mut("allOf").and_then(Value::as_array_mut) {
        parts.iter_mut().for_each(always_there);
    }
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(properties) = object.get("properties").and_then(Value::as_object) {
        let names: Vec<Value> = properties.keys().cloned().map(Value::from).collect();
        object.insert("required".to_owned(), Value::Array(names));
    }
}

/// The names of the schemas that are referred to.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            let name = object.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
            found.extend(name.map(str::to_owned));
            object.values().for_each(|inner| references(inner, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| references(inner, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What every operation has in common, by what the table of access says.
fn complete(path: &str, method: &str, operation: &mut Value, shared: &mut Map<String, Value>) {
    let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap_or(Method::GET);
    let Found::Access(access) = access::find(&method, path) else { return };
    let has_body = operation["requestBody"].is_object();
    let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
    if let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut) {
        parameters.iter_mut().for_each(|parameter| illustrate(path, parameter));
    }
    if let Some(example) = examples::sent(&id)
        && let Some(content) = operation["requestBody"]["content"].as_object_mut()
    {
        content.values_mut().for_each(|content| content["example"] = example.clone());
    }
    operation["security"] = security(access, &method);
    if access != Access::Open {
        let role = match access {
            Access::Role(role) => format!("Wants at least the role `{role}`."),
            _ => "Wants any role.".to_owned(),
        };
        let described =
            operation["description"].as_str().map_or(role.clone(), |text| format!("{text}\n\n{role}"));
        operation["description"] = described.into();
    }
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    let asked = Asked { id: &id, path, method: &method, access, has_body };
    problems::complete(&asked, responses);
    problems::share(responses, shared);
    for response in responses.values_mut() {
        let Some(content) = response.pointer_mut("/content/application~1json") else { continue };
        let reference = content["schema"]["$ref"].as_str().unwrap_or_default().to_owned();
        if let Some(example) = reference.rsplit('/').next().and_then(examples::of) {
            content["example"] = example;
        }
    }
}

/// What a parameter looks like.
fn illustrate(path: &str, parameter: &mut Value) {
    let of = |place: &str, name: &str| parameter["in"] == place && parameter["name"] == name;
    let example = if of("path", "name") && path.starts_with("/api/v1/services/") {
        parameter["schema"] =
            json!({ "type": "string", "pattern": "^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$" });
        "cloud"
    } else if of("path", "name") {
        "ben"
    } else if of("path", "id") {
        "4f1c9a"
    } else if of("header", "If-Match") {
        "\"3\""
    } else {
        return;
    };
    parameter["example"] = example.into();
}

/// The OpenAPI document
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "system", operation_id = "getOpenApi",
    responses((status = 200, description = "This document, OpenAPI 3.1", body = serde_json::Value)),
)]
pub(super) async fn get_open_api(_none: Query<()>) -> impl IntoResponse {
    let fields = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")];
    (fields, COMMITTED)
}
