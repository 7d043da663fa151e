//! The publisher against a real Caddy.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use wakedock::caddy::admin::Client;
use wakedock::caddy::document::{self, Owner};
use wakedock::config::{CaddyConfig, CaddyMode, CaddyTls};
use wakedock::domain::words::PublishOutcome;
use wakedock::ports::{CaddyAdmin, CaddyError};
use wakedock::supervisor::publish::{PublishState, Publisher, PublisherHandle};

use super::real::{RealCaddy, caddy};
use super::{hosts, own};

const OWN_SITE: &str = "http://own.example.com {\n\trespond \"the operator's own\"\n}\n";

/// A publisher that runs, and what it counted.
pub(super) struct Running {
    pub(super) handle: PublisherHandle,
    pub(super) outcomes: Arc<Mutex<Vec<PublishOutcome>>>,
    task: JoinHandle<()>,
}

impl Running {
    pub(super) fn start(config: CaddyConfig) -> Self {
        Self::with_own(config, own())
    }

    pub(super) fn with_own(config: CaddyConfig, own: wakedock::caddy::sites::OwnAddresses) -> Self {
        Self::connected(config, own, Box::new(|address| Arc::new(Client::new(address.clone()))))
    }

    pub(super) fn connected(
        config: CaddyConfig,
        own: wakedock::caddy::sites::OwnAddresses,
        connect: wakedock::supervisor::publish::Connect,
    ) -> Self {
        let outcomes = Arc::new(Mutex::new(Vec::new()));
        let counted = Arc::clone(&outcomes);
        let count = Box::new(move |outcome| counted.lock().unwrap().push(outcome));
        let (handle, publisher) = Publisher::new(config, own, connect, count);
        Self { handle, outcomes, task: tokio::spawn(publisher.run()) }
    }

    pub(super) async fn until(&self, what: &str, fits: impl FnMut(&PublishState) -> bool) -> PublishState {
        let mut state = self.handle.watch();
        let seen = tokio::time::timeout(Duration::from_secs(20), state.wait_for(fits)).await;
        let Ok(seen) = seen else { panic!("never: {what}; now {:?}", self.handle.state()) };
        seen.unwrap().clone()
    }

    pub(super) async fn until_published(&self, hosts: usize) -> PublishState {
        self.until("published", |state| {
            state.outcome == Some(PublishOutcome::Published) && state.hosts == hosts && state.is_fine()
        })
        .await
    }

    pub(super) async fn end(self) {
        drop(self.handle);
        tokio::time::timeout(Duration::from_secs(20), self.task).await.unwrap().unwrap();
    }
}

fn knows(running: &Value, host: &str) -> bool {
    running["apps"]["http"].to_string().contains(&format!("\"{host}\""))
}

/// Nothing but a wait can show that nothing happens: longer than the publisher waits between looks.
async fn a_while() {
    tokio::time::sleep(Duration::from_millis(2500)).await;
}

#[tokio::test]
async fn publishes_once_and_leaves_caddy_alone_then() {
    let caddy = RealCaddy::start().await;
    let publisher = Running::start(caddy.config(CaddyTls::Off));
    a_while().await;
    assert_eq!(caddy.running().await.get("apps"), None, "not before the hosts are known");

    publisher.handle.set_sites(hosts(&["a.example.com"]));
    publisher.until_published(1).await;
    let running = caddy.running().await;
    assert!(knows(&running, "a.example.com"), "{running}");
    assert_eq!(document::owner(&running), Owner::Ours);

    // Trap 25: the same routes again, a reload of the same configuration, time: none is a load.
    let loads = caddy.loads();
    assert!(loads > 0, "{}", caddy.log());
    publisher.handle.set_sites(hosts(&["a.example.com", "a.example.com"]));
    publisher.handle.set_config(caddy.config(CaddyTls::Off));
    publisher.until("unchanged", |state| state.outcome == Some(PublishOutcome::Unchanged)).await;
    a_while().await;
    assert_eq!(caddy.loads(), loads, "{}", caddy.log());
    let looks = caddy.log().matches("received request").count();
    a_while().await;
    assert_eq!(caddy.log().matches("received request").count(), looks, "no line a second in Caddy's log");
    assert_eq!(
        *publisher.outcomes.lock().unwrap(),
        [PublishOutcome::Published, PublishOutcome::Unchanged],
        "looking is not an attempt"
    );

    // Another WakeDock process finds its own work and changes nothing.
    publisher.end().await;
    let next = Running::start(caddy.config(CaddyTls::Off));
    next.handle.set_sites(hosts(&["a.example.com"]));
    next.until("unchanged", |state| state.outcome == Some(PublishOutcome::Unchanged)).await;
    assert_eq!(caddy.loads(), loads);
}

