//! `ETag` and `If-Match` (RFC 9110, 13): nobody overwrites what somebody else wrote meanwhile.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::admin::problem::Problem;

/// What a change expects of what it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Nothing is there.
    Absent,
    /// Something is there, whatever it is.
    Present,
    /// Exactly this is there.
    Revision(u64),
}

/// The tag of a revision.
#[must_use]
pub fn etag(revision: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{revision}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// What a request expects of something that is at `revision`; `None`: it is not there.
///
/// # Errors
/// It expects nothing although something is there (428), or something else than is there (412).
pub fn check(headers: &HeaderMap, revision: Option<u64>) -> Result<Condition, Problem> {
    let given = |name: HeaderName| {
        let all: Vec<&str> = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("")).collect();
        (!all.is_empty()).then(|| all.join(","))
    };
    if let Some(none) = given(header::IF_NONE_MATCH) {
        let refused =
            revision.is_some_and(|own| none.trim() == "*" || tags(&none).any(|tag| tag == Some(own)));
        if refused {
            return Err(changed(revision));
        }
        if revision.is_none() {
            return Ok(Condition::Absent);
        }
    }
    let Some(wanted) = given(header::IF_MATCH) else {
        return match revision {
            None => Ok(Condition::Absent),
            Some(own) => Err(required(own)),
        };
    };
    match revision {
        Some(_) if wanted.trim() == "*" => Ok(Condition::Present),
        Some(own) if tags(&wanted).any(|tag| tag == Some(own)) => Ok(Condition::Revision(own)),
        _ => Err(changed(revision)),
    }
}

/// The revisions in a list of tags. A weak one is none: it does not say that nothing changed.
fn tags(list: &str) -> impl Iterator<Item = Option<u64>> {
    list.split(',').map(|tag| tag.trim().strip_prefix('"')?.strip_suffix('"')?.parse().ok())
}

fn required(revision: u64) -> Problem {
    let title = "Say which version you change";
    Problem::new(StatusCode::PRECONDITION_REQUIRED, "precondition-required", title)
        .detail(
            "Send the `ETag` that you read as `If-Match`, or `If-Match: *` to overwrite whatever is there.",
        )
        .field(header::ETAG, etag(revision))
}

/// Somebody else changed it.
#[must_use]
pub fn changed(revision: Option<u64>) -> Problem {
    let title = "It is not what you expect";
    let problem = Problem::new(StatusCode::PRECONDITION_FAILED, "changed", title);
    match revision {
        Some(revision) => problem
            .detail("Somebody changed it since you read it: read it again, and change that.")
            .field(header::ETAG, etag(revision)),
        None => problem.detail("It is not there (any more)."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(fields: &[(&'static str, &str)], revision: Option<u64>) -> Result<Condition, u16> {
        let headers = fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect();
        check(&headers, revision).map_err(|problem| problem.status)
    }

    #[test]
    fn what_is_there_is_changed_by_whoever_says_what_it_is() {
        assert_eq!(with(&[], None), Ok(Condition::Absent));
        assert_eq!(with(&[], Some(3)), Err(428));
        assert_eq!(with(&[("if-match", "\"3\"")], Some(3)), Ok(Condition::Revision(3)));
        assert_eq!(with(&[("if-match", "\"2\", \"3\"")], Some(3)), Ok(Condition::Revision(3)));
        assert_eq!(
            with(&[("if-match", "\"2\""), ("if-match", "\"3\"")], Some(3)),
            Ok(Condition::Revision(3))
        );
        assert_eq!(with(&[("if-match", "*")], Some(3)), Ok(Condition::Present));
        for tag in ["\"2\"", "W/\"3\"", "3", "", "\"x\""] {
            assert_eq!(with(&[("if-match", tag)], Some(3)), Err(412), "{tag}");
            assert_eq!(with(&[("if-match", tag)], None), Err(412), "{tag}");
        }
        assert_eq!(with(&[("if-match", "*")], None), Err(412));
        assert_eq!(with(&[("if-none-match", "*")], None), Ok(Condition::Absent));
        assert_eq!(with(&[("if-none-match", "*")], Some(3)), Err(412));
    }
}
