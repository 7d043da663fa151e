//! Schemas of the document as tables: a row a field, those of objects inside under their path.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::admin::api::reference::chapter::text;
use crate::html::dashboard::reference::Field;
pub(super) use crate::html::dashboard::reference::Kind;

/// Objects inside of objects are told in place down to here.
const DEPTH: usize = 4;

/// The place of an object on the page.
pub(super) fn anchor(name: &str) -> String {
    format!("object-{name}")
}

/// An object's name as people read it.
pub(super) fn shown(name: &str) -> String {
    name.strip_prefix("Page_").map_or_else(|| name.to_owned(), |of| format!("page of {of}"))
}

/// What a reference refers to, or the value itself.
pub(super) fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let reference = text(value, "$ref");
    reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer)).unwrap_or(value)
}

/// The closed list of words that a value is one of.
pub(super) fn words(schema: &Value) -> Vec<String> {
    let values = schema.get("enum").and_then(Value::as_array);
    values.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What a value of this schema is. Notes the objects that are referred to.
pub(super) fn kind(schema: &Value, seen: &mut BTreeSet<String>) -> Kind {
    if let Some(name) = text(schema, "$ref").rsplit('/').next().filter(|name| !name.is_empty()) {
        return referred(name, seen);
    }
    for of in ["oneOf", "anyOf", "allOf"] {
        let Some(choices) = schema.get(of).and_then(Value::as_array) else { continue };
        let nothing = |choice: &&Value| text(choice, "type") == "null";
        if let Some(choice) = choices.iter().find(|choice| !nothing(choice)) {
            let inner = kind(choice, seen);
            let after = if choices.iter().any(|choice| nothing(&choice)) { " or null" } else { inner.after };
            return Kind { after, ..inner };
        }
    }
    let (name, nullable) = match schema.get("type") {
        Some(Value::String(name)) => (name.as_str(), false),
        Some(Value::Array(names)) => {
            let name = names.iter().filter_map(Value::as_str).find(|name| *name != "null");
            (name.unwrap_or("null"), names.iter().any(|name| name == "null"))
        }
        _ => ("any JSON", false),
    };
    let after = if nullable { " or null" } else { "" };
    if name == "array" {
        let inner = kind(schema.get("items").unwrap_or(&Value::Null), seen);
        return Kind { before: "list of ", after, ..inner };
    }
    let name = match (name, text(schema, "format")) {
        ("string", "date-time") => "time",
        ("number", _) => "number",
        (other, _) => other,
    };
    Kind { before: "", name: name.to_owned(), href: None, after }
}

fn referred(name: &str, seen: &mut BTreeSet<String>) -> Kind {
    // So common that its own row would only send people around.
    if name == "Time" {
        return Kind { name: "time".to_owned(), ..Kind::default() };
    }
    seen.insert(name.to_owned());
    Kind { name: shown(name), href: Some(anchor(name)), ..Kind::default() }
}

/// The fields of an object, those of objects inside below them. Of an answer everything is there: which
/// are required is told of what is `sent` alone, and where only some are.
pub(super) fn fields(
    document: &Value,
    schema: &Value,
    sent: bool,
    seen: &mut BTreeSet<String>,
) -> Vec<Field> {
    let mut found = Vec::new();
    collect(document, schema, "", DEPTH, &mut found, seen);
    if !sent && found.iter().all(|field| field.required) {
        found.iter_mut().for_each(|field| field.required = false);
    }
    found
}

fn collect(
    document: &Value,
    schema: &Value,
    above: &str,
    depth: usize,
    found: &mut Vec<Field>,
    seen: &mut BTreeSet<String>,
) {
    if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
        for part in parts {
            collect(document, resolve(document, part), above, depth, found, seen);
        }
    }
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (name, property) in properties {
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        let inside = property.get("properties").is_some();
        if inside && depth > 0 {
            collect(document, property, &path, depth - 1, found, seen);
            continue;
        }
        let mut field = described(property, seen);
        field.name = path;
        field.required = required.contains(&name.as_str());
        found.push(field);
    }
}

/// A field without its name.
fn described(property: &Value, seen: &mut BTreeSet<String>) -> Field {
    let about = text(property, "description");
    // The description of what may be null stands with what it is otherwise.
    let inner = property.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let about =
        inner.map(|choice| text(choice, "description")).chain([about]).find(|about| !about.is_empty());
    Field {
        kind: kind(property, seen),
        about: about.unwrap_or_default().replace('\n', " "),
        limits: limits(property),
        values: words(property),
        default: property.get("default").map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }),
        ..Field::default()
    }
}

/// A parameter of an operation.
pub(super) fn parameter(document: &Value, parameter: &Value) -> Field {
    let parameter = resolve(document, parameter);
    let schema = parameter.get("schema").unwrap_or(&Value::Null);
    let mut field = described(schema, &mut BTreeSet::new());
    // Left out is left out: a parameter cannot be null.
    field.kind.after = "";
    Field {
        name: text(parameter, "name").to_owned(),
        place: Some(text(parameter, "in").to_owned()),
        required: parameter.get("required") == Some(&Value::Bool(true)),
        about: text(parameter, "description").replace('\n', " "),
        ..field
    }
}

/// What a value has to keep to, in a few words.
fn limits(schema: &Value) -> Vec<String> {
    let number = |key: &str| schema.get(key).and_then(Value::as_i64);
    let mut told = Vec::new();
    let mut range = |least: Option<i64>, most: Option<i64>, of: &str| {
        told.extend(match (least, most) {
            (Some(least), Some(most)) => Some(format!("{least} to {most}{of}")),
            (None, Some(most)) => Some(format!("at most {most}{of}")),
            (Some(least), None) if least > 0 => Some(format!("at least {least}{of}")),
            _ => None,
        });
    };
    range(number("minimum"), number("maximum"), "");
    range(number("minLength"), number("maxLength"), " characters");
    range(number("minItems").filter(|least| *least > 0), number("maxItems"), " items");
    let pattern = text(schema, "pattern");
    if !pattern.is_empty() {
        told.push(pattern.to_owned());
    }
    told
}
