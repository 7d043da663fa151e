//! Random values, and the forms in which they are written, kept and compared.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Figures and letters, in the order of their values.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Figures of base 62 that hold 256 bits.
const SECRET_LENGTH: usize = 43;
const CHECK_LENGTH: usize = 6;

/// Random bytes from the kernel; waits until it has some, which is from early in the machine's start.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    while getrandom::fill(&mut bytes).is_err() {
        std::thread::yield_now();
    }
    bytes
}

/// As figures and letters to `f`.
pub(super) fn hex(bytes: &[u8]) -> String {
    const FIGURES: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(FIGURES[usize::from(byte >> 4)]));
        text.push(char::from(FIGURES[usize::from(byte & 15)]));
    }
    text
}

/// What [`hex`] wrote.
pub(super) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != N * 2 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let figure = |c: u8| char::from(c).to_digit(16).and_then(|figure| u8::try_from(figure).ok());
        *byte = figure(pair[0])? << 4 | figure(pair[1])?;
    }
    Some(bytes)
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

pub(super) fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // Every length of key is one; this one is the hash's own.
    let mut mac = match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mac) => mac,
        Err(_) => return random(),
    };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Compares without telling by its time how much is the same.
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

/// `prefix` and 256 random bits in base 62, with a check at the end: a slip of the hand is found
/// without looking anything up, and secret scanners know one when they see it.
pub(super) fn token(prefix: &str) -> String {
    let secret = base62(&random::<32>(), SECRET_LENGTH);
    let check = check(&secret);
    format!("{prefix}{secret}{check}")
}

/// Whether a text can be such a token at all.
pub(super) fn is_token(prefix: &str, text: &str) -> bool {
    let Some(rest) = text.strip_prefix(prefix) else { return false };
    rest.len() == SECRET_LENGTH + CHECK_LENGTH
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && check(&rest[..SECRET_LENGTH]) == rest[SECRET_LENGTH..]
}

fn check(secret: &str) -> String {
    base62(&sha256(secret.as_bytes())[..4], CHECK_LENGTH)
}

/// A number, big-endian, in `length` figures.
fn base62(bytes: &[u8], length: usize) -> String {
    let mut number = bytes.to_vec();
    let mut figures = vec![b'0'; length];
    for figure in figures.iter_mut().rev() {
        let mut rest = 0u32;
        for byte in &mut number {
            let value = rest << 8 | u32::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            rest = value % 62;
        }
        *figure = usize::try_from(rest).ok().and_then(|rest| BASE62.get(rest)).copied().unwrap_or(b'0');
    }
    figures.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_carry_a_check() {
        let token = token("wd_");
        assert_eq!(token.len(), 3 + 43 + 6);
        assert!(is_token("wd_", &token));
        let mut slip = token.clone().into_bytes();
        slip[10] = if slip[10] == b'a' { b'b' } else { b'a' };
        assert!(!is_token("wd_", std::str::from_utf8(&slip).unwrap()));
        for other in ["", "wd_", "wd_\u{e9}", &token[3..], &token[..51]] {
            assert!(!is_token("wd_", other), "{other}");
        }
        assert_ne!(token, super::token("wd_"));
    }

    #[test]
    fn base_62_has_room_for_all_bits() {
        assert_eq!(base62(&[0; 32], 43), "0".repeat(43));
        assert_eq!(base62(&[61], 2), "0z");
        assert_eq!(base62(&[62], 2), "10");
        // 62^43 is more than 2^256: the largest number does not begin with the last figure.
        assert!(base62(&[0xff; 32], 43).as_str() < "zz");
    }

    #[test]
    fn hex_round_trips() {
        let bytes = random::<32>();
        assert_eq!(from_hex::<32>(&hex(&bytes)), Some(bytes));
        assert_eq!(from_hex::<2>("zz00"), None);
        assert_eq!(from_hex::<2>("000"), None);
    }

    /// RFC 4231, test case 2, with the key padded as HMAC pads it.
    #[test]
    fn hmac_is_hmac() {
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        assert_eq!(
            hex(&hmac(&key, &[b"what do ya want ", b"for nothing?"])),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
