//! Why WakeDock could not start, where that was written, and what to do about it.

use std::io::{Error as IoError, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::admin::auth::LoadError;
use crate::app::inherit::InheritError;
use crate::local_socket::LocalSocketError;
use crate::proxy::BindError;
use crate::store::OpenStoreError;

/// Why it could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("no runtime")]
    Runtime(#[source] IoError),
    #[error(transparent)]
    Store(#[from] OpenStoreError),
    #[error("the metrics could not be set up")]
    Metrics(#[source] metrics_exporter_prometheus::BuildError),
    #[error(transparent)]
    Proxy(#[from] BindError),
    #[error("cannot listen on {address}")]
    Admin {
        address: SocketAddr,
        #[source]
        source: IoError,
    },
    #[error("cannot listen on unix:{path}", path = .path.display())]
    AdminSocket {
        path: PathBuf,
        #[source]
        source: LocalSocketError,
    },
    #[error(transparent)]
    Auth(#[from] LoadError),
    #[error("the sockets that were handed over could not be used")]
    Inherit(#[from] InheritError),
    #[error("the workers of the data plane did not start")]
    Workers(#[source] IoError),
    #[error(transparent)]
    Logs(#[from] tracing::subscriber::SetGlobalDefaultError),
    #[error("signals cannot be received")]
    Signals(#[source] IoError),
}

const TAKEN: &str = "stop whoever listens there (is WakeDock running already?), or write another address";
const SOCKET_PATH: &str = "write a path in a folder that WakeDock's user may write in";
const MOVE_AWAY: &str = "move the file away, or write another path";
const MAKE_GROUP: &str = "create the group, or write one that exists";
const ADDRESS: &str = "write an address of this machine that WakeDock's user may listen on";

impl StartError {
    /// The key of the configuration that it is about.
    #[must_use]
    pub fn key(&self) -> Option<&'static str> {
        match self {
            Self::Store(error) => match error {
                OpenStoreError::Thread(_) => None,
                _ => Some("data_dir"),
            },
            Self::Proxy(error) => match error {
                BindError::NoSuchGroup { .. } => Some("proxy.socket_group"),
                BindError::Inherited { .. } => None,
                _ => Some("proxy.listen"),
            },
            Self::Admin { .. } => Some("admin.listen"),
            Self::Auth(LoadError::Key(_)) => Some("data_dir"),
            Self::AdminSocket { source: LocalSocketError::NoSuchGroup { .. }, .. } => {
                Some("admin.socket_group")
            }
            Self::AdminSocket { .. } => Some("admin.socket"),
            _ => None,
        }
    }

    /// What to do, where the error does not say it itself.
    #[must_use]
    pub fn mend(&self) -> Option<&'static str> {
        match self {
            Self::Store(OpenStoreError::Directory { .. } | OpenStoreError::File { .. }) => {
                Some("give that folder to WakeDock's user, or write another one")
            }
            Self::Store(OpenStoreError::Locked { .. }) => {
                Some("stop the other process, or write another folder for this one")
            }
            Self::Proxy(BindError::InUse { .. }) => Some(TAKEN),
            Self::Proxy(BindError::Socket { address, .. }) => {
                let is_file = address.starts_with("unix:");
                Some(if is_file { SOCKET_PATH } else { ADDRESS })
            }
            Self::Proxy(BindError::NotASocket { .. }) => Some(MOVE_AWAY),
            Self::Proxy(BindError::NoSuchGroup { .. }) => Some(MAKE_GROUP),
            Self::Admin { source, .. } if source.kind() == ErrorKind::AddrInUse => Some(TAKEN),
            Self::Admin { .. } => Some(ADDRESS),
            Self::AdminSocket { source, .. } => Some(match source {
                LocalSocketError::InUse => TAKEN,
                LocalSocketError::NotASocket => MOVE_AWAY,
                LocalSocketError::NoSuchGroup { .. } => MAKE_GROUP,
                LocalSocketError::Io(_) => SOCKET_PATH,
            }),
            _ => None,
        }
    }
}
