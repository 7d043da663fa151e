//! What may not be: anything held that nobody asks for any more, and figures that only grow.

use super::samples::Sample;

/// Descriptors more than at the start that say nothing: idle connections to Docker, of which there
/// was one at the start and may be a few after wakes that fell together.
const FEW: u64 = 6;
/// The median of descriptors under the same load, half a run later.
const DRIFT: u64 = 12;
/// Growth of memory, in kB, from the second quarter of a long run to its last, that is none. Medians
/// keep what a single burst takes out of it. A leak of one small allocation (32 bytes) a request,
/// at a hundred requests a second, is twice as much between those quarters of ten minutes, and
/// twenty times as much in two hours.
const GROWTH: u64 = 512;
/// What a wake writes into the store, in bytes of its pages, and how many kB of them are kept in
/// memory: the one thing that goes on filling for hours, and stops.
const STORED: (u64, u64) = (320, 1024);

/// How much memory the store has filled after so many wakes, in kB.
fn stored(wakes: u64) -> u64 {
    (wakes * STORED.0 / 1024).min(STORED.1)
}

/// `end` is after the load, when all is asleep again.
pub fn at_rest(start: &Sample, end: &Sample) -> Vec<String> {
    let mut wrong = Vec::new();
    if (end.leases, end.held) != (0, 0) {
        wrong.push(format!("{} leases and {} held requests are left", end.leases, end.held));
    }
    if end.descriptors > start.descriptors + FEW {
        wrong.push(format!("{} descriptors at the start, {} at the end", start.descriptors, end.descriptors));
    }
    if end.threads != start.threads {
        wrong.push(format!("{} threads at the start, {} at the end", start.threads, end.threads));
    }
    wrong
}

/// Two quarters of a run that is long enough: the second, when all that warms up is warm, and the
/// last.
pub fn over_time(second: &Sample, last: &Sample) -> Vec<String> {
    let mut wrong = Vec::new();
    let bound = second.rss + GROWTH + stored(last.wakes) - stored(second.wakes);
    if last.rss > bound {
        wrong.push(format!(
            "{} kB in the second quarter, {} kB in the last, over {bound}",
            second.rss, last.rss
        ));
    }
    if last.descriptors > second.descriptors + DRIFT {
        let (then, now) = (second.descriptors, last.descriptors);
        wrong.push(format!("{then} descriptors in the second quarter, {now} in the last"));
    }
    wrong
}

#[test]
fn growth_is_seen_and_noise_is_not() {
    let sample = Sample { rss: 17_000, descriptors: 70, threads: 7, wakes: 1000, ..Sample::default() };
    assert!(at_rest(&sample, &sample).is_empty() && over_time(&sample, &sample).is_empty());
    let less = Sample { rss: 16_000, descriptors: 30, ..sample.clone() };
    assert!(at_rest(&sample, &less).is_empty() && over_time(&sample, &less).is_empty());
    for (change, rest, time) in [
        (Sample { rss: 17_513, ..sample.clone() }, 0, 1),
        (Sample { rss: 17_826, wakes: 2000, ..sample.clone() }, 0, 1),
        (Sample { rss: 17_825, wakes: 2000, ..sample.clone() }, 0, 0),
        (Sample { rss: 18_225, wakes: 1_000_000, ..sample.clone() }, 0, 1),
        (Sample { descriptors: 77, ..sample.clone() }, 1, 0),
        (Sample { descriptors: 83, ..sample.clone() }, 1, 1),
        (Sample { threads: 8, ..sample.clone() }, 1, 0),
        (Sample { leases: 1, ..sample.clone() }, 1, 0),
        (Sample { held: 1, ..sample.clone() }, 1, 0),
    ] {
        assert_eq!((at_rest(&sample, &change).len(), over_time(&sample, &change).len()), (rest, time));
    }
}
