//! The head of a request, line by line, each byte looked at once (RFC 9112, 2 to 6).

use crate::proxy::grammar::classes::{self, token};
use crate::proxy::grammar::{Bounds, LONGEST_METHOD, Violation, target};

/// Empty lines before a request, which some clients send after a body (RFC 9112, 2.2).
const EMPTY_LINES: u8 = 4;
/// `http::Uri` and `http::HeaderName` hold no more.
const LONGEST: usize = 65_534;
const MALFORMED_LINE: Violation = Violation::Malformed("a malformed header field");
const MALFORMED_START: Violation = Violation::Malformed("a malformed request line");
const OTHER_VERSION: Violation = Violation::Malformed("a version of HTTP that is not spoken here");

/// What follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Framing {
    Length(u64),
    Chunked,
}

/// A whole head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) struct Head {
    /// Where it ends, counted from its first byte.
    pub(in crate::proxy) end: usize,
    pub(in crate::proxy) framing: Framing,
    /// It asks to leave HTTP after this message.
    pub(in crate::proxy) upgrade: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Request { empty_before: u8 },
    Fields,
}

/// Reads one head, however it is split.
#[derive(Debug, Clone)]
pub(in crate::proxy) struct HeadReader {
    line: Line,
    /// Where the line begins that is not whole yet.
    at: usize,
    /// Up to here there is no end of it.
    seen: usize,
    count: usize,
    is_11: bool,
    hosts: u8,
    length: Option<u64>,
    chunked: bool,
    upgrade: bool,
}

impl HeadReader {
    pub(in crate::proxy) fn new() -> Self {
        Self {
            line: Line::Request { empty_before: 0 },
            at: 0,
            seen: 0,
            count: 0,
            is_11: false,
            hosts: 0,
            length: None,
            chunked: false,
            upgrade: false,
        }
    }

    /// Reads on in all that has come of the head, which begins like at the last call. `None`: its
    /// end has not come.
    ///
    /// # Errors
    /// It can have no meaning, or is over a bound.
    pub(in crate::proxy) fn read(
        &mut self,
        bytes: &[u8],
        bounds: &Bounds,
    ) -> Result<Option<Head>, Violation> {
        // What is over the bound is not looked at, so that it does not matter when it comes.
        let bytes_within = &bytes[..bytes.len().min(bounds.head)];
        let over = bytes.len() > bounds.head;
        if self.seen > self.at && !over && !bytes_within[self.seen..].contains(&b'\n') {
            // A line that comes byte by byte is not read anew with each.
            self.seen = bytes_within.len();
            if !self.overlong(bytes_within.len(), bounds) {
                return Ok(None);
            }
        }
        while let Some(rest) = bytes_within.get(self.at..) {
            let length = match self.line {
                Line::Request { empty_before } => self.request_line(rest, empty_before, bounds)?,
                Line::Fields => match rest {
                    [b'\r', b'\n', ..] => return self.end(self.at + 2).map(Some),
                    [b'\r'] | [] => None,
                    _ => self.field_line(rest, bounds)?,
                },
            };
            let Some(length) = length else { break };
            self.at += length;
        }
        if over {
            return Err(Violation::HeadTooLarge);
        }
        self.seen = bytes.len();
        Ok(None)
    }

    /// Whether a request line without an end is too long already.
    fn overlong(&self, length: usize, bounds: &Bounds) -> bool {
        matches!(self.line, Line::Request { .. }) && length - self.at > bounds.target.min(LONGEST)
    }

