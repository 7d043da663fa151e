//! Every answer of our own: one exhaustive function from a refusal or an error to status, reason
//! and fault, and one that makes the response. Nothing here names a container or shows an error's
//! text: strangers read it (trap 9).

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};

use crate::domain::words::{Reason, Refusal};
use crate::html::{Language, waiting};
use crate::proxy::downstream::state::Active;
use crate::proxy::exchange::body::ResponseBody;
use crate::proxy::fields::{X_REQUEST_ID, X_WAKEDOCK};
use crate::proxy::trouble::Fault;
use crate::proxy::trouble::Trouble;

pub(in crate::proxy) static PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
static GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
static X_ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");

/// When to come back, where nothing better is known.
const SOON: Duration = Duration::from_secs(5);
const LATER: Duration = Duration::from_secs(60);

/// Who has to change something for this not to happen again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Blame {
    /// Nobody: that is how sleeping services work.
    Nobody,
    /// The client.
    Downstream,
    /// The application, or its container.
    Upstream,
    /// WakeDock, or whoever runs it.
    Ours,
}

/// What is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) struct Verdict {
    pub(in crate::proxy) status: StatusCode,
    pub(in crate::proxy) reason: Reason,
    /// The error type of RFC 9209, 2.3.
    pub(in crate::proxy) error: &'static str,
    pub(in crate::proxy) retry_after: Option<Duration>,
    pub(in crate::proxy) blame: Blame,
    /// For people.
    pub(in crate::proxy) text: &'static str,
}

/// What is answered to this trouble.
pub(in crate::proxy) fn verdict(trouble: &Trouble) -> Verdict {
    let refused = |reason, error, retry_after, blame, text| Verdict {
        status: StatusCode::SERVICE_UNAVAILABLE,
        reason,
        error,
        retry_after: Some(retry_after),
        blame,
        text,
    };
    let said = |status, reason, error, blame, text| Verdict {
        status,
        reason,
        error,
        retry_after: None,
        blame,
        text,
    };
    const UNAVAILABLE: &str = "destination_unavailable";
    match trouble {
        Trouble::Refused(refusal) => match *refusal {
            Refusal::UnknownHost => said(
                StatusCode::NOT_FOUND,
                Reason::UnknownHost,
                "destination_not_found",
                Blame::Downstream,
                "No service has this host name.",
            ),
            Refusal::Failed { retry_after } => refused(
                Reason::Failed,
                UNAVAILABLE,
                retry_after,
                Blame::Upstream,
                "The service could not be started.",
            ),
            Refusal::BackingOff { retry_after } => refused(
                Reason::BackingOff,
                UNAVAILABLE,
                retry_after,
                Blame::Upstream,
                "The service could not be started a moment ago. The next attempt is not due yet.",
            ),
            Refusal::HoldTimeout => said(
                StatusCode::GATEWAY_TIMEOUT,
                Reason::HoldTimeout,
                "connection_timeout",
                Blame::Upstream,
                "The service was not ready in time. It is still starting.",
            ),
            Refusal::Overloaded => refused(
                Reason::Overloaded,
                "connection_limit_reached",
                SOON,
                Blame::Ours,
                "Too many requests wait for the service to start.",
            ),
            Refusal::Draining => refused(
                Reason::Draining,
                "proxy_internal_response",
                SOON,
                Blame::Ours,
                "The gateway is being restarted.",
            ),
            Refusal::Disabled => refused(
                Reason::Disabled,
                UNAVAILABLE,
                LATER,
                Blame::Nobody,
                "The service has been taken out of use.",
            ),
            Refusal::EngineUnavailable => refused(
                Reason::EngineUnavailable,
                UNAVAILABLE,
                SOON,
                Blame::Ours,
                "The service cannot be started at the moment.",
            ),
        },
        Trouble::Waking { retry_after } => {
            refused(Reason::Waking, UNAVAILABLE, *retry_after, Blame::Nobody, "The service is starting.")
        }
        Trouble::Prefetch => refused(
            Reason::Prefetch,
            "proxy_internal_response",
            SOON,
            Blame::Nobody,
            "The service sleeps. Looking ahead does not wake it.",
        ),
        Trouble::Upstream(fault) => upstream(fault),
        Trouble::Crowded => refused(
            Reason::Overloaded,
            "connection_limit_reached",
            SOON,
            Blame::Ours,
            "There are too many connections. This one is closed.",
        ),
        Trouble::NotFound => said(
            StatusCode::NOT_FOUND,
            Reason::NotFound,
            "http_request_error",
            Blame::Downstream,
            "There is nothing here.",
        ),
        Trouble::BadRequest(text) => {
            said(StatusCode::BAD_REQUEST, Reason::BadRequest, "http_request_error", Blame::Downstream, text)
        }
        Trouble::TargetTooLong => said(
            StatusCode::URI_TOO_LONG,
            Reason::TooLarge,
            "http_request_error",
            Blame::Downstream,
            "The address is too long.",
        ),
        Trouble::HeadTooLarge => said(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Reason::TooLarge,
            "http_request_error",
            Blame::Downstream,
            "The request's header fields are too large, or too many.",
        ),
    }
}

