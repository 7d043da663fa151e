//! Query parameters, read strictly: an unknown one, one that comes twice, one that is no text, and
//! one out of range are each said, all at once.

use std::ops::RangeInclusive;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;

use crate::admin::problem::{FieldError, Problem};
use crate::config::parse_duration;

/// The parameters of an operation.
pub trait FromQuery: Sized {
    /// Every parameter there is.
    const KNOWN: &'static [&'static str];

    /// Takes what was given. What is wrong is told to `given`, and the request is refused for it.
    fn read(given: &mut Given) -> Self;
}

/// For operations without parameters.
impl FromQuery for () {
    const KNOWN: &'static [&'static str] = &[];

    fn read(_: &mut Given) -> Self {}
}

/// The parameters of a request, as `T` wants them.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

impl<T: FromQuery, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read(parts.uri.query().unwrap_or("")).map(Self)
    }
}

/// Reads a query string.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read<T: FromQuery>(query: &str) -> Result<T, Problem> {
    let mut given = Given::new(query, T::KNOWN);
    let value = T::read(&mut given);
    if given.errors.is_empty() {
        return Ok(value);
    }
    let known = match T::KNOWN {
        [] => "There are no parameters here.".to_owned(),
        known => format!("The parameters here are {}.", known.join(", ")),
    };
    let title = "A parameter cannot be used";
    Err(Problem::new(StatusCode::BAD_REQUEST, "bad-parameter", title).detail(known).errors(given.errors))
}

/// What was given, taken out piece by piece.
#[derive(Debug)]
pub struct Given {
    pairs: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl Given {
    fn new(query: &str, known: &[&str]) -> Self {
        let mut given = Self { pairs: Vec::new(), errors: Vec::new() };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (decode(name), decode(value)) else {
                let shown: String = pair.chars().take(40).collect();
                given.wrong(&shown, "is not UTF-8 in percent encoding", "encode it as `%C3%A9`");
                continue;
            };
            if !known.contains(&name.as_str()) {
                let near = known
                    .iter()
                    .copied()
                    .max_by(|a, b| strsim::jaro_winkler(a, &name).total_cmp(&strsim::jaro_winkler(b, &name)));
                let mend = match near {
                    Some(near) if strsim::jaro_winkler(near, &name) > 0.8 => format!("write `{near}`"),
                    _ => "leave it out".to_owned(),
                };
                let shown: String = name.chars().take(40).collect();
                given.wrong(&shown, "is not known here", mend);
            } else if given.pairs.iter().any(|(other, _)| *other == name) {
                given.wrong(&name, "is given twice", "give it once");
            } else {
                given.pairs.push((name, value));
            }
        }
        given
    }

    /// Tells that a parameter cannot be used. `reason` completes a sentence that begins with it.
    pub fn wrong(&mut self, name: &str, reason: &str, mend: impl Into<String>) {
        self.errors.push(FieldError {
            pointer: format!("?{name}"),
            detail: format!("{name} {reason}"),
            mend: mend.into(),
        });
    }

    /// The text of a parameter, where it was given; at most `longest` characters and none of
    /// control.
    pub fn text(&mut self, name: &str, longest: usize) -> Option<String> {
        let at = self.pairs.iter().position(|(own, _)| own == name)?;
        let (_, value) = self.pairs.swap_remove(at);
        if value.chars().count() > longest {
            self.wrong(name, "is too long", format!("write at most {longest} characters"));
            return None;
        }
        if value.chars().any(char::is_control) {
            self.wrong(name, "holds a control character", "leave it out");
            return None;
        }
        Some(value)
    }

