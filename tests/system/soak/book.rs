//! What was asked, what came, and what was lost.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// What was wrong with an answer.
#[derive(Debug)]
pub struct Wrong(String);

impl<E: Display> From<E> for Wrong {
    fn from(problem: E) -> Self {
        Self(problem.to_string())
    }
}

/// What came, where several answers are right; the empty word where only one is.
pub type Came = Result<&'static str, Wrong>;

#[derive(Default)]
struct Page {
    right: u64,
    lost: u64,
    slowest: Duration,
    came: BTreeMap<&'static str, u64>,
}

pub struct Book {
    began: Instant,
    closed: AtomicBool,
    number: AtomicU64,
    pages: Mutex<BTreeMap<&'static str, Page>>,
    losses: Mutex<Vec<String>>,
}

impl Default for Book {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            closed: AtomicBool::new(false),
            number: AtomicU64::new(0),
            pages: Mutex::default(),
            losses: Mutex::default(),
        }
    }
}

impl Book {
    pub fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Relaxed)
    }

    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Waits; false when the end came meanwhile.
    pub fn rest(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        while self.is_open() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(Duration::from_millis(100)));
        }
        false
    }

    /// One request, or one message of a stream: `ask` is given the id that it carries. False: lost.
    pub fn ask(&self, kind: &'static str, limit: Duration, ask: impl FnOnce(&str) -> Came) -> bool {
        let id = format!("soak-{}-{}", kind.replace(' ', "-"), self.number.fetch_add(1, Ordering::Relaxed));
        let (at, began) = (self.elapsed(), Instant::now());
        let came = ask(&id);
        let took = began.elapsed();
        let came = came.and_then(|came| {
            if took <= limit {
                Ok(came)
            } else {
                Err(Wrong(format!("right, but over the limit of {limit:?}")))
            }
        });
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let page = pages.entry(kind).or_default();
        page.slowest = page.slowest.max(took);
        match came {
            Ok(came) => {
                page.right += 1;
                if !came.is_empty() {
                    *page.came.entry(came).or_default() += 1;
                }
                true
            }
            Err(Wrong(wrong)) => {
                page.lost += 1;
                let loss = format!("{kind}, id {id}, asked at {at:.3?}, after {took:.3?}: {wrong}");
                self.losses.lock().unwrap_or_else(PoisonError::into_inner).push(loss);
                false
            }
        }
    }

    /// How many were answered rightly, and how many were lost.
    pub fn counts(&self) -> (u64, usize) {
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let losses = self.losses.lock().unwrap_or_else(PoisonError::into_inner);
        (pages.values().map(|page| page.right).sum(), losses.len())
    }

    /// A line a kind.
    pub fn table(&self) -> Vec<String> {
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let line = |(kind, page): (&&str, &Page)| {
            let came: Vec<_> = page.came.iter().map(|(came, count)| format!("{came} {count}")).collect();
            let Page { right, lost, slowest, .. } = page;
            format!(
                "{kind:<22} {right:>9} right {lost:>4} lost, slowest {slowest:>8.2?}  {}",
                came.join(", ")
            )
        };
        pages.iter().map(line).collect()
    }

    /// What was lost, in the order of time.
    pub fn losses(&self) -> Vec<String> {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Which of these kinds were never asked.
    pub fn missing<'a>(&self, kinds: &[&'a str]) -> Vec<&'a str> {
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.iter().filter(|kind| !pages.contains_key(**kind)).copied().collect()
    }
}

/// Chance with a seed: a run does much the same each time.
pub struct Chance(u64);

impl Chance {
    pub fn seeded(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    /// From `least` up to `most`, `most` included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    pub fn one_in(&mut self, count: u64) -> bool {
        self.between(1, count) == 1
    }

    pub fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.between(least, most))
    }

    /// So many bytes, up to some hundred thousand, out of a store: making them costs more.
    pub fn bytes(&mut self, count: u64) -> Vec<u8> {
        static STORE: OnceLock<Vec<u8>> = OnceLock::new();
        let store = STORE.get_or_init(|| {
            let mut chance = Self::seeded(0);
            (0..500_000).map(|_| chance.next() as u8).collect()
        });
        let from = self.between(0, store.len() as u64 - count) as usize;
        store[from..from + count as usize].to_vec()
    }
}

#[test]
fn what_is_wrong_or_late_is_lost() {
    let book = Book::default();
    let limit = Duration::from_millis(20);
    assert!(book.ask("right", limit, |_| Ok("")));
    assert!(!book.ask("wrong", limit, |_| Err("another body".into())));
    assert!(!book.ask("late", limit, |_| {
        std::thread::sleep(2 * limit);
        Ok("")
    }));
    assert_eq!(book.counts(), (1, 2));
    let losses = book.losses();
    assert_eq!(losses.len(), 2);
    assert!(losses[0].contains("soak-wrong-1") && losses[0].contains("another body"), "{losses:?}");
    assert!(losses[1].contains("over the limit"), "{losses:?}");
    assert_eq!(book.missing(&["late", "never", "right"]), ["never"]);
}
