//! Why a call to the engine did not work, and what that is for each operation.

use std::future::Future;
use std::io;
use std::time::Duration;

use bollard::errors::Error;

use crate::engine::{text, transport};
use crate::ports::{ContainerId, InspectError, OrderError, ReadError};

/// A refusal's message is for one log line.
const LONGEST_MESSAGE: usize = 500;

/// Why a call did not work.
#[derive(Debug)]
pub(super) enum Failure {
    Away(io::Error),
    Refused { status: u16, message: String },
}

impl Failure {
    pub(super) fn refused(status: u16, message: &str) -> Self {
        Self::Refused { status, message: text::clean(message.as_bytes(), LONGEST_MESSAGE) }
    }

    /// An answer that is not what the API promises.
    pub(super) fn garbled(error: &serde_json::Error) -> Self {
        if error.is_eof() {
            return Self::Away(io::Error::new(io::ErrorKind::UnexpectedEof, "the answer was cut off"));
        }
        Self::refused(200, &format!("an answer that cannot be read: {error}"))
    }

    pub(super) fn for_inspect(self, name: &str) -> InspectError {
        match self {
            Self::Away(cause) => InspectError::Away(cause),
            Self::Refused { status: 404, .. } => InspectError::Missing { name: name.to_owned() },
            Self::Refused { status, message } => InspectError::Refused { status, message },
        }
    }

    pub(super) fn for_order(self, id: &ContainerId) -> OrderError {
        match self {
            Self::Away(cause) => OrderError::Away(cause),
            Self::Refused { status: 404, .. } => OrderError::Missing { id: id.clone() },
            Self::Refused { status: 409, message } => OrderError::Conflict { message },
            Self::Refused { status, message } => OrderError::Refused { status, message },
        }
    }
}

impl From<Failure> for ReadError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Away(cause) => Self::Away(cause),
            Failure::Refused { status, message } => Self::Refused { status, message },
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::DockerResponseServerError { status_code, message } => Self::refused(status_code, &message),
            Error::IOError { err } => Self::Away(err),
            Error::HyperResponseError { err } => Self::Away(transport::into_io(err)),
            Error::RequestTimeoutError => Self::Away(io::ErrorKind::TimedOut.into()),
            Error::JsonSerdeError { err } => Self::garbled(&err),
            other => Self::refused(200, &format!("an answer that cannot be read: {other}")),
        }
    }
}

/// Bounds a call in time. An engine that does not answer is away.
pub(super) async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(limit, call).await.unwrap_or_else(|_| {
        let message = format!("no answer within {limit:?}");
        Err(Failure::Away(io::Error::new(io::ErrorKind::TimedOut, message)))
    })
}
