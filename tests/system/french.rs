//! Somebody whose browser is French reads French everywhere: the waiting page, the dashboard and its
//! forms, what the API says, with script and without.

use std::time::Duration;

use serde_json::json;

use crate::harness::{App, Browser, Manner, Request, WakeDock, eventually, free_port, shared};

const HOST: &str = "boutique.localhost";
const PASSWORD: &str = "un port la nuit";

fn dock(container: &str) -> WakeDock {
    let service = json!({
        "name": "boutique", "hosts": [HOST], "container": container, "port": 8080, "page_after": "100ms",
    });
    WakeDock::builder().set("admin.listen", format!("127.0.0.1:{}", free_port())).service(service).start()
}

fn address(dock: &WakeDock, path: &str) -> String {
    format!("http://{}{path}", dock.admin().tcp())
}

fn until(browser: &Browser, what: &str, done: impl Fn(&Browser) -> bool) {
    eventually(Duration::from_secs(20), what, || done(browser).then_some(()));
}

/// Makes the first user by the link in the log.
fn set_up(dock: &WakeDock, browser: &Browser) {
    let log = dock.log();
    let (_, rest) = log.split_once("/setup?token=").expect("a set-up link in the log");
    let token: String =
        rest.chars().take_while(|letter| letter.is_ascii_alphanumeric() || "-_".contains(*letter)).collect();
    browser.go(&address(dock, &format!("/setup?token={token}")));
    assert_eq!(browser.text("h1"), "Bienvenue");
    browser.fill("#username", "anna");
    browser.fill("#password", PASSWORD);
    browser.press("form button");
    until(browser, "the overview", |browser| browser.source().contains("id=\"totals\""));
}

/// What the page says, with plain spaces.
fn said(browser: &Browser) -> String {
    let text = browser.evaluate("return document.body.innerText");
    text.as_str().unwrap_or_default().replace(['\u{a0}', '\u{202f}'], " ")
}

#[test]
fn the_waiting_page_is_french_and_stays_french_while_it_counts() {
    let _turn = shared();
    let app = App::builder("attente").env("LISTEN_DELAY", "4s").create();
    let dock = dock(app.name());
    let browser = Browser::open_in("fr-CA", Manner::default());
    browser.go(&format!("http://{HOST}:{}/", dock.proxy().tcp().port()));
    assert_eq!(browser.evaluate("return document.documentElement.lang"), "fr");
    until(&browser, "the script changes the words", |browser| {
        said(browser).contains("Le service a démarré et ne répond pas encore.")
    });
    assert!(said(&browser).contains("Réveil"), "{}", said(&browser));
    until(&browser, "the script counts with the units of the page", |browser| {
        browser.evaluate("return document.getElementById('elapsed')?.textContent") == "2\u{a0}s"
    });
    until(&browser, "the application's own page", |browser| browser.source().contains("awake: "));
}

#[test]
fn a_failure_and_a_host_that_nobody_has_are_told_in_french() {
    let _turn = shared();
    let app = App::builder("echec").env("LISTEN_DELAY", "1m").env("EXIT_AFTER", "1500ms").create();
    let dock = dock(app.name());
    let port = dock.proxy().tcp().port();
    let browser = Browser::open_in("fr", Manner::default());
    browser.go(&format!("http://{HOST}:{port}/"));
    until(&browser, "the failure", |browser| said(browser).contains("Le service n’a pas pu être réveillé."));
    assert!(said(&browser).contains("Échec") && said(&browser).contains("Réessayer"), "{}", said(&browser));
    browser.go(&format!("http://personne.localhost:{port}/"));
    assert!(said(&browser).contains("Il n’y a pas de service à cette adresse."), "{}", said(&browser));
    let page = dock.send(
        &Request::get("personne.localhost", "/")
            .navigation()
            .header("Accept-Language", "de;q=0.9, fr-CH;q=0.8"),
    );
    assert_eq!((page.status(), page.header("content-language")), (404, Some("fr")));
    assert_eq!(page.header("vary"), Some("accept-language"));
    let english =
        dock.send(&Request::get("personne.localhost", "/").navigation().header("Accept-Language", "de"));
    assert_eq!(english.header("content-language"), Some("en"));
}

#[test]
fn the_dashboard_is_french_with_script_and_without() {
    let _turn = shared();
    let app = App::builder("tableau").env("LISTEN_DELAY", "1500ms").create();
    let dock = dock(app.name());
    let browser = Browser::open_in("fr-FR", Manner::default());
    set_up(&dock, &browser);
    assert_eq!(browser.evaluate("return document.documentElement.lang"), "fr");
    browser.press("[formaction='/services/boutique/wake']");
    until(&browser, "it is said", |browser| browser.text("#toast").contains("boutique se réveille."));
    until(&browser, "it is ready without a reload", |browser| {
        browser.text("#s-boutique .phase").contains("Prêt")
    });
    // What the script puts into the page comes in the page's language too.
    until(&browser, "its last wake", |browser| {
        let wake = browser.evaluate("return document.querySelector('#s-boutique .c-wake').textContent");
        wake.as_str().is_some_and(|wake| wake.contains("il y a"))
    });

    browser.go(&address(&dock, "/new?blank=1"));
    browser.fill("#f-name", "seconde");
    browser.fill("#f-container", "seconde");
    browser.fill("[id='f-idle.stop_after']", "15");
    browser.press("main form button.go");
    until(&browser, "the mistake", |browser| browser.source().contains("aria-invalid=\"true\""));
    let wrong = browser.text("[id='f-idle.stop_after-bad']");
    assert!(wrong.contains("est un nombre nu, et une durée porte son unité. Écrivez 15s"), "{wrong}");

    let problem = browser.evaluate_later(
        "const done = arguments[arguments.length - 1]; \
         fetch('/api/v1/services/personne').then((answer) => answer.json()).then(done);",
    );
    assert_eq!(
        (&problem["type"], &problem["title"]),
        (&json!("/problems/unknown-service"), &json!("Aucun service ne porte ce nom"))
    );

    // Somebody chooses another language, without script.
    let plain = Browser::open_in("fr-FR", Manner { no_script: true, ..Manner::default() });
    plain.go(&address(&dock, "/login"));
    assert_eq!(plain.text("h1"), "Connexion");
    plain.fill("#username", "anna");
    plain.fill("#password", PASSWORD);
    plain.press("form button");
    until(&plain, "the overview", |browser| browser.source().contains("id=\"totals\""));
    plain.go(&address(&dock, "/account"));
    plain.press("#language option[value='en']");
    plain.press("form[action='/display'].acts-line button");
    until(&plain, "the page in English", |browser| browser.source().contains("<html lang=\"en\""));
    assert!(plain.source().contains("Your other sessions end."), "{}", plain.source());
}
