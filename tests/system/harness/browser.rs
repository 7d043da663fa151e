//! A real Chromium, driven by `chromedriver` over plain HTTP (the WebDriver protocol).

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::http::{Request, Target};
use super::process::Process;
use super::{eventually, free_port};

/// The key of an element's reference in the protocol.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

pub struct Browser {
    driver: Target,
    session: String,
    process: Process,
    _folder: TempDir,
}

/// What is unusual about a browser.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner {
    /// Its person has switched scripts off.
    pub no_script: bool,
    /// Its window is this wide.
    pub width: Option<u32>,
}

impl Browser {
    pub fn open(manner: Manner) -> Self {
        Self::open_in("en-GB", manner)
    }

    /// One whose person reads this language.
    pub fn open_in(language: &str, manner: Manner) -> Self {
        let folder = tempfile::Builder::new().prefix("wakedock-browser-").tempdir().expect("a folder");
        let port = free_port();
        let process = launch(folder.path(), port);
        let mut browser = Self {
            driver: Target::Tcp(([127, 0, 0, 1], port).into()),
            session: String::new(),
            process,
            _folder: folder,
        };
        eventually(Duration::from_secs(20), "chromedriver is ready", || {
            let answer = Request::get("localhost", "/status").send(&browser.driver).ok()?;
            (answer.json()["value"]["ready"] == true).then_some(())
        });
        let profile = browser._folder.path().join("profile");
        let new = browser.ask("POST", "/session", Some(capabilities(language, manner, &profile)));
        browser.session = new["sessionId"].as_str().expect("a session").to_owned();
        browser
    }

    fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let request = match body {
            Some(body) => {
                Request::post("localhost", path, body.to_string()).header("Content-Type", "application/json")
            }
            None => Request::new(method, "localhost", path),
        };
        let answer = request.send(&self.driver).unwrap_or_else(|problem| panic!("{path}: {problem}"));
        let value = answer.json()["value"].take();
        assert_eq!(answer.status(), 200, "{method} {path}: {value}");
        value
    }

    fn in_session(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        self.ask(method, &format!("/session/{}{path}", self.session), body)
    }

    /// Opens an address, as if typed in, and waits until what it shows is loaded.
    pub fn go(&self, address: &str) {
        self.in_session("POST", "/url", Some(json!({ "url": address })));
    }

    /// Where it is.
    pub fn address(&self) -> String {
        self.in_session("GET", "/url", None).as_str().expect("an address").to_owned()
    }

    /// The document as it is now.
    pub fn source(&self) -> String {
        self.in_session("GET", "/source", None).as_str().expect("a document").to_owned()
    }

    /// Presses the first link (or what else the CSS selector finds).
    pub fn press(&self, selector: &str) {
        let element = self.find(selector);
        self.in_session("POST", &format!("/element/{element}/click"), Some(json!({})));
    }

    /// Types into a field, in the place of what stands there.
    pub fn fill(&self, selector: &str, text: &str) {
        let element = self.find(selector);
        self.in_session("POST", &format!("/element/{element}/clear"), Some(json!({})));
        self.in_session("POST", &format!("/element/{element}/value"), Some(json!({ "text": text })));
    }

    /// What stands in the first element that the CSS selector finds, as it is seen.
    pub fn text(&self, selector: &str) -> String {
        // In one go: a live page may put another element in its place between finding and reading.
        let text = self.evaluate(&format!("return document.querySelector({selector:?})?.innerText ?? null"));
        text.as_str().unwrap_or_else(|| panic!("nothing is {selector}")).trim().to_owned()
    }

    fn find(&self, selector: &str) -> String {
        let query = json!({ "using": "css selector", "value": selector });
        let found = self.in_session("POST", "/element", Some(query));
        found[ELEMENT].as_str().expect("an element").to_owned()
    }

    /// What a script gives to the function that is its last argument, some time later.
    pub fn evaluate_later(&self, script: &str) -> Value {
        self.in_session("POST", "/execute/async", Some(json!({ "script": script, "args": [] })))
    }

    /// What the browser is like from now on, by Chromium's own protocol.
    fn order(&self, command: &str, parameters: Value) -> Value {
        let order = json!({ "cmd": command, "params": parameters });
        self.in_session("POST", "/goog/cdp/execute", Some(order))
    }

    /// Gives the window this size, in CSS pixels; `density` of the screen's to one of them.
    pub fn size(&self, width: u32, height: u32, density: f64) {
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": density, "mobile": false });
        self.order("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// What its person has chosen: pairs like `("forced-colors", "active")`. Those before are over.
    pub fn prefers(&self, features: &[(&str, &str)]) {
        let features: Vec<_> =
            features.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        self.order("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Its clock is ahead of UTC by so many hours.
    pub fn lives_in(&self, offset: i64) {
        // The names of these zones count to the west.
        let zone = format!("Etc/GMT{}{}", if offset > 0 { '-' } else { '+' }, offset.abs());
        self.order("Emulation.setTimezoneOverride", json!({ "timezoneId": zone }));
    }

    /// The languages that it asks for: `fr-FR,fr;q=0.9`.
    pub fn speaks(&self, languages: &str) {
        self.order("Network.enable", json!({}));
        let headers = json!({ "headers": { "Accept-Language": languages } });
        self.order("Network.setExtraHTTPHeaders", headers);
    }

    /// Everything is fetched anew from now on, as by somebody who was never here.
    pub fn forgets(&self) {
        self.order("Network.enable", json!({}));
        self.order("Network.setCacheDisabled", json!({ "cacheDisabled": true }));
    }

    /// A picture of the page from its top, at most `height` CSS pixels of it: `png` or `webp`.
    pub fn picture(&self, format: &str, height: u32) -> Vec<u8> {
        let whole = self.evaluate("return [innerWidth, document.documentElement.scrollHeight]");
        let height = whole[1].as_u64().expect("pixels").min(u64::from(height));
        let mut parameters = json!({
            "format": format, "captureBeyondViewport": true,
            "clip": { "x": 0, "y": 0, "width": whole[0], "height": height, "scale": 1 },
        });
        if format == "webp" {
            parameters["quality"] = json!(60);
        }
        let picture = self.order("Page.captureScreenshot", parameters);
        BASE64.decode(picture["data"].as_str().expect("a picture")).expect("base64")
    }

    /// Presses keys, as a person does: text, and names of keys of the protocol's.
    pub fn type_keys(&self, keys: &str) {
        let actions: Vec<_> = keys
            .chars()
            .flat_map(|key| {
                ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() }))
            })
            .collect();
        let body = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] });
        self.in_session("POST", "/actions", Some(body));
    }

    /// What axe-core, given as its source, has against the page, with the stricter contrast of 7:1.
    pub fn violations(&self, axe: &str) -> Value {
        self.evaluate(axe);
        self.evaluate_later(
            "const done = arguments[arguments.length - 1]; \
             axe.run(document, { resultTypes: ['violations'], rules: { 'color-contrast-enhanced': { enabled: true } } }) \
               .then((all) => done(all.violations.map((one) => [one.id, one.nodes.map((node) => node.html)])));",
        )
    }

    /// What a script in the page returns.
    pub fn evaluate(&self, script: &str) -> Value {
        self.in_session("POST", "/execute/sync", Some(json!({ "script": script, "args": [] })))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser it started, and ends with its guard.
        if !self.session.is_empty() {
            let path = format!("/session/{}", self.session);
            let _ = Request::new("DELETE", "localhost", &path).send(&self.driver);
        }
        self.process.term();
    }
}

fn launch(folder: &Path, port: u16) -> Process {
    let mut command = Command::new("chromedriver");
    command.arg(format!("--port={port}"));
    for variable in ["HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "TMPDIR"] {
        command.env(variable, folder);
    }
    Process::start(&mut command, &folder.join("chromedriver.log"), || ())
}

fn capabilities(language: &str, manner: Manner, profile: &Path) -> Value {
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        &format!("--lang={language}"),
        // What it says in `Accept-Language`, also where its own words are another language's.
        &format!("--accept-lang={language}"),
        &format!("--user-data-dir={}", profile.display()),
    ];
    let mut options = json!({ "args": arguments });
    if manner.no_script {
        options["prefs"] = json!({ "profile.managed_default_content_settings.javascript": 2 });
    }
    if let Some(width) = manner.width {
        options["mobileEmulation"] =
            json!({ "deviceMetrics": { "width": width, "height": 640, "pixelRatio": 1.0 } });
    }
    json!({ "capabilities": { "alwaysMatch": { "browserName": "chrome", "goog:chromeOptions": options } } })
}
