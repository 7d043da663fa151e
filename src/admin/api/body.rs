//! Bodies in JSON, read strictly: a key that comes twice, a number or a depth out of bounds and
//! text that is not UTF-8 are refused with where they stand.

use std::fmt;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::admin::problem::{FieldError, Problem};

/// Objects and lists inside each other.
const DEEPEST: usize = 16;

/// Kinds that are JSON.
pub const JSON: &str = "application/json";
/// RFC 7396.
pub const MERGE_PATCH: &str = "application/merge-patch+json";

/// A body that is an object.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonObject(pub Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for JsonObject {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        expect(request.headers(), &[JSON])?;
        object(request, state).await.map(Self)
    }
}

/// A body that changes an object: what is null is taken out (RFC 7396).
#[derive(Debug, Clone, PartialEq)]
pub struct MergePatch(pub Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for MergePatch {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        expect(request.headers(), &[MERGE_PATCH, JSON])?;
        object(request, state).await.map(Self)
    }
}

impl MergePatch {
    /// What comes of `target`.
    #[must_use]
    pub fn apply(self, target: Map<String, Value>) -> Map<String, Value> {
        merge(target, self.0)
    }
}

fn merge(mut target: Map<String, Value>, patch: Map<String, Value>) -> Map<String, Value> {
    for (key, value) in patch {
        match value {
            Value::Null => drop(target.remove(&key)),
            Value::Object(inner) => {
                let under = match target.remove(&key) {
                    Some(Value::Object(under)) => under,
                    _ => Map::new(),
                };
                target.insert(key, Value::Object(merge(under, inner)));
            }
            value => drop(target.insert(key, value)),
        }
    }
    target
}

/// The body is of one of these kinds, in UTF-8.
fn expect(headers: &HeaderMap, kinds: &[&'static str]) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let mut parts = given.split(';').map(str::trim);
    let kind = parts.next().unwrap_or("");
    let known = kinds.iter().any(|known| known.eq_ignore_ascii_case(kind));
    let utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    });
    if known && utf8 {
        return Ok(());
    }
    let accept = kinds.join(", ");
    let problem = Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "The body is of another kind",
    )
    .detail(format!("Send {accept} in UTF-8, and say so in `Content-Type`."));
    Err(match HeaderValue::from_str(&accept) {
        Ok(accept) => problem.field(HeaderName::from_static("accept-post"), accept),
        Err(_) => problem,
    })
}

async fn object<S: Send + Sync>(request: Request, state: &S) -> Result<Map<String, Value>, Problem> {
    let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large");
        }
        Problem::new(StatusCode::BAD_REQUEST, "bad-body", "The body did not come whole")
    })?;
    match parse(&bytes)? {
        Value::Object(object) => Ok(object),
        _ => Err(bad_json("The body is JSON, and an object is wanted: `{…}`.", "", "wrap it into `{…}`")),
    }
}

fn bad_json(detail: &str, pointer: &str, mend: &str) -> Problem {
    let error = FieldError { pointer: pointer.to_owned(), detail: detail.to_owned(), mend: mend.to_owned() };
    Problem::new(StatusCode::BAD_REQUEST, "bad-json", "The body cannot be read")
        .detail(detail)
        .errors(vec![error])
}

/// Reads JSON.
///
/// # Errors
/// Where it is none, or more than a body should be.
pub fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    if std::str::from_utf8(bytes).is_err() {
        return Err(bad_json("The body is not UTF-8.", "", "encode it as UTF-8"));
    }
    let mut path = String::new();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = Strict { path: &mut path, depth: 0 }.deserialize(&mut reader);
    match read.and_then(|value| reader.end().map(|()| value)) {
        Ok(value) => Ok(value),
        Err(error) => {
            let mut text = error.to_string();
            if let Some(end) = text.rfind(" at line ") {
                text.truncate(end);
            }
            let detail = format!("Line {}, column {}: {text}.", error.line(), error.column());
            Err(bad_json(&detail, &path, "mend the JSON there"))
        }
    }
}

/// One value, at a place.
struct Strict<'a> {
    /// Of the value that is being read; where reading ended, of the one at fault.
    path: &'a mut String,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let depth = deeper(self.depth)?;
        let mut found = Vec::new();
        loop {
            let length = self.path.len();
            self.path.push_str(&format!("/{}", found.len()));
            let Some(item) = items.next_element_seed(Strict { path: self.path, depth })? else {
                self.path.truncate(length);
                return Ok(Value::Array(found));
            };
            self.path.truncate(length);
            found.push(item);
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let depth = deeper(self.depth)?;
        let mut found = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let length = self.path.len();
            self.path.push('/');
            self.path.push_str(&key.replace('~', "~0").replace('/', "~1"));
            if found.contains_key(&key) {
                return Err(A::Error::custom("the key is there twice"));
            }
            let value = entries.next_value_seed(Strict { path: self.path, depth })?;
            self.path.truncate(length);
            found.insert(key, value);
        }
        Ok(Value::Object(found))
    }
}

fn deeper<E: serde::de::Error>(depth: usize) -> Result<usize, E> {
    if depth == DEEPEST { Err(E::custom("it is nested too deep")) } else { Ok(depth + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &[u8]) -> (String, String) {
        let problem = parse(text).unwrap_err();
        assert_eq!(problem.status, 400);
        (problem.detail.unwrap(), problem.errors[0].pointer.clone())
    }

    #[test]
    fn json_is_read() {
        let value = parse(br#"{"a": [1, -2, 0.5, "x", true, null], "b": {"c~/d": {}}}"#).unwrap();
        assert_eq!(value, serde_json::json!({"a": [1, -2, 0.5, "x", true, null], "b": {"c~/d": {}}}));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let (detail, pointer) = refused(b"{\n\"idle\": {\"a\": 1, \"a\": 2}}");
        assert_eq!(
            (detail.as_str(), pointer.as_str()),
            ("Line 2, column 20: the key is there twice.", "/idle/a")
        );
        let (detail, pointer) = refused(br#"{"list": [1, 1e999]}"#);
        assert!(detail.contains("number out of range"), "{detail}");
        assert_eq!(pointer, "/list/1");
        for text in ["", "{", "[1,]", "{\"a\":1}x", "NaN", "{'a':1}", "\"\\ud800\"", "\u{feff}{}"] {
            assert!(refused(text.as_bytes()).0.starts_with("Line 1, "), "{text:?}");
        }
        assert_eq!(refused(b"\"\xff\"").0, "The body is not UTF-8.");
        let deep = "[".repeat(100_000);
        assert!(refused(deep.as_bytes()).0.contains("nested too deep"));
    }

    #[test]
    fn a_merge_patch_does_what_the_rfc_says() {
        let patched = |target: Value, patch: Value| {
            let (Value::Object(target), Value::Object(patch)) = (target, patch) else { panic!() };
            Value::Object(MergePatch(patch).apply(target))
        };
        use serde_json::json;
        assert_eq!(
            patched(json!({"a": 1, "b": {"c": 1, "d": 2}}), json!({"a": null, "b": {"c": 3}})),
            json!({"b": {"c": 3, "d": 2}})
        );
        assert_eq!(patched(json!({"a": [1]}), json!({"a": {"b": null, "c": 1}})), json!({"a": {"c": 1}}));
    }
}
