//! Unix sockets in the file system: bound over what a killed process left behind, never over
//! somebody who answers, and removed again with their owner.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

/// Why a socket could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LocalSocketError {
    #[error("somebody listens there already")]
    InUse,
    #[error("there is a file that is not a socket")]
    NotASocket,
    #[error("there is no group `{group}`")]
    NoSuchGroup { group: String },
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Makes a listening socket, not blocking, with the permissions it should have before anybody can
/// connect. Missing folders are made.
///
/// # Errors
/// Says what is in the way; a file that is something else is left as it is.
pub fn bind(
    path: &Path,
    mode: u32,
    group: Option<&str>,
    backlog: i32,
) -> Result<(Socket, SocketFile), LocalSocketError> {
    let address = SockAddr::unix(path)?;
    remove_stale(path, &address)?;
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent)?;
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    socket.bind(&address)?;
    let file = SocketFile::of(path)?;
    // Nobody can connect before `listen`, so nobody gets in before the permissions are right.
    if let Some(group) = group {
        let id = group_id(group).ok_or_else(|| LocalSocketError::NoSuchGroup { group: group.to_owned() })?;
        std::os::unix::fs::chown(path, None, Some(id))?;
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    socket.listen(backlog)?;
    Ok((socket, file))
}

/// Removes the socket file that a killed process left behind.
fn remove_stale(path: &Path, address: &SockAddr) -> Result<(), LocalSocketError> {
    match std::fs::symlink_metadata(path) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(other) => return Err(other.into()),
        Ok(found) if !found.file_type().is_socket() => return Err(LocalSocketError::NotASocket),
        Ok(_) => {}
    }
    let knock = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    match knock.connect(address) {
        Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused => Ok(std::fs::remove_file(path)?),
        // A full backlog (WouldBlock) is also somebody who listens.
        Ok(()) => Err(LocalSocketError::InUse),
        Err(busy) if busy.kind() == io::ErrorKind::WouldBlock => Err(LocalSocketError::InUse),
        Err(other) => Err(other.into()),
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

/// A socket file of ours: removed when dropped, unless another one has taken its place.
#[derive(Debug)]
pub struct SocketFile {
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
