//! Why a running WakeDock gave no answer, or not the one that was wanted.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;

use crate::cli::Exit;
use crate::cli::terminal::Terminal;
use crate::cli::view::paint::plain;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum ClientError {
    #[error("WakeDock does not run here")]
    NotRunning { socket: PathBuf, source: io::Error },
    #[error("you may not use WakeDock's socket")]
    Forbidden { socket: PathBuf },
    #[error("WakeDock does not answer")]
    Unreachable { address: String, source: io::Error },
    #[error("WakeDock did not answer within {patience:?}")]
    TimedOut { address: String, patience: Duration },
    #[error("the connection to WakeDock broke")]
    Broken { address: String, source: io::Error },
    #[error("what answers there is not WakeDock")]
    Foreign { address: String, detail: String },
    /// It said no, in the form of RFC 9457 or without any.
    #[error("{}", problem.said())]
    Refused {
        call: String,
        status: StatusCode,
        problem: Box<Refusal>,
        retry_after: Option<String>,
        /// As it came.
        body: Bytes,
    },
    #[error("this WakeDock has no local socket")]
    NoSocket,
    #[error("`{value}` {reason}")]
    Usage { key: &'static str, value: String, reason: String, mend: String },
}

/// `application/problem+json`, as far as it is shown.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct Refusal {
    #[serde(rename = "type")]
    pub(in crate::cli) kind: String,
    pub(in crate::cli) title: String,
    pub(in crate::cli) detail: Option<String>,
    pub(in crate::cli) errors: Vec<FieldError>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct FieldError {
    pub(in crate::cli) pointer: String,
    pub(in crate::cli) detail: String,
    pub(in crate::cli) mend: String,
}

impl Refusal {
    /// The API's own advice is a call of the API.
    fn is_unknown_service(&self) -> bool {
        self.kind.ends_with("/unknown-service")
    }

    fn said(&self) -> String {
        let title = plain(&self.title);
        if self.is_unknown_service() {
            return title;
        }
        match self.detail.as_deref().map(plain) {
            Some(detail) if title.is_empty() => detail,
            Some(detail) => format!("{title}: {detail}"),
            None => title,
        }
    }
}

impl ClientError {
    /// Whether nobody listens: there is no WakeDock to talk to.
    pub(in crate::cli) fn nobody_there(&self) -> bool {
        matches!(self, Self::NotRunning { .. })
    }

    /// Whether trying again may help: the other side is away for a moment.
    pub(in crate::cli) fn passes(&self) -> bool {
        match self {
            Self::NotRunning { .. }
            | Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Broken { .. } => true,
            Self::Refused { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::Forbidden { .. } | Self::Foreign { .. } | Self::NoSocket | Self::Usage { .. } => false,
        }
    }

    /// Whether a WakeDock may say so that has only just started.
    pub(in crate::cli) fn is_early(&self) -> bool {
        matches!(self.status(), Some(StatusCode::NOT_FOUND | StatusCode::CONFLICT))
    }

    /// The HTTP status of a refusal.
    pub(in crate::cli) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Says it, and gives the exit code.
    pub(in crate::cli) fn tell(&self, terminal: &Terminal) -> Exit {
        let (at, mend) = self.place_and_mend();
        match self {
            Self::Refused { problem, .. } if !problem.errors.is_empty() => {
                for error in &problem.errors {
                    let mend = plain(&error.mend);
                    let mend = (!mend.is_empty()).then_some(mend);
                    terminal.fail(&plain(&error.detail), Some(&key(&error.pointer)), mend.as_deref());
                }
            }
            _ => terminal.fail(&self.to_string(), Some(&at), mend.as_deref()),
        }
        if matches!(self, Self::Usage { .. } | Self::NoSocket) { Exit::Usage } else { Exit::Failed }
    }

    fn place_and_mend(&self) -> (String, Option<String>) {
        match self {
            Self::NotRunning { socket, source } => (
                format!("{}: {source}", socket.display()),
                Some(
                    "start it (`systemctl start wakedock` or `wakedock serve`), or name another one with \
                     `--url` and a token"
                        .to_owned(),
                ),
            ),
            Self::Forbidden { socket } => (
                socket.display().to_string(),
                Some(
                    "run this as root or as WakeDock's own user (`sudo -u wakedock wakedock …`), or use \
                     `--url` and a token"
                        .to_owned(),
                ),
            ),
            Self::NoSocket => (
                "admin.socket: off".to_owned(),
                Some("use `--url` and a token, or give `admin.socket` a path".to_owned()),
            ),
            Self::Unreachable { address, source } | Self::Broken { address, source } => {
                (format!("{address}: {source}"), None)
            }
            Self::TimedOut { address, .. } => (address.clone(), None),
            Self::Foreign { address, detail } => (
                format!("{address}: {}", plain(detail)),
                Some("name WakeDock's own address: `admin.listen`, or `admin.host` behind Caddy".to_owned()),
            ),
            Self::Refused { call, problem, .. } if problem.is_unknown_service() => {
                (call.clone(), Some("`wakedock status` shows the services there are".to_owned()))
            }
            Self::Refused { call, status, retry_after, .. } => {
                (call.clone(), mend_of(*status, retry_after.as_deref()))
            }
            Self::Usage { key, mend, .. } => ((*key).to_owned(), Some(mend.clone())),
        }
    }
}

fn mend_of(status: StatusCode, retry_after: Option<&str>) -> Option<String> {
    match (status, retry_after) {
        (StatusCode::UNAUTHORIZED, _) => Some(
            "give a token by `--token-file FILE` or $WAKEDOCK_TOKEN; an admin makes one with `wakedock token \
             create NAME`"
                .to_owned(),
        ),
        (StatusCode::FORBIDDEN, _) => Some("use the token of somebody with a higher role".to_owned()),
        (_, Some(after)) => Some(format!("try again in {} s", plain(after))),
        _ => None,
    }
}

/// `/idle/stop_after` as people write it: `idle.stop_after`.
fn key(pointer: &str) -> String {
    let key = plain(pointer.trim_start_matches('/')).replace('/', ".");
    if key.is_empty() { "the request".to_owned() } else { key.replace("~1", "/").replace("~0", "~") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_said_as_a_key() {
        assert_eq!(key("/idle/stop_after"), "idle.stop_after");
        assert_eq!(key("/labels/a~1b"), "labels.a/b");
        assert_eq!(key(""), "the request");
    }

    #[test]
    fn what_is_refused_says_title_and_detail() {
        let refusal: Refusal = serde_json::from_str(
            r#"{"type":"/problems/x","title":"Not found","detail":"no \u001b[2Jservice"}"#,
        )
        .unwrap();
        assert_eq!(refusal.said(), "Not found: no  [2Jservice");
    }
}
