//! Which bytes may stand where.

const TOKEN: u8 = 1;
const PATH: u8 = 2;
const QUERY: u8 = 4;

/// One look-up tells all classes of a byte.
static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        #[allow(clippy::cast_possible_truncation, reason = "counted to 255")]
        let byte = at as u8;
        // RFC 9110, 5.6.2.
        let token = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        // RFC 3986, 3.3 and 3.4, and what browsers and programs send all the same: it has one
        // meaning, and goes through as it is. A fragment does not belong in a target.
        let sent = matches!(byte, 0x21..=0x7e | 0x80..=0xff) && !matches!(byte, b'#' | b'<' | b'>');
        let path = sent && !matches!(byte, b'?' | b'`');
        let query = sent && byte != b'"';
        table[at] =
            if token { TOKEN } else { 0 } | if path { PATH } else { 0 } | if query { QUERY } else { 0 };
        at += 1;
    }
    table
}

fn is(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

pub(super) fn is_token(byte: u8) -> bool {
    is(byte, TOKEN)
}

/// How many bytes of a token these begin with.
pub(super) fn token(bytes: &[u8]) -> usize {
    leading(bytes, TOKEN)
}

/// How many bytes of a path these begin with.
pub(super) fn path(bytes: &[u8]) -> usize {
    leading(bytes, PATH)
}

/// How many bytes of a query these begin with.
pub(super) fn query(bytes: &[u8]) -> usize {
    leading(bytes, QUERY)
}

fn leading(bytes: &[u8], class: u8) -> usize {
    bytes.iter().position(|byte| !is(*byte, class)).unwrap_or(bytes.len())
}

/// Whether a byte may stand in a field's value (RFC 9110, 5.5).
pub(super) fn is_value(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// How many bytes of a field's value these begin with. Eight at a time: most of a head is values.
pub(super) fn value(bytes: &[u8]) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * EACH;
    let mut at = 0;
    loop {
        while let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*eight);
            // The lowest byte found is exact; what a borrow marks lies above it.
            let low = word.wrapping_sub(0x20 * EACH) & !word;
            let delete = word ^ (0x7f * EACH);
            let delete = delete.wrapping_sub(EACH) & !delete;
            let found = (low | delete) & HIGH;
            if found != 0 {
                at += (found.trailing_zeros() / 8) as usize;
                break;
            }
            at += 8;
        }
        while let Some(byte) = bytes.get(at).copied() {
            if !is_value(byte) {
                return at;
            }
            at += 1;
            if bytes.len() - at >= 8 {
                break;
            }
        }
        if at >= bytes.len() {
            return bytes.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_byte_has_its_class() {
        for byte in 0..=255 {
            assert_eq!(is_token(byte), http::HeaderName::from_bytes(&[byte]).is_ok(), "a name of {byte:#x}");
            assert_eq!(
                is_value(byte),
                http::HeaderValue::from_bytes(&[byte]).is_ok(),
                "a value of {byte:#x}"
            );
        }
    }

    proptest! {
        #[test]
        fn values_end_where_a_byte_by_byte_look_ends_them(
            bytes in prop::collection::vec(prop_oneof![9 => 0x20_u8..=0x7e, 1 => any::<u8>()], 0..80),
        ) {
            let plain = bytes.iter().position(|byte| !is_value(*byte)).unwrap_or(bytes.len());
            prop_assert_eq!(value(&bytes), plain);
        }
    }
}
