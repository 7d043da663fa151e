//! Growing delays for whoever guesses: by user, and by address. Both tables are bounded.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::admin::crowd::network_of;
use crate::clock;
use crate::domain::time::Moment;

/// So many may be wrong before there is a delay.
pub(super) const FREE: u32 = 5;
/// After this long without a try everything is forgotten.
pub(super) const WINDOW: Duration = Duration::from_secs(15 * 60);
/// A user is never kept out for longer than this by somebody else's guesses.
const LONGEST_OF_USER: Duration = Duration::from_secs(30);
const LONGEST_OF_ADDRESS: Duration = WINDOW;
/// Entries of each table.
const ROOM: usize = 4096;

/// Come back after this long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany {
    pub retry_after: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Tries {
    wrong: u32,
    last: Moment,
    not_before: Moment,
}

/// Who has guessed how often.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    users: Mutex<HashMap<Box<str>, Tries>>,
    addresses: Mutex<HashMap<IpAddr, Tries>>,
}

/// How many more tries there are before the next delay, and until when that counts: for `RateLimit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    pub tries: u32,
    pub reset: Duration,
}

impl Left {
    /// The rule, for `RateLimit-Policy`.
    #[must_use]
    pub fn policy() -> String {
        format!("\"log-in\";q={FREE};w={}", WINDOW.as_secs())
    }
}

impl Throttle {
    /// A try begins. It counts as wrong until it is found right, so that tries side by side count as
    /// well as tries in a row.
    pub(super) fn begin(&self, user: &str, address: Option<IpAddr>) -> Result<Left, TooMany> {
        let now = clock::now();
        let user: Box<str> = user.into();
        let address = address.map(network_of);
        if let Some(address) = address {
            try_once(&self.addresses, address, LONGEST_OF_ADDRESS, now)?;
        }
        match try_once(&self.users, user, LONGEST_OF_USER, now) {
            Ok(wrong) => {
                let wrong = address.map_or(wrong, |address| wrong.max(self.wrong_of(address)));
                Ok(Left { tries: FREE.saturating_sub(wrong), reset: WINDOW })
            }
            Err(too_many) => {
                // Kept out because of the user: no guess was made, and none is counted.
                if let Some(address) = address {
                    take_back(&self.addresses, &address);
                }
                Err(too_many)
            }
        }
    }

    /// The try was right.
    pub(super) fn right(&self, user: &str, address: Option<IpAddr>) {
        self.users.lock().unwrap_or_else(PoisonError::into_inner).remove(user);
        if let Some(address) = address {
            // Others behind the same address may go on guessing: theirs still count.
            take_back(&self.addresses, &network_of(address));
        }
    }

    /// The try was none: nothing was guessed, or nobody looked whether it was right.
    pub(super) fn undo(&self, user: &str, address: Option<IpAddr>) {
        take_back(&self.users, user);
        if let Some(address) = address {
            take_back(&self.addresses, &network_of(address));
        }
    }

    /// A guess at something that belongs to no user counts against the address alone.
    pub(super) fn begin_from(&self, address: Option<IpAddr>) -> Result<(), TooMany> {
        match address.map(network_of) {
            Some(address) => try_once(&self.addresses, address, LONGEST_OF_ADDRESS, clock::now()).map(drop),
            // The local socket, whose users need not guess.
            None => Ok(()),
        }
    }

    fn wrong_of(&self, address: IpAddr) -> u32 {
        let addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        addresses.get(&address).map_or(0, |tries| tries.wrong)
    }
}

fn take_back<K: Eq + Hash + Borrow<Q>, Q: Eq + Hash + ?Sized>(table: &Mutex<HashMap<K, Tries>>, key: &Q) {
    let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(tries) = table.get_mut(key) {
        tries.wrong = tries.wrong.saturating_sub(1);
        if tries.wrong < FREE {
            tries.not_before = Moment::START;
        }
        if tries.wrong == 0 {
            table.remove(key);
        }
    }
}

