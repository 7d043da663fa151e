//! Where every value of the configuration comes from: default, `defaults`, file or environment.

use std::path::Path;

use serde_json::Value as Json;

use crate::config::env::Environment;
use crate::config::keys::CONFIG;
use crate::config::load::{Combined, Emptiness, combine, find};
use crate::config::paths::join;
use crate::config::problem::{ConfigProblems, Place};
use crate::config::service::{DEFAULTS, SERVICE};
use crate::config::sources::values;
use crate::config::yaml::flow;
use crate::domain::words::Origin;

/// One value of the configuration, and who says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// `services[0].idle.stop_after`
    pub key: String,
    pub value: Json,
    /// [`Origin::Default`], [`Origin::Shared`] or [`Origin::File`]; a variable of the environment
    /// stands for the file, or for its `defaults`.
    pub origin: Origin,
    /// Where it was written.
    pub place: Option<Place>,
}

/// Every value that holds, in the order of the reference, without what is not set. File and
/// environment are found as [`crate::config::load`] does.
///
/// # Errors
/// Every problem there is, at once.
pub fn origins(
    path: Option<&Path>,
    env: impl Iterator<Item = (String, String)>,
) -> Result<Vec<Told>, ConfigProblems> {
    let environment = Environment::new(env);
    let source = find(path, &environment)?;
    let Combined { config, report, .. } = combine(source, &environment, Emptiness::Allowed)?;
    let mut told = Vec::new();
    for key in CONFIG.keys() {
        let place = report.written(key.path);
        let origin = if place.is_some() { Origin::File } else { Origin::Default };
        told.push(Told { key: key.path.to_owned(), value: (key.show)(&config), origin, place });
    }
    for (index, spec) in config.services.iter().enumerate() {
        let base = format!("services[{index}]");
        // One way of being ready replaces another as a whole.
        let has_own_readiness = SERVICE
            .keys()
            .any(|key| key.path.starts_with("readiness.") && written(&report, &base, key.path).is_some());
        for (key, value) in values(spec) {
            let own = written(&report, &base, key);
            let is_shared =
                DEFAULTS.key(key).is_some() && !(key.starts_with("readiness.") && has_own_readiness);
            let shared = if is_shared { written(&report, "defaults", key) } else { None };
            let (origin, place) = match (own, shared) {
                (Some(place), _) => (Origin::File, Some(place)),
                (None, Some(place)) => (Origin::Shared, Some(place)),
                (None, None) => (Origin::Default, None),
            };
            told.push(Told { key: join(&base, key), value, origin, place });
        }
    }
    told.retain(|told| !told.value.is_null());
    report.finish()?;
    Ok(told)
}

/// Where a key of a service was written; a group may stand for the one word it is short for.
fn written(report: &crate::config::report::Report, base: &str, key: &str) -> Option<Place> {
    report.written(&join(base, key)).or_else(|| {
        let group = SERVICE.groups.iter().find(|group| group.short == Some(key))?;
        let whole = join(base, group.path);
        // The group itself was read as a key.
        report.was_given(&whole).then(|| report.written(&whole)).flatten()
    })
}

impl Told {
    /// One line: key, value, and who says it.
    #[must_use]
    pub fn line(&self) -> String {
        let says = match &self.place {
            Some(place) => format!("{}, {place}", self.word()),
            None => self.word().to_owned(),
        };
        format!("{}: {}  # {says}", self.key, flow(&self.value))
    }

    /// `default`, `defaults`, `file` or `environment`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match (&self.place, self.origin) {
            (Some(Place::Variable(_)), Origin::File) => "environment",
            (_, origin) => origin.as_str(),
        }
    }
}
