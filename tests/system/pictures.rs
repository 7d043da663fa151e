//! Every page of the dashboard over a harbour of services that really run, as pictures, and held
//! against what somebody needs who cannot see, cannot use a mouse, or has a small screen.
//!
//! `./dev.sh pictures` writes the pictures; as a test they are only looked at by machines.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harbour::Harbour;
use crate::harness::{Browser, Caddy, Engine, Manner, SmallDisk, WakeDock, alone, eventually, peer};

/// Where the pictures for the documentation go.
const PICTURES: &str = "WAKEDOCK_PICTURES";
/// Where the same and more go as PNG, to be looked at.
const PNG: &str = "WAKEDOCK_PICTURES_PNG";

const THEMES: [&str; 2] = ["dark", "light"];
/// The higher a page, the less of it is shown.
const HIGHEST: u32 = 1600;

/// A screen: its width and height in CSS pixels, its density, and whether the documentation shows it.
struct Screen {
    name: &'static str,
    size: (u32, u32),
    density: f64,
    documented: bool,
}

const SCREENS: [Screen; 4] = [
    Screen { name: "", size: (1440, 900), density: 1.0, documented: true },
    Screen { name: "-tablet", size: (768, 1024), density: 1.0, documented: false },
    Screen { name: "-phone", size: (390, 844), density: 1.5, documented: true },
    Screen { name: "-narrow", size: (320, 640), density: 2.0, documented: false },
];

/// Pages for whoever has logged in, under the names of their pictures.
const PAGES: [(&str, &str); 18] = [
    ("overview", "/"),
    ("service", "/services/jellyfin"),
    ("service-failed", "/services/n8n"),
    ("service-waking", "/services/paperless"),
    ("edit", "/services/nextcloud/edit"),
    ("new", "/new"),
    ("new-filled", "/new?container=uptime-kuma"),
    ("caddy", "/caddy"),
    ("activity", "/activity"),
    ("users", "/users"),
    ("user", "/users/ben"),
    ("tokens", "/tokens"),
    ("audit", "/audit"),
    ("settings", "/settings"),
    ("account", "/account"),
    ("reference", "/api/v1/reference"),
    ("reference-services", "/api/v1/reference/services"),
    ("missing", "/services/nobody"),
];

/// Where pictures go, if anywhere.
struct Album {
    webp: Option<PathBuf>,
    png: Option<PathBuf>,
    axe: String,
    /// What was found wrong, all of it at once.
    wrong: Vec<String>,
}

impl Album {
    fn open() -> Self {
        let folder = |name: &str| {
            let folder = std::env::var_os(name).filter(|folder| !folder.is_empty()).map(PathBuf::from)?;
            std::fs::create_dir_all(&folder).expect("a folder for pictures");
            Some(folder)
        };
        let axe = std::fs::read_to_string(peer("axe/node_modules/axe-core/axe.min.js")).expect("axe-core");
        Self { webp: folder(PICTURES), png: folder(PNG), axe, wrong: Vec::new() }
    }

    /// Looks at what a browser shows under an address, in both themes and on every screen.
    fn look(&mut self, browser: &Browser, name: &str, address: &str) {
        self.look_again(browser, name, &mut |browser| browser.go(address));
    }

    /// The same, where it takes more than an address to get there.
    fn look_again(&mut self, browser: &Browser, name: &str, go: &mut dyn FnMut(&Browser)) {
        for theme in THEMES {
            browser.evaluate(&format!("document.cookie = 'wakedock_theme={theme};path=/'"));
            for screen in &SCREENS {
                browser.size(screen.size.0, screen.size.1, screen.density);
                go(browser);
                let here = format!("{name}, {theme}, {} px", screen.size.0);
                assert_eq!(
                    browser.evaluate("return document.documentElement.dataset.theme"),
                    theme,
                    "{here}"
                );
                self.hold_against(browser, &here);
                self.take(browser, screen, &format!("{name}{}-{theme}", screen.name));
            }
        }
    }