/// Counts one try; how many there were.
fn try_once<K: Eq + Hash + Clone>(
    table: &Mutex<HashMap<K, Tries>>,
    key: K,
    longest: Duration,
    now: Moment,
) -> Result<u32, TooMany> {
    let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
    let is_old = |tries: &Tries| now.since(tries.last) >= WINDOW;
    if table.len() >= ROOM && !table.contains_key(&key) {
        table.retain(|_, tries| !is_old(tries));
        // Whoever was wrong least often makes room.
        if table.len() >= ROOM
            && let Some(least) =
                table.iter().min_by_key(|(_, tries)| (tries.wrong, tries.last)).map(|(key, _)| key.clone())
        {
            table.remove(&least);
        }
    }
    let tries = table.entry(key).or_insert(Tries { wrong: 0, last: now, not_before: Moment::START });
    if is_old(tries) {
        *tries = Tries { wrong: 0, last: now, not_before: Moment::START };
    }
    if now < tries.not_before {
        return Err(TooMany { retry_after: tries.not_before.since(now) });
    }
    tries.wrong = tries.wrong.saturating_add(1);
    tries.last = now;
    if let Some(over) = tries.wrong.checked_sub(FREE) {
        let delay = Duration::from_secs(1 << over.min(20)).min(longest);
        tries.not_before = now + delay;
    }
    Ok(tries.wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str) -> Option<IpAddr> {
        text.parse().ok()
    }

    #[tokio::test(start_paused = true)]
    async fn delays_grow_and_are_forgotten() {
        let throttle = Throttle::default();
        for left in (0..FREE).rev() {
            assert_eq!(throttle.begin("ann", None).unwrap().tries, left);
        }
        let first = throttle.begin("ann", None).unwrap_err().retry_after;
        assert_eq!(first, Duration::from_secs(1));
        tokio::time::advance(first).await;
        throttle.begin("ann", None).unwrap();
        let second = throttle.begin("ann", None).unwrap_err().retry_after;
        assert_eq!(second, Duration::from_secs(2));
        throttle.begin("bob", None).unwrap();
        tokio::time::advance(WINDOW).await;
        assert_eq!(throttle.begin("ann", None).unwrap().tries, FREE - 1);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_kept_out_for_long_by_others() {
        let throttle = Throttle::default();
        for _ in 0..20 {
            while let Err(too_many) = throttle.begin("ann", None) {
                assert!(too_many.retry_after <= LONGEST_OF_USER);
                tokio::time::advance(too_many.retry_after).await;
            }
        }
    }

    /// The story: five answers of "busy", and whoever knew their password was taken for a guesser.
    #[tokio::test(start_paused = true)]
    async fn what_nobody_looked_at_is_no_guess() {
        let throttle = Throttle::default();
        for _ in 0..50 {
            throttle.begin("ann", from("192.0.2.1")).unwrap();
            throttle.undo("ann", from("192.0.2.1"));
        }
        // What was wrong before stays so.
        for _ in 0..FREE - 1 {
            throttle.begin("ann", from("192.0.2.1")).unwrap();
        }
        throttle.begin("ann", from("192.0.2.1")).unwrap();
        throttle.undo("ann", from("192.0.2.1"));
        assert_eq!(throttle.begin("ann", from("192.0.2.1")).unwrap().tries, 0);
        assert!(throttle.begin("ann", from("192.0.2.1")).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn one_network_of_ipv6_is_one_address() {
        let throttle = Throttle::default();
        for number in 0..FREE {
            throttle.begin(&format!("user{number}"), from(&format!("2001:db8::{number}"))).unwrap();
        }
        assert!(throttle.begin("other", from("2001:db8::ffff")).is_err());
        assert!(throttle.begin("other", from("2001:db8:0:1::1")).is_ok());
        // Right ones are no guesses.
        let throttle = Throttle::default();
        for _ in 0..50 {
            throttle.begin("ann", from("192.0.2.1")).unwrap();
            throttle.right("ann", from("192.0.2.1"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_tables_are_bounded_and_keep_whom_they_should() {
        let throttle = Throttle::default();
        for _ in 0..FREE {
            throttle.begin("ann", None).unwrap();
        }
        for number in 0..2 * ROOM {
            let _ = throttle.begin(&format!("name{number}"), None);
        }
        assert!(throttle.users.lock().unwrap().len() <= ROOM);
        assert!(throttle.begin("ann", None).is_err());
    }
}
