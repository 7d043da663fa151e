//! Kinds for a log-in provider: its address, ours, secrets, and words of its protocol.

use figment::value::Value;
use http::Uri;
use serde_json::{Value as Json, json};

use super::{Kind, noun, text};
use crate::config::Secret;
use crate::config::problem::{Fault, Faults};

/// Longest address that is taken for one.
const LONGEST: usize = 500;

fn address(text: &str, mend: &'static str) -> Result<Uri, Fault> {
    if text.contains(['?', '#', '@']) || text.len() > LONGEST {
        return Err(Fault::new("holds more than scheme, host and path", mend));
    }
    text.parse::<Uri>()
        .ok()
        .filter(|uri| uri.scheme().is_some() && uri.host().is_some_and(|host| !host.is_empty()))
        .ok_or_else(|| Fault::new("is not the address of a web site", mend))
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The address of an OpenID Connect provider, kept letter by letter: it is a name too.
pub(in crate::config) struct Issuer;

impl Kind for Issuer {
    type Value = String;

    fn read(value: &Value) -> Result<String, Faults> {
        let text = text(value)?;
        let mend = "write the provider's own address, like `https://auth.example.com`";
        let uri = address(text, mend)?;
        if text.contains("/.well-known/") {
            return Err(Fault::new(
                "is the address of a document",
                "write what stands before `/.well-known/`",
            )
            .into());
        }
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if uri.host().is_some_and(is_loopback) => {}
            Some("http") => {
                let reason = "is plain HTTP, where anybody in between could log in as anybody";
                return Err(Fault::new(reason, mend).into());
            }
            _ => return Err(Fault::new("is not https", mend).into()),
        }
        Ok(text.to_owned())
    }

    fn show(value: &String) -> Json {
        json!(value)
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^https?://[^\\s?#@]+$" })
    }

    fn describe() -> String {
        "`https://…`".to_owned()
    }
}

/// Where a provider sends browsers back to: WakeDock's own callback, as the world sees it.
pub(in crate::config) struct Callback;

impl Kind for Callback {
    type Value = String;

    fn read(value: &Value) -> Result<String, Faults> {
        let text = text(value)?;
        let mend = "write it like `https://wakedock.example.com/oidc/callback`";
        let uri = address(text, mend)?;
        if !matches!(uri.scheme_str(), Some("https" | "http")) {
            return Err(Fault::new("is not the address of a web site", mend).into());
        }
        if uri.path() != "/oidc/callback" {
            return Err(Fault::new("does not lead to `/oidc/callback`", mend).into());
        }
        Ok(text.to_owned())
    }

    fn show(value: &String) -> Json {
        json!(value)
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^https?://[^\\s?#@/]+/oidc/callback$" })
    }

    fn describe() -> String {
        "`https://…/oidc/callback`".to_owned()
    }
}

/// A word without spaces: a scope, the name of a claim or of a client.
pub(in crate::config) struct Token<const MOST: usize>;

impl<const MOST: usize> Kind for Token<MOST> {
    type Value = String;

    fn read(value: &Value) -> Result<String, Faults> {
        let text = text(value)?;
        let fits = (1..=MOST).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'));
        if !fits {
            let mend = format!("write 1 to {MOST} letters, figures and signs, without spaces");
            return Err(Fault::new("is not one word", mend).into());
        }
        Ok(text.to_owned())
    }

    fn show(value: &String) -> Json {
        json!(value)
    }

    fn schema() -> Json {
        json!({ "type": "string", "minLength": 1, "maxLength": MOST, "pattern": "^[!#-\\[\\]-~]+$" })
    }

    fn describe() -> String {
        "one word".to_owned()
    }
}

/// A secret. It is read and never shown, not even where something is wrong with it.
pub(in crate::config) struct Hidden;

impl Kind for Hidden {
    type Value = Secret;
    const SECRET: bool = true;

    fn read(value: &Value) -> Result<Secret, Faults> {
        let text = match value {
            Value::String(_, text) => text,
            other => {
                let reason = format!("is {}, and text is wanted", noun(other));
                return Err(Fault::new(reason, "put it in quotes").into());
            }
        };
        if text.trim().is_empty() || text.len() > 4096 || text.chars().any(char::is_control) {
            let mend = "write the secret on one line, or take the key out";
            return Err(Fault::new("is empty, too long, or more than one line", mend).into());
        }
        Ok(Secret::new(text.as_str()))
    }

    fn show(_: &Secret) -> Json {
        Json::Null
    }

    fn schema() -> Json {
        json!({ "type": "string", "minLength": 1 })
    }

    fn describe() -> String {
        "secret text".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_are_https_or_this_machine() {
        for issuer in [
            "https://auth.example.com",
            "https://auth.example.com/application/o/wakedock/",
            "http://127.0.0.1:9091",
            "http://localhost:9091/x",
            "http://[::1]:9091",
        ] {
            assert_eq!(Issuer::read(&issuer.into()).unwrap(), issuer);
        }
        for not in [
            "http://auth.example.com",
            "http://127.0.0.1.example.com",
            "auth.example.com",
            "https://",
            "https://auth.example.com/.well-known/openid-configuration",
            "https://auth.example.com/?a=b",
            "https://user@auth.example.com",
            "ftp://auth.example.com",
        ] {
            assert!(Issuer::read(&not.into()).is_err(), "{not}");
        }
    }

    #[test]
    fn callbacks_are_our_own() {
        assert!(Callback::read(&"https://w.example.com/oidc/callback".into()).is_ok());
        assert!(Callback::read(&"http://127.0.0.1:7081/oidc/callback".into()).is_ok());
        for not in ["https://w.example.com/", "https://w.example.com/oidc/callback?a", "/oidc/callback"] {
            assert!(Callback::read(&not.into()).is_err(), "{not}");
        }
    }

    #[test]
    fn a_secret_is_not_told_even_where_it_is_wrong() {
        for wrong in [Value::from(12345), Value::from("a\nhunter2")] {
            let Err(faults) = Hidden::read(&wrong) else { panic!("{wrong:?} is no secret") };
            let told = format!("{:?}", faults.0);
            assert!(!told.contains("12345") && !told.contains("hunter2"), "{told}");
        }
        assert_eq!(Hidden::show(&Hidden::read(&"hunter2".into()).unwrap()), Json::Null);
        assert!(Token::<9>::read(&"two words".into()).is_err());
    }
}
