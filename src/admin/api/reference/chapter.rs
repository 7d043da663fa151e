//! One part of the document: its operations, and the objects that go over the wire in them.

use std::collections::BTreeSet;

use axum::http::Method;
use serde_json::{Map, Value};

use crate::admin::access::{self, Access, Found};
use crate::admin::api::reference::{PATH, schema};
use crate::domain::words::Role;
use crate::html::dashboard::reference::{Answer, Body, Chapter, Field, Line, Object, Operation, Part, Sent};

/// A body of more fields is told with the object it is.
const FIELDS: usize = 12;
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
const PROBLEM: &str = "application/problem+json";

/// An operation of the document, and where it is.
struct Place<'a> {
    path: &'a str,
    method: &'a str,
    operation: &'a Value,
}

/// The text of a member; empty where there is none.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn members<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.get(key).and_then(Value::as_object).into_iter().flatten()
}

fn items<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// The operations with a tag: what is read before what changes, short paths before long ones.
fn operations<'a>(document: &'a Value, tag: &str) -> Vec<Place<'a>> {
    let mut found = Vec::new();
    for (path, item) in members(document, "paths") {
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            if items(operation, "tags").any(|own| own == tag) {
                found.push(Place { path, method, operation });
            }
        }
    }
    found
}

fn access_of(method: &str, path: &str) -> &'static str {
    let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap_or(Method::GET);
    match access::find(&method, path) {
        Found::Access(Access::Open) => "open",
        Found::Access(Access::Role(Role::Viewer)) => "viewer",
        Found::Access(Access::Role(Role::User)) => "user",
        Found::Access(Access::Role(Role::Admin)) | Found::OtherMethods | Found::Nothing => "admin",
        Found::Access(Access::SignedIn | Access::Metrics) => "any",
    }
}

/// Every part, as a list.
pub(super) fn parts(document: &Value, current: Option<&str>) -> Vec<Part> {
    let parts = items(document, "tags").map(|tag| {
        let name = text(tag, "name");
        let href = format!("{PATH}/{name}");
        let lines = operations(document, name).into_iter().map(|found| Line {
            href: format!("{href}#{}", text(found.operation, "operationId")),
            method: found.method.to_uppercase(),
            path: found.path.to_owned(),
            title: text(found.operation, "summary").to_owned(),
            access: access_of(found.method, found.path),
        });
        Part {
            name: name.to_owned(),
            about: text(tag, "description").to_owned(),
            current: current == Some(name),
            operations: lines.collect(),
            href: href.clone(),
        }
    });
    parts.filter(|part| !part.operations.is_empty()).collect()
}

/// One part in full.
pub(super) fn read(document: &Value, tag: &str) -> Chapter {
    let found = operations(document, tag);
    let mut seen = BTreeSet::new();
    let operations = found.iter().map(|found| operation(document, found, &mut seen)).collect();
    let about = items(document, "tags").find(|own| text(own, "name") == tag);
    Chapter {
        name: tag.to_owned(),
        about: about.map_or("", |tag| text(tag, "description")).to_owned(),
        operations,
        objects: objects(document, seen),
    }
}

/// What is referred to, and what that refers to.
fn objects(document: &Value, mut wanted: BTreeSet<String>) -> Vec<Object> {
    let mut objects = Vec::new();
    let mut done = BTreeSet::new();
    while let Some(name) = wanted.pop_first() {
        if !done.insert(name.clone()) {
            continue;
        }
        let Some(schema) = document.pointer(&format!("/components/schemas/{name}")) else { continue };
        let mut more = BTreeSet::new();
        let fields = schema::fields(document, schema, false, &mut more);
        wanted.extend(more);
        objects.push(Object {
            id: schema::anchor(&name),
            about: text(schema, "description").to_owned(),
            values: schema::words(schema),
            example: items(schema, "examples")
                .next()
                .and_then(|value| serde_json::to_string_pretty(value).ok()),
            fields,
            name: schema::shown(&name),
        });
    }
    objects.sort_by(|one, other| one.id.cmp(&other.id));
    objects
}

fn operation(document: &Value, found: &Place<'_>, seen: &mut BTreeSet<String>) -> Operation {
    let Place { path, method, operation } = found;
    let description = text(operation, "description");
    let about = description.split("\n\n").filter(|part| !part.is_empty() && !part.starts_with("Wants "));
    let parameters: Vec<Field> =
        items(operation, "parameters").map(|parameter| schema::parameter(document, parameter)).collect();
    let body = operation.get("requestBody").map(|body| sent_along(document, body, seen));
    let answers: Vec<Answer> = members(operation, "responses")
        .map(|(status, response)| answer(document, status, response, seen))
        .collect();
    Operation {
        id: text(operation, "operationId").to_owned(),
        method: method.to_uppercase(),
        path: (*path).to_owned(),
        title: text(operation, "summary").to_owned(),
        about: about.map(|part| part.replace('\n', " ")).collect(),
        access: access_of(method, path),
        curl: command(found, body.as_ref()),
        parameters,
        body,
        answers,
    }
}

