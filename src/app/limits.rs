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

/// How often is looked, and how often given back in any case.
const LOOK: Duration = Duration::from_secs(2);
const LOOKS: u32 = 30;
/// So many connections parked since are about a megabyte.
const WORTH_IT: usize = 64;

/// Gives the kernel back, now and then, what a burst needed and nobody will again: the start, a
/// look at every container, a scrape, connections that were busy for a moment. Most of it lies
/// between small things that stay, where glibc would keep it for ever.
pub(super) async fn keep_memory_small(parkings: impl Fn() -> usize) {
    let mut before = parkings();
    // The bustle of the start is over at the first look.
    let mut looks = LOOKS;
    tokio::time::sleep(LOOK).await;
    give_back_code();
    loop {
        let parked = parkings();
        looks += 1;
        if looks > LOOKS || parked.wrapping_sub(before) >= WORTH_IT {
            give_back_memory();
            (before, looks) = (parked, 0);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Lets go of the pages of code that the start alone needed: reading the configuration, opening the
/// state. They are the file's; what is called again comes back with the call.
fn give_back_code() {
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else { return };
    for (from, to) in maps.lines().filter_map(code) {
        #[allow(unsafe_code, reason = "madvise(2) has no safe wrapper")]
        // SAFETY: a private mapping of a file that can be executed but not written has no page that
        // differs from the file, so that dropping one loses nothing.
        unsafe {
            libc::madvise(std::ptr::with_exposed_provenance_mut(from), to - from, libc::MADV_DONTNEED);
        }
    }
}

/// The addresses of a mapping that holds code of a file.
fn code(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split_ascii_whitespace();
    let (from, to) = words.next()?.split_once('-')?;
    let is_code = words.next()? == "r-xp" && words.nth(3)?.starts_with('/');
    is_code.then_some(())?;
    Some((usize::from_str_radix(from, 16).ok()?, usize::from_str_radix(to, 16).ok()?))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_what_a_file_maps_to_be_executed() {
        let line = |rest: &str| code(&format!("55d0c0000000-55d0c0200000 {rest}"));
        assert_eq!(
            line("r-xp 001c7000 fe:00 1234    /usr/bin/wakedock"),
            Some((0x55d0_c000_0000, 0x55d0_c020_0000))
        );
        assert_eq!(line("r--p 00000000 fe:00 1234    /usr/bin/wakedock"), None, "relocated, perhaps");
        assert_eq!(line("rwxp 00000000 fe:00 1234    /usr/bin/wakedock"), None, "written, perhaps");
        assert_eq!(line("r-xp 00000000 00:00 0       [vdso]"), None);
        assert_eq!(line("r-xp 00000000 00:00 0"), None, "without a file there is nothing to read again");
        assert_eq!(code(""), None);
    }
}
