//! The target of a request (RFC 9112, 3.2).

use crate::proxy::grammar::Violation;
use crate::proxy::grammar::classes::{path, query};
use crate::proxy::host::Host;

/// Checks a target: origin-form, absolute-form, or the asterisk of `OPTIONS`.
///
/// # Errors
/// Why it is none of them.
pub(super) fn check(method: &[u8], target: &[u8]) -> Result<(), Violation> {
    if method == b"CONNECT" {
        return Err(Violation::Malformed("CONNECT is for forward proxies"));
    }
    if target.first() == Some(&b'/') {
        return path_and_query(target);
    }
    if target == b"*" {
        return if method == b"OPTIONS" {
            Ok(())
        } else {
            Err(Violation::Malformed("the target * is for OPTIONS alone"))
        };
    }
    absolute(target)
}

fn absolute(target: &[u8]) -> Result<(), Violation> {
    let after = |scheme: &[u8]| {
        let (own, rest) = target.split_at_checked(scheme.len())?;
        own.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    let rest = after(b"http://")
        .or_else(|| after(b"https://"))
        .ok_or(Violation::Malformed("a target that is neither a path nor an http address"))?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let authority = std::str::from_utf8(authority).ok().and_then(Host::read);
    if authority.is_none() {
        return Err(Violation::Malformed("an odd host in the target"));
    }
    path_and_query(rest)
}

fn path_and_query(target: &[u8]) -> Result<(), Violation> {
    let mut end = path(target);
    if target.get(end) == Some(&b'?') {
        end += 1;
        end += query(&target[end..]);
    }
    // What is not ASCII should be percent-encoded, and often is not: as UTF-8 it has one meaning.
    let one_meaning = end == target.len() && (target.is_ascii() || std::str::from_utf8(target).is_ok());
    if one_meaning { Ok(()) } else { Err(Violation::Malformed("an odd character in the target")) }
}
