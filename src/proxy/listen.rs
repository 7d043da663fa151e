//! Binding: TCP with a socket per worker, unix sockets, sockets handed over by systemd.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use crate::config::{Listen, ProxyConfig};

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
    let error =
        |source| BindError::Socket { address: BoundAddress(Listen::Unix(path.into())).to_string(), source };
    let address = SockAddr::unix(path).map_err(error)?;
    remove_stale(path, &address)?;
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(error)?;
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None).map_err(error)?;
    socket.bind(&address).map_err(error)?;
    let file = SocketFile::of(path).map_err(error)?;
    // Nobody can connect before `listen`, so nobody gets in before the permissions are right.
    if let Some(group) = &config.socket_group {
        let id = group_id(group)
            .ok_or_else(|| BindError::NoSuchGroup { path: path.into(), group: group.clone() })?;
        std::os::unix::fs::chown(path, None, Some(id)).map_err(error)?;
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(config.socket_mode)).map_err(error)?;
    socket.listen(BACKLOG).map_err(error)?;
    let listener = Listener { sockets: Sockets::Dealt(socket.into()), unix: true, file: Some(file) };
    Ok((listener, Listen::Unix(path.into())))
}

/// Removes the socket file that a killed process left behind; never one behind which somebody
/// answers, and never a file that is something else.
fn remove_stale(path: &Path, address: &SockAddr) -> Result<(), BindError> {
    let shown = || BoundAddress(Listen::Unix(path.into())).to_string();
    let error = |source| BindError::Socket { address: shown(), source };
    match std::fs::symlink_metadata(path) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(other) => return Err(error(other)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(BindError::NotASocket { path: path.into() });
        }
        Ok(_) => {}
    }
    let knock = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None).map_err(error)?;
    match knock.connect(address) {
        Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(error)
        }
        // A full backlog (WouldBlock) is also somebody who listens.
        Ok(()) => Err(BindError::InUse { address: shown() }),
        Err(busy) if busy.kind() == io::ErrorKind::WouldBlock => Err(BindError::InUse { address: shown() }),
        Err(other) => Err(error(other)),
    }
}

/// The number of a group, from its name or its figures.
fn group_id(name: &str) -> Option<u32> {
    if let Ok(id) = name.parse() {
        return Some(id);
    }
    let groups = std::fs::read_to_string("/etc/group").ok()?;
    groups.lines().find_map(|line| {
        let mut columns = line.split(':');
        if columns.next() == Some(name) { columns.nth(1)?.parse().ok() } else { None }
    })
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

/// A socket file of ours: removed when dropped, unless another one has taken its place.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        let found = std::fs::symlink_metadata(path)?;
        Ok(Self { path: path.into(), device: found.dev(), inode: found.ino() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode));
        if ours {
            // Gone in the meantime is as good.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
