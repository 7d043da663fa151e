//! The dashboard's pages, from views to HTML.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod languages;
mod reference;
mod sample_pages;
mod samples;
mod sentences;
mod structure;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use wakedock::domain::service::Theme;
use wakedock::domain::words::Role;
use wakedock::html::Language;
use wakedock::html::dashboard::overview::{self, Sort, rows};
use wakedock::html::dashboard::{Frame, Notice, Place, assets, release};

use samples::NASTY;

fn french() -> Language {
    Language::from_code("fr").unwrap()
}

/// Writes every page as files that a browser can be shown: for whoever works on them, and for the
/// pictures.
#[test]
fn pages_can_be_written_out() {
    let temporary = tempfile::tempdir().unwrap();
    let folder =
        std::env::var_os("WAKEDOCK_SAMPLES").map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    std::fs::create_dir_all(folder.join("assets")).unwrap();
    for asset in assets::all() {
        std::fs::write(folder.join(&asset.path[1..]), asset.body()).unwrap();
    }
    for (theme, word) in [(Theme::Light, "light"), (Theme::Dark, "dark")] {
        for (name, html) in samples::all(&|frame| frame.theme = theme) {
            std::fs::write(folder.join(format!("{name}-{word}.html")), html).unwrap();
        }
    }
    for (name, html) in samples::all(&|frame| frame.language = french()) {
        std::fs::write(folder.join(format!("{name}-fr.html")), html).unwrap();
    }
    assert!(std::fs::read_dir(&folder).unwrap().count() > 40);
}

#[test]
fn the_first_view_of_thirty_services_is_below_60_kb_in_all() {
    let page = overview::overview(&samples::frame(Place::Services, "/"), &samples::overview_of(30)).unwrap();
    let linked: Vec<String> =
        assets::all().iter().filter(|asset| page.contains(&asset.path)).map(|asset| asset.body()).collect();
    assert_eq!(linked.len(), 3, "style, script, icon");
    let assets: usize = linked.iter().map(String::len).sum();
    println!("figure: the first view is {} bytes of page and {assets} of style, script and icon", page.len());
    // Before anything is compressed; tests/system counts what goes over the wire.
    assert!(page.len() + assets < 60_000, "{} + {assets}", page.len());
    let packed = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap().len()
    };
    let wire = packed(&page) + linked.iter().map(|asset| packed(asset)).sum::<usize>();
    println!("figure: compressed it is {wire} bytes");
    assert!(wire < 25_000, "{wire}");
}

#[test]
fn a_thousand_services_are_rendered_row_by_row() {
    let view = samples::overview_of(1000);
    let frame = samples::frame(Place::Services, "/");
    let page = overview::overview(&frame, &view).unwrap();
    assert_eq!(page.matches("<tr id=\"s-").count(), 1000);
    assert!(page.len() < 1_300_000, "{}", page.len());
    // The same row, whether it comes with the page or alone.
    let row = rows(&frame, &view.rows[..1], &view.totals).unwrap();
    let (_, row) = row.split_once("<tbody>").unwrap();
    assert!(page.contains(row.split_once("</tbody>").unwrap().0), "{row}");
}

