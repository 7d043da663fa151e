//! Listening sockets that outlive the process they are handed to, as systemd keeps them.

use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};

/// As in `wakedock-proxy.socket`.
const BACKLOG: i32 = 4096;
/// The first descriptor that is handed over (sd_listen_fds(3)).
const FIRST: i32 = 3;
/// Above whatever a descriptor is moved to.
const OUT_OF_THE_WAY: i32 = 100;

pub struct Sockets {
    proxy_unix: UnixListener,
    proxy_tcp: TcpListener,
    admin: TcpListener,
}

impl Sockets {
    pub fn listen(unix: &Path) -> Self {
        let tcp = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
        let sockets = Self {
            proxy_unix: UnixListener::bind(unix).expect("a listener"),
            proxy_tcp: tcp(),
            admin: tcp(),
        };
        sockets.each().into_iter().for_each(|(_, fd)| rustix::net::listen(fd, BACKLOG).expect("a backlog"));
        sockets
    }

    fn each(&self) -> [(&'static str, BorrowedFd<'_>); 3] {
        [("proxy", self.proxy_unix.as_fd()), ("proxy", self.proxy_tcp.as_fd()), ("admin", self.admin.as_fd())]
    }

    /// A command that becomes `program` with these sockets as descriptors 3 and on. The shell
    /// between is there because `LISTEN_PID` must be the number of the process that gets them.
    pub fn hand_to(&self, program: &Path) -> (Command, impl FnOnce() -> Vec<OwnedFd> + use<>) {
        let copies: Vec<OwnedFd> = self
            .each()
            .iter()
            .map(|(_, fd)| fcntl_dupfd_cloexec(fd, OUT_OF_THE_WAY).expect("a descriptor"))
            .collect();
        let moves: String = (FIRST..)
            .zip(&copies)
            .map(|(to, copy)| format!("{to}<&{from} {from}<&- ", from = copy.as_raw_fd()))
            .collect();
        let mut command = Command::new("bash");
        command
            .arg("-c")
            .arg(format!("exec {moves}; export LISTEN_PID=$$; exec \"$0\" \"$@\""))
            .arg(program)
            .env("LISTEN_FDS", copies.len().to_string())
            .env("LISTEN_FDNAMES", self.each().map(|(name, _)| name).join(":"));
        let let_through = move || {
            copies.iter().for_each(|copy| fcntl_setfd(copy, FdFlags::empty()).expect("a descriptor"));
            copies
        };
        (command, let_through)
    }
}
