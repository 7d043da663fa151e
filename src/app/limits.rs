//! What the process asks of the system before anything else.

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

/// Other C libraries have no such knob.
#[cfg(not(target_env = "gnu"))]
pub(super) fn tune_allocator() {}
