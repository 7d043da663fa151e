//! What can go wrong with a request, in the words of the data plane.

use std::io;
use std::time::Duration;

use crate::domain::words::Refusal;

/// Why a request gets an answer of ours.
#[derive(Debug)]
pub(super) enum Trouble {
    Refused(Refusal),
    /// The waiting page.
    Waking {
        retry_after: Duration,
    },
    /// A browser looks ahead at a service that is not ready.
    Prefetch,
    Upstream(Fault),
    /// There are more connections than the limits allow.
    Crowded,
    /// Below the reserved prefix, where there is nothing.
    NotFound,
    /// In words that help whoever sent it.
    BadRequest(&'static str),
    TargetTooLong,
    HeadTooLarge,
}

/// Why there is no answer from the upstream. The sources are for the operator.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("no lease any more: {}", .0.as_str())]
    Refused(Refusal),
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    #[error("no connection in time")]
    ConnectTimeout,
    #[error("nothing of the request was taken in time")]
    WriteTimeout,
    #[error("no head of an answer in time")]
    HeadTimeout,
    #[error("the connection broke before the answer")]
    Terminated(#[source] hyper::Error),
    #[error("the answer is not HTTP")]
    Protocol(#[source] hyper::Error),
    #[error("the client's body broke off")]
    ClientBody(#[source] hyper::Error),
    #[error("the answer's Content-Length is ambiguous")]
    Length,
    #[error("the answer's transfer coding is not chunked alone")]
    TransferCoding,
    #[error("switched protocols without being asked")]
    UnaskedUpgrade,
    #[error("the answer to a WebSocket's handshake is none")]
    Handshake,
}

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
    #[error("no byte of the body came in time")]
    Stalled,
    #[error("the body is sent elsewhere")]
    Moved,
}