async fn survives_two_publishes(caddy: RealCaddy) {
    caddy.put_extra("options.caddy", "{\n\tdebug\n\tadmin off\n}\n");
    caddy.put_extra("own.caddy", OWN_SITE);
    let admin = caddy.running().await["admin"].clone();
    assert!(admin.is_object());
    let publisher = Running::start(caddy.config(CaddyTls::Auto));
    for count in 1..=2 {
        publisher.handle.set_sites(hosts(&["127.0.0.1", "*.a.example.com"][..count]));
        let state = publisher.until_published(count).await;
        assert!(state.notes.iter().any(|note| note.contains("`admin`")), "{:?}", state.notes);
        let running = caddy.running().await;
        assert_eq!(running["admin"], admin, "the admin endpoint is where it was");
        let http = &running["apps"]["http"];
        assert_eq!(http["http_port"], caddy.http_port, "{http}");
        assert_eq!(http["https_port"], caddy.https_port, "{http}");
        assert_eq!(http["grace_period"], 10_000_000_000_u64);
        assert_eq!(running["logging"]["logs"]["default"]["level"], "DEBUG", "the operator's option");
        let answer = caddy.get("own.example.com").await;
        assert!(answer.ends_with("the operator's own"), "{answer}");
        let redirect = caddy.get("x.a.example.com").await;
        assert!(redirect.starts_with("HTTP/1.1 308"), "to HTTPS, as Caddy does: {redirect}");
    }
}

#[tokio::test]
async fn admin_ports_and_extra_files_survive_every_publish() {
    survives_two_publishes(RealCaddy::start().await).await;
}

#[tokio::test]
async fn the_same_over_a_unix_socket() {
    survives_two_publishes(RealCaddy::on_unix_socket().await).await;
}

/// Trap 28.
#[tokio::test]
async fn a_rejected_configuration_leaves_the_last_good_one() {
    let mut caddy = RealCaddy::start().await;
    caddy.put_extra("own.caddy", OWN_SITE);
    let publisher = Running::start(caddy.config(CaddyTls::Off));
    publisher.handle.set_sites(hosts(&["a.example.com"]));
    publisher.until_published(1).await;

    caddy.put_extra("own.caddy", "http://own.example.com {\n\trespnd x\n}\n");
    let rejected = |state: &PublishState| state.outcome == Some(PublishOutcome::Rejected);
    let state = publisher.until("rejected", rejected).await;
    let message = state.message.unwrap();
    assert!(message.contains("own.caddy:2") && message.contains("respnd"), "Caddy's words: {message}");
    assert_eq!(state.hosts, 1);
    assert!(caddy.get("own.example.com").await.ends_with("the operator's own"));
    publisher.handle.set_sites(hosts(&["a.example.com", "b.example.com"]));
    publisher.until("rejected again", rejected).await;
    assert!(!knows(&caddy.running().await, "b.example.com"));

    // A Caddy that lost everything while something is wrong gets the last good one back.
    caddy.stop();
    publisher.until("unreachable", |state| state.outcome == Some(PublishOutcome::Unreachable)).await;
    caddy.run().await;
    publisher.until("rejected after the restart", rejected).await;
    assert!(knows(&caddy.running().await, "a.example.com"));
    assert!(publisher.handle.state().message.unwrap().contains("own.caddy:2"));

    // Mended: noticed without anybody's help.
    caddy.put_extra("own.caddy", OWN_SITE);
    let state = publisher.until_published(2).await;
    assert_eq!(state.message, None);
    assert!(knows(&caddy.running().await, "b.example.com"));
}

