//! The host that a request is routed by.

use std::net::Ipv6Addr;

/// A host as it is routed: lower case, no port, no trailing dot. On the stack.
#[derive(Debug, Clone, Copy)]
pub(super) struct Host {
    bytes: [u8; 256],
    len: u8,
}

impl Host {
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }

    /// Reads an authority (RFC 3986, 3.2) without user information: `host`, `host:port`,
    /// `[v6]:port`. `None` where it is none.
    pub(super) fn read(authority: &str) -> Option<Self> {
        let (name, port) = split_port(authority)?;
        let port_is_fine = port.len() <= 5
            && port.bytes().all(|digit| digit.is_ascii_digit())
            && (port.is_empty() || port.parse::<u16>().is_ok());
        if !port_is_fine {
            return None;
        }
        if let Some(inner) = name.strip_prefix('[') {
            let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
            return Self::copy(&format!("[{address}]"));
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        // Between two dots, and on both sides of each, there is something.
        let mut before = b'.';
        let fits = name.bytes().all(|byte| {
            let apart = byte != b'.' || before != b'.';
            before = byte;
            apart && (byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        });
        if before == b'.' || !fits { None } else { Self::copy(name) }
    }

    fn copy(name: &str) -> Option<Self> {
        let len = u8::try_from(name.len()).ok().filter(|len| *len <= 253)?;
        let mut bytes = [0; 256];
        for (to, from) in bytes.iter_mut().zip(name.bytes()) {
            *to = from.to_ascii_lowercase();
        }
        Some(Self { bytes, len })
    }
}

fn split_port(authority: &str) -> Option<(&str, &str)> {
    if authority.starts_with('[') {
        let (name, rest) = authority.split_at(authority.find(']')? + 1);
        return if rest.is_empty() { Some((name, "")) } else { Some((name, rest.strip_prefix(':')?)) };
    }
    Some(authority.split_once(':').unwrap_or((authority, "")))
}

/// Whether both name the same host. A port that only one of them has is no difference.
pub(super) fn is_same_host(authority: &str, host: &str) -> bool {
    let parts = |text| Some((Host::read(text)?, split_port(text)?.1));
    let (Some((one, port)), Some((other, other_port))) = (parts(authority), parts(host)) else {
        return false;
    };
    one.as_str() == other.as_str() && (port.is_empty() || other_port.is_empty() || port == other_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let fine = [
            ("a.example", "a.example"),
            ("A.Example.:8080", "a.example"),
            ("a.example:", "a.example"),
            ("my_app.localhost", "my_app.localhost"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("[::1]:80", "[::1]"),
            ("[0:0:0:0:0:0:0:1]", "[::1]"),
        ];
        for (authority, host) in fine {
            assert_eq!(Host::read(authority).unwrap().as_str(), host);
        }
        for odd in [
            "", ".", "..", ".a", "a..", "a..b", ":80", "a b", "a/b", "user@a", "a:99999", "a:8o", "a:80:80",
            "[::1", "[::1]x", "[a]", "ü.de",
        ] {
            assert!(Host::read(odd).is_none(), "{odd:?}");
        }
        assert!(Host::read(&"a".repeat(254)).is_none());
    }

    #[test]
    fn the_same_host() {
        let same = is_same_host;
        assert!(
            same("app.test", "APP.test.") && same("app.test:80", "app.test") && same("[::1]", "[0::1]:80")
        );
        assert!(!same("app.test", "other.test") && !same("app.test:80", "app.test:81"));
    }
}
