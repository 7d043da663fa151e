//! Kinds of the control plane: its names, its socket, header fields and origins.

use std::path::PathBuf;

use figment::value::Value;
use serde_json::{Value as Json, json};

use super::names::host;
use super::net::{host_and_port, socket_path};
use super::{Kind, text};
use crate::config::problem::{Fault, Faults};
use crate::domain::host::{HostPattern, Hostname};

/// A host name or address, without wildcard.
pub(in crate::config) struct Name;

impl Kind for Name {
    type Value = Hostname;

    fn read(value: &Value) -> Result<Hostname, Faults> {
        match host(text(value)?)? {
            HostPattern::Exact(name) => Ok(name),
            HostPattern::Wildcard(parent) => {
                let mend = format!("write one name, like `wakedock.{parent}`");
                Err(Fault::new("is a wildcard, and one name is wanted", mend).into())
            }
        }
    }

    fn show(value: &Hostname) -> Json {
        json!(value.as_str())
    }

    fn schema() -> Json {
        json!({ "type": "string", "minLength": 1, "pattern": "^[^\\s{}\"/*]+$" })
    }

    fn describe() -> String {
        "host name or IP address".to_owned()
    }
}

/// The path of a unix socket, or `off`, which is `None`.
pub(in crate::config) struct SocketFile;

impl Kind for SocketFile {
    type Value = Option<PathBuf>;

    fn read(value: &Value) -> Result<Option<PathBuf>, Faults> {
        // `off` without quotes is `false` in YAML 1.1, and people come from there.
        if matches!(value, Value::Bool(_, false)) {
            return Ok(None);
        }
        let text = text(value)?;
        if text == "off" {
            return Ok(None);
        }
        Ok(socket_path(text.strip_prefix("unix:").unwrap_or(text)).map(Some)?)
    }

    fn show(value: &Option<PathBuf>) -> Json {
        value.as_ref().map_or(json!("off"), |path| json!(path.to_string_lossy()))
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^(off|(unix:)?/.+)$" })
    }

    fn describe() -> String {
        "path, or `off`".to_owned()
    }
}

/// The name of a header field; lower case from here on.
pub(in crate::config) struct FieldName;

impl Kind for FieldName {
    type Value = String;

    fn read(value: &Value) -> Result<String, Faults> {
        let name = text(value)?.to_ascii_lowercase();
        let fits = (1..=64).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let mend = "write a name such as `Remote-User`";
        if !fits {
            return Err(Fault::new("is not the name of a header field", mend).into());
        }
        // What has a meaning of its own cannot be somebody's name as well.
        if ["authorization", "cookie", "host", "connection", "content-length"].contains(&name.as_str()) {
            return Err(Fault::new("is a field with a meaning of its own", mend).into());
        }
        Ok(name)
    }

    fn show(value: &String) -> Json {
        json!(value)
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[A-Za-z][A-Za-z0-9-]{0,63}$" })
    }

    fn describe() -> String {
        "name of a header field".to_owned()
    }
}

/// Scheme, host and port of a site, as a browser says it in `Origin`.
pub(in crate::config) struct WebOrigin;

impl Kind for WebOrigin {
    type Value = String;

    fn read(value: &Value) -> Result<String, Faults> {
        let text = text(value)?;
        let mend = "write scheme and host, like `https://home.example.com`";
        let Some((scheme, authority)) =
            text.split_once("://").filter(|(scheme, _)| ["http", "https"].contains(scheme))
        else {
            return Err(Fault::new("is not the origin of a web site", mend).into());
        };
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        if authority.contains(['/', '?', '#', '@', '*']) {
            return Err(Fault::new("holds more than scheme, host and port", mend).into());
        }
        let authority = match Hostname::parse(authority) {
            Ok(host) => host.to_string(),
            Err(_) => host_and_port(authority)?,
        };
        let default = if scheme == "https" { ":443" } else { ":80" };
        Ok(format!("{scheme}://{}", authority.strip_suffix(default).unwrap_or(&authority)))
    }

    fn show(value: &String) -> Json {
        json!(value)
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^https?://[^/\\s*]+/?$" })
    }

    fn describe() -> String {
        "`https://host` or `http://host:port`".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        let socket = SocketFile::read(&"/run/a.sock".into()).unwrap();
        assert_eq!(SocketFile::show(&socket), json!("/run/a.sock"));
        assert_eq!(SocketFile::read(&"unix:/run/a.sock".into()).unwrap(), socket);
        assert_eq!(SocketFile::show(&SocketFile::read(&"off".into()).unwrap()), json!("off"));
        assert_eq!(Name::show(&Name::read(&"Dash.Example.com".into()).unwrap()), json!("dash.example.com"));
        for (written, read) in [
            ("https://Home.example.com/", "https://home.example.com"),
            ("https://home.example.com:443", "https://home.example.com"),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
        ] {
            assert_eq!(WebOrigin::read(&written.into()).unwrap(), read);
        }
        assert_eq!(FieldName::read(&"Remote-User".into()).unwrap(), "remote-user");
    }

    #[test]
    fn what_would_mean_something_else_is_refused() {
        assert!(Name::read(&"*.example.com".into()).is_err());
        assert!(SocketFile::read(&"run/a.sock".into()).is_err());
        for origin in ["*", "home.example.com", "https://a/b", "https://*.a.b", "https://u@a", "null"] {
            assert!(WebOrigin::read(&origin.into()).is_err(), "{origin}");
        }
        for name in ["Authorization", "remote_user", "", "a b"] {
            assert!(FieldName::read(&name.into()).is_err(), "{name}");
        }
    }
}
