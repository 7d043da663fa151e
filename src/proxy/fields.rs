//! Rewriting header fields in place: what ends at a hop, and what we say about the client.

use std::net::IpAddr;
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, Entry, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::proxy::downstream::peer::Peer;
use crate::proxy::settings::ProxySettings;

pub(super) static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(super) static X_WAKEDOCK: HeaderName = HeaderName::from_static("x-wakedock");

static SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// How many fields `rewrite_request` adds at the most, `Host`, `TE` and `Connection` among them.
const OURS: usize = 7;

/// RFC 9110, 7.6.1: what ends at a hop even where no `Connection` line names it. `Trailer` is not
/// among them: the trailers it announces go through.
static HOP_BY_HOP: [HeaderName; 7] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Removes from the trailers of a request what a head may not say either, and what only a head may
/// (RFC 9110, 6.5.1): an application that adds them to its fields must not be led astray.
pub(super) fn rewrite_request_trailers(trailers: &mut HeaderMap) {
    remove_from_trailers(trailers, |name| is_ours(name, false));
}

/// The same for the trailers of an answer.
pub(super) fn rewrite_response_trailers(trailers: &mut HeaderMap) {
    remove_from_trailers(trailers, |name| X_WAKEDOCK == name);
}

fn remove_from_trailers(trailers: &mut HeaderMap, is_ours: impl Fn(&str) -> bool) {
    let belongs_in_head =
        |name: &HeaderName| [HOST, CONTENT_LENGTH, TRAILER].contains(name) || HOP_BY_HOP.contains(name);
    let removed: Vec<HeaderName> =
        trailers.keys().filter(|name| belongs_in_head(name) || is_ours(name.as_str())).cloned().collect();
    for name in removed {
        trailers.remove(name);
    }
}

/// Removes the fields that end at this hop: the fixed ones, and those that any `Connection` line
/// names (trap 17).
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    // One pass over the names that are there costs less than a look-up for each that could be.
    let mut found = [false; HOP_BY_HOP.len()];
    for name in headers.keys() {
        // Most names are ruled out by their length.
        if matches!(name.as_str().len(), 2 | 7 | 10 | 14 | 16 | 17)
            && let Some(at) = HOP_BY_HOP.iter().position(|hop| hop == name)
        {
            found[at] = true;
        }
    }
    if found[0] {
        strip_named(headers);
    }
    for (name, _) in HOP_BY_HOP.iter().zip(found).filter(|(_, found)| *found) {
        headers.remove(name);
    }
}

/// Removes what the `Connection` lines name.
fn strip_named(headers: &mut HeaderMap) {
    // Nearly always there is one line, and no room is needed for the others.
    let mut lines = headers.get_all(CONNECTION).iter().cloned();
    let first = lines.next();
    let others: Vec<HeaderValue> = lines.collect();
    for word in first.iter().chain(&others).flat_map(|line| line.as_bytes().split(|byte| *byte == b',')) {
        let word = word.trim_ascii();
        // Goes anyway, and making a name of it costs memory.
        if !word.eq_ignore_ascii_case(b"keep-alive")
            && let Ok(name) = HeaderName::from_bytes(word)
        {
            headers.remove(name);
        }
    }
}

/// Makes the fields of a request those of the next hop. `host` is what is routed by: the field
/// stays what the client sent, or becomes the authority of its absolute target.
pub(super) fn rewrite_request(
    headers: &mut HeaderMap,
    host: HeaderValue,
    peer: &Peer,
    trusted: bool,
    request_id: &HeaderValue,
) {
    let trailers = reads_trailers(headers);
    strip_hop_by_hop(headers);
    if trailers {
        // Ours to say as well: we pass trailers on. It concerns the next hop alone (RFC 9110, 10.1.4).
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("TE"));
    }
    remove_forged(headers, trusted);
    // Room for ours at once, instead of growing with each.
    headers.reserve(OURS);
    forwarded_for(headers, peer);
    or_insert(headers, &X_FORWARDED_PROTO, || HeaderValue::from_static("http"));
    or_insert(headers, &X_FORWARDED_HOST, || host.clone());
    headers.insert(X_REQUEST_ID.clone(), request_id.clone());
    headers.insert(HOST, host);
}

fn or_insert(headers: &mut HeaderMap, name: &HeaderName, value: impl FnOnce() -> HeaderValue) {
    if let Entry::Vacant(entry) = headers.entry(name) {
        entry.insert(value());
    }
}

/// Adds the peer to those that the request came through. A unix socket has no address to add.
fn forwarded_for(headers: &mut HeaderMap, peer: &Peer) {
    let Some(own) = &peer.text else { return };
    let mut through = Vec::new();
    for line in headers.get_all(&X_FORWARDED_FOR) {
        through.extend_from_slice(line.as_bytes());
        through.extend_from_slice(b", ");
    }
    let value = if through.is_empty() {
        own.clone()
    } else {
        through.extend_from_slice(own.as_bytes());
        HeaderValue::from_bytes(&through).unwrap_or_else(|_| own.clone())
    };
    headers.insert(X_FORWARDED_FOR.clone(), value);
}