#[tokio::test]
async fn somebody_elses_configuration_is_left_alone() {
    let caddy = RealCaddy::start().await;
    let listen = format!("127.0.0.1:{}", caddy.http_port);
    let foreign = json!({
        "admin": caddy.running().await["admin"],
        "apps": {"http": {"servers": {"theirs": {"listen": [listen], "routes": [
            {"handle": [{"handler": "static_response", "body": "theirs"}]}
        ]}}}}
    });
    caddy.client().load(&foreign).await.unwrap();

    let publisher = Running::start(caddy.config(CaddyTls::Off));
    publisher.handle.set_sites(hosts(&["a.example.com"]));
    let state = publisher.until("foreign", |state| state.foreign).await;
    for mend in ["caddy.take_over: true", "/etc/caddy/Caddyfile", "caddy.extra"] {
        assert!(state.message.as_ref().unwrap().contains(mend), "{state:?}");
    }
    assert!(!state.is_fine());
    a_while().await;
    assert_eq!(caddy.running().await, foreign);
    assert_eq!(*publisher.outcomes.lock().unwrap(), [PublishOutcome::Unchanged], "said once");

    publisher.handle.set_config(CaddyConfig { take_over: true, ..caddy.config(CaddyTls::Off) });
    publisher.until_published(1).await;
    assert!(knows(&caddy.running().await, "a.example.com"));

    // Theirs again, and not ours to take: noticed, and left.
    publisher.handle.set_config(caddy.config(CaddyTls::Off));
    publisher.until("ours", |state| state.outcome == Some(PublishOutcome::Unchanged)).await;
    caddy.client().load(&foreign).await.unwrap();
    publisher.until("foreign again", |state| state.foreign).await;
    // They leave: ours is back without anybody's help.
    caddy.client().load(&json!({"admin": foreign["admin"]})).await.unwrap();
    publisher.until_published(1).await;
}

/// A newcomer's Caddyfile had `skip_install_trust` in it, which made Caddy somebody else's.
#[tokio::test]
async fn global_options_alone_are_nobodys_configuration() {
    let options = "\tskip_install_trust\n\tlocal_certs\n\temail me@example.com\n\tgrace_period 3s\n";
    let caddy = RealCaddy::with_options(options).await;
    assert!(caddy.running().await["apps"]["pki"].is_object(), "this Caddy has apps");
    let publisher = Running::start(caddy.config(CaddyTls::Off));
    publisher.handle.set_sites(hosts(&["a.example.com"]));
    let state = publisher.until_published(1).await;
    assert!(knows(&caddy.running().await, "a.example.com"));
    assert!(state.notes.iter().any(|note| note.contains("`caddy.extra`")), "{:?}", state.notes);
}

/// A label must not be able to stop the routes of everybody else.
#[tokio::test]
async fn a_host_that_is_the_operators_own_site_stays_theirs() {
    let caddy = RealCaddy::start().await;
    caddy.put_extra("own.caddy", "http://intranet.example.com {\n\trespond mine\n}\n");
    let publisher = Running::start(caddy.config(CaddyTls::Off));
    publisher.handle.set_sites(hosts(&["a.example.com", "intranet.example.com"]));
    let state = publisher.until_published(2).await;
    let running = caddy.running().await;
    assert!(knows(&running, "a.example.com"));
    assert!(caddy.get("intranet.example.com").await.ends_with("mine"));
    assert!(
        state.notes.iter().any(|note| note.contains("`intranet.example.com` is a site of yours")),
        "{state:?}"
    );
}

/// What docs/caddy.md says about hosts that nobody has: without a catch-all of the operator's they
/// get an empty 200, and with one everything that has a site still comes first.
#[tokio::test]
async fn the_operators_catch_all_gets_what_nobody_has() {
    let caddy = RealCaddy::start().await;
    caddy.put_extra("options.caddy", "{\n\tskip_install_trust\n\tservers {\n\t\tmetrics\n\t}\n}\n");
    caddy.put_extra("own.caddy", OWN_SITE);
    let publisher = Running::start(caddy.config(CaddyTls::Off));
    publisher.handle.set_sites(hosts(&["127.0.0.1"]));
    publisher.until_published(1).await;
    let answer = caddy.get("nobody.example.com").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n"), "{answer}");

    caddy.put_extra("secure.caddy", "secure.example.com {\n\ttls internal\n\trespond secure\n}\n");
    caddy.put_extra("rest.caddy", "http:// {\n\trespond \"for nobody\" 404\n}\n");
    let caught = async {
        while !caddy.get("nobody.example.com").await.ends_with("for nobody") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), caught).await.unwrap();
    assert!(caddy.get("own.example.com").await.ends_with("the operator's own"));
    let redirect = caddy.get("secure.example.com").await;
    assert!(redirect.starts_with("HTTP/1.1 308"), "to HTTPS, as Caddy does: {redirect}");
    let running = caddy.running().await;
    assert!(knows(&running, "127.0.0.1"), "{running}");
}

