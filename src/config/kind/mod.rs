//! Kinds of values: how each is read, written, and described. A key of the table names its kind,
//! and reading, schema, example and reference all follow from it.

mod names;
mod net;
mod plain;
mod provider;
mod shown;
mod web;

use figment::value::Value;
use serde_json::{Value as Json, json};

pub(super) use names::{
    Address, AsciiPath, Container, Domain, Host, Service, StatusRange, UrlPath, below, service_name_like,
};
pub(super) use net::{CaddyAdmin, DockerApi, ListenAt, Network, SocketAddress};
pub(super) use plain::{
    Bytes, Count, FileMode, FilePath, Flag, Glob, Group, Patience, Span, Text, Word, Words,
};

pub(super) use provider::{Callback, Hidden, Issuer, Token};
pub(super) use shown::{Icon, Line, UserName, is_hidden};

use crate::config::problem::{Fault, Faults};
use crate::config::yaml;

pub(super) use web::{FieldName, Name, SocketFile, WebOrigin};

/// One kind of value.
pub(super) trait Kind {
    type Value;

    /// Whether the environment may give it comma-separated.
    const LIST: bool = false;

    /// Whether it is shown to nobody, and may come from a file that the environment names.
    const SECRET: bool = false;

    fn read(value: &Value) -> Result<Self::Value, Faults>;

    /// As YAML that [`Kind::read`] reads back; null: not set.
    fn show(value: &Self::Value) -> Json;

    fn schema() -> Json;

    /// For the reference: what may be written.
    fn describe() -> String;
}

/// A value that may be absent; where it is written, it is a `K`.
pub(super) struct Maybe<K>(std::marker::PhantomData<K>);

impl<K: Kind> Kind for Maybe<K> {
    type Value = Option<K::Value>;
    const LIST: bool = K::LIST;
    const SECRET: bool = K::SECRET;

    fn read(value: &Value) -> Result<Self::Value, Faults> {
        K::read(value).map(Some)
    }

    fn show(value: &Self::Value) -> Json {
        value.as_ref().map_or(Json::Null, K::show)
    }

    fn schema() -> Json {
        K::schema()
    }

    fn describe() -> String {
        K::describe()
    }
}

/// A list of `K`, with at least `LEAST` elements, none of them twice.
pub(super) struct Many<K, const LEAST: usize>(std::marker::PhantomData<K>);

impl<K: Kind, const LEAST: usize> Kind for Many<K, LEAST>
where
    K::Value: PartialEq,
{
    type Value = Vec<K::Value>;
    const LIST: bool = true;

    fn read(value: &Value) -> Result<Self::Value, Faults> {
        let Value::Array(_, items) = value else {
            let written = yaml::show(value);
            return Err(Fault::new(
                format!("is {}, and a list is wanted", noun(value)),
                format!("write it in brackets: `[{written}]`"),
            )
            .into());
        };
        let mut list = Vec::new();
        let mut faults = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let element = Some((index, yaml::show(item)));
            match K::read(item) {
                Ok(value) if list.contains(&value) => faults
                    .push(Fault { element, ..Fault::new("is in the list twice", "take one of them out") }),
                Ok(value) => list.push(value),
                Err(more) => {
                    faults.extend(more.0.into_iter().map(|fault| Fault { element: element.clone(), ..fault }))
                }
            }
        }
        if items.len() < LEAST {
            faults.push(Fault::new("is an empty list", format!("give it at least one {}", K::describe())));
        }
        if faults.is_empty() { Ok(list) } else { Err(Faults(faults)) }
    }

    fn show(value: &Self::Value) -> Json {
        Json::Array(value.iter().map(K::show).collect())
    }

    fn schema() -> Json {
        json!({ "type": "array", "items": K::schema(), "minItems": LEAST, "uniqueItems": true })
    }

    fn describe() -> String {
        format!("list of: {}", K::describe())
    }
}

/// The text of a value that must be one.
fn text(value: &Value) -> Result<&str, Fault> {
    match value {
        Value::String(_, text) => Ok(text),
        Value::Bool(..) | Value::Num(..) => Err(Fault::new(
            format!("is {}, and text is wanted", noun(value)),
            format!("put it in quotes: `\"{}\"`", yaml::show(value)),
        )),
        Value::Char(..) | Value::Empty(..) | Value::Dict(..) | Value::Array(..) => {
            Err(wrong_shape(value, "text"))
        }
    }
}

fn wrong_shape(value: &Value, wanted: &str) -> Fault {
    let mend = match value {
        Value::Array(_, items) if items.len() == 1 => "write the one value without brackets",
        Value::Array(..) => "write one value instead of a list",
        Value::Dict(..) => "write one value instead of a group of keys",
        Value::Empty(..) | Value::Bool(..) | Value::Num(..) | Value::String(..) | Value::Char(..) => {
            "write another value, or take the key out for the default"
        }
    };
    Fault::new(format!("is {}, and {wanted} is wanted", noun(value)), mend)
}

/// What a value is, in words.
pub(super) fn noun(value: &Value) -> &'static str {
    match value {
        Value::String(..) | Value::Char(..) => "text",
        Value::Bool(..) => "true or false",
        Value::Num(..) => "a number",
        Value::Empty(..) => "without a value",
        Value::Dict(..) => "a group of keys",
        Value::Array(..) => "a list",
    }
}
