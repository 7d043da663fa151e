//! Kinds without grammar of their own to speak of: flags, words, counts, durations, sizes, paths.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::Duration;

use figment::value::Value;
use serde_json::{Value as Json, json};

use super::{Kind, noun, text, wrong_shape};
use crate::config::problem::{Fault, Faults};
use crate::config::units::{self, format_duration, format_size};
use crate::config::yaml::show_number;

/// `true` or `false`.
pub(in crate::config) struct Flag;

impl Kind for Flag {
    type Value = bool;

    fn read(value: &Value) -> Result<bool, Faults> {
        let mend = "write `true` or `false`";
        match value {
            Value::Bool(_, flag) => Ok(*flag),
            Value::String(_, word) if word == "true" => Ok(true),
            Value::String(_, word) if word == "false" => Ok(false),
            Value::String(_, word) if ["yes", "on"].contains(&word.to_lowercase().as_str()) => {
                Err(Fault::new("is a word, not a truth value", "write `true`").into())
            }
            Value::String(_, word) if ["no", "off"].contains(&word.to_lowercase().as_str()) => {
                Err(Fault::new("is a word, not a truth value", "write `false`").into())
            }
            other => Err(Fault::new(format!("is {}, not a truth value", noun(other)), mend).into()),
        }
    }

    fn show(value: &bool) -> Json {
        Json::Bool(*value)
    }

    fn schema() -> Json {
        json!({ "type": "boolean" })
    }

    fn describe() -> String {
        "`true` or `false`".to_owned()
    }
}

/// A closed set of values, each written as a word.
pub(in crate::config) trait Word: Copy + PartialEq + 'static {
    const ALL: &'static [(&'static str, Self)];
}

/// One of the words of `E`.
pub(in crate::config) struct Words<E>(PhantomData<E>);

impl<E: Word> Kind for Words<E> {
    type Value = E;

    fn read(value: &Value) -> Result<E, Faults> {
        let word = text(value)?;
        if let Some((_, found)) = E::ALL.iter().find(|(name, _)| *name == word) {
            return Ok(*found);
        }
        let names = E::ALL.iter().map(|(name, _)| *name);
        let mend = match crate::config::paths::nearest(word, names) {
            Some(near) => format!("write `{near}`, or another of {}", Self::describe()),
            None => format!("write one of {}", Self::describe()),
        };
        Err(Fault::new("is none of the words known here", mend).into())
    }

    fn show(value: &E) -> Json {
        E::ALL.iter().find(|(_, known)| known == value).map_or(Json::Null, |(name, _)| json!(name))
    }

    fn schema() -> Json {
        json!({ "enum": E::ALL.iter().map(|(name, _)| name).collect::<Vec<_>>() })
    }

    fn describe() -> String {
        E::ALL.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    }
}

/// A whole number from `LEAST` to `MOST`.
pub(in crate::config) struct Count<N, const LEAST: u64, const MOST: u64>(PhantomData<N>);

impl<N, const LEAST: u64, const MOST: u64> Kind for Count<N, LEAST, MOST>
where
    N: Copy + TryFrom<u64>,
    u64: TryFrom<N>,
{
    type Value = N;

    fn read(value: &Value) -> Result<N, Faults> {
        let written = match value {
            Value::Num(_, num) => show_number(*num),
            Value::String(_, text) => text.trim().to_owned(),
            other => return Err(wrong_shape(other, "a number").into()),
        };
        let mend = format!("write a whole number from {LEAST} to {MOST}");
        if written.is_empty() || !written.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit()) {
            return Err(Fault::new("is not a whole number", mend).into());
        }
        let number = written.parse::<u64>().ok().filter(|n| (LEAST..=MOST).contains(n));
        let number = number.and_then(|n| N::try_from(n).ok());
        Ok(number.ok_or_else(|| Fault::new(format!("is outside {LEAST} to {MOST}"), mend))?)
    }

    fn show(value: &N) -> Json {
        u64::try_from(*value).map_or(Json::Null, Json::from)
    }

    fn schema() -> Json {
        json!({ "type": "integer", "minimum": LEAST, "maximum": MOST })
    }

    fn describe() -> String {
        format!("number, {LEAST} to {MOST}")
    }
}