    /// The length of the line, where it is whole.
    fn request_line(
        &mut self,
        bytes: &[u8],
        empty_before: u8,
        bounds: &Bounds,
    ) -> Result<Option<usize>, Violation> {
        if bytes.is_empty() {
            return Ok(None);
        }
        if let [b'\r', rest @ ..] = bytes {
            return match rest.first() {
                None => Ok(None),
                Some(b'\n') if empty_before < EMPTY_LINES => {
                    self.line = Line::Request { empty_before: empty_before + 1 };
                    Ok(Some(2))
                }
                Some(_) => Err(MALFORMED_START),
            };
        }
        let method = token(bytes);
        if method > LONGEST_METHOD {
            return Err(MALFORMED_START);
        }
        match bytes.get(method) {
            None => return Ok(None),
            Some(b' ') if method > 0 => {}
            Some(_) => return Err(MALFORMED_START),
        }
        let rest = &bytes[method + 1..];
        let longest = bounds.target.min(LONGEST);
        let within = &rest[..rest.len().min(longest + 1)];
        let Some(end) = within.iter().position(|byte| *byte <= b' ' || *byte == 0x7f) else {
            return if rest.len() > longest { Err(Violation::TargetTooLong) } else { Ok(None) };
        };
        if rest[end] != b' ' || end == 0 {
            return Err(MALFORMED_START);
        }
        let (target, version) = (&rest[..end], &rest[end + 1..]);
        let Some(version) = version.first_chunk::<10>() else {
            return if could_be_version(version) { Ok(None) } else { Err(MALFORMED_START) };
        };
        self.is_11 = match version {
            b"HTTP/1.1\r\n" => true,
            b"HTTP/1.0\r\n" => false,
            _ if could_be_version(version) => return Err(OTHER_VERSION),
            _ => return Err(MALFORMED_START),
        };
        target::check(&bytes[..method], target)?;
        self.line = Line::Fields;
        Ok(Some(method + 1 + end + 1 + version.len()))
    }

    /// The length of the line, where it is whole.
    fn field_line(&mut self, bytes: &[u8], bounds: &Bounds) -> Result<Option<usize>, Violation> {
        let name = token(bytes);
        match bytes.get(name) {
            None => return Ok(None),
            // Nothing may stand between name and colon; a line that begins with a blank would be
            // a folded one.
            Some(b':') if name > 0 => {}
            Some(_) => return Err(MALFORMED_LINE),
        }
        let rest = &bytes[name + 1..];
        let end = classes::value(rest);
        match &rest[end..] {
            [] | [b'\r'] => return Ok(None),
            [b'\r', b'\n', ..] => {}
            _ => return Err(MALFORMED_LINE),
        }
        if self.count >= bounds.fields || name > LONGEST {
            return Err(Violation::HeadTooLarge);
        }
        self.count += 1;
        self.note(&bytes[..name], &rest[..end])?;
        Ok(Some(name + 1 + end + 2))
    }

    /// Keeps what the framing, and the way of the request, depend on.
    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), Violation> {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                if self.hosts > 0 {
                    return Err(Violation::Malformed("more than one Host"));
                }
                self.hosts = 1;
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => self.upgrade = true,
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                if self.length.is_some() {
                    return Err(Violation::Malformed("more than one Content-Length"));
                }
                self.length =
                    Some(length(value.trim_ascii()).ok_or(Violation::Malformed("an odd Content-Length"))?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.chunked || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    return Err(Violation::Malformed("a transfer coding other than chunked"));
                }
                if !self.is_11 {
                    return Err(Violation::Malformed("a transfer coding in HTTP/1.0"));
                }
                self.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&self, end: usize) -> Result<Head, Violation> {
        if self.chunked && self.length.is_some() {
            return Err(Violation::Malformed("both Content-Length and Transfer-Encoding"));
        }
        if self.hosts == 0 {
            // HTTP/1.0 may do without, but then nobody knows who is meant.
            return Err(Violation::Malformed("no Host"));
        }
        let framing =
            if self.chunked { Framing::Chunked } else { Framing::Length(self.length.unwrap_or_default()) };
        Ok(Head { end, framing, upgrade: self.upgrade && self.is_11 })
    }
}

/// Whether these bytes are, or could become, the end of a request line: any version of HTTP.
fn could_be_version(bytes: &[u8]) -> bool {
    const FORM: &[u8; 10] = b"HTTP/9.9\r\n";
    bytes.iter().zip(FORM).all(|(byte, form)| match form {
        b'9' => byte.is_ascii_digit(),
        form => byte == form,
    })
}

/// Decimal digits alone. More than any body can have is odd as well.
fn length(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let length = digits.iter().try_fold(0_u64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })?;
    (length <= i64::MAX.unsigned_abs()).then_some(length)
}
