//! Log-ins under way: what ties the browser that comes back to the one that was sent.
//!
//! Nothing is kept of them here. The browser has a cookie that only WakeDock can make; nonce and
//! verifier follow from what stands in it and from a key that lives as long as the process.

use std::collections::VecDeque;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;

use crate::admin::secret;
use crate::domain::time::Timestamp;
use crate::oidc::Attempt;

/// For somebody to find their password and their second factor.
pub(super) const GOOD_FOR: Duration = Duration::from_secs(10 * 60);
/// Spent attempts that are remembered; older ones the provider alone knows to be spent.
const SPENT: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Attempts {
    key: OnceLock<[u8; 32]>,
    /// By state, the oldest first.
    spent: Mutex<VecDeque<[u8; 32]>>,
}

impl Attempts {
    /// A new one, and what the cookie is to hold. `next`: where the browser goes afterwards.
    pub(super) fn begin(&self, next: &str, now: Timestamp) -> (Attempt, String) {
        let state = secret::hex(&secret::random::<32>());
        let end = now.as_millis().saturating_add(i64::try_from(GOOD_FOR.as_millis()).unwrap_or(i64::MAX));
        let plain = format!("{state}.{end}.{}", BASE64.encode(next));
        let signature = self.mark("cookie", &plain);
        (self.attempt(state), format!("{plain}.{signature}"))
    }

    /// The attempt that a browser comes back with, and where it goes. `None`: it is not this
    /// browser's, is over, or has been used.
    pub(super) fn resume(&self, cookie: &str, state: &str, now: Timestamp) -> Option<(Attempt, String)> {
        let (plain, signature) = cookie.rsplit_once('.')?;
        if !secret::same(signature.as_bytes(), self.mark("cookie", plain).as_bytes()) {
            return None;
        }
        let mut parts = plain.split('.');
        let (own, end, next) = (parts.next()?, parts.next()?, parts.next()?);
        if !secret::same(own.as_bytes(), state.as_bytes()) || end.parse::<i64>().ok()? < now.as_millis() {
            return None;
        }
        let next = String::from_utf8(BASE64.decode(next).ok()?).ok()?;
        self.spend(state).then(|| (self.attempt(state.to_owned()), next))
    }

    /// Whether it had not been spent.
    fn spend(&self, state: &str) -> bool {
        let hash = secret::sha256(state.as_bytes());
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if spent.contains(&hash) {
            return false;
        }
        if spent.len() >= SPENT {
            spent.pop_front();
        }
        spent.push_back(hash);
        true
    }

    fn attempt(&self, state: String) -> Attempt {
        let (nonce, verifier) = (self.mark("nonce", &state), self.mark("verifier", &state));
        Attempt { state, nonce, verifier }
    }

    fn mark(&self, what: &str, text: &str) -> String {
        let key = self.key.get_or_init(secret::random);
        secret::hex(&secret::hmac(key, &[what.as_bytes(), b":", text.as_bytes()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_browser_comes_back_once() {
        let attempts = Attempts::default();
        let (sent, cookie) = attempts.begin("/services/cloud?tab=log", at(0));
        let (back, next) = attempts.resume(&cookie, &sent.state, at(1000)).unwrap();
        assert_eq!((back.nonce, back.verifier), (sent.nonce.clone(), sent.verifier.clone()));
        assert_eq!(next, "/services/cloud?tab=log");
        assert!(sent.verifier.len() >= 43);
        for secret in [&sent.nonce, &sent.verifier] {
            assert!(!cookie.contains(secret.as_str()), "the browser does not know it");
        }
        assert!(attempts.resume(&cookie, &sent.state, at(1000)).is_none(), "it is spent");
    }

    #[test]
    fn nobody_else_comes_back() {
        let attempts = Attempts::default();
        let (sent, cookie) = attempts.begin("/", at(0));
        let (other, others) = attempts.begin("/", at(0));
        let (_, foreign) = Attempts::default().begin("/", at(0));
        let longer = cookie.replacen(".600000.", ".900000.", 1);
        assert_ne!(longer, cookie);
        let elsewhere = cookie.replacen(&BASE64.encode("/"), &BASE64.encode("//evil.example"), 1);
        assert_ne!(elsewhere, cookie);
        for (cookie, state, when) in [
            (&cookie, &other.state, 0),
            (&others, &sent.state, 0),
            (&foreign, &sent.state, 0),
            (&longer, &sent.state, 0),
            (&elsewhere, &sent.state, 0),
            (&String::new(), &sent.state, 0),
            (&cookie, &String::new(), 0),
            (&cookie, &sent.state, 600_001),
        ] {
            assert!(attempts.resume(cookie, state, at(when)).is_none(), "{cookie} {state}");
        }
        assert!(attempts.resume(&cookie, &sent.state, at(600_000)).is_some());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let attempts = Attempts::default();
        for _ in 0..SPENT + 10 {
            let (sent, cookie) = attempts.begin("/", at(0));
            assert!(attempts.resume(&cookie, &sent.state, at(0)).is_some());
        }
        assert_eq!(attempts.spent.lock().unwrap().len(), SPENT);
    }
}
