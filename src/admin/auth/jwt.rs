//! Access tokens: JWT with HS256, of ten minutes.
//!
//! They are made and read here alone, so there is no algorithm to choose: a header that is not,
//! byte for byte, the one that is written below is no header of ours.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};

use crate::admin::secret;
use crate::domain::time::Timestamp;
use crate::domain::words::Role;

/// Seconds for which one is good.
pub(in crate::admin) const GOOD_FOR: u64 = 600;
/// `{"alg":"HS256","typ":"JWT"}`
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
/// Longer ones are nobody's.
const LONGEST: usize = 2048;

/// What a token claims. Times are seconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct Claims {
    pub(super) sub: String,
    pub(super) sid: String,
    pub(super) role: String,
    pub(super) iat: u64,
    pub(super) exp: u64,
    pub(super) jti: String,
}

fn seconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis() / 1000).unwrap_or(0)
}

/// A token for a session.
pub(super) fn make(key: &[u8; 32], user: &str, session: &str, role: Role, now: Timestamp) -> String {
    let claims = Claims {
        sub: user.to_owned(),
        sid: session.to_owned(),
        role: role.as_str().to_owned(),
        iat: seconds(now),
        exp: seconds(now) + GOOD_FOR,
        jti: secret::hex(&secret::random::<16>()),
    };
    // A struct of texts and numbers has a JSON form.
    let claims = BASE64.encode(serde_json::to_vec(&claims).unwrap_or_default());
    let signature = BASE64.encode(secret::hmac(key, &[HEADER.as_bytes(), b".", claims.as_bytes()]));
    format!("{HEADER}.{claims}.{signature}")
}

/// The claims of a token that is ours and has not expired.
pub(in crate::admin) fn read(key: &[u8; 32], token: &str, now: Timestamp) -> Option<Claims> {
    if token.len() > LONGEST {
        return None;
    }
    let rest = token.strip_prefix(HEADER)?.strip_prefix('.')?;
    let (claims, signature) = rest.split_once('.')?;
    let signature = BASE64.decode(signature).ok()?;
    let right = secret::hmac(key, &[HEADER.as_bytes(), b".", claims.as_bytes()]);
    if !secret::same(&signature, &right) {
        return None;
    }
    let claims: Claims = serde_json::from_slice(&BASE64.decode(claims).ok()?).ok()?;
    // A clock that was set back makes none good that is from the future by more than a minute.
    let now = seconds(now);
    let good_for = claims.exp.checked_sub(claims.iat)?;
    (now < claims.exp && claims.iat <= now + 60 && good_for <= GOOD_FOR).then_some(claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];
    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn later(seconds: i64) -> Timestamp {
        Timestamp::from_millis(NOW.as_millis() + seconds * 1000)
    }

    fn token() -> String {
        make(&KEY, "ann", "s1", Role::User, NOW)
    }

    /// Signed with the right key, whatever it says.
    fn signed(header: &str, claims: &str) -> String {
        let (header, claims) = (BASE64.encode(header), BASE64.encode(claims));
        let signature = secret::hmac(&KEY, &[header.as_bytes(), b".", claims.as_bytes()]);
        format!("{header}.{claims}.{}", BASE64.encode(signature))
    }

    #[test]
    fn the_header_is_what_it_says() {
        assert_eq!(BASE64.decode(HEADER).unwrap(), br#"{"alg":"HS256","typ":"JWT"}"#);
    }

    #[test]
    fn jwt_expired_is_refused() {
        let token = token();
        assert_eq!(read(&KEY, &token, later(599)).unwrap().sub, "ann");
        assert_eq!(read(&KEY, &token, later(600)), None);
        assert_eq!(read(&KEY, &token, later(-61)), None, "from the future");
    }

    #[test]
    fn jwt_alg_none_and_swapped_are_refused() {
        let token = token();
        let claims = token.split('.').nth(1).unwrap();
        for header in [r#"{"alg":"none","typ":"JWT"}"#, r#"{"alg":"None"}"#, r#"{"alg":"HS256"}"#] {
            let header = BASE64.encode(header);
            let signature = BASE64.encode(secret::hmac(&KEY, &[header.as_bytes(), b".", claims.as_bytes()]));
            for signature in ["", signature.as_str()] {
                assert_eq!(read(&KEY, &format!("{header}.{claims}.{signature}"), NOW), None);
            }
        }
        let claims = String::from_utf8(BASE64.decode(claims).unwrap()).unwrap();
        for header in [r#"{"alg":"HS512","typ":"JWT"}"#, r#"{"alg":"RS256","typ":"JWT"}"#] {
            assert_eq!(read(&KEY, &signed(header, &claims), NOW), None);
        }
        assert!(read(&KEY, &signed(r#"{"alg":"HS256","typ":"JWT"}"#, &claims), NOW).is_some());
    }

    #[test]
    fn jwt_tampered_is_refused() {
        let token = token();
        let mut parts: Vec<String> = token.split('.').map(ToOwned::to_owned).collect();
        let claims = String::from_utf8(BASE64.decode(&parts[1]).unwrap()).unwrap();
        parts[1] = BASE64.encode(claims.replace("user", "admin"));
        assert_eq!(read(&KEY, &parts.join("."), NOW), None);
        assert_eq!(read(&[8; 32], &token, NOW), None, "another key");
        for cut in [0, 10, token.len() - 1] {
            assert_eq!(read(&KEY, &token[..cut], NOW), None);
        }
        assert_eq!(read(&KEY, &format!("{token}A"), NOW), None);
        assert_eq!(read(&KEY, &format!("{token}.x"), NOW), None);
        let long = signed(
            r#"{"alg":"HS256","typ":"JWT"}"#,
            r#"{"sub":"ann","sid":"s","role":"user","iat":1800000000,"exp":9900000000,"jti":""}"#,
        );
        assert_eq!(read(&KEY, &long, NOW), None, "good for too long");
        let before_it_was_made = signed(
            r#"{"alg":"HS256","typ":"JWT"}"#,
            r#"{"sub":"ann","sid":"s","role":"user","iat":1800000030,"exp":1800000001,"jti":""}"#,
        );
        assert_eq!(read(&KEY, &before_it_was_made, NOW), None);
    }
}
