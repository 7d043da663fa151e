//! Passwords: argon2id, one at a time. Each hash takes 19 MiB for a moment, which a storm of log-ins
//! must not multiply.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

/// Kibibytes, passes and lanes, as OWASP has them.
const MEMORY: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Log-ins that may wait for their turn; more are told to come back.
const QUEUE: usize = 24;
/// Of those, for whom somebody is logged in already from where they are.
const KEPT_FREE: usize = 8;

/// Characters at least, bytes at most: no other folklore.
const SHORTEST: usize = 8;
const LONGEST: usize = 256;

/// Whom nobody knows has this for a hash: of a password that nobody has either. Checking it takes as
/// long as checking a real one.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$d2FrZWRvY2stbm9ib2R5IQ$\
                      AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Why a password cannot be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("is shorter than 8 characters")]
    Short,
    #[error("is longer than 256 bytes")]
    Long,
}

/// Holds a new password against the rules.
///
/// # Errors
/// The rule that it breaks.
pub(super) fn check_new(password: &str) -> Result<(), PasswordError> {
    if password.len() > LONGEST {
        Err(PasswordError::Long)
    } else if password.chars().count() < SHORTEST {
        Err(PasswordError::Short)
    } else {
        Ok(())
    }
}

/// So many log-ins wait already that this one should come back later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Busy;

/// Who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queue {
    Known,
    /// Of these there may be as many as there are addresses.
    Strangers,
}

/// Does the work, off the runtime and one after the other.
#[derive(Debug)]
pub(super) struct Hasher {
    turn: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// How many passwords were checked: the same for users that exist and those that do not.
    checked: Arc<AtomicU64>,
}

impl Hasher {
    pub(super) fn new() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), waiting: AtomicUsize::new(0), checked: Arc::default() }
    }

    pub(super) fn checked(&self) -> u64 {
        self.checked.load(Ordering::Relaxed)
    }

    /// The hash of a password, as a PHC string.
    pub(super) async fn hash(&self, password: String) -> Result<String, Busy> {
        self.work(Queue::Known, move || {
            argon2().and_then(|argon2| Some(argon2.hash_password(password.as_bytes()).ok()?.to_string()))
        })
        .await?
        .ok_or(Busy)
    }

    /// Whether a password is the one of a hash; without a hash it takes as long, and is not.
    pub(super) async fn verify(
        &self,
        password: String,
        hash: Option<Arc<str>>,
        queue: Queue,
    ) -> Result<bool, Busy> {
        let checked = Arc::clone(&self.checked);
        self.work(queue, move || {
            let known = hash.is_some();
            let hash = hash.as_deref().unwrap_or(NOBODY);
            // What is too long for anybody is shortened, so that it takes no longer.
            let bytes = password.as_bytes();
            let bytes = &bytes[..bytes.len().min(LONGEST + 1)];
            let right = argon2().is_some_and(|argon2| argon2.verify_password(bytes, hash).is_ok());
            checked.fetch_add(1, Ordering::Relaxed);
            right && known
        })
        .await
    }

    async fn work<T: Send + 'static>(
        &self,
        queue: Queue,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let _place = Place::take(&self.waiting, queue).ok_or(Busy)?;
        let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(|_| Busy)?;
        // The turn goes with the work: a client that goes away does not let the next one in early.
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        done.await.map_err(|_| Busy)
    }
}

/// One of the places in the queue.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, queue: Queue) -> Option<Self> {
        let room = match queue {
            Queue::Known => QUEUE,
            Queue::Strangers => QUEUE - KEPT_FREE,
        };
        let place = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) <= room).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// `None`: these parameters are none, which a test would have found.
fn argon2() -> Option<Argon2<'static>> {
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(MEMORY, PASSES, LANES, None).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_opens_its_own_hash_and_no_other() {
        let hasher = Hasher::new();
        let hash: Arc<str> = hasher.hash("correct horse".into()).await.unwrap().into();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(hasher.verify("correct horse".into(), Some(Arc::clone(&hash)), Queue::Known).await.unwrap());
        assert!(!hasher.verify("correct horsf".into(), Some(hash), Queue::Known).await.unwrap());
    }

    /// The same work for users that there are and those that there are not: the hash of nobody has
    /// the same parameters and is read by the same code.
    #[tokio::test]
    async fn nobody_costs_as_much_as_somebody() {
        use argon2::password_hash::phc::PasswordHash;
        let hasher = Hasher::new();
        assert!(!hasher.verify("correct horse".into(), None, Queue::Known).await.unwrap());
        assert_eq!(hasher.checked(), 1);
        let somebody = hasher.hash("correct horse".into()).await.unwrap();
        let params = |hash: &str| {
            let hash = PasswordHash::new(hash).unwrap();
            (hash.params.to_string(), hash.algorithm, hash.salt.unwrap().len(), hash.hash.unwrap().len())
        };
        assert_eq!(params(NOBODY), params(&somebody));
    }

    #[tokio::test]
    async fn a_storm_is_told_to_come_back() {
        let hasher = Arc::new(Hasher::new());
        let all: Vec<_> = (0..40)
            .map(|_| {
                let hasher = Arc::clone(&hasher);
                tokio::spawn(async move { hasher.verify("x".into(), None, Queue::Strangers).await })
            })
            .collect();
        tokio::task::yield_now().await;
        let known = hasher.verify("x".into(), None, Queue::Known).await;
        assert!(known.is_ok(), "whoever is known has a place all the same");
        let mut turned_away = 0;
        for one in all {
            turned_away += usize::from(one.await.unwrap() == Err(Busy));
        }
        assert!(turned_away >= 40 - (QUEUE - KEPT_FREE) - 5, "{turned_away}");
    }

    #[test]
    fn length_is_the_only_rule() {
        assert_eq!(check_new("1234567"), Err(PasswordError::Short));
        assert_eq!(check_new("aaaaaaaa"), Ok(()));
        assert_eq!(check_new("ééééééé"), Err(PasswordError::Short));
        assert_eq!(check_new(&"a".repeat(257)), Err(PasswordError::Long));
    }
}
