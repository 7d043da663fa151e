//! What HTTP/1 on the wire looks like, by RFC 9112 and no wider: a message that two readers could
//! take for two different ones is not one. Pure: bytes in, verdict out.
//!
//! | file | what it is |
//! |---|---|
//! | [`classes`] | which bytes may stand where |
//! | [`head`] | the head of a request, line by line |
//! | [`target`] | the target in its first line |
//! | [`chunks`] | a chunked body and its trailers |
//! | [`requests`] | one message after the other on a connection |

pub(super) mod chunks;
pub(super) mod classes;
pub(super) mod head;
pub(super) mod requests;
pub(super) mod target;

/// Nobody has a longer method.
pub(super) const LONGEST_METHOD: usize = 64;

/// Why a message is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Violation {
    /// In words that help whoever sent it.
    Malformed(&'static str),
    TargetTooLong,
    HeadTooLarge,
}

/// What a head, and the trailers of a body, may come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Bytes of a head.
    pub(super) head: usize,
    /// Count of its fields.
    pub(super) fields: usize,
    /// Bytes of its target.
    pub(super) target: usize,
}
