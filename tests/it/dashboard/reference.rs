//! The pages of the API's reference, from its document as it is committed.

use wakedock::admin::api::reference;
use wakedock::html::RenderError;
use wakedock::html::dashboard::Frame;
use wakedock::html::dashboard::reference::reference as render;

const PARTS: [(&str, Option<&str>); 10] = [
    ("reference", None),
    ("reference-services", Some("services")),
    ("reference-events", Some("events")),
    ("reference-system", Some("system")),
    ("reference-caddy", Some("caddy")),
    ("reference-auth", Some("auth")),
    ("reference-users", Some("users")),
    ("reference-tokens", Some("tokens")),
    ("reference-settings", Some("settings")),
    ("reference-audit", Some("audit")),
];

fn document() -> serde_json::Value {
    serde_json::from_str(include_str!("../../../docs/reference/openapi.json")).unwrap()
}

/// All of them, each in the frame for its path.
pub(super) fn pages(frame: &dyn Fn(&str) -> Frame) -> Vec<(&'static str, Result<String, RenderError>)> {
    let document = document();
    let page = |(name, part): (&'static str, Option<&str>)| {
        let path = part.map_or("/api/v1/reference".to_owned(), |part| format!("/api/v1/reference/{part}"));
        let view = reference::view(&document, part).expect("a part of the document");
        (name, render(&frame(&path), &view))
    };
    PARTS.map(page).into()
}
