//! Reloads with real files: whichever way they are edited, and whatever is caught half way.

use std::time::Duration;

use tokio::time::timeout;
use wakedock::clock;
use wakedock::config::{ConfigProblems, ConfigWatcher, Loaded, ReloadHandle};

use super::{ConfigFile, service};

/// A good edit is live within a second; the machine may be busy.
const LIVE: Duration = Duration::from_secs(1);
/// Longer than anything takes that should happen.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longer than an edit takes to be noticed.
const NOTHING: Duration = Duration::from_millis(900);

fn watch(file: &ConfigFile) -> (ConfigWatcher, ReloadHandle) {
    ConfigWatcher::new(&file.load(&[]).unwrap(), Vec::new())
}

async fn next(watcher: &mut ConfigWatcher) -> Result<Loaded, ConfigProblems> {
    timeout(PATIENCE, watcher.next()).await.expect("an edit to be noticed")
}

async fn good(watcher: &mut ConfigWatcher) -> Vec<String> {
    let loaded = next(watcher).await.unwrap_or_else(|problems| panic!("{problems}"));
    loaded.config.services.iter().map(|service| service.name.to_string()).collect()
}

async fn bad(watcher: &mut ConfigWatcher) -> String {
    match next(watcher).await {
        Ok(loaded) => panic!("accepted: {:?}", loaded.config.services),
        Err(problems) => problems.to_string(),
    }
}

async fn quiet(watcher: &mut ConfigWatcher) {
    if let Ok(outcome) = timeout(NOTHING, watcher.next()).await {
        panic!("something changed: {outcome:?}");
    }
}

#[tokio::test]
async fn an_edit_in_place_and_one_by_rename_are_live_within_a_second() {
    let file = ConfigFile::new(service("a"));
    let (mut watcher, _handle) = watch(&file);
    let edited = clock::now();
    file.write(service("b"));
    assert_eq!(good(&mut watcher).await, ["b"]);
    file.replace(&service("c"));
    assert_eq!(good(&mut watcher).await, ["c"]);
    let took = clock::now().since(edited);
    assert!(took < 2 * LIVE, "{took:?}");
}

#[tokio::test]
async fn reading_and_touching_are_no_edits() {
    let file = ConfigFile::new(service("a"));
    let (mut watcher, _handle) = watch(&file);
    let _ = std::fs::read(file.path()).unwrap();
    file.write(service("a"));
    std::fs::write(file.directory.path().join("other.yml"), "x").unwrap();
    quiet(&mut watcher).await;
}

#[tokio::test]
async fn an_edit_before_the_watch_began_is_seen() {
    let file = ConfigFile::new(service("a"));
    let loaded = file.load(&[]).unwrap();
    file.write(service("b"));
    let (mut watcher, _handle) = ConfigWatcher::new(&loaded, Vec::new());
    assert_eq!(good(&mut watcher).await, ["b"]);
}

#[tokio::test]
async fn a_file_emptied_and_then_written_is_one_good_edit() {
    let file = ConfigFile::new(service("a"));
    let (mut watcher, _handle) = watch(&file);
    file.write("");
    // The watcher meets the empty file while this edit is still going on.
    let edit = async {
        tokio::time::sleep(Duration::from_millis(250)).await;
        file.write(service("b"));
    };
    let (names, ()) = tokio::join!(good(&mut watcher), edit);
    assert_eq!(names, ["b"]);
    quiet(&mut watcher).await;
}

#[tokio::test]
async fn a_file_left_empty_or_with_comments_only_is_a_problem() {
    let file = ConfigFile::new(service("a"));
    let (mut watcher, _handle) = watch(&file);
    file.write("\n");
    assert!(bad(&mut watcher).await.contains("is empty"));
    file.write("# to be written\n");
    assert!(bad(&mut watcher).await.contains("is empty"));
    file.write("services: []\n");
    assert!(good(&mut watcher).await.is_empty(), "no service at all can be meant");
}