#[test]
fn rows_are_grouped_sorted_and_filtered_without_a_script() {
    let frame = samples::frame(Place::Services, "/");
    let order = |view: &overview::Overview| {
        let html = overview::overview(&frame, view).unwrap();
        let rows = html
            .split("<tr id=\"s-")
            .skip(1)
            .filter(|row| !row.split('>').next().unwrap().contains("hidden"));
        rows.map(|row| row.split('"').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut view = samples::overview_of(30);
    let by_name = order(&view);
    assert_eq!(
        (by_name[0].as_str(), by_name.len()),
        ("actual", 30),
        "the first group, and in it the first name"
    );
    assert_eq!(by_name.last().unwrap(), "speedtest", "those without a group come last");
    view.sort = Sort::Memory;
    assert_eq!(order(&view)[0], "jellyfin", "of all, not of the first group");
    view.sort = Sort::parse("phase");
    let by_phase = order(&view);
    assert!(
        by_phase.iter().position(|name| name == "n8n") < by_phase.iter().position(|name| name == "gitea")
    );
    assert_eq!(Sort::parse("nonsense"), Sort::Name);
    view.filter = " JELLY ".into();
    assert_eq!(order(&view), ["jellyfin"]);
    view.filter = "house".into();
    assert_eq!(order(&view).len(), 5, "a group is found by its name");
    let html = overview::overview(&frame, &view).unwrap();
    assert_eq!(html.matches("<tr id=\"s-").count(), 30, "whoever clears the filter has them all");
    view.filter = "nobody".into();
    let html = overview::overview(&frame, &view).unwrap();
    assert!(
        html.contains("No service is called that.") && !html.contains("role=\"status\" hidden"),
        "{html}"
    );
}

#[test]
fn roles_see_only_what_they_may_do() {
    let seen = |role| {
        let mut frame = samples::frame(Place::Services, "/");
        frame.person.as_mut().unwrap().role = role;
        overview::overview(&frame, &samples::overview_of(30)).unwrap()
    };
    let (viewer, user, admin) = (seen(Role::Viewer), seen(Role::User), seen(Role::Admin));
    assert!(!viewer.contains("formaction=\"/services") && !viewer.contains("id=\"keep\""), "{viewer}");
    assert!(user.contains("formaction=\"/services/actual/wake\"") && user.contains("id=\"keep\""));
    for page in [&viewer, &user] {
        assert!(!page.contains("href=\"/new\"") && !page.contains("href=\"/settings\""));
    }
    assert!(admin.contains("href=\"/new\"") && admin.contains("href=\"/settings\""));
}

#[test]
fn trap_35_nasty_texts_stay_texts() {
    let mut view = samples::overview_of(1);
    let row = &mut view.rows[0];
    row.group = Some(NASTY.into());
    row.icon = Some(NASTY.into());
    row.links[0].text = NASTY.into();
    row.links[0].href = format!("https://x/{NASTY}");
    view.filter = String::new();
    (view.start.host, view.start.command) = (NASTY.into(), NASTY.into());
    view.troubles = vec![samples::trouble_of(None, Some(NASTY))];
    view.troubles[0].reason = NASTY.into();
    view.troubles[0].value = Some(NASTY.into());
    let mut frame = samples::frame(Place::Services, NASTY);
    frame.csrf = NASTY.into();
    frame.person.as_mut().unwrap().name = NASTY.into();
    frame.notice =
        Some(Notice { bad: false, key: "wake", subject: NASTY.into(), detail: Some(NASTY.into()) });
    let mut service = samples::one_service();
    service.log = Some(vec![NASTY.into()]);
    service.container = NASTY.into();
    service.values[0].value = NASTY.into();
    service.sessions[0].path = Some(NASTY.into());
    service.row = view.rows[0].clone();
    let alone = rows(&frame, &view.rows, &view.totals).unwrap();
    let whole = overview::overview(&frame, &view).unwrap();
    let service = wakedock::html::dashboard::service::service(&frame, &service).unwrap();
    for html in [alone, whole, service] {
        assert!(html.contains("&lt;script&gt;alert(1)"), "{html}");
        assert!(html.contains("{{ 7*7 }}"), "read as a template");
        for bad in ["<script>", "<img", "</title></pre>", "\" onload", "' onload"] {
            assert!(!html.contains(bad), "{bad} in {html}");
        }
    }
}

#[test]
fn templates_are_let_go_when_nobody_looks() {
    let _ = samples::all(&|_: &mut Frame| ());
    release(Duration::from_secs(3600));
    // Other tests render meanwhile: one moment without them is enough.
    let gone = (0..1000).any(|_| release(Duration::ZERO));
    assert!(gone);
    assert!(!samples::all(&|_: &mut Frame| ()).is_empty(), "and made ready again");
}
