//! The names of labels, made from the table of keys.
//!
//! `idle.stop_after` is `wakedock.idle.stop-after`, `wakedock.idle-stop-after`, and, because no other
//! key ends like it, `wakedock.stop-after`.

use crate::config::service::{Draft, SERVICE};
use crate::config::table::{Group, Key};

/// What every label of WakeDock's begins with.
pub(super) const PREFIX: &str = "wakedock.";

/// Labels that are no option.
pub(super) const ENABLE: &str = "enable";
/// What most people write for `hosts`.
const HOST: &str = "host";

/// Keys that no label gives.
pub(super) static NOT_BY_LABEL: &[(&str, &str, &str)] = &[
    ("container", "is the container that carries the label", "take it out"),
    ("owners", "says who may edit the service, which no label can", "write it in the configuration file"),
];

/// The key that a label gives, by what stands behind the prefix.
pub(super) fn key(name: &str) -> Option<&'static Key<Draft>> {
    if name == HOST {
        return SERVICE.key("hosts");
    }
    let short = SERVICE.groups.iter().find(|group| is_kebab(group.path, name)).and_then(|group| group.short);
    if let Some(short) = short {
        return SERVICE.key(short);
    }
    let whole = SERVICE.keys().find(|key| is_kebab(key.path, name));
    whole.or_else(|| SERVICE.keys().find(|key| is_kebab(leaf(key.path), name) && stands_alone(key.path)))
}

/// A key that belongs to work which is not done yet, by the name its label will have.
pub(super) fn refusal(name: &str) -> Option<&'static str> {
    let refused = SERVICE.refused.iter().flat_map(|part| part.iter());
    let mut meant =
        refused.filter(|refused| is_kebab(refused.path, name) || is_kebab(leaf(refused.path), name));
    meant.next().map(|refused| refused.reason)
}

/// Every name of a key, the one to be written first.
pub(super) fn names(path: &str) -> Vec<String> {
    let kebab = |text: &str| text.replace('_', "-");
    let group = path.rsplit_once('.').and_then(|(group, _)| SERVICE.group(group));
    let mut names = Vec::new();
    if path == "hosts" {
        names.push(HOST.to_owned());
    }
    if group.is_some_and(|group| group.short == Some(path)) {
        names.extend(group.map(|group| kebab(group.path)));
    }
    let joined = kebab(path).replace('.', "-");
    let alone = stands_alone(path).then(|| kebab(leaf(path)));
    // `readiness-status` says more than `status`.
    if group.is_some_and(Group::has_short) {
        names.extend([Some(joined), alone].into_iter().flatten());
    } else {
        names.extend([alone, Some(joined)].into_iter().flatten());
    }
    names.push(kebab(path));
    let mut known = Vec::new();
    names.retain(|name| {
        !known.contains(name) && {
            known.push(name.clone());
            true
        }
    });
    names
}

/// The label of a key as it is to be written first.
pub(super) fn label(path: &str) -> String {
    let names = names(path);
    format!("{PREFIX}{}", names.first().map_or(path, String::as_str))
}

/// The names to choose from where one was misspelt.
pub(super) fn suggestions() -> impl Iterator<Item = String> {
    let options = SERVICE.keys().filter(|key| !is_refused(key.path)).flat_map(|key| names(key.path));
    options.chain([ENABLE.to_owned()])
}

pub(super) fn is_refused(path: &str) -> bool {
    NOT_BY_LABEL.iter().any(|(refused, ..)| *refused == path)
}

/// Whether no other key, and no group, ends like this one.
fn stands_alone(path: &str) -> bool {
    let own = leaf(path);
    let alike = SERVICE.keys().filter(|key| key.path == own || leaf(key.path) == own).count();
    alike == 1 && SERVICE.group(own).is_none()
}

fn leaf(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// Whether `name` is the kebab-case of `path`, its levels told apart by dots or dashes.
fn is_kebab(path: &str, name: &str) -> bool {
    path.len() == name.len()
        && path.bytes().zip(name.bytes()).all(|pair| match pair {
            (b'_', written) => written == b'-',
            (b'.', written) => matches!(written, b'.' | b'-'),
            (own, written) => own == written,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_key_leads_back_to_it() {
        let mut count = 0;
        for own in SERVICE.keys() {
            for name in names(own.path) {
                let found = key(&name).map(|key| key.path);
                assert_eq!(found, Some(own.path), "{name}");
                count += 1;
            }
        }
        assert!(count > 50, "found only {count} names");
    }

    #[test]
    fn the_short_names_of_the_interface() {
        for (name, path) in [
            ("host", "hosts"),
            ("hosts", "hosts"),
            ("name", "name"),
            ("path", "path"),
            ("port", "port"),
            ("stop-after", "idle.stop_after"),
            ("idle.stop-after", "idle.stop_after"),
            ("pause-after", "idle.pause_after"),
            ("wake-timeout", "wake_timeout"),
            ("wait", "wait"),
            ("readiness", "readiness.type"),
            ("readiness-path", "readiness.path"),
            ("readiness.status", "readiness.status"),
            ("group", "group"),
            ("icon", "icon"),
            ("waiting-page.title", "waiting_page.title"),
        ] {
            assert_eq!(key(name).map(|key| key.path), Some(path), "{name}");
        }
        for unknown in ["", "stop_after", "idle", "Host", "idle.stop-after.x", "waiting-page"] {
            assert!(key(unknown).is_none(), "{unknown}");
        }
        assert_eq!(names("idle.stop_after")[0], "stop-after");
        assert_eq!(names("readiness.type")[0], "readiness");
        assert_eq!(names("readiness.path")[0], "readiness-path");
        assert!(refusal("depends-on").is_some() && refusal("cpu-below").is_some());
    }
}
