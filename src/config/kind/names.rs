//! Kinds that become part of something else's syntax: hosts, names, paths of URLs.

use std::ops::RangeInclusive;

use figment::value::Value;
use serde_json::{Value as Json, json};

use super::{Kind, text};
use crate::config::problem::{Fault, Faults};
use crate::config::yaml::show_number;
use crate::domain::host::{HostError, HostPattern, Hostname};
use crate::domain::name::{ContainerName, ServiceName};
use crate::domain::service::AddressPolicy;

/// A host of a service: a name, an address, or `*.` and a name.
pub(in crate::config) struct Host;

impl Kind for Host {
    type Value = HostPattern;

    fn read(value: &Value) -> Result<HostPattern, Faults> {
        Ok(host(text(value)?)?)
    }

    fn show(value: &HostPattern) -> Json {
        json!(value.to_string())
    }

    fn schema() -> Json {
        json!({ "type": "string", "minLength": 1, "pattern": "^[^\\s{}\"/]+$" })
    }

    fn describe() -> String {
        "host name, `*.` and a name, or IP address".to_owned()
    }
}

/// Reads a host or wildcard; an international name takes its `xn--` form.
pub(in crate::config) fn host(text: &str) -> Result<HostPattern, Fault> {
    let ascii = to_ascii(text);
    let error = match HostPattern::parse(&ascii) {
        Ok(pattern) => return Ok(pattern),
        Err(error) => error,
    };
    let mend = if let Some((_, rest)) = text.split_once("://") {
        let only = rest.split(['/', ':']).next().unwrap_or_default();
        format!("write the host alone, `{only}`")
    } else if let Some((host, path)) = text.split_once('/') {
        format!("write the host alone, `{host}`, and `path: /{path}` beside it")
    } else if text.parse::<std::net::Ipv6Addr>().is_ok() {
        format!("write it in brackets, `[{text}]`")
    } else if let Some((host, port)) = text.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()) {
        format!("write the host alone, `{host}`: the port {port} is the listener's business")
    } else {
        match error {
            HostError::Wildcard => "a `*` stands alone before the first dot, like `*.example.com`".to_owned(),
            HostError::Empty => {
                "write a host such as `app.example.com`, or `hosts: []` for no route".to_owned()
            }
            HostError::Address => "write an IPv6 address in brackets, like `[::1]`".to_owned(),
            HostError::TooLong
            | HostError::Character(_)
            | HostError::EmptyLabel
            | HostError::LabelTooLong
            | HostError::Hyphen => {
                "write a host such as `app.example.com`: letters, figures, `-` and dots".to_owned()
            }
        }
    };
    Err(Fault::new(error.to_string(), mend))
}

/// The `xn--` form of a text that is not ASCII; the text itself where it has none.
fn to_ascii(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let (star, name) = text.strip_prefix("*.").map_or(("", text), |parent| ("*.", parent));
    idna::domain_to_ascii(name).map_or_else(|_| text.to_owned(), |ascii| format!("{star}{ascii}"))
}

/// The domain below which services without hosts answer.
pub(in crate::config) struct Domain;

impl Kind for Domain {
    type Value = String;

    fn read(value: &Value) -> Result<String, Faults> {
        let text = text(value)?;
        match host(text)? {
            HostPattern::Exact(host) if !host.is_address() => Ok(host.to_string()),
            HostPattern::Exact(_) => {
                Err(Fault::new("is an address, and services need names below it", "write `example.com`")
                    .into())
            }
            HostPattern::Wildcard(parent) => {
                Err(Fault::new("is a wildcard", format!("write the domain alone, `{parent}`")).into())
            }
        }
    }

    fn show(value: &String) -> Json {
        json!(value)
    }

    fn schema() -> Json {
        Host::schema()
    }

    fn describe() -> String {
        "domain name".to_owned()
    }
}

