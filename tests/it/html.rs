//! The pages that strangers see while a service is not there.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use wakedock::domain::service::Theme;
use wakedock::html::Language;
use wakedock::html::waiting::{
    RefusalView, Refused, WaitingState, WaitingView, content_security_policy, fields, page, refusal,
};

const NASTY: &str = r#""><script>alert(1)</script><img src=x onerror=alert(2)>' onload='x {{ 7*7 }} {% raw %} </title></style> ]]> `${x}` \u003c | &lt;"#;

fn french() -> Language {
    Language::from_code("fr").unwrap()
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Every state, with a name for messages.
fn states(log: &[String]) -> Vec<(&'static str, WaitingState<'_>)> {
    let waking = |probing, elapsed, usual| WaitingState::Waking { probing, elapsed, usual };
    vec![
        ("starting", waking(false, seconds(1), Some(seconds(6)))),
        ("probing", waking(true, seconds(4), Some(seconds(6)))),
        ("late", waking(true, seconds(71), Some(seconds(6)))),
        ("first", waking(false, seconds(3), None)),
        ("endless", waking(true, Duration::MAX, Some(Duration::MAX))),
        ("instant", waking(false, Duration::ZERO, Some(Duration::ZERO))),
        ("stopping", WaitingState::Stopping { usual: Some(seconds(6)) }),
        ("failed", WaitingState::Failed { retry_after: Duration::from_millis(7_200), log: &[] }),
        ("failed with log", WaitingState::Failed { retry_after: Duration::ZERO, log }),
    ]
}

/// Every page there is, in every state, theme and language, with these texts of others on it.
fn all_pages(title: &str, message: Option<&str>, log: &[String]) -> Vec<(String, String)> {
    let mut pages = Vec::new();
    // The longest that a page names, and so full of others' marks as an address can be.
    let query = "a='<\">&".repeat(11);
    for theme in [Theme::Auto, Theme::Light, Theme::Dark] {
        for &language in Language::ALL {
            for (name, state) in states(log) {
                let view = WaitingView { title, message, theme, language, query: Some(&query), state };
                pages.push((format!("{name}, {theme:?}, {language:?}"), page(&view).unwrap()));
            }
            for &refused in Refused::ALL {
                let retry_after = Some(seconds(5));
                let view = RefusalView { title, theme, language, query: Some(&query), refused, retry_after };
                pages.push((format!("{refused:?}, {theme:?}, {language:?}"), refusal(&view).unwrap()));
            }
        }
    }
    assert!(pages.len() > 50);
    pages
}

fn english(state: WaitingState<'_>) -> String {
    let view = WaitingView {
        title: "cloud.example.com",
        message: None,
        theme: Theme::Auto,
        language: Language::ENGLISH,
        query: None,
        state,
    };
    // A figure and its unit stay on one line.
    page(&view).unwrap().replace('\u{a0}', " ")
}

#[derive(Debug)]
struct Tag<'a> {
    name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
}