fn sent_along(document: &Value, body: &Value, seen: &mut BTreeSet<String>) -> Body {
    let content: Vec<_> = members(body, "content").collect();
    let schema = content.first().and_then(|(_, content)| content.get("schema")).unwrap_or(&Value::Null);
    let mut more = BTreeSet::new();
    let kind = schema::kind(schema, &mut more);
    let resolved = schema::resolve(document, schema);
    let mut fields = schema::fields(document, resolved, true, &mut more);
    if fields.len() > FIELDS {
        fields.clear();
    } else if kind.href.is_some() && !fields.is_empty() {
        // All of it stands here.
        more.retain(|name| kind.href.as_deref() != Some(&schema::anchor(name)));
    }
    let shown_here = !fields.is_empty();
    seen.extend(more);
    let example = content.first().and_then(|(_, content)| example(content));
    Body {
        media: content.iter().map(|(media, _)| (*media).clone()).collect(),
        about: sentence(text(body, "description")),
        required: body.get("required") == Some(&Value::Bool(true)),
        kind: if shown_here { schema::Kind { href: None, ..kind } } else { kind },
        fields,
        example,
    }
}

fn sentence(text: &str) -> String {
    if text.is_empty() || text.ends_with('.') { text.to_owned() } else { format!("{text}.") }
}

fn answer(document: &Value, status: &str, response: &Value, seen: &mut BTreeSet<String>) -> Answer {
    let response = schema::resolve(document, response);
    let content: Vec<_> = members(response, "content").collect();
    let problem = response.pointer("/content").and_then(|content| content.get(PROBLEM));
    let bodies = content.iter().filter(|(media, _)| *media != PROBLEM).map(|(media, content)| Sent {
        media: (*media).clone(),
        kind: schema::kind(content.get("schema").unwrap_or(&Value::Null), seen),
    });
    let fine = status.starts_with('2');
    Answer {
        status: status.to_owned(),
        fine,
        about: sentence(text(response, "description")),
        bodies: bodies.collect(),
        fields: members(response, "headers").map(|(name, _)| name.clone()).collect(),
        problems: problem
            .map(|content| members(content, "examples").map(|(kind, _)| kind.clone()).collect())
            .unwrap_or_default(),
    }
}

/// The example of a body, as one writes it.
fn example(content: &Value) -> Option<String> {
    let found = content.get("example").or_else(|| members(content, "examples").next()?.1.get("value"))?;
    match found {
        Value::String(text) => Some(text.clone()),
        value => serde_json::to_string_pretty(value).ok(),
    }
}

/// A command that does it.
fn command(found: &Place<'_>, body: Option<&Body>) -> String {
    let parameters: Vec<&Value> = items(found.operation, "parameters").collect();
    let shown = |parameter: &Value| match parameter.get("example") {
        Some(Value::String(text)) => Some(text.clone()),
        Some(value) => Some(value.to_string()),
        None => None,
    };
    let mut path = found.path.to_owned();
    let mut query = Vec::new();
    let mut fields = vec!["-H \"$AUTH\"".to_owned()];
    if access_of(found.method, found.path) == "open" {
        fields.clear();
    }
    for parameter in &parameters {
        let name = text(parameter, "name");
        match (text(parameter, "in"), shown(parameter)) {
            ("path", value) => {
                path = path.replace(&format!("{{{name}}}"), &value.unwrap_or_else(|| name.to_uppercase()));
            }
            ("query", Some(value)) => query.push(format!("{name}={value}")),
            ("header", Some(value)) => fields.push(format!("-H '{name}: {value}'")),
            _ => {}
        }
    }
    if !query.is_empty() {
        path = format!("{path}?{}", query.join("&"));
    }
    let method = match found.method {
        "get" => String::new(),
        "post" if body.is_some() => String::new(),
        other => format!("-X {} ", other.to_uppercase()),
    };
    let mut lines = vec![format!("curl {method}{}", fields.join(" ")).trim_end().to_owned()];
    if let Some(body) = body {
        let media = body.media.first().map_or("application/json", String::as_str);
        lines.push(format!("-H 'Content-Type: {media}'"));
        let compact = body.example.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let shown = compact.map(|value| spaced(&value)).unwrap_or_else(|| "{}".to_owned());
        lines.push(format!("-d '{shown}'"));
    }
    let address = format!("\"$WAKEDOCK{path}\"");
    match lines.as_slice() {
        [only] => format!("{only} {address}"),
        _ => format!("{} \\\n  {address}", lines.join(" \\\n  ")),
    }
}

/// JSON on one line, as people write it.
fn spaced(value: &Value) -> String {
    let member =
        |(key, value): (&String, &Value)| format!("{}: {}", Value::from(key.as_str()), spaced(value));
    match value {
        Value::Object(object) if !object.is_empty() => {
            let object: &Map<String, Value> = object;
            format!("{{ {} }}", object.iter().map(member).collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(spaced).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}