/// The name of a service that is nearest to a text; empty where none is.
pub(in crate::config) fn service_name_like(text: &str) -> String {
    let plain: String = text
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' })
        .take(63)
        .collect();
    plain.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

/// The name of a service.
pub(in crate::config) struct Service;

impl Kind for Service {
    type Value = ServiceName;

    fn read(value: &Value) -> Result<ServiceName, Faults> {
        let text = text(value)?;
        Ok(ServiceName::parse(text).map_err(|error| {
            let plain = service_name_like(text);
            let mend = match plain.as_str() {
                "" => "write small letters and figures, with `-`, `_` or `.` inside".to_owned(),
                plain => format!("write `{plain}`: small letters and figures, with `-`, `_` or `.` inside"),
            };
            Fault::new(error.to_string(), mend)
        })?)
    }

    fn show(value: &ServiceName) -> Json {
        json!(value.as_str())
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$" })
    }

    fn describe() -> String {
        "name: `a-z`, `0-9`, inside also `-`, `_`, `.`".to_owned()
    }
}

/// The name of a container.
pub(in crate::config) struct Container;

impl Kind for Container {
    type Value = ContainerName;

    fn read(value: &Value) -> Result<ContainerName, Faults> {
        Ok(ContainerName::parse(text(value)?).map_err(|error| {
            Fault::new(error.to_string(), "write the name as `docker ps` shows it, like `nextcloud-app`")
        })?)
    }

    fn show(value: &ContainerName) -> Json {
        json!(value.as_str())
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^/?[A-Za-z0-9][A-Za-z0-9_.-]*$" })
    }

    fn describe() -> String {
        "name of a container".to_owned()
    }
}

/// A path below which a service answers; the whole host is `None`.
pub(in crate::config) struct UrlPath;

impl Kind for UrlPath {
    type Value = Option<String>;

    fn read(value: &Value) -> Result<Option<String>, Faults> {
        let text = text(value)?;
        check_path(text)?;
        if let Some(odd) = text.chars().find(|c| "?*".contains(*c)) {
            let reason = format!("holds {odd:?}");
            return Err(Fault::new(
                reason,
                "write whole segments only, like `/app`: everything below is meant",
            )
            .into());
        }
        if text.contains("//") || text.split('/').any(|segment| segment == "." || segment == "..") {
            return Err(
                Fault::new("has an empty, `.` or `..` segment", "write it plainly, like `/app/v2`").into()
            );
        }
        let path = text.strip_suffix('/').unwrap_or(text);
        Ok(if path.is_empty() { None } else { Some(path.to_owned()) })
    }

    fn show(value: &Option<String>) -> Json {
        value.as_ref().map_or(Json::Null, |path| json!(path))
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^/[^\\s?#*{}\"`\\\\]*$" })
    }

    fn describe() -> String {
        "path that begins with `/`".to_owned()
    }
}

/// The path, with query where one is needed, of a readiness probe.
pub(in crate::config) struct AsciiPath;

impl Kind for AsciiPath {
    type Value = String;

    fn read(value: &Value) -> Result<String, Faults> {
        let text = text(value)?;
        check_path(text)?;
        Ok(text.to_owned())
    }

    fn show(value: &String) -> Json {
        json!(value)
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^/[^\\s#{}\"`\\\\]*$" })
    }

    fn describe() -> String {
        "path that begins with `/`, a query allowed".to_owned()
    }
}

fn check_path(text: &str) -> Result<(), Fault> {
    if let Some((_, rest)) = text.split_once("://") {
        let path = rest.split_once('/').map_or("", |(_, path)| path);
        return Err(Fault::new("is a URL, and a path is wanted", format!("write `/{path}`")));
    }
    if !text.starts_with('/') {
        return Err(Fault::new("does not begin with `/`", format!("write `/{text}`")));
    }
    match text.chars().find(|c| !c.is_ascii_graphic() || "{}\"`#\\<>^|".contains(*c)) {
        Some(odd) => {
            Err(Fault::new(format!("holds the character {odd:?}"), "write it percent-encoded, as in a URL"))
        }
        None => Ok(()),
    }
}

/// `200` or `200-399`.
pub(in crate::config) struct StatusRange;

impl Kind for StatusRange {
    type Value = RangeInclusive<u16>;

    fn read(value: &Value) -> Result<RangeInclusive<u16>, Faults> {
        let written = match value {
            Value::Num(_, num) => show_number(*num),
            other => text(other)?.to_owned(),
        };
        let (low, high) = written.split_once('-').unwrap_or((&written, &written));
        let status = |text: &str| text.trim().parse::<u16>().ok().filter(|code| (100..=599).contains(code));
        let mend = "write a status or a range of them, like `\"200\"` or `\"200-399\"`";
        match (status(low), status(high)) {
            (Some(low), Some(high)) if low <= high => Ok(low..=high),
            (Some(_), Some(_)) => Err(Fault::new("ends before it begins", mend).into()),
            _ => Err(Fault::new("is not a status from 100 to 599 or a range of them", mend).into()),
        }
    }

    fn show(value: &RangeInclusive<u16>) -> Json {
        if value.start() == value.end() {
            json!(value.start().to_string())
        } else {
            json!(format!("{}-{}", value.start(), value.end()))
        }
    }

    fn schema() -> Json {
        json!({ "type": ["string", "integer"], "pattern": "^[1-5][0-9]{2}( *- *[1-5][0-9]{2})?$", "minimum": 100, "maximum": 599 })
    }

    fn describe() -> String {
        "status or range of statuses".to_owned()
    }
}

/// Which of a container's addresses is dialled.
pub(in crate::config) struct Address;

impl Kind for Address {
    type Value = AddressPolicy;

    fn read(value: &Value) -> Result<AddressPolicy, Faults> {
        let mend = "write `auto`, `published` or `network:NAME`";
        match text(value)? {
            "auto" => Ok(AddressPolicy::Auto),
            "published" => Ok(AddressPolicy::Published),
            text => match text.strip_prefix("network:").map(str::trim) {
                // Docker's rule for the names of networks is its rule for those of containers.
                Some(name) => match ContainerName::parse(name) {
                    Ok(_) if !name.starts_with('/') => Ok(AddressPolicy::Network(name.to_owned())),
                    Ok(_) => Err(Fault::new("names a network that begins with '/'", mend).into()),
                    Err(error) => Err(Fault::new(format!("names a network that {error}"), mend).into()),
                },
                None => Err(Fault::new("is none of the words known here", mend).into()),
            },
        }
    }

    fn show(value: &AddressPolicy) -> Json {
        match value {
            AddressPolicy::Auto => json!("auto"),
            AddressPolicy::Published => json!("published"),
            AddressPolicy::Network(name) => json!(format!("network:{name}")),
        }
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^(auto|published|network:.+)$" })
    }

    fn describe() -> String {
        "`auto`, `published` or `network:NAME`".to_owned()
    }
}

/// Whether `NAME.domain` can be a host.
pub(in crate::config) fn below(name: &ServiceName, domain: &str) -> Result<HostPattern, HostError> {
    Hostname::parse(&format!("{name}.{domain}")).map(HostPattern::Exact)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn international_hosts_become_ascii() {
        assert_eq!(host("bücher.example").unwrap().to_string(), "xn--bcher-kva.example");
        assert_eq!(host("*.Bücher.example").unwrap().to_string(), "*.xn--bcher-kva.example");
        assert_eq!(host("my_app.localhost").unwrap().to_string(), "my_app.localhost");
    }

    /// Trap 27: what would be syntax in a Caddyfile never becomes a host, by whatever way.
    #[test]
    fn hosts_hold_no_syntax() {
        for bad in
            ["a{b", "a}b", "a\nb", "a b", "{$HOME}", "a\"b", "ä{b.de", "ä\nb.de", "℀.example", "ä b.de"]
        {
            assert!(host(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn hosts_with_more_than_a_host_say_what_to_keep() {
        for (bad, mend) in [
            ("https://a.example.com/x", "`a.example.com`"),
            ("a.example.com:8080", "`a.example.com`"),
            ("a.example.com/app", "path: /app"),
            ("*", "*.example.com"),
            ("::1", "`[::1]`"),
        ] {
            let fault = host(bad).unwrap_err();
            assert!(fault.mend.contains(mend), "{bad}: {}", fault.mend);
        }
    }
}
