//! The JSON that Caddy runs: whose it is, and whether it is what WakeDock would load.

use serde_json::{Map, Value};

/// Caddy leaves `@id` to its users and shows it again: the sign that a configuration is ours.
const MARK: (&str, &str) = ("@id", "wakedock");

/// Whose configuration Caddy runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// It serves nothing. An admin address, a log or other global options alone are what Caddy is
    /// started with to be configured by somebody.
    Nobody,
    Ours,
    Foreign,
}

/// Reads the sign.
#[must_use]
pub fn owner(running: &Value) -> Owner {
    if running.get(MARK.0).and_then(Value::as_str) == Some(MARK.1) {
        return Owner::Ours;
    }
    if apps(running).any(|(name, app)| serves(name, app)) { Owner::Foreign } else { Owner::Nobody }
}

/// Whether there are settings that are lost when another configuration is loaded: global options
/// of somebody who serves nothing, beside the admin endpoint, which stays.
#[must_use]
pub fn has_options(running: &Value) -> bool {
    let other =
        |(key, value): (&String, &Value)| !matches!(key.as_str(), "admin" | "apps") && !is_empty(value);
    owner(running) == Owner::Nobody
        && (apps(running).next().is_some() || running.as_object().is_some_and(|keys| keys.iter().any(other)))
}

fn apps(running: &Value) -> impl Iterator<Item = (&String, &Value)> {
    running.get("apps").and_then(Value::as_object).into_iter().flatten().filter(|(_, app)| !app.is_null())
}

/// Whether an app does anything by itself. Global options alone leave a certificate authority
/// (`skip_install_trust`), rules for certificates that nobody asks for (`local_certs`, `email`), or
/// a server app without servers.
fn serves(name: &str, app: &Value) -> bool {
    let holds = |key| app.get(key).is_some_and(|value| !is_empty(value));
    match name {
        "pki" => false,
        "tls" => holds("certificates"),
        "http" => holds("servers"),
        _ => true,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(object) => object.is_empty(),
        Value::Array(array) => array.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Makes an adapted configuration ready to load in the place of `running`: signed, and with the
/// admin endpoint through which it was just reached. An admin endpoint that moved by a publish
/// would be the last publish.
#[must_use]
pub fn prepare(adapted: Value, running: &Value) -> Value {
    let mut config = match adapted {
        Value::Object(config) => config,
        // Caddy adapts an empty Caddyfile to nothing.
        _ => Map::new(),
    };
    match running.get("admin") {
        Some(admin) => config.insert("admin".to_owned(), admin.clone()),
        None => config.remove("admin"),
    };
    config.insert(MARK.0.to_owned(), MARK.1.into());
    Value::Object(config)
}

/// Whether two configurations say the same. Caddy reads every number as a float and may write it
/// differently from how it came.
#[must_use]
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tells_whose_it_is() {
        assert_eq!(owner(&Value::Null), Owner::Nobody);
        assert_eq!(owner(&json!({"admin": {"listen": "localhost:2019"}})), Owner::Nobody);
        assert_eq!(owner(&json!({"apps": {}})), Owner::Nobody);
        let site = json!({"servers": {"srv0": {"listen": [":80"]}}});
        assert_eq!(owner(&json!({"apps": {"http": site}})), Owner::Foreign);
        assert_eq!(owner(&json!({"@id": "other", "apps": {"http": site}})), Owner::Foreign);
        assert_eq!(owner(&prepare(json!({"apps": {"http": {}}}), &Value::Null)), Owner::Ours);
    }

    #[test]
    fn options_alone_serve_nothing() {
        let pki = json!({"certificate_authorities": {"local": {"install_trust": false}}});
        let policies = json!({"automation": {"policies": [{"issuers": [{"module": "internal"}]}]}});
        for apps in [json!({"pki": pki}), json!({"tls": policies, "pki": pki}), json!({"http": {}})] {
            let running = json!({"admin": {"listen": "localhost:2019"}, "apps": apps});
            assert_eq!(owner(&running), Owner::Nobody, "{running}");
            assert!(has_options(&running));
        }
        assert!(has_options(&json!({"admin": {}, "logging": {"logs": {"default": {"level": "DEBUG"}}}})));
        assert!(!has_options(&json!({"admin": {"listen": "localhost:2019"}})), "which stays");
        assert_eq!(owner(&json!({"apps": {"tls": {"certificates": {"automate": ["a"]}}}})), Owner::Foreign);
        assert_eq!(owner(&json!({"apps": {"layer4": {}}})), Owner::Foreign, "an app nobody here knows");
        let foreign = json!({"apps": {"http": {"servers": {"srv0": {}}}, "pki": pki}});
        assert!(!has_options(&foreign) && !has_options(&json!({"apps": {}})) && !has_options(&Value::Null));
    }

    #[test]
    fn the_admin_endpoint_stays_where_it_is() {
        let adapted = json!({"admin": {"listen": "127.0.0.1:2019"}, "apps": {}});
        let running = json!({"admin": {"listen": "0.0.0.0:9", "origins": ["caddy"]}});
        assert_eq!(prepare(adapted.clone(), &running).get("admin"), running.get("admin"));
        assert_eq!(prepare(adapted, &Value::Null).get("admin"), None, "Caddy's default, whatever it is");
    }

    #[test]
    fn compares_numbers_by_value() {
        assert!(same(&json!({"a": [1, {"b": 2.0}]}), &json!({"a": [1.0, {"b": 2}]})));
        assert!(!same(&json!({"a": 1}), &json!({"a": 1, "b": null})));
        assert!(!same(&json!([1, 2]), &json!([1])));
        assert!(!same(&json!(1), &json!("1")));
    }
}