/// Reads a page as strictly as these pages are written: every attribute is bare or in double
/// quotes, every element but the void ones is closed in order. Gives back the tags, and the texts
/// with the element they stand in.
fn read(html: &str) -> (Vec<Tag<'_>>, Vec<(&str, &str)>) {
    let void = ["meta", "link", "circle", "path", "wbr"];
    let (mut tags, mut texts, mut open) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = html.strip_prefix("<!doctype html>").expect("a doctype");
    loop {
        let element = open.last().copied().unwrap_or("");
        let raw = ["style", "script"].contains(&element);
        let end = if raw { rest.find(&format!("</{element}>")) } else { rest.find('<') };
        let Some(end) = end else { break };
        texts.push((element, &rest[..end]));
        rest = &rest[end + 1..];
        if let Some(after) = rest.strip_prefix('/') {
            let (name, after) = after.split_once('>').expect("a closed end tag");
            assert_eq!(open.pop(), Some(name), "closed out of order");
            rest = after;
            continue;
        }
        let name_end = rest.find([' ', '>', '/']).unwrap();
        let name = &rest[..name_end];
        let mut attributes = Vec::new();
        rest = rest[name_end..].trim_start();
        while !rest.starts_with(['>', '/']) {
            let end = rest.find(['=', ' ', '>', '/']).unwrap();
            let attribute = &rest[..end];
            rest = &rest[end..];
            let value = match rest.strip_prefix("=\"") {
                Some(quoted) => {
                    let (value, after) = quoted.split_once('"').unwrap();
                    rest = after;
                    value
                }
                None => "",
            };
            assert!(!rest.starts_with('='), "`{attribute}` of <{name}> has no quotes");
            attributes.push((attribute, value));
            rest = rest.trim_start();
        }
        let closed = rest.starts_with('/');
        rest = rest.trim_start_matches('/').strip_prefix('>').expect("the end of a tag");
        if !closed && !void.contains(&name) {
            open.push(name);
        }
        tags.push(Tag { name, attributes });
    }
    assert_eq!(rest.trim(), "");
    assert!(open.is_empty(), "never closed: {open:?}");
    (tags, texts)
}

fn text_of<'a>(html: &'a str, element: &str) -> Vec<&'a str> {
    read(html).1.into_iter().filter(|(name, _)| *name == element).map(|(_, text)| text).collect()
}