fn upstream(fault: &Fault) -> Verdict {
    let error = |error| Verdict {
        status: StatusCode::BAD_GATEWAY,
        reason: Reason::UpstreamError,
        error,
        retry_after: None,
        blame: Blame::Upstream,
        text: "The service did not give a usable answer.",
    };
    let timeout = |error| Verdict {
        status: StatusCode::GATEWAY_TIMEOUT,
        reason: Reason::UpstreamTimeout,
        error,
        retry_after: None,
        blame: Blame::Upstream,
        text: "The service did not answer in time.",
    };
    match fault {
        Fault::Refused(refusal) => verdict(&Trouble::Refused(*refusal)),
        Fault::Connect(source) => match source.kind() {
            std::io::ErrorKind::ConnectionRefused => error("connection_refused"),
            std::io::ErrorKind::ConnectionReset => error("connection_terminated"),
            _ => error("destination_ip_unroutable"),
        },
        Fault::ConnectTimeout => timeout("connection_timeout"),
        Fault::HeadTimeout => timeout("http_response_timeout"),
        Fault::WriteTimeout => timeout("connection_write_timeout"),
        Fault::Terminated(_) => error("connection_terminated"),
        Fault::Protocol(source) if source.is_parse_too_large() => error("http_response_header_section_size"),
        Fault::Protocol(_) | Fault::Length => error("http_protocol_error"),
        Fault::TransferCoding => error("http_response_transfer_coding"),
        Fault::UnaskedUpgrade | Fault::Handshake => error("http_upgrade_failed"),
        Fault::ClientBody(_) => verdict(&Trouble::BadRequest("The request's body broke off.")),
    }
}

/// The form of an answer's body.
pub(in crate::proxy) enum Page {
    /// One line of text.
    Text,
    /// None: for a gRPC call all is said in fields.
    Grpc,
    /// HTML for a person, already escaped, and the language it is in.
    Html { html: String, language: Language },
}

impl Page {
    /// The form for a client whose call is one of gRPC, or is not.
    pub(in crate::proxy) fn for_call(self, grpc: bool) -> Self {
        match self {
            Self::Text if grpc => Self::Grpc,
            page => page,
        }
    }
}

/// The status of gRPC for one of HTTP, by gRPC's own table ("HTTP to gRPC Status Code Mapping").
fn grpc_status(status: StatusCode) -> &'static str {
    const UNKNOWN: &str = "2";
    const UNIMPLEMENTED: &str = "12";
    const INTERNAL: &str = "13";
    const UNAVAILABLE: &str = "14";
    match status {
        StatusCode::BAD_REQUEST => INTERNAL,
        StatusCode::NOT_FOUND => UNIMPLEMENTED,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            UNAVAILABLE
        }
        _ => UNKNOWN,
    }
}

