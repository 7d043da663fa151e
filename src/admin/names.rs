//! The names a request may come under. A page of somebody else's whose name leads to this address
//! (DNS rebinding) says that name in `Host`, and is sent away.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::http::header::{ACCEPT_LANGUAGE, COOKIE, HOST, HeaderMap, ORIGIN, REFERER};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{StatusCode, Version};

use crate::admin::peer::Peer;
use crate::admin::problem::Problem;
use crate::config::AdminConfig;
use crate::domain::host::Hostname;

/// Health checks, scrapers and Caddy's question come under whatever name a network has for this
/// machine. A browser, which reaches the port for pages that do not, has to say ours.
const UNDER_ANY_NAME: [&str; 3] = ["/readyz", "/metrics", "/caddy/ask"];
/// Says nothing that anybody could want.
const ALIVE: &str = "/livez";

/// Whether a browser may be asking. Pages cannot take `Accept-Language` out, and programs say none.
fn is_browser(headers: &HeaderMap) -> bool {
    let says = |name| headers.contains_key(name);
    says(ACCEPT_LANGUAGE)
        || says(ORIGIN)
        || says(REFERER)
        || says(COOKIE)
        || headers.contains_key("sec-fetch-site")
}

/// Holds the host of a request against the names that are known.
///
/// # Errors
/// 421 for a name that is not ours, 400 for none or several.
pub(super) fn check(parts: &Parts, peer: &Peer, config: &AdminConfig) -> Result<(), Problem> {
    // No browser speaks to the local socket.
    let to = match peer {
        Peer::Socket { .. } => return Ok(()),
        Peer::Proxy => None,
        Peer::Tcp { to, .. } => Some(*to),
    };
    let path = parts.uri.path();
    if path == ALIVE || (UNDER_ANY_NAME.contains(&path) && !is_browser(&parts.headers)) {
        return Ok(());
    }
    let mut said = parts.headers.get_all(HOST).iter();
    let (first, second) = (said.next(), said.next());
    let Some(first) = first else {
        // No browser speaks HTTP/1.0.
        if parts.version == Version::HTTP_10 {
            return Ok(());
        }
        return Err(bad_request("Say one `Host`"));
    };
    if second.is_some() {
        return Err(bad_request("Say one `Host`"));
    }
    let authority: Authority = first
        .to_str()
        .ok()
        .and_then(|host| host.parse().ok())
        .ok_or_else(|| bad_request("`Host` is not a host"))?;
    if is_ours(authority.host(), to, config) {
        return Ok(());
    }
    Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", "This is not WakeDock's name").detail(
        "Use the host in `admin.host`, an address of this machine, or a name listed in `admin.hosts`.",
    ))
}

fn bad_request(title: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad-request", title)
}

/// Whether a host (without port) is one of WakeDock's own. `to`: the address that was dialled.
pub(super) fn is_ours(host: &str, to: Option<IpAddr>, config: &AdminConfig) -> bool {
    let Ok(host) = Hostname::parse(host) else { return false };
    if host.as_str() == "localhost" || config.host.iter().chain(&config.hosts).any(|own| *own == host) {
        return true;
    }
    let Some(address) = address(host.as_str()) else { return false };
    // A page cannot have an address for its name unless it came from there.
    address.is_loopback() || to.is_some_and(|to| to.to_canonical() == address)
}

fn address(host: &str) -> Option<IpAddr> {
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().ok().map(|address| IpAddr::V6(address).to_canonical());
    }
    host.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
}

/// A text as the value of a parameter in an address.
pub(super) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_names_and_no_others() {
        let config = AdminConfig {
            host: Hostname::parse("dash.example.com").ok(),
            hosts: vec![Hostname::parse("nas").unwrap()],
            ..AdminConfig::default()
        };
        let to = Some("192.0.2.1".parse().unwrap());
        for ours in [
            "localhost",
            "LOCALHOST.",
            "127.0.0.1",
            "127.9.9.9",
            "[::1]",
            "Dash.example.com",
            "nas",
            "192.0.2.1",
        ] {
            assert!(is_ours(ours, to, &config), "{ours}");
        }
        for other in
            ["evil.example", "192.0.2.2", "localhost.evil.example", "x.dash.example.com", "", "[::2]"]
        {
            assert!(!is_ours(other, to, &config), "{other}");
        }
        assert!(!is_ours("192.0.2.1", None, &config));
    }
}