#[test]
fn every_page_is_whole_accessible_and_below_10_kb() {
    let long = "wörd/'\"<>& ".repeat(500);
    let log: Vec<String> = (0..500).map(|number| format!("{number} {long}")).collect();
    for (title, message) in [("cloud.example.com", None), (long.as_str(), Some(long.as_str()))] {
        for (name, html) in all_pages(title, message, &log) {
            assert!(html.len() < 10_000, "{name}: {} bytes", html.len());
            let (tags, _) = read(&html);
            let count = |wanted: &str| tags.iter().filter(|tag| tag.name == wanted).count();
            assert_eq!((count("h1"), count("title"), count("main")), (1, 1, 1), "{name}");
            assert_eq!(tags.iter().filter(|tag| tag.attributes.contains(&("role", "status"))).count(), 1);
            let lang = tags[0].attributes[0];
            assert!(tags[0].name == "html" && ["en", "fr"].contains(&lang.1), "{name}: {lang:?}");
            assert!(html.contains(r#"content="width=device-width,initial-scale=1""#), "{name}");
            assert!(!html.contains("maximum-scale") && !html.contains("user-scalable"), "{name}");
            assert!(html.contains("prefers-reduced-motion"), "{name}");
            for tag in tags.iter().filter(|tag| tag.name == "progress") {
                assert!(
                    tag.attributes.iter().any(|(name, value)| *name == "aria-label" && !value.is_empty())
                );
            }
        }
    }
}

#[test]
fn trap_35_nasty_texts_stay_texts() {
    let plain = all_pages("plain", Some("plain"), &["plain".into()]);
    let nasty = all_pages(NASTY, Some(NASTY), &[NASTY.into()]);
    for ((name, plain), (_, nasty)) in plain.iter().zip(&nasty) {
        // The same elements with the same attributes, whatever the texts are.
        let shape = |html: &str| {
            let (tags, _) = read(html);
            let tags = tags.into_iter().filter(|tag| tag.name != "wbr").map(|tag| {
                let names: Vec<_> = tag.attributes.iter().map(|(name, _)| (*name).to_owned()).collect();
                (tag.name.to_owned(), names)
            });
            tags.collect::<Vec<_>>()
        };
        assert_eq!(shape(plain), shape(nasty), "{name}");
        assert_eq!(text_of(plain, "script"), text_of(nasty, "script"), "{name}: a text got into the script");
        assert_eq!(text_of(plain, "style"), text_of(nasty, "style"), "{name}: a text got into the style");
        assert!(nasty.contains("{{ 7*7 }}"), "{name}: read as a template");
        assert!(!nasty.contains("<img") && !nasty.contains("alert(1)</script>"), "{name}");
    }
}

#[test]
fn the_policy_admits_exactly_what_is_inside() {
    let policy = content_security_policy();
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    for (name, html) in all_pages("cloud.example.com", Some("hello"), &[]) {
        let (tags, texts) = read(&html);
        let inline: Vec<_> =
            texts.iter().filter(|(element, _)| ["style", "script"].contains(element)).collect();
        assert!(!inline.is_empty());
        for (element, text) in inline {
            let hash = format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
            let directive = policy.split("; ").find(|part| part.starts_with(&format!("{element}-src ")));
            assert!(directive.unwrap().contains(&hash), "{name}: {element} {hash} is not in {policy}");
        }
        for tag in &tags {
            for (attribute, value) in &tag.attributes {
                assert!(*attribute != "style" && !attribute.starts_with("on"), "{name}: {attribute}");
                let fetches = ["src", "href", "action", "srcset", "data", "poster"].contains(attribute);
                assert!(
                    !fetches || value.is_empty() || value.starts_with("data:"),
                    "{name}: {attribute}={value}"
                );
            }
        }
        // The name of a namespace is the only address anywhere.
        let rest = html.replace("http://www.w3.org/2000/svg", "");
        assert!(!rest.contains("http:") && !rest.contains("https:") && !rest.contains("url("), "{name}");
        assert!(!rest.contains("@import"), "{name}");
    }
}

#[test]
fn trap_4_the_fields_keep_caches_and_robots_away() {
    let fields = BTreeMap::from(fields(french()));
    assert_eq!(fields["cache-control"], "no-store");
    assert_eq!(fields["x-robots-tag"], "noindex");
    assert_eq!(fields["content-type"], "text/html; charset=utf-8");
    assert_eq!(fields["content-security-policy"], content_security_policy());
    assert_eq!((fields["content-language"], fields["vary"]), ("fr", "accept-language"));
    for (name, value) in fields {
        assert!(http::HeaderName::from_static(name).as_str() == name);
        http::HeaderValue::from_static(value);
    }
}

#[test]
fn states_say_what_is_and_how_long_it_takes() {
    let html = english(WaitingState::Waking { probing: false, elapsed: seconds(1), usual: Some(seconds(6)) });
    for text in
        ["cloud.example.com</title>", ">Waking<", "is being started", ">1 s<", "usually 6 s", "<progress"]
    {
        assert!(html.contains(text), "{text} is not in {html}");
    }
    let html = english(WaitingState::Waking { probing: true, elapsed: seconds(75), usual: Some(seconds(6)) });
    for text in ["has started and does not answer yet", ">1 min 15 s<", "longer than usual (6 s)"] {
        assert!(html.contains(text), "{text} is not in {html}");
    }
    let html = english(WaitingState::Waking { probing: false, elapsed: seconds(3), usual: None });
    assert!(
        !html.contains("<progress") && !html.contains("usually 6"),
        "nothing is known, nothing is claimed"
    );
    let html = english(WaitingState::Stopping { usual: None });
    assert!(html.contains(">Stopping<") && html.contains("woken again right after"), "{html}");
    let html = english(WaitingState::Failed { retry_after: Duration::from_millis(7_200), log: &[] });
    for text in [">Failed<", "could not be woken", r#"<a href="">Try again</a>"#, "possible in 8 s"] {
        assert!(html.contains(text), "{text} is not in {html}");
    }
    assert!(!html.contains("http-equiv"), "a page that loads itself after each failure wakes for ever");

    let view = WaitingView {
        title: "Nuage",
        message: Some("Bonjour"),
        theme: Theme::Dark,
        language: french(),
        query: None,
        state: WaitingState::Waking { probing: true, elapsed: seconds(4), usual: Some(seconds(6)) },
    };
    let html = page(&view).unwrap().replace('\u{a0}', " ");
    for text in [r#"lang="fr""#, ">Réveil<", "ne répond pas encore", "d’habitude 6 s", "Bonjour"] {
        assert!(html.contains(text), "{text} is not in {html}");
    }
}

/// "Back in a moment." stood above "Failed".
#[test]
fn the_message_is_not_shown_when_the_wake_failed() {
    let html = |state| {
        page(&WaitingView {
            title: "a",
            message: Some("Back in a moment."),
            theme: Theme::Auto,
            language: Language::ENGLISH,
            query: None,
            state,
        })
        .unwrap()
    };
    let waiting = html(WaitingState::Stopping { usual: None });
    assert!(waiting.contains(r#"<p class="message">Back in a moment.</p>"#), "{waiting}");
    let failed = html(WaitingState::Failed { retry_after: Duration::ZERO, log: &[] });
    assert!(!failed.contains("Back in a moment."), "{failed}");
    // A page that is there already sets the phase, and the style does the rest.
    let style = text_of(&waiting, "style").concat();
    assert!(style.contains("[data-phase=failed] .message{display:none}"), "{style}");
}

#[test]
fn trap_9_nothing_names_the_machine_behind() {
    let log = ["nextcloud-app: OOM".to_owned()];
    for (name, html) in all_pages("cloud.example.com", None, &log) {
        let said = html.to_lowercase();
        for word in
            ["container", "docker", "image/png", "127.0.0.1", "upstream", "wake_timeout", "error code"]
        {
            assert!(!said.contains(word), "{name} says {word}");
        }
        assert_eq!(html.contains("nextcloud-app"), name.starts_with("failed with log"), "{name}");
    }
}

#[test]
fn it_is_readable_without_script() {
    let refresh = |state: WaitingState<'_>| {
        let html = english(state);
        let (_, after) = html.split_once(r#"<noscript><meta http-equiv="refresh" content=""#).unwrap();
        assert!(html.split_once("</head>").unwrap().0.contains("http-equiv"));
        after.split_once("; url=?\"").unwrap().0.parse::<u64>().unwrap()
    };
    let waking = |elapsed, usual| WaitingState::Waking { probing: false, elapsed, usual };
    assert_eq!(refresh(waking(seconds(1), Some(seconds(6)))), 5, "when it is usually ready");
    assert_eq!(refresh(waking(seconds(1), Some(seconds(60)))), 10, "but not too late");
    assert_eq!(refresh(waking(seconds(6), Some(seconds(6)))), 3, "any moment");
    assert_eq!(refresh(waking(seconds(40), Some(seconds(6)))), 10, "ever more slowly");
    assert_eq!(refresh(waking(seconds(4000), None)), 15);
    assert_eq!(refresh(WaitingState::Stopping { usual: None }), 3);
    let failed = WaitingState::Failed { retry_after: Duration::from_millis(7_200), log: &[] };
    assert_eq!(failed.look_again(), seconds(8), "never before the next try is allowed");

    let html = |query| {
        page(&WaitingView {
            title: "a",
            message: None,
            theme: Theme::Auto,
            language: Language::ENGLISH,
            query: Some(query),
            state: WaitingState::Stopping { usual: None },
        })
    };
    let same = html("q=a%20b&c=\"d").unwrap();
    assert!(same.contains(r#"content="3; url=?q=a%20b&amp;c=&quot;d""#), "{same}");
    let long = html(&"&".repeat(61)).unwrap();
    assert!(long.contains(r#"content="3">"#), "one too long to be named is left to the browser: {long}");
}

#[test]
fn the_line_never_claims_more_than_it_knows() {
    let mut last = 0.0;
    for elapsed in (0..2000).map(|tenths| Duration::from_millis(tenths * 100)) {
        let html = english(WaitingState::Waking { probing: true, elapsed, usual: Some(seconds(6)) });
        let (tags, _) = read(&html);
        let bar = tags.iter().find(|tag| tag.name == "progress").unwrap();
        let value: f64 = bar.attributes.iter().find(|(name, _)| *name == "value").unwrap().1.parse().unwrap();
        assert!(value >= last && value < 1000.0, "{value} after {last} at {elapsed:?}");
        assert!(elapsed >= seconds(6) || value <= 800.0, "{value} at {elapsed:?}");
        last = value;
    }
    assert!(last > 900.0);
}

#[test]
fn themes_are_forced_or_left_to_the_browser() {
    for (theme, scheme, dark) in [
        (Theme::Auto, "light dark", Some("(prefers-color-scheme: dark)")),
        (Theme::Light, "light", None),
        (Theme::Dark, "dark", Some("all")),
    ] {
        let state = WaitingState::Stopping { usual: None };
        let view =
            WaitingView { title: "a", message: None, theme, language: Language::ENGLISH, query: None, state };
        let html = page(&view).unwrap();
        assert!(html.contains(&format!(r#"name="color-scheme" content="{scheme}""#)), "{theme:?}");
        let media = html.split_once("<style media=\"").map(|(_, after)| after.split_once('"').unwrap().0);
        assert_eq!(media, dark, "{theme:?}");
    }
}

/// The custom properties of a style that are colours, as relative luminance (WCAG 2.2).
fn luminances(style: &str) -> BTreeMap<&str, f64> {
    let properties = style.lines().filter_map(|line| line.strip_prefix("--")?.split_once(": #"));
    let colours = properties.map(|(name, value)| {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&value[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        (name, 0.2126 * channel(0) + 0.7152 * channel(2) + 0.0722 * channel(4))
    });
    colours.collect()
}

#[test]
fn text_has_7_to_1_and_marks_have_3_to_1_in_both_themes() {
    let html = english(WaitingState::Stopping { usual: None });
    let styles = text_of(&html, "style");
    assert_eq!(styles.len(), 2, "light and dark");
    for style in styles {
        let colours = luminances(style);
        let contrast = |one: &str, other: &str| {
            let (one, other) = (colours[one], colours[other]);
            (one.max(other) + 0.05) / (one.min(other) + 0.05)
        };
        for ground in ["ground", "deep"] {
            for text in ["text", "muted", "link"] {
                assert!(contrast(text, ground) >= 7.0, "{text} on {ground}: {}", contrast(text, ground));
            }
            for mark in ["waking", "stopping", "failed", "refused"] {
                assert!(contrast(mark, ground) >= 3.0, "{mark} on {ground}: {}", contrast(mark, ground));
            }
        }
    }
}

#[test]
fn refusals_are_plain_and_say_what_to_do() {
    let view = |refused, retry_after| RefusalView {
        title: "cloud.example.com",
        theme: Theme::Auto,
        language: Language::ENGLISH,
        query: None,
        refused,
        retry_after,
    };
    let html = refusal(&view(Refused::UnknownHost, None)).unwrap();
    assert!(html.contains(">Not found<") && html.contains("no service at this address"), "{html}");
    assert!(
        !html.contains("http-equiv") && !html.contains("<script") && !html.contains("Try again"),
        "{html}"
    );
    let html = refusal(&view(Refused::Draining, Some(Duration::from_millis(100)))).unwrap();
    assert!(html.contains(r#"<meta http-equiv="refresh" content="1; url=?">"#), "{html}");
    assert!(html.contains("Try again") && !html.contains("<noscript>"), "{html}");
    let mut phrases: Vec<_> = Refused::ALL
        .iter()
        .map(|refused| {
            let html = refusal(&view(*refused, None)).unwrap();
            text_of(&html, "span").concat()
        })
        .collect();
    phrases.sort();
    phrases.dedup();
    assert_eq!(phrases.len(), Refused::ALL.len(), "each says something of its own: {phrases:?}");
}
