//! How long things took, many times.

use std::time::{Duration, Instant};

/// Durations of one kind of thing.
#[derive(Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// Does it and notes how long it took.
    pub fn time<T>(&mut self, it: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = it();
        self.0.push(began.elapsed());
        done
    }

    pub fn note(&mut self, took: Duration) {
        self.0.push(took);
    }

    /// So many of a hundred took no longer than this. Panics where there are none.
    pub fn percentile(&mut self, percent: usize) -> Duration {
        self.0.sort_unstable();
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0[rank.max(1) - 1]
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// For a line of figures.
    pub fn shown(&mut self) -> String {
        format!(
            "p50 {:.1?}, p99 {:.1?}, most {:.1?}",
            self.percentile(50),
            self.percentile(99),
            self.percentile(100)
        )
    }
}

#[test]
fn percentiles_are_those_of_the_sorted_times() {
    let mut times = Times((1..=200).rev().map(Duration::from_millis).collect());
    assert_eq!(times.percentile(50), Duration::from_millis(100));
    assert_eq!(times.percentile(99), Duration::from_millis(198));
    assert_eq!(times.percentile(100), Duration::from_millis(200));
    assert_eq!(Times(vec![Duration::from_millis(7)]).percentile(99), Duration::from_millis(7));
}
