//! Who is calling: put into a request by the check at the door, read by the handlers.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;

use crate::admin::problem::Problem;
use crate::domain::words::Role;

/// Somebody who may do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user's name; `root` or a uid on the local socket.
    pub name: Arc<str>,
    pub role: Role,
    pub via: Via,
    /// `None`: the local socket.
    pub address: Option<IpAddr>,
    /// The services that a token is for, and nothing else. `None`: no such bound.
    pub services: Option<Arc<[String]>>,
}

impl Caller {
    /// Whether this is the user of a name, who has logged in here. Not a token of theirs, which is for
    /// what it is for, and nobody who has the same name at a log-in proxy.
    #[must_use]
    pub fn is_user(&self, name: &str) -> bool {
        matches!(self.via, Via::Session { .. }) && *self.name == *name
    }
}

/// How somebody showed who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// The local socket, by the credentials of the process at its other end.
    Socket { uid: u32 },
    /// A browser's cookie, or a JWT, of this session.
    Session { id: Arc<str> },
    /// An API token.
    Token { id: Arc<str> },
    /// A trusted proxy said so.
    Proxy,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            // The door lets nobody through without one to a route that wants one.
            Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Log in first")
        })
    }
}
