//! What the process asks of the system before anything else.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open descriptors to what the system allows; every connection needs one.
/// Returns the limit that holds now.
pub(super) fn raise_descriptors() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// Keeps glibc from holding on to memory: a fixed threshold sends large blocks straight back to
/// the kernel, and few arenas do for few threads.
#[cfg(target_env = "gnu")]
pub(super) fn tune_allocator() {
    #[allow(unsafe_code, reason = "mallopt(3) has no safe wrapper")]
    // SAFETY: called once, before any other thread exists; both parameters are documented.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 128 * 1024);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 128 * 1024);
    }
}

/// When the bustle of the start is over, and then how often.
const FIRST_TRIM: Duration = Duration::from_secs(2);
const NEXT_TRIM: Duration = Duration::from_secs(60);

/// Gives the kernel back, now and then, what a burst needed and nobody will again: the start, a
/// look at every container, a scrape. Most of it lies between small things that stay, where glibc
/// would keep it for ever.
pub(super) async fn keep_memory_small() {
    let mut pause = FIRST_TRIM;
    loop {
        tokio::time::sleep(pause).await;
        give_back_memory();
        pause = NEXT_TRIM;
    }
}

#[cfg(target_env = "gnu")]
fn give_back_memory() {
    #[allow(unsafe_code, reason = "malloc_trim(3) has no safe wrapper")]
    // SAFETY: may be called at any time, from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Other C libraries have no such knobs.
#[cfg(not(target_env = "gnu"))]
pub(super) fn tune_allocator() {}

#[cfg(not(target_env = "gnu"))]
fn give_back_memory() {}