    /// A text that means something to `parse`.
    pub fn parsed<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Option<T>,
        mend: impl Into<String>,
    ) -> Option<T> {
        let text = self.text(name, 200)?;
        let value = parse(&text);
        if value.is_none() {
            let shown: String = text.chars().take(40).collect();
            self.wrong(name, &format!("is `{shown}`, which it cannot be"), mend);
        }
        value
    }

    /// A whole number within a range.
    pub fn number(&mut self, name: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let mend = format!("write a whole number from {} to {}", range.start(), range.end());
        self.parsed(
            name,
            |text| {
                let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                text.parse().ok().filter(|number| plain && range.contains(number))
            },
            mend,
        )
    }

    /// `true` or `false`.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        let parse = |text: &str| match text {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        };
        self.parsed(name, parse, "write `true` or `false`")
    }

    /// A duration with its unit, at most `longest`.
    pub fn duration(&mut self, name: &str, longest: Duration) -> Option<Duration> {
        let text = self.text(name, 40)?;
        match parse_duration(&text) {
            Ok(duration) if duration <= longest => return Some(duration),
            Ok(_) => {
                let mend = format!("write at most `{}`", crate::config::format_duration(longest));
                self.wrong(name, "is too long", mend);
            }
            Err(fault) => self.wrong(name, &fault.reason, fault.mend),
        }
        None
    }
}

/// Undoes percent encoding; `+` is a space. `None`: not UTF-8, or a `%` without two figures.
fn decode(text: &str) -> Option<String> {
    let figure = |byte: u8| char::from(byte).to_digit(16).and_then(|figure| u8::try_from(figure).ok());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => figure(rest.next()?)? * 16 + figure(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Sample {
        limit: u64,
        text: Option<String>,
        follow: bool,
        wait: Option<Duration>,
    }

    impl FromQuery for Sample {
        const KNOWN: &'static [&'static str] = &["limit", "text", "follow", "wait"];

        fn read(given: &mut Given) -> Self {
            Self {
                limit: given.number("limit", 1..=500).unwrap_or(50),
                text: given.text("text", 10),
                follow: given.flag("follow").unwrap_or(false),
                wait: given.duration("wait", Duration::from_secs(60)),
            }
        }
    }

    fn refused(query: &str) -> Vec<String> {
        let problem = read::<Sample>(query).unwrap_err();
        assert_eq!(problem.status, 400);
        assert!(problem.detail.unwrap().contains("limit, text, follow, wait"));
        problem
            .errors
            .iter()
            .map(|error| format!("{}: {}; {}", error.pointer, error.detail, error.mend))
            .collect()
    }

    #[test]
    fn what_is_right_is_read() {
        let read: Sample = read("limit=7&text=a%20b+%C3%A9&&follow=true&wait=30s").unwrap();
        let wait = Some(Duration::from_secs(30));
        assert_eq!(read, Sample { limit: 7, text: Some("a b é".into()), follow: true, wait });
        assert_eq!(super::read::<Sample>("").unwrap().limit, 50);
        super::read::<()>("").unwrap();
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        assert_eq!(
            refused("limit=501&txet=1&text=aaaaaaaaaaa&follow=yes&wait=30&follow=true"),
            [
                "?txet: txet is not known here; write `text`",
                "?follow: follow is given twice; give it once",
                "?limit: limit is `501`, which it cannot be; write a whole number from 1 to 500",
                "?text: text is too long; write at most 10 characters",
                "?follow: follow is `yes`, which it cannot be; write `true` or `false`",
                "?wait: wait is a bare number, and a duration carries its unit; write `30s` for seconds, `30m` for \
                 minutes or `30ms` for milliseconds",
            ]
        );
    }

    #[test]
    fn odd_numbers_and_bytes_are_refused() {
        for query in ["limit=", "limit=+5", "limit=-1", "limit=0", "limit=99999999999999999999", "limit=1e2"]
        {
            assert_eq!(refused(query).len(), 1, "{query}");
        }
        for query in ["text=%ff", "text=%4", "text=%zz", "%ff=1", "text=%00", "wait=2m"] {
            assert_eq!(refused(query).len(), 1, "{query}");
        }
        assert!(super::read::<()>("x=1").unwrap_err().detail.unwrap().contains("no parameters"));
    }
}
