//! What Caddy answers on its admin API, and the configuration that it says it runs.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use wakedock::caddy::bench::message;
use wakedock::caddy::document::{Owner, owner, prepare, same};

fuzz_target!(|bytes: &[u8]| {
    let shown = message(http::StatusCode::BAD_REQUEST, bytes);
    assert!(!shown.is_empty());
    assert!(shown.len() <= 16 * 1024, "{} bytes for one line of a log", shown.len());
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{shown:?} steers a terminal");
    let Ok(running) = serde_json::from_slice::<Value>(bytes) else { return };
    assert!(same(&running, &running));
    let ours = prepare(running.clone(), &running);
    assert_eq!(owner(&ours), Owner::Ours);
    assert_eq!(ours.get("admin"), running.get("admin"));
    let copy = serde_json::from_str(&ours.to_string()).unwrap();
    assert!(same(&ours, &copy), "does not survive the way to Caddy and back");
});
