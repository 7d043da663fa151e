//! The host of a request (`Host`, an absolute target, `:authority`), and the hosts of the
//! configuration and of `/caddy/ask`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wakedock::domain::host::{HostPattern, Hostname};
use wakedock::proxy::bench;

fuzz_target!(|text: &str| {
    if let Some(host) = bench::host(text) {
        assert!(!host.is_empty() && host.len() <= 253);
        assert!(host.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase() && !b" @/\\?#\0%".contains(&b)));
        if !host.ends_with('.') {
            assert_eq!(bench::host(&host).as_ref(), Some(&host), "not the same when it is read again");
        }
        // Another parser reads the same host out of it.
        let other: http::uri::Authority = text.parse().expect("an authority to us alone");
        let theirs = other.host();
        if host.starts_with('[') {
            let inner = theirs.trim_matches(['[', ']']);
            assert_eq!(format!("[{}]", inner.parse::<std::net::Ipv6Addr>().unwrap()), host);
        } else {
            assert_eq!(theirs.strip_suffix('.').unwrap_or(theirs).to_ascii_lowercase(), host);
        }
    }
    if let Ok(name) = Hostname::parse(text) {
        // What the configuration can name, a request can ask for.
        assert_eq!(bench::host(name.as_str()).as_deref(), Some(name.as_str()));
        assert_eq!(Hostname::parse(name.as_str()).as_ref(), Ok(&name));
    }
    if let Ok(pattern) = HostPattern::parse(text) {
        // A Caddyfile gets it as it is.
        assert!(pattern.to_string().bytes().all(|b| b.is_ascii_graphic() && !b"{}\"`#,;\\$".contains(&b)));
        assert_eq!(HostPattern::parse(&pattern.to_string()), Ok(pattern));
    }
});
