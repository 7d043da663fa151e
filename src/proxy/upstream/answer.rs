//! The head of an upstream's answer: what hyper's client reads in one way, and others could read in
//! another (RFC 9112, 6.3). Its lines are hyper's business; their sum is checked here.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Response, Version};

use crate::proxy::trouble::Fault;

/// Refuses an answer of which two readers could see different ends: over HTTP/2 its frames tell the
/// end, but it may go on to a client of HTTP/1.
///
/// # Errors
/// Why: its connection must not be used again.
pub(in crate::proxy) fn check<B>(response: &Response<B>) -> Result<(), Fault> {
    let headers = response.headers();
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let (length, another) = (lengths.next(), lengths.next());
    let digits = |bytes: &[u8]| !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    if another.is_some() || length.is_some_and(|length| !digits(length.as_bytes())) {
        return Err(Fault::Length);
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(()) };
    let one_meaning = codings.next().is_none()
        && length.is_none()
        && response.version() == Version::HTTP_11
        && coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    if one_meaning { Ok(()) } else { Err(Fault::TransferCoding) }
}