/// Trap 26: the routes of a restarted Caddy come from WakeDock.
#[tokio::test]
async fn a_restarted_caddy_gets_its_routes_back() {
    let mut caddy = RealCaddy::start().await;
    let publisher = Running::start(caddy.config(CaddyTls::Off));
    publisher.handle.set_sites(hosts(&["a.example.com", "b.example.com"]));
    publisher.until_published(2).await;
    let before = caddy.running().await;
    caddy.stop();
    let state =
        publisher.until("unreachable", |state| state.outcome == Some(PublishOutcome::Unreachable)).await;
    assert!(state.message.unwrap().contains("does not answer"));
    caddy.run().await;
    publisher.until_published(2).await;
    assert_eq!(caddy.running().await, before);
    // So fast that nobody saw it away.
    caddy.stop();
    caddy.run().await;
    publisher.until_published(2).await;
    let back = async {
        while caddy.running().await != before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), back).await.unwrap();
}

/// What `caddy/wakedock.conf` is for.
#[tokio::test]
async fn a_resumed_caddy_has_its_routes_without_wakedock() {
    let mut caddy = RealCaddy::start().await;
    let publisher = Running::start(caddy.config(CaddyTls::Off));
    publisher.handle.set_sites(hosts(&["a.example.com"]));
    publisher.until_published(1).await;
    publisher.end().await;
    let before = caddy.running().await;
    caddy.stop();
    caddy.resume().await;
    assert_eq!(caddy.running().await, before);
    let publisher = Running::start(caddy.config(CaddyTls::Off));
    publisher.handle.set_sites(hosts(&["a.example.com"]));
    publisher.until("unchanged", |state| state.outcome == Some(PublishOutcome::Unchanged)).await;
}

#[tokio::test]
async fn the_import_file_is_what_a_caddy_imports() {
    let dir = tempfile::tempdir().unwrap();
    let config =
        CaddyConfig { mode: CaddyMode::File, file: dir.path().join("wakedock.caddy"), ..super::config() };
    let publisher = Running::start(config.clone());
    publisher.handle.set_sites(hosts(&["a.example.com"]));
    publisher.until_published(1).await;
    let main = dir.path().join("Caddyfile");
    std::fs::write(&main, "{\n\tadmin off\n}\nimport wakedock.caddy\nhttp://own {\n\trespond x\n}\n")
        .unwrap();
    let adapt = ["adapt", "--adapter", "caddyfile", "--config", main.to_str().unwrap()];
    let output = caddy(&adapt, "");
    assert!(output.success, "{}", output.stderr);
    let adapted: Value = serde_json::from_str(&output.stdout).unwrap();
    assert!(knows(&adapted, "a.example.com") && knows(&adapted, "own"), "{adapted}");
    let text = std::fs::read_to_string(&config.file).unwrap();
    assert!(text.contains("#		ask http://127.0.0.1:7081/caddy/ask\n"), "says what else is needed: {text}");

    publisher.handle.set_config(config.clone());
    publisher.until("unchanged", |state| state.outcome == Some(PublishOutcome::Unchanged)).await;
    publisher.handle.set_config(CaddyConfig { file: dir.path().join("no/where"), ..config.clone() });
    let state = publisher.until("rejected", |state| state.outcome == Some(PublishOutcome::Rejected)).await;
    assert!(state.message.unwrap().contains("no/where"));
    std::fs::create_dir(dir.path().join("no")).unwrap();
    publisher.until_published(1).await;

    publisher.handle.set_config(CaddyConfig { mode: CaddyMode::Off, ..config });
    publisher.until("off", |state| state.outcome.is_none()).await;
    publisher.end().await;
}

#[tokio::test]
async fn the_client_says_what_caddy_says() {
    let caddy = RealCaddy::on_unix_socket().await;
    let client = caddy.client();
    let error = client.adapt("http://a {\n\tnonsense\n}\n").await.unwrap_err();
    let CaddyError::Rejected { message } = error else { panic!("{error}") };
    assert!(message.contains("Caddyfile:2") && message.contains("nonsense"), "{message}");
    assert!(client.adapt("http://a {\n}\n").await.unwrap()["apps"]["http"].is_object());
    let before = client.running().await.unwrap();
    let bad = document::prepare(json!({"apps": {"nonsense": {}}}), &before);
    let error = client.load(&bad).await.unwrap_err();
    assert!(matches!(error, CaddyError::Rejected { .. }), "{error}");
    assert_eq!(client.running().await.unwrap(), before, "Caddy is where it was, and what it was");
    drop(caddy);
    assert!(matches!(client.running().await.unwrap_err(), CaddyError::Away { .. }));
}