#[tokio::test]
async fn a_file_cut_in_the_middle_of_a_key_is_a_problem() {
    let file = ConfigFile::new(service("a"));
    let (mut watcher, _handle) = watch(&file);
    file.write("services:\n");
    assert!(bad(&mut watcher).await.contains("services"));
    file.write("services:\n  - name: a\n    hosts: [a.exam");
    assert!(bad(&mut watcher).await.contains("YAML"));
}

#[tokio::test]
async fn a_deleted_file_is_a_problem_until_it_is_back() {
    let file = ConfigFile::new(service("a"));
    let (mut watcher, _handle) = watch(&file);
    std::fs::remove_file(file.path()).unwrap();
    assert!(bad(&mut watcher).await.contains("cannot be read"));
    quiet(&mut watcher).await;
    file.write(service("a"));
    assert_eq!(good(&mut watcher).await, ["a"], "the same content mends it too");
}

#[tokio::test]
async fn a_bad_edit_is_told_in_full_and_taking_it_back_mends_it() {
    let file = ConfigFile::new(service("a"));
    let (mut watcher, _handle) = watch(&file);
    file.write("domain: 'a b'\nlog: { level: loud }\n");
    let problems = bad(&mut watcher).await;
    assert!(problems.contains("domain") && problems.contains("log.level"), "{problems}");
    file.replace(&service("a"));
    assert_eq!(good(&mut watcher).await, ["a"]);
}

#[tokio::test]
async fn a_replaced_directory_is_followed() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("etc");
    let make = |at: &std::path::Path, name: &str| {
        std::fs::create_dir(at).unwrap();
        std::fs::write(at.join("config.yml"), service(name)).unwrap();
    };
    make(&directory, "a");
    let loaded = wakedock::config::load(Some(&directory.join("config.yml")), std::iter::empty()).unwrap();
    let (mut watcher, _handle) = ConfigWatcher::new(&loaded, Vec::new());
    let fresh = parent.path().join("fresh");
    make(&fresh, "b");
    std::fs::rename(&directory, parent.path().join("old")).unwrap();
    std::fs::rename(&fresh, &directory).unwrap();
    assert_eq!(good(&mut watcher).await, ["b"]);
    std::fs::write(directory.join("config.yml"), service("c")).unwrap();
    assert_eq!(good(&mut watcher).await, ["c"]);
}

/// A Kubernetes ConfigMap: the file is a link to a link, and the inner one is swapped.
#[tokio::test]
async fn a_swapped_symbolic_link_is_an_edit() {
    use std::os::unix::fs::symlink;
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for (version, name) in [("..1", "a"), ("..2", "b")] {
        std::fs::create_dir(at(version)).unwrap();
        std::fs::write(at(version).join("config.yml"), service(name)).unwrap();
    }
    symlink("..1", at("..data")).unwrap();
    symlink("..data/config.yml", at("config.yml")).unwrap();
    let loaded = wakedock::config::load(Some(&at("config.yml")), std::iter::empty()).unwrap();
    let (mut watcher, _handle) = ConfigWatcher::new(&loaded, Vec::new());
    symlink("..2", at("..data.new")).unwrap();
    std::fs::rename(at("..data.new"), at("..data")).unwrap();
    assert_eq!(good(&mut watcher).await, ["b"]);
}

#[tokio::test]
async fn an_order_reads_the_file_changed_or_not() {
    let file = ConfigFile::new(service("a"));
    let (mut watcher, handle) = watch(&file);
    handle.reload();
    handle.reload();
    assert_eq!(good(&mut watcher).await, ["a"]);
    quiet(&mut watcher).await;
}

/// The lead of a reload waits for several things at once and drops the others.
#[tokio::test]
async fn waiting_may_be_given_up_without_losing_an_edit() {
    let file = ConfigFile::new(service("a"));
    let (mut watcher, _handle) = watch(&file);
    quiet(&mut watcher).await;
    file.write(service("b"));
    let mut found = None;
    for _ in 0..200 {
        if let Ok(outcome) = timeout(Duration::from_millis(100), watcher.next()).await {
            found = Some(outcome.unwrap().config.services[0].name.to_string());
            break;
        }
    }
    assert_eq!(found.as_deref(), Some("b"));
}