    /// What anybody needs.
    fn hold_against(&mut self, browser: &Browser, here: &str) {
        let violations = browser.violations(&self.axe);
        if violations != json!([]) {
            self.wrong.push(format!("{here}: {violations}"));
        }
        let wide = browser.evaluate(
            "return [...document.querySelectorAll('body *')].filter((one) => \
               one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.scroll, pre, small, .sprite, .sr')) \
               .slice(0, 3).map((one) => one.outerHTML.slice(0, 90)).concat( \
               document.documentElement.scrollWidth > innerWidth ? [document.documentElement.scrollWidth] : [])",
        );
        let outside = browser.evaluate(
            "return [...document.querySelectorAll('.svc:not([hidden]) .acts > *')].filter((one) => { \
               const at = one.getBoundingClientRect(), row = one.closest('tr').getBoundingClientRect(); \
               const name = one.closest('tr').querySelector('.name').getBoundingClientRect(); \
               return at.right > row.right + 11 || at.right > innerWidth || (at.left < name.right && at.top < name.bottom); \
             }).map((one) => one.outerHTML)",
        );
        if outside != json!([]) {
            self.wrong.push(format!("{here}: cannot be pressed where it is: {outside}"));
        }
        if wide != json!([]) {
            self.wrong.push(format!("{here}: has to be pushed sideways: {wide}"));
        }
    }

    fn take(&self, browser: &Browser, screen: &Screen, name: &str) {
        if self.png.is_none() && self.webp.is_none() {
            return;
        }
        // What is out of sight is not drawn: all of it has to be in sight.
        let whole =
            browser.evaluate("return document.documentElement.scrollHeight").as_u64().expect("pixels");
        let height = u32::try_from(whole).expect("pixels").clamp(screen.size.1, HIGHEST);
        browser.size(screen.size.0, height, screen.density);
        browser.evaluate("return new Promise((done) => setTimeout(done, 60))");
        if let Some(folder) = &self.png {
            let picture = browser.picture("png", HIGHEST);
            std::fs::write(folder.join(format!("{name}.png")), picture).expect("a picture");
        }
        if let Some(folder) = self.webp.as_ref().filter(|_| screen.documented) {
            let picture = browser.picture("webp", HIGHEST);
            assert!(picture.starts_with(b"RIFF") && picture.len() > 1000, "{name} is no picture");
            std::fs::write(folder.join(format!("{name}.webp")), picture).expect("a picture");
        }
    }

    fn close(self) {
        assert!(self.wrong.is_empty(), "{} faults:\n{}", self.wrong.len(), self.wrong.join("\n"));
    }
}

/// Where the log says that the first user is made.
fn set_up_address(dock: &WakeDock) -> String {
    let log = dock.log();
    let (_, rest) = log.split_once("/setup?token=").expect("a set-up link in the log");
    let token: String =
        rest.chars().take_while(|letter| letter.is_ascii_alphanumeric() || "-_".contains(*letter)).collect();
    format!("http://{}/setup?token={token}", dock.admin().tcp())
}

#[test]
fn pages_of_a_newcomer() {
    let _turn = alone();
    let mut album = Album::open();
    let (engine, caddy) = (Engine::start(), Caddy::start());
    let builder = WakeDock::builder().set("docker.labels", true).caddy(&caddy);
    let dock = builder.docker_socket(engine.docker().socket()).start();
    let browser = Browser::open(Manner::default());
    let set_up = set_up_address(&dock);
    browser.go(&set_up);
    album.look(&browser, "setup", &set_up);
    browser.fill("#username", "anna");
    browser.fill("#password", "a harbour at night");
    browser.press("form button");
    eventually(Duration::from_secs(20), "the overview", || {
        browser.source().contains("/logout").then_some(())
    });
    album.look(&browser, "overview-empty", &format!("http://{}/", dock.admin().tcp()));
    album.close();
}

#[test]
fn pages_of_a_harbour() {
    let _turn = alone();
    let mut album = Album::open();
    let harbour = Harbour::open();
    let browser = Browser::open(Manner::default());
    browser.go(&harbour.address("/login"));
    album.look(&browser, "login", &harbour.address("/login"));
    harbour.log_in(&browser, "anna");
    for (name, path) in PAGES {
        album.look(&browser, name, &harbour.address(path));
    }
    album.close();
}

