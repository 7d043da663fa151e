//! Host names as they are routed: lower case, ASCII, no port, no trailing dot.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Why a text is not a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    #[error("is empty")]
    Empty,
    #[error("is longer than 253 characters")]
    TooLong,
    #[error("holds the character {0:?}")]
    Character(char),
    #[error("has an empty label (two dots, or a dot at the beginning)")]
    EmptyLabel,
    #[error("has a label longer than 63 characters")]
    LabelTooLong,
    #[error("has a label that begins or ends with `-`")]
    Hyphen,
    #[error("has a wildcard that does not stand alone as the first label")]
    Wildcard,
    #[error("is not an IPv6 address in brackets")]
    Address,
}

/// A host that a request may ask for: a DNS name, an IPv4 address, or an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hostname(Arc<str>);

impl Hostname {
    /// Reads a host without a port. International names must be in their `xn--` form already.
    ///
    /// # Errors
    /// Says which rule of RFC 1123 (underscores allowed, as browsers and Docker do) is broken.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(HostError::Address)?;
            let address: Ipv6Addr = inner.parse().map_err(|_| HostError::Address)?;
            return Ok(Self(format!("[{address}]").into()));
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        check_labels(text)?;
        Ok(Self(text.to_ascii_lowercase().into()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is an address rather than a name: nobody issues a certificate on demand for it.
    #[must_use]
    pub fn is_address(&self) -> bool {
        self.0.starts_with('[') || self.0.parse::<Ipv4Addr>().is_ok()
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a service's `hosts` hold: one host, or `*.parent` for exactly one label below `parent`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    Exact(Hostname),
    /// The parent, without `*.`.
    Wildcard(Hostname),
}

impl HostPattern {
    /// Reads a host or a wildcard.
    ///
    /// # Errors
    /// As [`Hostname::parse`]; a `*` anywhere but as the whole first label is refused.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        match text.strip_prefix("*.") {
            Some(parent) if parent.contains('*') => Err(HostError::Wildcard),
            Some(parent) => {
                let parent = Hostname::parse(parent)?;
                if parent.is_address() { Err(HostError::Wildcard) } else { Ok(Self::Wildcard(parent)) }
            }
            None if text.contains('*') => Err(HostError::Wildcard),
            None => Hostname::parse(text).map(Self::Exact),
        }
    }

    /// Whether a request for `host` (lower case, no port) is meant.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(own) => own.as_str() == host,
            Self::Wildcard(parent) => {
                host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent.as_str())
            }
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => host.fmt(f),
            Self::Wildcard(parent) => write!(f, "*.{parent}"),
        }
    }
}

fn check_labels(text: &str) -> Result<(), HostError> {
    if text.is_empty() {
        return Err(HostError::Empty);
    }
    if let Some(odd) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || "-_.".contains(*c))) {
        return Err(HostError::Character(odd));
    }
    if text.len() > 253 {
        return Err(HostError::TooLong);
    }
    for label in text.split('.') {
        if label.is_empty() {
            return Err(HostError::EmptyLabel);
        }
        if label.len() > 63 {
            return Err(HostError::LabelTooLong);
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(HostError::Hyphen);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_hosts() {
        assert_eq!(Hostname::parse("App.Example.com.").unwrap().as_str(), "app.example.com");
        assert_eq!(Hostname::parse("[::1]").unwrap().as_str(), "[::1]");
        assert!(Hostname::parse("127.0.0.1").unwrap().is_address());
        assert!(!Hostname::parse("my_app.localhost").unwrap().is_address());
    }

    #[test]
    fn refuses_what_would_be_syntax_elsewhere() {
        for bad in [
            "", "a b", "a{b", "a}b", "a\nb", "a\"b", "{$HOME}", "a#b", "a:80", "a..b", ".a", "-a", "a-",
            "[::1", "a/b", "ü.de",
        ] {
            assert!(Hostname::parse(bad).is_err(), "{bad:?}");
        }
        for bad in ["*", "a.*", "*a.b", "*.*.b", "*.", "*.1.2.3.4", "*.[::1]"] {
            assert!(HostPattern::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_wildcard_is_one_label() {
        let wild = HostPattern::parse("*.example.com").unwrap();
        assert!(wild.matches("a.example.com"));
        assert!(!wild.matches("example.com"));
        assert!(!wild.matches("a.b.example.com"));
        assert!(!wild.matches(".example.com"));
        assert_eq!(wild.to_string(), "*.example.com");
    }
}
