//! The house's own rules, checked: floors, sizes, and words. Each fails where it found nothing to
//! check.

use std::fs;
use std::path::{Path, PathBuf};

/// Every module of the crate and its floor. A module names only modules on lower floors.
const FLOORS: &[(&str, u8)] = &[
    ("domain", 0),
    ("config", 1),
    ("local_socket", 1),
    ("ports", 1),
    ("clock", 1),
    ("metrics", 1),
    ("telemetry", 1),
    ("engine", 2),
    ("store", 2),
    ("caddy", 2),
    ("probe", 2),
    ("html", 2),
    ("oidc", 2),
    ("supervisor", 3),
    ("proxy", 4),
    ("admin", 4),
    ("app", 5),
    ("cli", 5),
    ("main", 5),
];

/// Floor 1 is what the adapters share; its modules may name each other where that makes no circle.
const ON_ONE_FLOOR: &[(&str, &str)] =
    &[("config", "clock"), ("telemetry", "clock"), ("cli", "app"), ("main", "cli")];

/// Above this a file holds two ideas.
const LONGEST: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// The module of the crate a file belongs to.
fn module(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The modules that a source text names by `crate::`, groups included.
fn named(text: &str) -> Vec<String> {
    let code: String =
        text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n");
    let mut names = Vec::new();
    for rest in code.split("crate::").skip(1) {
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut part = String::new();
            for letter in group.chars() {
                match letter {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => names.push(std::mem::take(&mut part)),
                    _ if depth == 0 => part.push(letter),
                    _ => {}
                }
            }
            names.push(part);
        } else {
            names.push(rest.to_owned());
        }
    }
    names
        .iter()
        .map(|name| {
            name.trim().chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
        })
        .filter(|name: &String| !name.is_empty())
        .collect()
}

#[test]
fn modules_name_only_lower_floors() {
    let mut checked = 0;
    let mut wrong = Vec::new();
    for path in files(&root().join("src"), "rs") {
        let own = module(&path);
        if own == "lib" {
            continue;
        }
        let own_floor = floor(&own).unwrap_or_else(|| panic!("{own} has no floor: give it one"));
        for other in named(&fs::read_to_string(&path).unwrap()) {
            let Some(other_floor) = floor(&other) else { continue };
            checked += 1;
            let allowed = other == own
                || other_floor < own_floor
                || ON_ONE_FLOOR.contains(&(own.as_str(), other.as_str()));
            if !allowed {
                wrong.push(format!("{} names {other}", path.display()));
            }
        }
    }
    assert!(checked > 100, "found only {checked} paths: the check itself is broken");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_floor_check_sees_groups_and_not_comments() {
    assert_eq!(named("use crate::{config::Config, proxy::{a, b}}; // crate::admin"), ["config", "proxy"]);
    assert_eq!(named("crate::clock::now()"), ["clock"]);
}

/// The pure floor has no runtime, no I/O, no clock and no serde.
#[test]
fn the_domain_is_pure() {
    let sources = files(&root().join("src/domain"), "rs");
    assert!(sources.len() > 8);
    for path in sources {
        let text = fs::read_to_string(&path).unwrap();
        for banned in ["tokio", "std::fs", "std::io", "std::time::Instant", "SystemTime", "serde", "async fn"]
        {
            assert!(!text.contains(banned), "{} names {banned}", path.display());
        }
    }
}

#[test]
fn files_hold_one_idea_each() {
    let mut sources = files(&root().join("src"), "rs");
    sources.extend(files(&root().join("tests"), "rs"));
    assert!(sources.len() > 50);
    let long: Vec<_> = sources
        .iter()
        .filter_map(|path| {
            let lines = fs::read_to_string(path).unwrap().lines().count();
            (lines > LONGEST).then(|| format!("{}: {lines}", path.display()))
        })
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

/// Every source file says what it is for before it does anything.
#[test]
fn files_say_what_they_are_for() {
    for path in files(&root().join("src"), "rs") {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//!"), "{} has no module documentation", path.display());
    }
}

/// minijinja decides on escaping by a template's name: pages end in `.html`.
#[test]
fn templates_have_names_that_escape() {
    let pages = files(&root().join("templates/waiting"), "html");
    assert!(!pages.is_empty());
    for template in pages {
        let text = fs::read_to_string(&template).unwrap();
        assert!(
            !text.contains("|safe") && !text.contains("| safe"),
            "{} switches escaping off",
            template.display()
        );
    }
}