/// What is away is taken away for real, and said on every page together with what still works.
#[test]
fn pages_while_something_is_away() {
    let _turn = alone();
    let mut album = Album::open();
    let disk = SmallDisk::new(16);
    let data = disk.path().join("data").display().to_string();
    let mut harbour = Harbour::with(|builder| builder.set("data_dir", data));
    let browser = Browser::open(Manner::default());
    harbour.log_in(&browser, "anna");
    let home = harbour.address("/");
    let says = |browser: &Browser, text: &str| {
        eventually(Duration::from_secs(30), text, || browser.text("#banners").contains(text).then_some(()));
    };

    harbour.caddy.stop();
    harbour.dock.hup();
    says(&browser, "Caddy does not have the newest routes");
    album.look(&browser, "caddy-away", &harbour.address("/caddy"));
    harbour.caddy.start_again();
    eventually(Duration::from_secs(30), "no banner is left", || {
        browser.go(&home);
        browser.text("#banners").is_empty().then_some(())
    });

    harbour.dock.write_config("caddy: { tls: maybe }\nproxy: { max_held: -1 }\n");
    says(&browser, "The last edit of the configuration file was refused");
    album.look(&browser, "config-refused", &harbour.address("/settings"));
    harbour.dock.edit(|_| ());

    harbour.engine.stop();
    says(&browser, "Docker does not answer");
    album.look(&browser, "docker-away", &home);
    album.look(&browser, "docker-away-new", &harbour.address("/new"));
    harbour.engine.start_again();
    eventually(Duration::from_secs(60), "no banner is left", || {
        browser.text("#banners").is_empty().then_some(())
    });

    disk.fill();
    // The store opens itself again and again; each write finds the disk full once more.
    let (api, over) = (harbour.dock.api(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let token = json!({ "name": "x".repeat(90), "role": "viewer", "expires_in": "1h" });
            for _ in 0..2000 {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                drop(api.try_ask("POST", "/api/v1/tokens", Some(&token)));
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        says(&browser, "The state cannot be written");
        browser.size(1440, 900, 1.0);
        album.hold_against(&browser, "overview, store away");
        album.take(&browser, &SCREENS[0], "store-away-dark");
        over.store(true, Ordering::Relaxed);
    });
    disk.make_room();
    eventually(Duration::from_secs(60), "no banner is left", || {
        browser.go(&home);
        browser.text("#banners").is_empty().then_some(())
    });

    harbour.dock.term();
    eventually(Duration::from_secs(20), "the cut is said", || {
        browser.text("#cut").contains("was lost at").then_some(())
    });
    for (theme, screen) in THEMES.iter().zip(&SCREENS) {
        album.take(&browser, screen, &format!("cut{}-{theme}", screen.name));
    }
    harbour.dock.start_again();
    eventually(Duration::from_secs(30), "connected again", || browser.text("#cut").is_empty().then_some(()));
    album.close();
}

/// The pages of the other language, of high contrast, and without movement.
#[test]
fn pages_as_others_need_them() {
    let _turn = alone();
    let mut album = Album::open();
    let harbour = Harbour::open();
    let browser = Browser::open(Manner::default());
    harbour.log_in(&browser, "anna");
    browser.speaks("fr-FR,fr;q=0.9");
    for theme in THEMES {
        browser.evaluate(&format!("document.cookie = 'wakedock_theme={theme};path=/'"));
        for (name, path) in PAGES {
            for screen in [&SCREENS[0], &SCREENS[3]] {
                browser.size(screen.size.0, screen.size.1, screen.density);
                browser.go(&harbour.address(path));
                assert_eq!(browser.evaluate("return document.documentElement.lang"), "fr", "{path}");
                album.hold_against(&browser, &format!("{name}, {theme}, French, {} px", screen.size.0));
                if let Some(folder) = album.png.as_ref().filter(|_| theme == "dark") {
                    let picture = browser.picture("png", HIGHEST);
                    let file = format!("fr-{name}{}.png", screen.name);
                    std::fs::write(folder.join(file), picture).expect("a picture");
                }
            }
        }
    }
    browser.speaks("en-GB,en;q=0.9");
    browser.size(1440, 900, 1.0);
    browser.go(&harbour.address("/"));
    let animated = "return document.getAnimations().filter((one) => one.playState === 'running').length";
    assert!(
        browser.evaluate(animated).as_u64().is_some_and(|moving| moving > 0),
        "what wakes is the one thing that moves"
    );
    browser.prefers(&[("prefers-reduced-motion", "reduce")]);
    browser.go(&harbour.address("/"));
    assert_eq!(browser.evaluate(animated), 0, "nothing moves for whoever does not want that");
    browser.prefers(&[("forced-colors", "active")]);
    for (name, path) in [("overview", "/"), ("service", "/services/jellyfin")] {
        browser.go(&harbour.address(path));
        assert_eq!(browser.evaluate("return matchMedia('(forced-colors: active)').matches"), true);
        // Marks are drawn in the colour of the text around them, which is the reader's own.
        let marks = browser.evaluate(
            "return [...document.querySelectorAll('.phase .g')].map((mark) => \
               [getComputedStyle(mark).fill, getComputedStyle(mark.closest('.phase')).color]).concat( \
               [...document.querySelectorAll('.svc:not([data-phase=failed]) .phase')].map((word) => \
                 [getComputedStyle(word, '::before').borderLeftColor, getComputedStyle(word).color]))",
        );
        let marks: Vec<(String, String)> = serde_json::from_value(marks).expect("pairs of colours");
        assert!(!marks.is_empty() && marks.iter().all(|(mark, text)| mark == text), "{name}: {marks:?}");
        album.take(&browser, &SCREENS[1], &format!("forced-{name}"));
    }
    album.close();
}

/// Nothing but a keyboard: log in, wake, edit, save.
#[test]
fn a_keyboard_is_enough() {
    let _turn = alone();
    let harbour = Harbour::open();
    let browser = Browser::open(Manner::default());
    browser.go(&harbour.address("/login"));
    assert_eq!(focus(&browser)["id"], "username", "one can type at once");
    browser.type_keys("anna\u{e004}a harbour at night\u{e007}");
    let until = |what: &str, done: &dyn Fn() -> bool| {
        eventually(Duration::from_secs(30), what, || done().then_some(()));
    };
    until("the overview", &|| browser.source().contains("id=\"totals\""));
    browser.type_keys("\u{e004}");
    assert_eq!(focus(&browser)["class"], "skip", "the first stop leads past the navigation");
    browser.type_keys("/");
    assert_eq!(focus(&browser)["id"], "q", "a slash leads to the filter");
    browser.type_keys("wiki");
    until("one service is left", &|| {
        browser.evaluate("return document.querySelectorAll('tr.svc:not([hidden])').length") == 1
    });
    tab_to(&browser, "formaction", "/services/wiki/wake");
    assert_eq!(browser.evaluate("return document.activeElement.matches(':focus-visible')"), true);
    browser.type_keys("\u{e007}");
    until("it is ready", &|| {
        browser.evaluate("return document.querySelector('#s-wiki').dataset.phase") == "ready"
    });
    // What had the focus is another button now, and the focus is still in its place.
    assert_eq!(
        browser.evaluate("return document.querySelector('#s-wiki').contains(document.activeElement)"),
        true,
        "{}",
        focus(&browser)
    );
    browser.go(&harbour.address("/services/mealie"));
    tab_to(&browser, "href", "/services/mealie/edit");
    browser.type_keys("\u{e007}");
    until("the form", &|| browser.address().ends_with("/edit"));
    tab_to(&browser, "id", "f-idle.stop_after");
    browser.evaluate("document.activeElement.select()");
    browser.type_keys("20m\u{e007}");
    until("it is saved", &|| browser.source().contains("is saved and live"));
    assert!(browser.text("#config").contains("20m"));
}

/// What has the focus: its attributes.
fn focus(browser: &Browser) -> Value {
    browser.evaluate(
        "return Object.fromEntries([...document.activeElement.attributes].map((one) => [one.name, one.value]))",
    )
}

/// Presses Tab until what has the focus has this attribute.
fn tab_to(browser: &Browser, name: &str, value: &str) {
    for _ in 0..80 {
        if focus(browser)[name] == value {
            return;
        }
        browser.type_keys("\u{e004}");
    }
    panic!("Tab does not lead to {name}={value}");
}
