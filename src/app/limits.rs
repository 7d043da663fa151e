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
/// So many looks at the most until code that is in use is let go of again: what it costs to map it
/// anew is a millisecond.
const PATIENCE: u32 = 5;
/// So many connections parked since are about a megabyte.
const WORTH_IT: usize = 64;
/// So many kB more than before are looked into; where there is much, an eighth of it.
const GROWN: u64 = 512;
/// What comes while nothing happens.
const STILL: u64 = 64;

/// Gives the kernel back, now and then, what a burst needed and nobody will again: the start, a
/// look at every container, a scrape, log-ins, pages, connections that were busy for a moment. Most
/// of the heap's lies between small things that stay, where glibc would keep it for ever; and the
/// code that a rare page called would stay mapped.
pub(super) async fn keep_memory_small(parkings: impl Fn() -> usize) {
    let mut before = parkings();
    // The bustle of the start is over at the first look.
    let mut looks = LOOKS;
    tokio::time::sleep(LOOK).await;
    give_back_code();
    let (mut heap, mut code) = (u64::MAX, Code::default());
    loop {
        let (parked, resident) = (parkings(), Resident::now());
        looks += 1;
        let much = resident.heap > heap.saturating_add(GROWN.max(heap / 8));
        if looks > LOOKS || much || parked.wrapping_sub(before) >= WORTH_IT {
            give_back_memory();
            (before, heap) = (parked, Resident::now().heap);
        }
        if code.is_to_go(resident.files) {
            give_back_code();
        }
        if looks > LOOKS {
            looks = 0;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What is resident, in kB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Resident {
    heap: u64,
    /// Pages of files: code, most of it.
    files: u64,
}

impl Resident {
    /// Nothing where the kernel does not tell.
    fn now() -> Self {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        Self::read(&text, rustix::param::page_size() as u64 / 1024).unwrap_or_default()
    }

    /// From `size resident shared …`, in pages.
    fn read(text: &str, page: u64) -> Option<Self> {
        let mut pages = text.split_ascii_whitespace().skip(1).map(str::parse::<u64>);
        let (all, files) = (pages.next()?.ok()?, pages.next()?.ok()?);
        Some(Self { heap: all.saturating_sub(files) * page, files: files * page })
    }
}

/// When code is let go of: when more is mapped than there was at the least, and no more comes. Where
/// that is back one look later it is in use, and is let go of after one look more, two, four and then
/// each time five, so that what is in use is seldom let go of, and what is not does not stay.
#[derive(Debug, Default)]
struct Code {
    least: Option<u64>,
    /// At the look before.
    before: u64,
    /// Looks since it was let go of, and how many it takes until it is again.
    looks: u32,
    patience: u32,
}

impl Code {
    /// Told what is mapped at each look.
    fn is_to_go(&mut self, files: u64) -> bool {
        let least = self.least.map_or(files, |least| least.min(files));
        let more_comes = files > self.before.saturating_add(STILL);
        (self.least, self.before) = (Some(least), files);
        self.looks = self.looks.saturating_add(1);
        if files <= least + GROWN {
            self.patience = 0;
            return false;
        }
        let goes = !more_comes && self.looks > self.patience;
        if goes {
            self.patience = (self.patience * 2).clamp(1, PATIENCE);
            self.looks = 0;
        }
        goes
    }
}

/// Lets go of the pages of code that something rare needed: reading the configuration, opening the
/// state, a log-in. They are the file's; what is called again comes back with the call.
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
    fn what_is_resident_is_read_in_kilobytes() {
        let read = Resident::read("15000 3000 1000 500 0 2000 0\n", 4);
        assert_eq!(read, Some(Resident { heap: 8000, files: 4000 }));
        assert_eq!(Resident::read("15000 x", 4), None);
        assert!(Resident::now().heap > 0, "this process has memory");
    }

    #[test]
    fn code_goes_when_no_more_of_it_comes_and_stays_while_it_is_used() {
        let mut code = Code::default();
        assert!(!code.is_to_go(3000), "the start");
        assert!(!code.is_to_go(3500));
        // In use: it comes back at once, each time, and is let go of ever more seldom.
        let gone: Vec<usize> = (0..120).filter(|_| code.is_to_go(7000)).collect();
        assert_eq!(gone[..8], [1, 3, 6, 11, 17, 23, 29, 35]);
        // No longer: once more, and it stays away.
        assert!((0..LOOKS + 2).any(|_| code.is_to_go(7000)));
        assert!((0..200).all(|_| !code.is_to_go(3500)));
        assert!(!code.is_to_go(7000) && code.is_to_go(7000), "the next burst is a new one");
    }

    /// Log-ins went on while the code that they need was let go of, and it stayed for a minute.
    #[test]
    fn a_burst_that_lasts_longer_than_a_look_leaves_nothing() {
        let mut code = Code::default();
        assert!(!code.is_to_go(3000));
        for burst in [4000, 5500, 5600, 6500] {
            assert!(!code.is_to_go(burst), "not over yet");
        }
        assert!(code.is_to_go(6500), "over, now");
        assert!(!code.is_to_go(3000));
    }

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
