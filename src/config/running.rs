//! The configuration that runs, as people are shown it: every key outside the services with its value
//! and its origin, where it was read, and what became of the last edit.

use std::path::{Path, PathBuf};

use crate::config::keys::CONFIG;
use crate::config::yaml::flow;
use crate::config::{Config, ConfigProblems, Loaded, Place, Problem};
use crate::domain::time::Timestamp;

/// What runs, and how the last reading of the file went.
#[derive(Debug, Clone, Default)]
pub struct Running {
    /// Without services: they have pages of their own.
    settings: Config,
    written: Vec<(&'static str, Place)>,
    file: Option<PathBuf>,
    /// When it was read and applied.
    at: Timestamp,
    /// Keys of it that wait for a restart.
    waiting: Vec<&'static str>,
    refused: Option<Refused>,
}

/// An edit that changed nothing.
#[derive(Debug, Clone)]
pub struct Refused {
    pub at: Timestamp,
    /// Never empty.
    pub problems: Vec<Problem>,
}

/// One key of what runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningValue {
    pub key: &'static str,
    /// As it is written in YAML; `None`: not set.
    pub value: Option<String>,
    /// It is set, and shown to nobody.
    pub hidden: bool,
    /// Where it was written; `None`: nowhere, the default holds.
    pub place: Option<Place>,
    /// What was written is another value, which waits for a restart.
    pub waits: bool,
}

impl Running {
    /// A configuration that was read at the start.
    #[must_use]
    pub fn new(loaded: &Loaded, at: Timestamp) -> Self {
        Self {
            settings: without_services(&loaded.config),
            written: loaded.written.clone(),
            file: loaded.file.clone(),
            at,
            waiting: Vec::new(),
            refused: None,
        }
    }

    /// An edit was applied. `config`: what runs now, which differs from what is written in `waiting`.
    #[must_use]
    pub fn applied(
        written: Vec<(&'static str, Place)>,
        file: Option<PathBuf>,
        config: &Config,
        waiting: Vec<&'static str>,
        at: Timestamp,
    ) -> Self {
        Self { settings: without_services(config), written, file, at, waiting, refused: None }
    }

    /// An edit was refused: what ran runs on.
    #[must_use]
    pub fn refused(&self, problems: ConfigProblems, at: Timestamp) -> Self {
        Self { refused: Some(Refused { at, problems: problems.0 }), ..self.clone() }
    }

    /// What holds, without services.
    #[must_use]
    pub const fn settings(&self) -> &Config {
        &self.settings
    }

    /// The file it was read from; `None`: there is none.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// When it was read and applied.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// The last edit, where it was refused.
    #[must_use]
    pub const fn last_refused(&self) -> Option<&Refused> {
        self.refused.as_ref()
    }

    /// Every key, in the order of the reference. No secret is among the values.
    pub fn values(&self) -> impl Iterator<Item = RunningValue> + use<'_> {
        CONFIG.keys().map(|key| {
            let value = (key.show)(&self.settings);
            let place = self.written.iter().find(|(own, _)| *own == key.path).map(|(_, place)| place.clone());
            let is_set = !value.is_null();
            RunningValue {
                key: key.path,
                hidden: key.secret && (is_set || place.is_some()),
                value: (is_set && !key.secret).then(|| flow(&value)),
                place,
                waits: self.waiting.contains(&key.path),
            }
        })
    }
}

fn without_services(config: &Config) -> Config {
    Config { services: Vec::new(), ..config.clone() }
}

/// The keys outside the services that were written, and where.
pub(super) fn written(place: impl Fn(&str) -> Option<Place>) -> Vec<(&'static str, Place)> {
    CONFIG.keys().filter_map(|key| Some((key.path, place(key.path)?))).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::load;

    fn read(yaml: &str, env: &[(&str, &str)]) -> Running {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.yml");
        fs::write(&file, yaml).unwrap();
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Running::new(&load(Some(&file), env).unwrap(), Timestamp::from_millis(7))
    }

    fn value(running: &Running, key: &str) -> RunningValue {
        running.values().find(|value| value.key == key).unwrap()
    }

    #[test]
    fn every_key_is_there_with_its_origin() {
        let running = read(
            "caddy: { tls: internal }\nservices: [{ name: a, container: a, port: 80, hosts: [] }]\n",
            &[("WAKEDOCK_PROXY__MAX_HELD", "7")],
        );
        assert_eq!(running.values().count(), CONFIG.keys().count());
        let tls = value(&running, "caddy.tls");
        assert_eq!(tls.value.as_deref(), Some("internal"));
        assert!(matches!(tls.place, Some(Place::File { line: 1, .. })), "{tls:?}");
        let held = value(&running, "proxy.max_held");
        assert_eq!(held.value.as_deref(), Some("7"));
        assert_eq!(held.place, Some(Place::Variable("WAKEDOCK_PROXY__MAX_HELD".into())));
        assert_eq!(value(&running, "caddy.http_port").place, None);
        assert_eq!(value(&running, "domain").value, None);
        assert!(running.settings().services.is_empty() && running.file().is_some());
    }

    #[test]
    fn no_secret_is_among_the_values() {
        let oidc =
            "admin: { oidc: { issuer: 'https://id.example', client_id: a, client_secret: tell-nobody } }";
        let running = read(oidc, &[]);
        let secret = value(&running, "admin.oidc.client_secret");
        assert!(secret.hidden && secret.value.is_none(), "{secret:?}");
        assert!(running.values().all(|value| !format!("{value:?}").contains("tell-nobody")));
        assert!(!value(&read("", &[]), "admin.oidc.client_secret").hidden);
    }

    #[test]
    fn a_refused_edit_is_told_and_changes_nothing() {
        let running = read("caddy: { tls: internal }", &[]);
        let problems =
            load(None, [("WAKEDOCK_CADDY__TLS".to_owned(), "x".to_owned())].into_iter()).unwrap_err();
        let refused = running.refused(problems, Timestamp::from_millis(9));
        assert_eq!(value(&refused, "caddy.tls").value.as_deref(), Some("internal"));
        let last = refused.last_refused().unwrap();
        assert_eq!((last.at.as_millis(), last.problems[0].key.as_str()), (9, "caddy.tls"));
    }
}
