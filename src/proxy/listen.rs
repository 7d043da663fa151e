//! Binding: TCP with a socket per worker, unix sockets, sockets handed over by systemd.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use crate::config::{Listen, ProxyConfig};
use crate::local_socket::{self, LocalSocketError, SocketFile};

/// Connections that wait to be accepted. A burst on a sleeping service must not be refused by the
/// kernel; it cuts this to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Why a listener could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("cannot listen on {address}")]
    Socket {
        address: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot listen on {address}: somebody listens there already")]
    InUse { address: String },
    #[error("cannot listen on unix:{path}: there is a file that is not a socket", path = .path.display())]
    NotASocket { path: PathBuf },
    #[error("cannot give {path} to the group `{group}`: there is no such group", path = .path.display())]
    NoSuchGroup { path: PathBuf, group: String },
    #[error("a socket that was handed over is neither a TCP nor a unix socket that listens")]
    Inherited {
        #[source]
        source: Option<io::Error>,
    },
}

/// Where a listener was bound, as the log says it: `127.0.0.1:7080`, `unix:/run/x.sock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundAddress(pub Listen);

impl fmt::Display for BoundAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Listen::Tcp(address) => address.fmt(f),
            Listen::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// How the accepted sockets come to the workers.
#[derive(Debug)]
pub(super) enum Sockets {
    /// One for each worker, by `SO_REUSEPORT`: the kernel deals out the connections.
    Each(Vec<OwnedFd>),
    /// One in all: the first worker accepts and deals out.
    Dealt(OwnedFd),
}

#[derive(Debug)]
pub(super) struct Listener {
    pub(super) sockets: Sockets,
    pub(super) unix: bool,
    /// A socket file of ours, to be removed at the end.
    pub(super) file: Option<SocketFile>,
}

/// Everything that was bound, for a number of workers.
#[derive(Debug)]
pub struct Bound {
    pub(super) workers: usize,
    pub(super) listeners: Vec<Listener>,
    addresses: Vec<BoundAddress>,
}

impl Bound {
    /// Where it was bound, with the real ports, in the order of the configuration.
    #[must_use]
    pub fn addresses(&self) -> &[BoundAddress] {
        &self.addresses
    }
}

/// Binds what the configuration says; inherited sockets, where there are any, replace all of it.
///
/// # Errors
/// Says which address could not be bound and why; nothing stays bound then.
pub fn bind(config: &ProxyConfig, inherited: Vec<OwnedFd>, workers: usize) -> Result<Bound, BindError> {
    let mut bound = Bound { workers: workers.max(1), listeners: Vec::new(), addresses: Vec::new() };
    if inherited.is_empty() {
        // Ports first: where one is taken, no folder and no file has been made yet.
        let mut ports = Vec::new();
        for listen in &config.listen {
            if let Listen::Tcp(address) = listen {
                ports.push(bind_tcp(*address, bound.workers)?);
            }
        }
        let mut ports = ports.into_iter();
        for listen in &config.listen {
            let made = match listen {
                Listen::Tcp(_) => ports.next(),
                Listen::Unix(path) => Some(bind_unix(path, config)?),
            };
            if let Some((listener, address)) = made {
                bound.listeners.push(listener);
                bound.addresses.push(BoundAddress(address));
            }
        }
    } else {
        for socket in inherited {
            let (listener, address) = take_over(socket)?;
            bound.listeners.push(listener);
            bound.addresses.push(BoundAddress(address));
        }
    }
    Ok(bound)
}

fn bind_tcp(address: SocketAddr, workers: usize) -> Result<(Listener, Listen), BindError> {
    let error = |source: io::Error| {
        if source.kind() == io::ErrorKind::AddrInUse {
            BindError::InUse { address: address.to_string() }
        } else {
            BindError::Socket { address: address.to_string(), source }
        }
    };
    // With SO_REUSEPORT a second WakeDock would quietly take half of the connections of the first:
    // a socket without it finds out whether somebody is there.
    if address.port() != 0 {
        tcp_socket(address, false).map_err(error)?;
    }
    let first = tcp_socket(address, true).map_err(error)?;
    let address = first.local_addr().map_err(error)?.as_socket().unwrap_or(address);
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(tcp_socket(address, true).map_err(error)?);
    }
    for socket in &sockets {
        socket.listen(BACKLOG).map_err(error)?;
    }
    let sockets = Sockets::Each(sockets.into_iter().map(OwnedFd::from).collect());
    Ok((Listener { sockets, unix: false, file: None }, Listen::Tcp(address)))
}

fn tcp_socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    if address.is_ipv6() {
        // `[::]` is every address, IPv4 too, whatever the system's default.
        socket.set_only_v6(false)?;
    }
    prepare_tcp(&SockRef::from(&socket))?;
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

/// Options that accepted sockets inherit from the one that listens.
fn prepare_tcp(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_keepalive(true)
}

fn bind_unix(path: &Path, config: &ProxyConfig) -> Result<(Listener, Listen), BindError> {
    let address = || BoundAddress(Listen::Unix(path.into())).to_string();
    let made = local_socket::bind(path, config.socket_mode, config.socket_group.as_deref(), BACKLOG);
    let (socket, file) = made.map_err(|error| match error {
        LocalSocketError::InUse => BindError::InUse { address: address() },
        LocalSocketError::NotASocket => BindError::NotASocket { path: path.into() },
        LocalSocketError::NoSuchGroup { group } => BindError::NoSuchGroup { path: path.into(), group },
        LocalSocketError::Io(source) => BindError::Socket { address: address(), source },
    })?;
    let listener = Listener { sockets: Sockets::Dealt(socket.into()), unix: true, file: Some(file) };
    Ok((listener, Listen::Unix(path.into())))
}

fn take_over(socket: OwnedFd) -> Result<(Listener, Listen), BindError> {
    let error = |source| BindError::Inherited { source: Some(source) };
    let view = SockRef::from(&socket);
    if !view.is_listener().map_err(error)? {
        return Err(BindError::Inherited { source: None });
    }
    view.set_nonblocking(true).map_err(error)?;
    let address = view.local_addr().map_err(error)?;
    let (unix, listen) = if let Some(address) = address.as_socket() {
        prepare_tcp(&view).map_err(error)?;
        (false, Listen::Tcp(address))
    } else if address.is_unix() {
        (true, Listen::Unix(address.as_pathname().unwrap_or(Path::new("")).into()))
    } else {
        return Err(BindError::Inherited { source: None });
    };
    Ok((Listener { sockets: Sockets::Dealt(socket), unix, file: None }, listen))
}