/// A duration of at least `LEAST` and at most `MOST` milliseconds.
pub(in crate::config) struct Span<const LEAST: u64, const MOST: u64>;

impl<const LEAST: u64, const MOST: u64> Kind for Span<LEAST, MOST> {
    type Value = Duration;

    fn read(value: &Value) -> Result<Duration, Faults> {
        let written = match value {
            Value::String(_, text) => text,
            Value::Num(_, num) => return Err(units::bare_duration(&show_number(*num)).into()),
            other => return Err(wrong_shape(other, "a duration").into()),
        };
        if written.trim() == "never" {
            return Err(Fault::new("cannot be `never`", "write a duration such as `15m`").into());
        }
        let duration = units::parse_duration(written)?;
        let least = Duration::from_millis(LEAST);
        let most = Duration::from_millis(MOST);
        if duration < least {
            let least = format_duration(least);
            return Err(
                Fault::new(format!("is shorter than {least}"), format!("write at least `{least}`")).into()
            );
        }
        if duration > most {
            let most = format_duration(most);
            return Err(
                Fault::new(format!("is longer than {most}"), format!("write at most `{most}`")).into()
            );
        }
        Ok(duration)
    }

    fn show(value: &Duration) -> Json {
        json!(format_duration(*value))
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^([0-9]+ *(d|h|m|s|ms) *)+$" })
    }

    fn describe() -> String {
        match LEAST {
            0 => "duration".to_owned(),
            _ => "duration above zero".to_owned(),
        }
    }
}

/// A duration above zero, or `never`, which is `None`.
pub(in crate::config) struct Patience;

impl Kind for Patience {
    type Value = Option<Duration>;

    fn read(value: &Value) -> Result<Option<Duration>, Faults> {
        match value {
            Value::String(_, text) if text.trim() == "never" => Ok(None),
            Value::String(_, text) if ["off", "none", "infinite"].contains(&text.trim()) => {
                Err(Fault::new("is no duration", "write `never`").into())
            }
            other => Span::<1, { units::LONGEST.as_millis() as u64 }>::read(other).map(Some),
        }
    }

    fn show(value: &Option<Duration>) -> Json {
        value.map_or(json!("never"), |duration| json!(format_duration(duration)))
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^(never|([0-9]+ *(d|h|m|s|ms) *)+)$" })
    }

    fn describe() -> String {
        "duration above zero, or `never`".to_owned()
    }
}

/// A size from `LEAST` to `MOST` bytes.
pub(in crate::config) struct Bytes<const LEAST: u64, const MOST: u64>;

impl<const LEAST: u64, const MOST: u64> Kind for Bytes<LEAST, MOST> {
    type Value = usize;

    fn read(value: &Value) -> Result<usize, Faults> {
        let written = match value {
            Value::String(_, text) => text,
            Value::Num(_, num) => return Err(units::bare_size(&show_number(*num)).into()),
            other => return Err(wrong_shape(other, "a size").into()),
        };
        let bytes = units::parse_size(written)?;
        let within = usize::try_from(bytes).ok().filter(|_| (LEAST..=MOST).contains(&bytes));
        Ok(within.ok_or_else(|| {
            let (least, most) = (format_size(LEAST), format_size(MOST));
            Fault::new(
                format!("is outside {least} to {most}"),
                format!("write a size from `{least}` to `{most}`"),
            )
        })?)
    }

    fn show(value: &usize) -> Json {
        json!(format_size(*value as u64))
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[0-9]+ *(B|kB|KB|MB|GB|KiB|MiB|GiB)$" })
    }

    fn describe() -> String {
        format!("size, {} to {}", format_size(LEAST), format_size(MOST))
    }
}

/// Text for people, of at most `MOST` characters; line breaks are allowed.
pub(in crate::config) struct Text<const MOST: usize>;

impl<const MOST: usize> Kind for Text<MOST> {
    type Value = String;

    fn read(value: &Value) -> Result<String, Faults> {
        let is_odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
        Ok(prose(text(value)?, MOST, is_odd, |odd| format!("holds the control character {odd:?}"))?)
    }

    fn show(value: &String) -> Json {
        json!(value)
    }

    fn schema() -> Json {
        json!({ "type": "string", "minLength": 1, "maxLength": MOST })
    }

    fn describe() -> String {
        format!("text, up to {MOST} characters")
    }
}

