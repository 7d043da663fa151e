//! What the control plane knows survives a restart and `kill -9`: users, tokens, log-ins, services
//! made by the API, and whose host is whose.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Api, App, WakeDock, alone, eventually};

const PASSWORD: &str = "correct horse battery staple";
const HOST: &str = "claimed.restart.test";
const SOON: Duration = Duration::from_secs(10);

fn labelled(hint: &str) -> App {
    App::builder(hint).label("wakedock.enable", "true").label("wakedock.host", HOST).create()
}

/// The service of this container, as the API shows it.
fn service_of(api: &Api, app: &App) -> Option<Value> {
    api.list("/api/v1/services").into_iter().find(|service| service["container"] == app.name())
}

fn claims(api: &Api, app: &App) -> bool {
    service_of(api, app).is_some_and(|service| service["hosts"] == json!([HOST]))
}

/// What a client has in its hands over a restart.
struct InHand {
    access: String,
    refresh: String,
    token: String,
}

impl InHand {
    fn log_in(dock: &WakeDock) -> Self {
        let api = dock.api();
        api.post("/api/v1/users", &json!({ "username": "bob", "password": PASSWORD, "role": "user" }));
        let program = json!({ "name": "scraper", "role": "viewer", "expires_in": "30d" });
        let token = api.post("/api/v1/tokens", &program)["token"].as_str().expect("a token").to_owned();
        let body = json!({ "username": "bob", "password": PASSWORD });
        let tokens = Api::stranger(dock).post("/api/v1/auth/login", &body);
        Self { access: text(&tokens["access_token"]), refresh: text(&tokens["refresh_token"]), token }
    }

    /// All of it is still good; the refresh token is used up, and another one is in its place.
    fn is_good(&mut self, dock: &WakeDock) {
        let nobody = Api::stranger(dock);
        let me = nobody.clone().with_token(&self.access).get("/api/v1/auth/me");
        assert_eq!((&me["username"], &me["role"]), (&json!("bob"), &json!("user")), "{me}");
        assert!(!nobody.clone().with_token(&self.token).list("/api/v1/services").is_empty());
        let used = json!({ "refresh_token": self.refresh });
        let tokens = nobody.post("/api/v1/auth/refresh", &used);
        (self.access, self.refresh) = (text(&tokens["access_token"]), text(&tokens["refresh_token"]));
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

#[test]
fn what_the_control_plane_knows_survives_a_restart_and_a_kill() {
    // Every container with labels on this engine is a service here: no other test has any meanwhile.
    let _turn = alone();
    let first = labelled("first");
    let mut dock = WakeDock::builder().set("docker.labels", true).start();
    eventually(SOON, "the host is claimed", || claims(&dock.api(), &first).then_some(()));
    let second = labelled("second");
    eventually(SOON, "the younger container is seen", || service_of(&dock.api(), &second));
    let keys = json!({ "hosts": ["made.restart.test"], "container": "no-made", "port": 8080 });
    let made = dock.api().put("/api/v1/services/made", &keys);
    let mut in_hand = InHand::log_in(&dock);
    let audit = dock.api().list("/api/v1/audit").len();
    assert!(audit >= 4, "{audit} entries of the audit");

    let restarts: [fn(&mut WakeDock); 2] = [WakeDock::restart, |dock| {
        dock.kill9();
        dock.start_again();
    }];
    for restart in restarts {
        restart(&mut dock);
        in_hand.is_good(&dock);
        let api = dock.api();
        let now = api.get("/api/v1/services/made");
        assert_eq!((&now["api_keys"], &now["revision"]), (&keys, &made["revision"]), "{now}");
        assert!(claims(&api, &first) && !claims(&api, &second), "{:?}", api.list("/api/v1/services"));
        assert!(api.list("/api/v1/audit").len() >= audit, "the audit lost something");
        assert_eq!(dock.get(HOST, "/").instance(), dock.get(HOST, "/").instance());
        assert!(first.running() && !second.running(), "the younger one answered");
    }

    // The older container is taken away: its host is kept for it, by whomever WakeDock is.
    first.remove();
    eventually(SOON, "it is seen to be away", || {
        service_of(&dock.api(), &first).is_none_or(|service| service["phase"] != "ready").then_some(())
    });
    dock.kill9();
    dock.start_again();
    assert!(!claims(&dock.api(), &second), "{:?}", dock.api().list("/api/v1/services"));
    first.recreate();
    eventually(SOON, "made anew, it is the same service", || claims(&dock.api(), &first).then_some(()));
    assert_eq!(dock.get(HOST, "/").status(), 200);
    assert!(first.running() && !second.running());
}
