//! Why a log-in with OpenID Connect came to nothing, as the browser is told. What exactly happened
//! is in the log: it is the operator's, and may name things that are nobody else's business.

use std::time::Duration;

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::admin::auth::{TooMany, VouchedError};
use crate::admin::problem::Problem;
use crate::oidc::OidcError;

/// What the log-in page can say of it.
const TEXTS: [&str; 11] = [
    "oidc.stale",
    "oidc.declined",
    "oidc.away",
    "oidc.refused",
    "oidc.no-role",
    "oidc.no-name",
    "oidc.name-taken",
    "oidc.disabled",
    "oidc.later",
    "oidc.busy",
    "oidc.store",
];

/// The text that a word in the log-in page's address stands for.
#[must_use]
pub(in crate::admin) fn said(word: &str) -> Option<&'static str> {
    TEXTS.into_iter().find(|text| text.strip_prefix("oidc.") == Some(word))
}

/// What the browser is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// No provider is configured.
    Off,
    /// Not this browser's log-in, or not any more.
    Stale,
    /// The provider said no.
    Declined,
    /// The provider is not there.
    Away,
    /// The provider's answer is not believed.
    Refused,
    /// In no group that has a role.
    NoRole,
    /// The provider gives no name that could be one here.
    NoName,
    /// The name is somebody else's here.
    NameTaken,
    Disabled,
    TooMany(TooMany),
    Busy,
    /// The store is away.
    Store,
}

impl From<OidcError> for Trouble {
    fn from(error: OidcError) -> Self {
        match error {
            OidcError::Away { .. } | OidcError::RedirectUrl { .. } => Self::Away,
            OidcError::Refused { .. } | OidcError::Token { .. } => Self::Refused,
        }
    }
}

impl From<VouchedError> for Trouble {
    fn from(error: VouchedError) -> Self {
        match error {
            VouchedError::NoRole => Self::NoRole,
            VouchedError::NoName | VouchedError::Name(_) => Self::NoName,
            VouchedError::NameTaken => Self::NameTaken,
            VouchedError::Disabled => Self::Disabled,
            VouchedError::Full | VouchedError::Changed => Self::Busy,
            VouchedError::Store(_) => Self::Store,
        }
    }
}

impl Trouble {
    /// Status, last word of the problem's type, title, and what to do.
    fn words(self) -> (StatusCode, &'static str, &'static str, &'static str) {
        match self {
            Self::Off => (
                StatusCode::NOT_FOUND,
                "not-found",
                "There is nothing here",
                "No OpenID Connect provider is configured.",
            ),
            Self::Stale => (
                StatusCode::BAD_REQUEST,
                "oidc-stale",
                "This log-in cannot go on",
                "It was begun in another browser or too long ago, or has been used. Log in again.",
            ),
            Self::Declined => (
                StatusCode::FORBIDDEN,
                "oidc-declined",
                "The log-in provider said no",
                "Try again, or ask whoever runs WakeDock.",
            ),
            Self::Away => (
                StatusCode::BAD_GATEWAY,
                "oidc-away",
                "The log-in provider cannot be asked",
                "Try again later, or log in with a password.",
            ),
            Self::Refused => (
                StatusCode::FORBIDDEN,
                "oidc-refused",
                "The log-in provider's answer is not accepted",
                "Log in again. WakeDock's log says what was wrong with it.",
            ),
            Self::NoRole => (
                StatusCode::FORBIDDEN,
                "oidc-no-role",
                "You have no role here",
                "Ask whoever runs WakeDock for a group that has one.",
            ),
            Self::NoName => (
                StatusCode::FORBIDDEN,
                "oidc-no-name",
                "The log-in provider gives you no name that can be used here",
                "Names are letters a to z, figures, and . _ - @. Ask whoever runs WakeDock.",
            ),
            Self::NameTaken => (
                StatusCode::CONFLICT,
                "oidc-name-taken",
                "Your name is somebody else's here",
                "Log in with a password if that is you, or ask whoever runs WakeDock.",
            ),
            Self::Disabled => (
                StatusCode::FORBIDDEN,
                "oidc-disabled",
                "This user is disabled",
                "Ask whoever runs WakeDock.",
            ),
            Self::TooMany(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-requests",
                "There were too many tries",
                "Wait as long as `Retry-After` says.",
            ),
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "Too many people are logging in",
                "Try again in a moment.",
            ),
            Self::Store => (
                StatusCode::SERVICE_UNAVAILABLE,
                "store-unavailable",
                "Nothing can be stored at the moment",
                "Try again later.",
            ),
        }
    }

    /// The text that the log-in page shows: one of [`TEXTS`].
    pub(super) fn text(self) -> Option<&'static str> {
        Some(match self {
            Self::Off => return None,
            Self::Stale => "oidc.stale",
            Self::Declined => "oidc.declined",
            Self::Away => "oidc.away",
            Self::Refused => "oidc.refused",
            Self::NoRole => "oidc.no-role",
            Self::NoName => "oidc.no-name",
            Self::NameTaken => "oidc.name-taken",
            Self::Disabled => "oidc.disabled",
            Self::TooMany(_) => "oidc.later",
            Self::Busy => "oidc.busy",
            Self::Store => "oidc.store",
        })
    }

    fn retry_after(self) -> Option<Duration> {
        match self {
            Self::TooMany(TooMany { retry_after }) => Some(retry_after),
            Self::Away | Self::Busy | Self::Store => Some(Duration::from_secs(5)),
            _ => None,
        }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let (status, kind, title, detail) = self.words();
        let mut problem = Problem::new(status, kind, title).detail(detail);
        if let Some(after) = self.retry_after() {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            problem = problem.field(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        problem.into_response()
    }
}