/// Makes the response.
pub(in crate::proxy) fn respond(
    verdict: &Verdict,
    page: Page,
    method: &Method,
    request_id: &HeaderValue,
    active: Active,
) -> Response<ResponseBody> {
    let (body, language, grpc) = match page {
        Page::Text => (format!("{}\n", verdict.text), None, false),
        Page::Grpc => (String::new(), None, true),
        Page::Html { html, language } => (html, Some(language), false),
    };
    let length = body.len();
    let body = if *method == Method::HEAD { Bytes::new() } else { Bytes::from(body) };
    let mut response = Response::new(ResponseBody::full(body, active));
    *response.status_mut() = verdict.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_ROBOTS_TAG.clone(), HeaderValue::from_static("noindex"));
    if let Some(language) = language {
        for (name, value) in waiting::fields(language) {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
    }
    if grpc {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(GRPC_STATUS.clone(), HeaderValue::from_static(grpc_status(verdict.status)));
        headers.insert(GRPC_MESSAGE.clone(), HeaderValue::from_static(verdict.text));
    }
    if let Some(retry_after) = verdict.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(retry_after)));
    }
    headers.insert(X_WAKEDOCK.clone(), HeaderValue::from_static(verdict.reason.as_str()));
    if let Ok(status) = HeaderValue::try_from(format!("wakedock; error={}", verdict.error)) {
        headers.insert(PROXY_STATUS.clone(), status);
    }
    headers.insert(X_REQUEST_ID.clone(), request_id.clone());
    response
}

/// Rounded up, and never "at once".
fn whole_seconds(duration: Duration) -> u64 {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn every_trouble() -> Vec<Trouble> {
        let retry_after = Duration::from_millis(1500);
        let refusals = [
            Refusal::UnknownHost,
            Refusal::Failed { retry_after },
            Refusal::BackingOff { retry_after },
            Refusal::HoldTimeout,
            Refusal::Overloaded,
            Refusal::Draining,
            Refusal::Disabled,
            Refusal::EngineUnavailable,
        ];
        let mut all: Vec<_> = refusals.into_iter().map(Trouble::Refused).collect();
        all.extend([
            Trouble::Waking { retry_after },
            Trouble::Prefetch,
            Trouble::Crowded,
            Trouble::Upstream(Fault::HeadTimeout),
            Trouble::Upstream(Fault::UnaskedUpgrade),
            Trouble::NotFound,
            Trouble::BadRequest("because"),
            Trouble::TargetTooLong,
            Trouble::HeadTooLarge,
        ]);
        all
    }

    /// The closed list of the interface document: status by reason.
    #[test]
    fn every_reason_has_its_status() {
        let mut seen = BTreeSet::new();
        for trouble in every_trouble() {
            let verdict = verdict(&trouble);
            seen.insert(verdict.reason);
            let statuses: &[u16] = match verdict.reason {
                Reason::Waking
                | Reason::Failed
                | Reason::BackingOff
                | Reason::Overloaded
                | Reason::Draining
                | Reason::Disabled
                | Reason::EngineUnavailable
                | Reason::Prefetch => &[503],
                Reason::HoldTimeout | Reason::UpstreamTimeout => &[504],
                Reason::UpstreamError => &[502],
                Reason::UnknownHost | Reason::NotFound => &[404],
                Reason::BadRequest => &[400],
                Reason::TooLarge => &[413, 414, 431],
                Reason::Internal => &[500],
                // As the operator's rule says.
                Reason::Ignored => &[],
            };
            assert!(statuses.contains(&verdict.status.as_u16()), "{trouble:?}: {verdict:?}");
            assert_eq!(verdict.retry_after.is_some(), verdict.status == 503, "{trouble:?}");
        }
        let missing: Vec<_> = Reason::ALL.iter().filter(|reason| !seen.contains(reason)).collect();
        // Nothing here is our own error by design, and there are no rules of the operator's yet.
        assert_eq!(missing, [&Reason::Internal, &Reason::Ignored]);
    }

    #[test]
    fn seconds_are_rounded_up() {
        assert_eq!(whole_seconds(Duration::from_millis(1500)), 2);
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::from_secs(7)), 7);
    }
}