/// Whose request it is: the last address that no trusted proxy stands for.
pub(super) fn client(headers: &HeaderMap, peer: Option<IpAddr>, settings: &ProxySettings) -> Option<IpAddr> {
    let mut client = peer;
    let through = headers
        .get_all(&X_FORWARDED_FOR)
        .iter()
        .rev()
        .flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    for word in through {
        if !settings.trusts(client) {
            break;
        }
        let Some(address) = std::str::from_utf8(word).ok().and_then(|text| text.trim().parse().ok()) else {
            break;
        };
        client = Some(address);
    }
    client
}

/// Removes what only we, or a trusted proxy, may say (trap 33), in every spelling that an
/// application could take for it: many read `_` as `-`, and some any mark that a name may have.
fn remove_forged(headers: &mut HeaderMap, trusted: bool) {
    let forged: Vec<HeaderName> =
        headers.keys().filter(|name| is_ours(name.as_str(), trusted)).cloned().collect();
    for name in forged {
        headers.remove(name);
    }
}

fn is_ours(name: &str, trusted: bool) -> bool {
    // Field names are lower case here; most begin with another letter.
    if !(name.starts_with('x') || name.starts_with('f')) {
        return false;
    }
    let begins = |word: &str| {
        let same =
            |(own, of_word): (u8, u8)| own == of_word || (of_word == b'-' && !own.is_ascii_alphanumeric());
        name.len() >= word.len() && name.bytes().zip(word.bytes()).all(same)
    };
    let is = |word: &str| name.len() == word.len() && begins(word);
    let forwarding = begins("x-forwarded-") || is("forwarded") || is("x-real-ip") || is("x-request-id");
    let is_spelled_well = || name.bytes().all(|byte| byte == b'-' || byte.is_ascii_alphanumeric());
    is("x-wakedock") || (forwarding && (!trusted || !is_spelled_well()))
}

/// The id of a request: the client's own where it may name it, else a new one.
pub(super) fn request_id(
    headers: &HeaderMap,
    trusted: bool,
    new: impl FnOnce() -> HeaderValue,
) -> HeaderValue {
    if trusted {
        let mut ids = headers.get_all(&X_REQUEST_ID).iter();
        if let (Some(id), None) = (ids.next(), ids.next()) {
            let fits = id.as_bytes().iter().all(|c| c.is_ascii_alphanumeric() || b"._-".contains(c));
            if fits && (1..=128).contains(&id.len()) {
                return id.clone();
            }
        }
    }
    new()
}

/// Makes the fields of an answer those of this hop.
pub(super) fn rewrite_response(headers: &mut HeaderMap, waited: Option<Duration>) {
    strip_hop_by_hop(headers);
    headers.remove(&X_WAKEDOCK);
    if let Some(waited) = waited {
        let timing = format!("wake;dur={:.1}", waited.as_secs_f64() * 1000.0);
        if let Ok(timing) = HeaderValue::try_from(timing) {
            headers.append(SERVER_TIMING.clone(), timing);
        }
    }
}

