//! Sockets that systemd holds open, so that a restart refuses no connection
//! (sd_listen_fds(3), `FileDescriptorName=proxy` and `admin`).

use std::os::fd::{FromRawFd, OwnedFd};

use tokio::net::TcpListener;

/// The sockets that were handed over, by name.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    pub(super) proxy: Vec<OwnedFd>,
    pub(super) admin: Option<TcpListener>,
}

/// Why a socket that was handed over cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    #[error("LISTEN_FDS, LISTEN_PID or LISTEN_FDNAMES is malformed")]
    Environment(#[source] std::io::Error),
    #[error(
        "a socket named `{name}` was handed over; it must be named `proxy` or `admin` (FileDescriptorName=)"
    )]
    Name { name: String },
    #[error("the socket named `admin` is not a listening TCP socket")]
    Admin(#[source] std::io::Error),
    #[error("two sockets named `admin` were handed over; one is used")]
    TwoAdmins,
}

/// Takes what was handed over to this process; nothing where nothing was.
pub(super) fn sockets() -> Result<Inherited, InheritError> {
    let mut inherited = Inherited::default();
    if std::env::var_os("LISTEN_FDS").is_none() {
        return Ok(inherited);
    }
    for (number, name) in sd_notify::listen_fds_with_names().map_err(InheritError::Environment)? {
        #[allow(unsafe_code, reason = "systemd passes ownership of these descriptors to this process, once")]
        // SAFETY: `LISTEN_PID` names this process, so the descriptors are open and nobody else's.
        // This runs once, before any other descriptor could be given one of these numbers.
        let socket = unsafe { OwnedFd::from_raw_fd(number) };
        match name.as_str() {
            "proxy" => inherited.proxy.push(socket),
            "admin" if inherited.admin.is_some() => return Err(InheritError::TwoAdmins),
            "admin" => {
                let listener = std::net::TcpListener::from(socket);
                listener.set_nonblocking(true).map_err(InheritError::Admin)?;
                listener.local_addr().map_err(InheritError::Admin)?;
                inherited.admin = Some(TcpListener::from_std(listener).map_err(InheritError::Admin)?);
            }
            _ => return Err(InheritError::Name { name }),
        }
    }
    Ok(inherited)
}