/// Text that says something, is not too long, and holds nothing odd.
pub(super) fn prose(
    text: &str,
    most: usize,
    is_odd: impl Fn(char) -> bool,
    reason: impl Fn(char) -> String,
) -> Result<String, Fault> {
    if text.trim().is_empty() {
        return Err(Fault::new("is empty", "write some text, or take the key out"));
    }
    if let Some(odd) = text.chars().find(|c| is_odd(*c)) {
        return Err(Fault::new(reason(odd), "take it out"));
    }
    if text.chars().count() > most {
        return Err(Fault::new(format!("is longer than {most} characters"), "shorten it"));
    }
    Ok(text.to_owned())
}

/// A path in the file system.
pub(in crate::config) struct FilePath;

impl Kind for FilePath {
    type Value = PathBuf;

    fn read(value: &Value) -> Result<PathBuf, Faults> {
        Ok(path_text(text(value)?).map(PathBuf::from)?)
    }

    fn show(value: &PathBuf) -> Json {
        json!(value.to_string_lossy())
    }

    fn schema() -> Json {
        json!({ "type": "string", "minLength": 1 })
    }

    fn describe() -> String {
        "path".to_owned()
    }
}

/// What any path in the configuration must keep to.
pub(super) fn path_text(text: &str) -> Result<&str, Fault> {
    if text.trim().is_empty() {
        return Err(Fault::new("is empty", "write a path such as `/var/lib/wakedock`"));
    }
    if let Some(odd) = text.chars().find(|c| c.is_control()) {
        return Err(Fault::new(format!("holds the control character {odd:?}"), "take it out"));
    }
    Ok(text)
}

/// A glob of files that Caddy imports: one token of a Caddyfile.
pub(in crate::config) struct Glob;

impl Kind for Glob {
    type Value = String;

    fn read(value: &Value) -> Result<String, Faults> {
        let text = path_text(text(value)?)?;
        if let Some(odd) = text.chars().find(|c| c.is_whitespace() || "{}\"`#\\".contains(*c)) {
            let reason = format!("holds {odd:?}, which means something else in a Caddyfile");
            return Err(Fault::new(reason, "rename the file or the directory").into());
        }
        Ok(text.to_owned())
    }

    fn show(value: &String) -> Json {
        json!(value)
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[^\\s{}\"`#\\\\]+$" })
    }

    fn describe() -> String {
        "path, `*` allowed".to_owned()
    }
}

/// Permissions of a socket, as `chmod` writes them.
pub(in crate::config) struct FileMode;

impl Kind for FileMode {
    type Value = u32;

    fn read(value: &Value) -> Result<u32, Faults> {
        let mend = "write three octal figures in quotes, like `\"0660\"`";
        let written = match value {
            // `0o660` is a number to YAML, and has lost its figures by now.
            Value::Num(..) => return Err(Fault::new("is a number", mend).into()),
            other => text(other)?,
        };
        let octal = (3..=4).contains(&written.len()) && written.bytes().all(|b| (b'0'..=b'7').contains(&b));
        let mode = u32::from_str_radix(written, 8).ok().filter(|mode| octal && *mode <= 0o777);
        Ok(mode.ok_or_else(|| Fault::new("is not the mode of a socket", mend))?)
    }

    fn show(value: &u32) -> Json {
        json!(format!("{value:04o}"))
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^0?[0-7]{3}$" })
    }

    fn describe() -> String {
        "octal mode in quotes".to_owned()
    }
}

/// The name or number of a group of the system.
pub(in crate::config) struct Group;

impl Kind for Group {
    type Value = String;

    fn read(value: &Value) -> Result<String, Faults> {
        let written = match value {
            Value::Num(_, num) => show_number(*num),
            other => text(other)?.to_owned(),
        };
        let fits = !written.is_empty()
            && written.len() <= 32
            && !written.starts_with('-')
            && written.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
        if fits {
            Ok(written)
        } else {
            Err(Fault::new("is not the name of a group", "write a name such as `caddy`, or its number")
                .into())
        }
    }

    fn show(value: &String) -> Json {
        json!(value)
    }

    fn schema() -> Json {
        json!({ "type": ["string", "integer"] })
    }

    fn describe() -> String {
        "name or number of a group".to_owned()
    }
}
