//! What every page has: one heading, landmarks, labels, and nothing that its policy refuses.

use std::collections::BTreeSet;

use wakedock::html::dashboard::assets;

use super::samples;

/// The start tags of a page: name, and the rest up to `>`.
fn tags(html: &str) -> Vec<(&str, &str)> {
    let starts =
        html.split('<').skip(1).filter(|tag| tag.starts_with(|first: char| first.is_ascii_lowercase()));
    let tags = starts.map(|tag| tag.split_once('>').unwrap_or((tag, "")).0);
    tags.map(|tag| tag.split_once([' ', '\n', '/']).unwrap_or((tag, ""))).collect()
}

/// The value of an attribute, quoted or not.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let tag = tag.strip_prefix(name).or_else(|| tag.split_once(&format!(" {name}")).map(|(_, rest)| rest))?;
    let value = tag.strip_prefix('=')?;
    value.strip_prefix('"').map_or_else(|| value.split(' ').next(), |quoted| quoted.split('"').next())
}

fn pages() -> Vec<(&'static str, String)> {
    samples::all(&|_| ())
}

#[test]
fn landmarks_headings_and_labels() {
    let mut fields = 0;
    for (name, html) in pages() {
        let tags = tags(&html);
        let count = |wanted: &str| tags.iter().filter(|(tag, _)| *tag == wanted).count();
        assert_eq!((count("h1"), count("main")), (1, 1), "{name}");
        assert_eq!(html.split("</head>").next().unwrap().matches("<title>").count(), 1, "{name}");
        let inside = !["login", "login-provider", "setup", "setup-over"].contains(&name);
        assert_eq!(count("header") + count("footer"), if inside { 2 } else { 0 }, "{name}");
        assert_eq!(html.contains("class=\"skip\" href=\"#main\""), inside, "{name}");
        let labelled: BTreeSet<_> = tags
            .iter()
            .filter(|(tag, _)| *tag == "label")
            .filter_map(|(_, rest)| attribute(rest, "for"))
            .collect();
        for (tag, rest) in &tags {
            if !["input", "select", "textarea"].contains(tag)
                || attribute(rest, "type") == Some("hidden")
                || rest.ends_with("hidden")
            {
                continue;
            }
            fields += 1;
            let named = attribute(rest, "aria-label").is_some_and(|label| !label.is_empty());
            let labelled = attribute(rest, "id").is_some_and(|id| labelled.contains(id));
            assert!(named || labelled, "{name}: <{tag} {rest}> has no name");
        }
        let mut ids = BTreeSet::new();
        for id in tags.iter().filter_map(|(_, rest)| attribute(rest, "id")) {
            assert!(ids.insert(id), "{name}: two of #{id}");
        }
        for (_, rest) in &tags {
            for reference in
                ["aria-describedby", "aria-labelledby"].iter().filter_map(|of| attribute(rest, of))
            {
                assert!(reference.split(' ').all(|id| ids.contains(id)), "{name}: {reference}");
            }
        }
    }
    assert!(fields > 30, "{fields}");
}

#[test]
fn nothing_is_inline_and_nothing_comes_from_elsewhere() {
    for (name, html) in pages() {
        for (tag, rest) in tags(&html) {
            assert!(tag != "style", "{name}");
            // Without the values: every second piece between quotes.
            let bare: String = rest.split('"').step_by(2).collect();
            assert!(!bare.contains("style=") && !bare.contains(" on"), "{name}: <{tag} {rest}>");
            for source in ["src", "href"].iter().filter_map(|of| attribute(rest, of)) {
                let own = source.starts_with('/') || source.starts_with('#');
                let service = tag == "a" && rest.contains("target=_blank") && source.starts_with("https://");
                assert!(own || service, "{name}: {source}");
                if source.starts_with("/assets/") {
                    assert!(assets::find(source).is_some(), "{name}: {source}");
                }
            }
        }
        assert_eq!(html.matches("<script").count(), html.matches("<script src=\"/assets/").count(), "{name}");
    }
    let style = assets::all()
        .iter()
        .map(|asset| asset.body())
        .collect::<String>()
        .replace("http://www.w3.org/2000/svg", "");
    assert!(!style.contains("http:") && !style.contains("https:") && !style.contains("@import"));
}

#[test]
fn every_form_that_changes_something_carries_the_token() {
    let mut forms = 0;
    for (name, html) in pages() {
        for form in html.split("<form").skip(1) {
            let form = form.split("</form>").next().unwrap();
            if form.contains("method=\"post\"") {
                forms += 1;
                assert!(form.contains("name=\"csrf\" value=\"b3f1"), "{name}: {form}");
            }
        }
    }
    assert!(forms > 30, "{forms}");
}

/// Text 7:1 and marks 3:1 on every ground of theirs, in both themes.
#[test]
fn contrast() {
    let style = assets::all()[0].body();
    let luminance = |hex: &str| {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(0) + 0.7152 * channel(2) + 0.0722 * channel(4)
    };
    let colour = |name: &str, dark: bool| {
        let (_, value) =
            style.split_once(&format!("--{name}:light-dark(#")).unwrap_or_else(|| panic!("{name}"));
        let value = value.split(')').next().unwrap();
        luminance(if dark { value.split_once('#').unwrap().1 } else { value.split(',').next().unwrap() })
    };
    for dark in [false, true] {
        let ratio = |one: &str, other: &str| {
            let (one, other) = (colour(one, dark), colour(other, dark));
            (one.max(other) + 0.05) / (one.min(other) + 0.05)
        };
        for ground in ["ground", "raised", "hover"] {
            for text in ["text", "muted", "link", "bad"] {
                assert!(
                    ratio(text, ground) >= 7.0,
                    "{text} on {ground}: {} (dark: {dark})",
                    ratio(text, ground)
                );
            }
            for mark in ["asleep", "waking", "ready", "stopping", "failed", "edge"] {
                assert!(
                    ratio(mark, ground) >= 3.0,
                    "{mark} on {ground}: {} (dark: {dark})",
                    ratio(mark, ground)
                );
            }
        }
        assert!(ratio("on-link", "link") >= 7.0);
    }
}
