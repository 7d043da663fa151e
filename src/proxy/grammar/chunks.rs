//! A chunked body and its trailers (RFC 9112, 7.1), byte by byte but for the data itself.

use crate::proxy::grammar::classes::{is_token, is_value};
use crate::proxy::grammar::{Bounds, Violation};

/// What all extensions of a body may come to: nobody uses them, and they make us read for nothing.
const EXTENSIONS: u16 = 8 * 1024;
/// Sizes of more digits are no sizes.
const DIGITS: u8 = 15;

const ODD_SIZE: Violation = Violation::Malformed("an odd chunk size");
const ODD_EXTENSION: Violation = Violation::Malformed("an odd chunk extension");
const ODD_END: Violation = Violation::Malformed("a chunk without its end");
const ODD_TRAILER: Violation = Violation::Malformed("a malformed trailer");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Size {
        digits: u8,
    },
    /// Blanks after the size or an extension: only another extension may follow.
    Blank,
    BeforeName,
    Name,
    AfterName,
    BeforeValue,
    Value,
    Quoted,
    QuotedPair,
    AfterValue,
    SizeEnd,
    Data,
    DataEnd,
    DataEndLine,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerEnd,
    LastEnd,
}

/// Follows a chunked body, however it is split.
#[derive(Debug, Clone)]
pub(super) struct ChunkReader {
    at: At,
    /// The size that is being read, then what is left of the data.
    left: u64,
    extensions: u16,
    trailers: u32,
    trailer_bytes: usize,
}

impl ChunkReader {
    pub(super) fn new() -> Self {
        Self { at: At::Size { digits: 0 }, left: 0, extensions: 0, trailers: 0, trailer_bytes: 0 }
    }

    /// How many of these bytes belong to the body, and whether it ends with them.
    ///
    /// # Errors
    /// After how many bytes it is no chunked body any more, and why.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        bounds: &Bounds,
    ) -> Result<(usize, bool), (usize, Violation)> {
        let mut n = 0;
        while let Some(byte) = bytes.get(n).copied() {
            if self.at == At::Data {
                let here = (bytes.len() - n) as u64;
                let skipped = here.min(self.left);
                self.left -= skipped;
                #[allow(clippy::cast_possible_truncation, reason = "at most the length of a slice")]
                let skipped = skipped as usize;
                n += skipped;
                if self.left == 0 {
                    self.at = At::DataEnd;
                }
                continue;
            }
            if self.at == At::LastEnd {
                return if byte == b'\n' { Ok((n + 1, true)) } else { Err((n, ODD_END)) };
            }
            self.at = self.step(byte, bounds).map_err(|violation| (n, violation))?;
            n += 1;
        }
        Ok((n, false))
    }

    fn step(&mut self, byte: u8, bounds: &Bounds) -> Result<At, Violation> {
        Ok(match self.at {
            At::Size { digits } => match (byte as char).to_digit(16) {
                Some(digit) if digits < DIGITS => {
                    self.left = self.left * 16 + u64::from(digit);
                    At::Size { digits: digits + 1 }
                }
                None if digits > 0 => self.after(byte).ok_or(ODD_SIZE)?,
                _ => return Err(ODD_SIZE),
            },
            At::SizeEnd => match byte {
                b'\n' if self.left == 0 => At::TrailerStart,
                b'\n' => At::Data,
                _ => return Err(ODD_SIZE),
            },
            At::DataEnd if byte == b'\r' => At::DataEndLine,
            At::DataEndLine if byte == b'\n' => At::Size { digits: 0 },
            At::DataEnd | At::DataEndLine | At::Data | At::LastEnd => return Err(ODD_END),
            At::TrailerStart | At::TrailerName | At::TrailerValue | At::TrailerEnd => {
                self.trailer(byte, bounds)?
            }
            At::Blank
            | At::BeforeName
            | At::Name
            | At::AfterName
            | At::BeforeValue
            | At::Value
            | At::Quoted
            | At::QuotedPair
            | At::AfterValue => self.extension(byte)?,
        })
    }

    /// What comes after a size, a name or a value.
    fn after(&self, byte: u8) -> Option<At> {
        match byte {
            b'\r' => Some(At::SizeEnd),
            b';' => Some(At::BeforeName),
            b' ' | b'\t' => Some(At::Blank),
            _ => None,
        }
    }

    fn extension(&mut self, byte: u8) -> Result<At, Violation> {
        self.extensions += 1;
        if self.extensions > EXTENSIONS {
            return Err(ODD_EXTENSION);
        }
        let blank = matches!(byte, b' ' | b'\t');
        let next = match self.at {
            At::Blank if blank => Some(At::Blank),
            At::Blank if byte == b';' => Some(At::BeforeName),
            At::BeforeName if blank => Some(At::BeforeName),
            At::BeforeName | At::Name if is_token(byte) => Some(At::Name),
            At::Name | At::AfterName if byte == b'=' => Some(At::BeforeValue),
            At::Name | At::AfterName if blank => Some(At::AfterName),
            At::AfterName if byte == b';' => Some(At::BeforeName),
            At::BeforeValue if blank => Some(At::BeforeValue),
            At::BeforeValue if byte == b'"' => Some(At::Quoted),
            At::BeforeValue | At::Value if is_token(byte) => Some(At::Value),
            At::Quoted if byte == b'"' => Some(At::AfterValue),
            At::Quoted if byte == b'\\' => Some(At::QuotedPair),
            At::Quoted | At::QuotedPair if is_value(byte) => Some(At::Quoted),
            At::Name | At::Value | At::AfterValue => self.after(byte),
            _ => None,
        };
        next.ok_or(ODD_EXTENSION)
    }

    fn trailer(&mut self, byte: u8, bounds: &Bounds) -> Result<At, Violation> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > bounds.head {
            return Err(Violation::HeadTooLarge);
        }
        Ok(match self.at {
            At::TrailerStart if byte == b'\r' => At::LastEnd,
            At::TrailerStart if is_token(byte) => {
                self.trailers += 1;
                if self.trailers as usize > bounds.fields {
                    return Err(Violation::HeadTooLarge);
                }
                At::TrailerName
            }
            At::TrailerName if is_token(byte) => At::TrailerName,
            At::TrailerName if byte == b':' => At::TrailerValue,
            At::TrailerValue if byte == b'\r' => At::TrailerEnd,
            At::TrailerValue if is_value(byte) => At::TrailerValue,
            At::TrailerEnd if byte == b'\n' => At::TrailerStart,
            _ => return Err(ODD_TRAILER),
        })
    }
}