/// Whether one of the comma-separated words of these fields is `word`.
pub(super) fn has_word(headers: &HeaderMap, field: &http::HeaderName, word: &str) -> bool {
    headers.get_all(field).iter().any(|line| {
        line.as_bytes()
            .split(|byte| *byte == b',')
            .any(|part| part.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    })
}

/// Whether the client says that it reads trailers.
pub(super) fn reads_trailers(headers: &HeaderMap) -> bool {
    headers.contains_key(TE) && has_word(headers, &TE, "trailers")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect::<Vec<_>>()
            .into_iter()
            .fold(HeaderMap::new(), |mut map, (name, value): (HeaderName, HeaderValue)| {
                map.append(name, value);
                map
            })
    }

    proptest! {
        /// Trap 17: every line counts, not only the first, whatever the case and the blanks.
        #[test]
        fn no_field_that_any_connection_line_names_survives(
            named in prop::collection::vec(prop::collection::vec("[A-Za-z][A-Za-z0-9-]{0,12}", 0..4), 1..5),
            others in prop::collection::vec("[a-z][a-z0-9]{0,12}", 0..6),
        ) {
            let mut headers = HeaderMap::new();
            for line in &named {
                headers.append(CONNECTION, line.join(" ,\t").parse().unwrap());
                for name in line {
                    headers.append(name.parse::<HeaderName>().unwrap(), "x".parse().unwrap());
                }
            }
            for name in &others {
                headers.append(name.parse::<HeaderName>().unwrap(), "x".parse().unwrap());
            }
            strip_hop_by_hop(&mut headers);
            let is_named = |name: &str| named.iter().flatten().any(|n| n.eq_ignore_ascii_case(name));
            for name in named.iter().flatten() {
                prop_assert!(!headers.contains_key(name.as_str()), "{name}");
            }
            prop_assert!(!headers.contains_key(CONNECTION));
            for name in others.iter().filter(|name| !is_named(name)) {
                let fixed = HOP_BY_HOP.iter().any(|hop| hop == name.as_str()) || name == "connection";
                prop_assert!(fixed || headers.contains_key(name.as_str()), "{name} was taken too");
            }
        }
    }

    fn rewritten(fields: &[(&str, &str)], peer: &Peer, trusted: bool) -> HeaderMap {
        let mut headers = map(fields);
        let id = HeaderValue::from_static("id-1");
        rewrite_request(&mut headers, HeaderValue::from_static("a.example:80"), peer, trusted, &id);
        headers
    }

    const FORGED: &[(&str, &str)] = &[
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-for", "7.7.7.7"),
        ("x_forwarded_for", "6.6.6.6"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-port", "1"),
        ("forwarded", "for=6.6.6.6"),
        ("x-real-ip", "6.6.6.6"),
        ("x_real-ip", "6.6.6.6"),
        ("x.real~ip", "6.6.6.6"),
        ("x|forwarded-for", "6.6.6.6"),
        ("x-wakedock", "waking"),
        ("traceparent", "00-1-2-00"),
    ];

    /// Trap 33.
    #[test]
    fn a_stranger_is_not_believed() {
        let peer = Peer::remote("192.0.2.7:1234".parse().unwrap());
        let headers = rewritten(FORGED, &peer, false);
        let mut left: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        left.sort_unstable();
        assert_eq!(
            left,
            [
                ("host", "a.example:80"),
                ("traceparent", "00-1-2-00"),
                ("x-forwarded-for", "192.0.2.7"),
                ("x-forwarded-host", "a.example:80"),
                ("x-forwarded-proto", "http"),
                ("x-request-id", "id-1"),
            ]
        );
    }

    #[test]
    fn the_client_is_the_last_whom_no_trusted_proxy_stands_for() {
        let mut settings = ProxySettings::new(&crate::config::Config::default().proxy, false);
        settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        let cases: &[(Option<&str>, &[&str], Option<&str>)] = &[
            (None, &["192.0.2.7"], Some("192.0.2.7")),
            (None, &[], None),
            (None, &["unknown"], None),
            (Some("127.0.0.1"), &["6.6.6.6, 192.0.2.7"], Some("192.0.2.7")),
            (Some("127.0.0.1"), &["6.6.6.6", "192.0.2.7,127.0.0.9"], Some("192.0.2.7")),
            (Some("127.0.0.1"), &["_hidden, 127.0.0.9"], Some("127.0.0.9")),
            (Some("198.51.100.1"), &["6.6.6.6"], Some("198.51.100.1")),
        ];
        for (peer, lines, expected) in cases {
            let fields: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
            let address = |text: &str| text.parse().unwrap();
            let found = client(&map(&fields), peer.map(address), &settings);
            assert_eq!(found, expected.map(address), "{lines:?} from {peer:?}");
        }
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_added() {
        let peer = Peer::remote("[::ffff:127.0.0.1]:1234".parse().unwrap());
        let headers = rewritten(FORGED, &peer, true);
        assert_eq!(headers["x-forwarded-for"], "6.6.6.6, 7.7.7.7, 127.0.0.1");
        assert_eq!(headers.get_all("x-forwarded-for").iter().count(), 1);
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(headers["x-forwarded-host"], "evil.example");
        assert_eq!(headers["x-real-ip"], "6.6.6.6");
        for name in ["x_forwarded_for", "x_real-ip", "x.real~ip", "x|forwarded-for", "x-wakedock"] {
            assert!(!headers.contains_key(name), "{name}");
        }
        let unix = rewritten(FORGED, &Peer::local(), true);
        assert_eq!(unix.get_all("x-forwarded-for").iter().count(), 2, "kept as they came");
    }

    #[test]
    fn every_field_that_ends_at_a_hop_is_found() {
        for name in &HOP_BY_HOP {
            let mut headers = HeaderMap::from_iter([(name.clone(), HeaderValue::from_static("x"))]);
            strip_hop_by_hop(&mut headers);
            assert!(headers.is_empty(), "{name}");
        }
    }

    #[test]
    fn request_ids() {
        let new = || HeaderValue::from_static("new");
        let long = "a".repeat(129);
        let cases: &[(&[&str], bool, &str)] = &[
            (&["abc-1.2_3"], true, "abc-1.2_3"),
            (&["abc"], false, "new"),
            (&["a b"], true, "new"),
            (&[""], true, "new"),
            (&[&long], true, "new"),
            (&["a", "b"], true, "new"),
            (&[], true, "new"),
        ];
        for (sent, trusted, expected) in cases {
            let fields: Vec<_> = sent.iter().map(|id| ("x-request-id", *id)).collect();
            assert_eq!(request_id(&map(&fields), *trusted, new), expected, "{sent:?}");
        }
    }
}
