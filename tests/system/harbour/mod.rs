//! A harbour at night: a household's services with a week behind them, on an engine of its own, with
//! Caddy in front. Some sleep, one wakes, one has failed, one is used.

mod history;
mod ships;

use std::time::{Duration, SystemTime};

use serde_json::json;
use wakedock::domain::time::Timestamp;

use crate::harness::{
    App, Browser, Caddy, Connection, Engine, Request, WakeDock, WakeDockBuilder, eventually, free_port,
};
pub use ships::{DOMAIN, HARBOUR, Now};

const PASSWORD: &str = "a harbour at night";
const SOON: Duration = Duration::from_secs(30);

/// Everything, running.
pub struct Harbour {
    // Dropped in this order: WakeDock is gone before what it looks after.
    streams: Vec<Connection>,
    pub dock: WakeDock,
    pub caddy: Caddy,
    _apps: Vec<App>,
    pub engine: Engine,
}

impl Harbour {
    /// With every service in its place, and nobody who has logged in yet.
    pub fn open() -> Self {
        Self::with(|builder| builder)
    }

    pub fn with(change: impl FnOnce(WakeDockBuilder) -> WakeDockBuilder) -> Self {
        let (engine, caddy) = (Engine::start(), Caddy::start());
        let mut apps: Vec<App> = HARBOUR.iter().map(|ship| app(&engine, ship)).collect();
        // Two that nobody has told WakeDock about, and one whose label is wrong.
        apps.push(engine.app("").named("uptime-kuma").image("louislam/uptime-kuma:2.0.2").create());
        apps.push(engine.app("").named("freshrss").image("freshrss/freshrss:1.27.1").create());
        let wrong = engine.app("").named("grocy").image("linuxserver/grocy:4.5.0");
        let wrong = wrong.label("wakedock.enable", "true").label("wakedock.host", "grocy.harbour.example");
        apps.push(wrong.label("wakedock.stop-after", "15").label("wakedock.group", "House").create());
        let mut builder = WakeDock::builder()
            .set("admin.listen", format!("127.0.0.1:{}", free_port()))
            .set("admin.host", format!("wakedock.{DOMAIN}"))
            .set("domain", DOMAIN)
            .set("docker.labels", true)
            .set("log.access", false)
            .caddy(&caddy)
            .docker_socket(engine.docker().socket());
        for ship in HARBOUR {
            builder = builder.service(ship.service());
        }
        let builder = change(builder);
        history::write(&builder.data_dir(), now(), evening());
        let dock = builder.start();
        let mut harbour = Self { streams: Vec::new(), dock, caddy, _apps: apps, engine };
        harbour.put_in_place();
        harbour
    }

    fn put_in_place(&mut self) {
        let api = self.dock.api();
        for (name, role) in [("anna", "admin"), ("ben", "user"), ("kitchen-display", "viewer")] {
            api.post("/api/v1/users", &json!({ "username": name, "password": PASSWORD, "role": role }));
        }
        for (name, role, life) in [("homepage", "viewer", "90d"), ("phone shortcuts", "user", "365d")] {
            api.post("/api/v1/tokens", &json!({ "name": name, "role": role, "expires_in": life }));
        }
        // Some were used a moment ago: what they took is saved now.
        for name in ["immich", "wiki", "forgejo"] {
            api.post(&format!("/api/v1/services/{name}/wake?wait=30s"), &json!({}));
            self.measured(name);
            api.post(&format!("/api/v1/services/{name}/stop?wait=30s"), &json!({}));
        }
        for ship in HARBOUR.iter().filter(|ship| ship.now != Now::Asleep) {
            api.post(&format!("/api/v1/services/{}/wake", ship.name), &json!({}));
        }
        for ship in HARBOUR {
            let phase = match ship.now {
                Now::Asleep => "asleep",
                Now::Quiet | Now::Used => "ready",
                Now::Waking => "waking",
                Now::Failed => "failed",
            };
            if ship.now != Now::Asleep {
                self.dock.wait_phase(ship.name, phase, SOON);
            }
            if matches!(ship.now, Now::Quiet | Now::Used) {
                self.visit(ship.host().as_str());
            }
            if ship.now == Now::Used {
                self.use_it(&ship.host());
            }
        }
        api.put("/api/v1/services/mealie", &json!({ "idle": { "stop_after": "45m" } }));
    }

    /// Waits until its memory is known.
    fn measured(&self, name: &str) {
        eventually(SOON, "its memory is known", || {
            let service = self.dock.api().get(&format!("/api/v1/services/{name}"));
            service["memory_bytes"].as_u64().or(service["memory"].as_u64()).map(drop)
        });
    }

    /// Some requests through Caddy.
    fn visit(&self, host: &str) {
        self.caddy.wait_route(host, SOON);
        for _ in 0..7 {
            let answer = Request::get(host, "/").send(&self.caddy.http()).expect("an answer");
            assert_eq!(answer.status(), 200, "{host}: {}", answer.text());
        }
    }

    /// Somebody reads something that does not end.
    fn use_it(&mut self, host: &str) {
        let mut stream = Connection::open(&self.caddy.http()).expect("Caddy");
        stream.send(&Request::get(host, "/sse?every=1s").head()).expect("Caddy");
        assert_eq!(stream.read_head().expect("an answer").status, 200);
        self.streams.push(stream);
    }

    pub fn address(&self, path: &str) -> String {
        format!("http://{}{path}", self.dock.admin().tcp())
    }

    /// Somebody's own browser, on the overview.
    pub fn log_in(&self, browser: &Browser, name: &str) {
        browser.lives_in(evening());
        browser.go(&self.address("/login"));
        browser.fill("#username", name);
        browser.fill("#password", PASSWORD);
        browser.press("form button");
        eventually(SOON, "the overview", || browser.source().contains("id=\"totals\"").then_some(()));
    }
}

fn app(engine: &Engine, ship: &ships::Ship) -> App {
    let app = engine.app("").named(ship.name).image(ship.image).env("FACE", "static");
    // A part of what the real one takes: the machine has other things to do.
    let app = app.env("MEMORY", &(ship.memory / 4).to_string());
    match ship.now {
        Now::Waking => app.env("LISTEN_DELAY", "20m").create(),
        Now::Failed => app.env("LISTEN_DELAY", "1m").env("EXIT_AFTER", "300ms").create(),
        Now::Asleep | Now::Quiet | Now::Used => app.create(),
    }
}

/// By how many hours the clock of people is ahead of UTC where it is eight in the evening.
pub fn evening() -> i64 {
    let hour = now().as_millis().div_euclid(3_600_000).rem_euclid(24);
    (20 - hour + 11).rem_euclid(24) - 11
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock that is right");
    Timestamp::from_millis(i64::try_from(since.as_millis()).expect("a clock that is right"))
}
