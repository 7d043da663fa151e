//! Commands that go on: until they are told to end, or nobody reads them any more.

use std::future::{Future, pending};
use std::io;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::interval;

/// How often it is looked whether anybody reads.
const LOOK: Duration = Duration::from_millis(500);

/// Runs what goes on. `None`: it was told to end, or there is nobody left to go on for.
pub(super) async fn until_told<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        ended = work => Some(ended),
        () = told(SignalKind::interrupt()) => None,
        () = told(SignalKind::terminate()) => None,
        () = reader_gone() => None,
    }
}

async fn told(kind: SignalKind) {
    match signal(kind) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        // It ends the process, then, as it always does.
        Err(_) => pending().await,
    }
}

/// Until the other end of standard output is closed (`… | head -1`), which is otherwise not noticed
/// before the next line. Files and the like have no other end.
async fn reader_gone() {
    let mut look = interval(LOOK);
    loop {
        look.tick().await;
        let out = io::stdout();
        let mut polled = [PollFd::new(&out, PollFlags::empty())];
        let polls = poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok();
        if polls && polled[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) {
            return;
        }
    }
}
