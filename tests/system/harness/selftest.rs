//! The harness itself: the test application does what its switches say, and what is made is removed.

use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use super::docker::Kind;
use super::http::{Connection, Request};
use super::run::Run;
use super::websocket::Message;
use super::{
    App, Caddy, Docker, Engine, H2Connection, Network, Process, Relay, Target, WebSocket, eventually, shared,
};

fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|i| (i % 251) as u8).collect()
}

fn get(target: &Target, path: &str) -> super::Answer {
    Request::get("app", path).send(target).unwrap_or_else(|problem| panic!("{path}: {problem}"))
}

#[test]
fn the_application_answers_every_path() {
    let _turn = shared();
    let app = App::builder("paths").start();
    let target = app.target();

    let root = get(&target, "/");
    assert_eq!(root.status(), 200);
    let instance = root.instance().expect("an instance").to_owned();
    assert!(root.text().contains(&instance));
    assert!(!root.told_to_stop());

    for status in [204, 301, 404, 500, 503] {
        assert_eq!(get(&target, &format!("/status/{status}")).status(), status);
    }
    assert_eq!(get(&target, "/status/99").status(), 400);
    for count in [0, 1, 65_536, 300_000] {
        assert!(get(&target, &format!("/bytes/{count}")).body == pattern(count), "{count} bytes");
    }
    assert_eq!(get(&target, "/nowhere").status(), 404);
    assert_eq!(get(&target, "/ws").status(), 426);
    assert_eq!(get(&target, "/upgrade").status(), 426);

    let began = Instant::now();
    assert_eq!(get(&target, "/delay?ms=200").status(), 200);
    assert!(began.elapsed() >= Duration::from_millis(200));
    let slow = get(&target, "/slow?bytes=1000&every=50ms&chunk=250");
    assert_eq!(slow.body, pattern(1000));
    assert!(began.elapsed() >= Duration::from_millis(350));

    let described = Request::get("app.example", "/echo-headers?a=%20")
        .header("X-One", "1")
        .header("X-Quote", "\"\\")
        .send(&target)
        .unwrap()
        .json();
    assert_eq!(
        described,
        serde_json::json!({
            "method": "GET", "target": "/echo-headers?a=%20", "version": "HTTP/1.1",
            "headers": [["host", "app.example"], ["x-one", "1"], ["x-quote", "\"\\"]],
        })
    );

    let trailers = Request::get("app", "/trailers").header("TE", "trailers").send(&target).unwrap();
    assert_eq!(trailers.text(), "with trailers\n");
    assert_eq!(trailers.trailer("x-checksum"), Some("abc123"));

    let hinted = get(&target, "/1xx");
    assert_eq!((hinted.status(), hinted.interim.as_slice()), (200, &[103][..]));

    let sse = get(&target, "/sse?every=10ms&count=3");
    assert_eq!(sse.header("content-type"), Some("text/event-stream"));
    assert_eq!(sse.text().matches("event: tick").count(), 3);

    for path in ["/close", "/reset", "/half"] {
        let broken = Request::get("app", path).send(&target).expect_err(path);
        let reset = broken.kind() == std::io::ErrorKind::ConnectionReset;
        assert_eq!(reset, path == "/reset", "{path}: {broken}");
    }
    assert_eq!(get(&target, "/").instance(), Some(instance.as_str()), "the process is still the same");
}

#[test]
fn the_application_echoes_bodies_byte_for_byte() {
    let _turn = shared();
    let app = App::builder("echo").start();
    let body = pattern(10_000_000);
    let whole = Request::post("app", "/echo", body.clone()).header("Content-Type", "x/y").send(&app.target());
    let whole = whole.unwrap();
    assert_eq!(whole.header("content-type"), Some("x/y"));
    assert!(whole.body == body, "10 MB came back different: {} bytes", whole.body.len());

    let chunks: Vec<_> = body.chunks(123_457).map(<[u8]>::to_vec).collect();
    let chunked = Request::new("PUT", "app", "/echo").chunked(chunks).send(&app.target()).unwrap();
    assert!(chunked.body == body, "chunks came back different: {} bytes", chunked.body.len());

    let mut connection = Connection::open(&app.target()).unwrap();
    let head = "POST /echo HTTP/1.1\r\nHost: app\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    connection.send(head.as_bytes()).unwrap();
    assert_eq!(connection.read_head().unwrap().status, 100);
    connection.send(b"hello").unwrap();
    assert_eq!(connection.answer("POST").unwrap().text(), "hello");
}

#[test]
fn the_application_speaks_web_socket_and_any_other_protocol() {
    let _turn = shared();
    let app = App::builder("upgrade").start();
    let mut socket = WebSocket::connect(&app.target(), "app", "/ws").unwrap();
    socket.echo("");
    socket.echo("hello");
    socket.echo(&"x".repeat(70_000));
    socket.send_binary(&pattern(200)).unwrap();
    assert_eq!(socket.receive().unwrap(), Message::Binary(pattern(200)));
    socket.ping(b"there?").unwrap();
    assert_eq!(socket.receive().unwrap(), Message::Pong(b"there?".to_vec()));
    socket.close().unwrap();
    assert_eq!(socket.receive().unwrap(), Message::Close);

    let mut connection = Connection::open(&app.target()).unwrap();
    let asked = Request::get("app", "/upgrade").header("Connection", "upgrade").header("Upgrade", "echo");
    let answer = connection.exchange(&asked).unwrap();
    assert_eq!((answer.status(), answer.header("upgrade")), (101, Some("echo")));
    connection.send(b"any bytes").unwrap();
    connection.finish_sending().unwrap();
    let mut back = Vec::new();
    connection.read_to_end(&mut back).unwrap();
    assert_eq!(back, b"any bytes");
}

#[test]
fn the_application_speaks_h2c_and_grpc_with_trailers() {
    let _turn = shared();
    let app = App::builder("h2c").start();
    let connection = H2Connection::open(&app.target()).unwrap();
    let root = connection.get("app", "/").unwrap();
    assert_eq!((root.status(), root.head.version.as_str()), (200, "HTTP/2.0"));
    let call = connection.grpc("app", "/pkg.Service/Method", b"a message").unwrap();
    assert_eq!(call.status(), 200);
    assert_eq!(&call.body[5..], b"a message");
    assert_eq!((call.trailer("grpc-status"), call.trailer("grpc-message")), (Some("0"), Some("OK")));
}

#[test]
fn the_application_is_late_unhealthy_or_gone_as_told() {
    let _turn = shared();
    let late = App::builder("late").env("LISTEN_DELAY", "700ms").env("START_503_FOR", "400ms").create();
    let sick = App::builder("sick").env("HEALTHY_AFTER", "1s").health(Duration::from_millis(300)).create();
    let gone = App::builder("gone").env("EXIT_AFTER", "100ms").env("EXIT_CODE", "7").create();
    assert_eq!(late.state(), "created");

    late.start();
    assert!(Connection::open(&late.target()).is_err(), "it listens too early");
    let first = eventually(Duration::from_secs(10), "it listens", || {
        Request::get("a", "/").send(&late.target()).ok()
    });
    assert_eq!(first.status(), 503);
    eventually(Duration::from_secs(5), "it has warmed up", || {
        (get(&late.target(), "/").status() == 200).then_some(())
    });

    sick.start();
    eventually(Duration::from_secs(5), "it listens", || Request::get("a", "/").send(&sick.target()).ok());
    assert_eq!(sick.health().as_deref(), Some("starting"));
    assert_eq!(get(&sick.target(), "/healthz").status(), 503);
    eventually(Duration::from_secs(10), "it is healthy", || (sick.health()? == "healthy").then_some(()));

    gone.start();
    gone.wait_state("exited", Duration::from_secs(10));
    assert_eq!(gone.inspect()["State"]["ExitCode"], 7);
    assert!(gone.logs().contains("exits with code 7"), "{}", gone.logs());
    eventually(Duration::from_secs(5), "its end is an event", || {
        gone.events().contains(&"die".to_owned()).then_some(())
    });
    assert_eq!(gone.starts(), 1);
}

/// What the application does between SIGTERM and SIGKILL, seen by an open and by a new connection.
#[test]
fn the_application_takes_being_told_to_stop_as_told() {
    let _turn = shared();
    let root = Request::get("app", "/");
    for (on_term, open_answers, new_answers, exits) in [
        ("exit", false, false, true),
        ("drain", false, false, true),
        ("serve", true, true, false),
        ("linger", true, false, false),
        ("reset", false, false, false),
        ("ignore", true, true, false),
    ] {
        let app = App::builder(on_term).env("ON_TERM", on_term).start();
        let target = app.target();
        let mut open = Connection::open(&target).unwrap();
        let first = open.exchange(&root).unwrap();
        assert!(!first.told_to_stop(), "{on_term}");
        app.signal("TERM");
        if on_term != "ignore" {
            let reason = format!("{on_term}: it notes that it was told to stop");
            eventually(Duration::from_secs(5), &reason, || app.logs().contains("told to stop").then_some(()));
        }
        if exits {
            app.wait_state("exited", Duration::from_secs(5));
            assert_eq!(app.inspect()["State"]["ExitCode"], 0, "{on_term}");
        } else {
            assert!(app.running(), "{on_term}");
        }
        // Once it is gone, its address may be another container's.
        let told = |answer: std::io::Result<super::Answer>| {
            let answer = answer.ok().filter(|answer| answer.instance() == first.instance())?;
            Some(answer.told_to_stop())
        };
        let expected = |answers: bool| answers.then_some(on_term != "ignore");
        assert_eq!(told(open.exchange(&root)), expected(open_answers), "{on_term}: an open connection");
        assert_eq!(told(root.send(&target)), expected(new_answers), "{on_term}: a new connection");
    }
}

#[test]
fn draining_finishes_the_open_request() {
    let _turn = shared();
    let app = App::builder("draining").env("ON_TERM", "drain").start();
    let mut open = Connection::open(&app.target()).unwrap();
    let slow = Request::get("app", "/slow?bytes=4000&every=200ms&chunk=1000");
    open.send(&slow.head()).unwrap();
    assert_eq!(open.line().unwrap(), "HTTP/1.1 200 OK");
    app.signal("TERM");
    open.fields().unwrap();
    let mut body = vec![0; 4000];
    open.read_exact(&mut body).unwrap();
    assert_eq!(body, pattern(4000));
    app.wait_state("exited", Duration::from_secs(5));
}

#[test]
fn a_container_can_be_made_anew_paused_and_put_on_other_networks() {
    let _turn = shared();
    let network = Network::new("net");
    let app = App::builder("anew").network(network.name()).published().label("a.b", "c").start();
    let first = app.id();
    app.pause();
    assert_eq!(app.state(), "paused");
    app.unpause();
    app.answering();
    app.recreate();
    assert_ne!(app.id(), first);
    assert_eq!((app.state().as_str(), app.address()), ("created", None));
    assert_eq!(app.inspect()["Config"]["Labels"]["a.b"], "c");
    app.start();
    app.answering();
    let host = App::builder("host").network("host").env("PORT", &super::free_port().to_string()).create();
    host.start();
    host.answering();
}

#[test]
fn what_is_made_is_removed() {
    let _turn = shared();
    let docker = Docker::here();
    let network = Network::new("swept");
    let (name, net) = {
        let app = App::builder("swept").network(network.name()).start();
        assert!(Run::current().count(Kind::Container) > 0);
        assert!(Run::current().count(Kind::Network) > 0);
        assert_eq!(Run::current().count(Kind::Image), 1);
        (app.name().to_owned(), network.name().to_owned())
    };
    drop(network);
    assert!(docker.inspect(&name).is_none());
    assert_eq!(docker.ask("GET", &format!("/networks/{net}"), None).status(), 404);
}

#[test]
fn what_a_killed_run_left_is_swept() {
    let _turn = shared();
    let run = Run::current();
    // Number 1 is alive, but was not born at tick 1: whoever had it then is gone.
    let spec = serde_json::json!({ "Image": run.image(), "Labels": { "wakedock.test": "1.1.0" } });
    let left = format!("wd-left-{}", std::process::id());
    let foreign = format!("wd-foreign-{}", std::process::id());
    run.docker.create(&left, &spec);
    let spec = serde_json::json!({ "Image": run.image(), "Labels": { "wakedock.test": "somebody" } });
    run.docker.create(&foreign, &spec);
    super::run::sweep_the_dead(&run.docker);
    let (left, other) = (run.docker.inspect(&left), run.docker.inspect(&foreign));
    run.docker.remove(&foreign);
    assert!(left.is_none(), "what a dead run left");
    assert!(other.is_some(), "what is not known to be dead");
}

#[test]
fn a_relay_can_be_cut_and_mended() {
    let _turn = shared();
    let relay = Relay::to(Docker::here().socket());
    let docker = Docker::at(relay.path());
    docker.require();
    let mut events = Connection::open(&docker.target()).unwrap();
    events.send(b"GET /events HTTP/1.1\r\nHost: docker\r\n\r\n").unwrap();
    assert_eq!(events.read_head().unwrap().status, 200);
    relay.cut();
    while matches!(events.chunk(), Ok(Some(_))) {}
    assert!(Connection::open(&docker.target()).is_err());
    relay.mend();
    docker.require();
    assert!(relay.connections() >= 3);
}

#[test]
fn a_caddy_of_ones_own_starts_empty_and_starts_again_empty() {
    let _turn = shared();
    let mut caddy = Caddy::start();
    assert!(caddy.config()["apps"].is_null());
    let port = caddy.http().tcp().port();
    let admin = caddy.admin().tcp();
    caddy.load(&format!(
        "{{\n\tadmin {admin}\n}}\nhttp://here.localhost:{port} {{\n\trespond \"caddy\"\n}}\n"
    ));
    caddy.wait_route("here.localhost", Duration::from_secs(5));
    assert_eq!(Request::get("here.localhost", "/").send(&caddy.http()).unwrap().text(), "caddy");
    caddy.restart();
    assert!(caddy.config()["apps"].is_null());
}

#[test]
fn sockets_are_handed_over_as_systemd_does() {
    let _turn = shared();
    let folder = tempfile::tempdir().unwrap();
    let sockets = super::inherit::Sockets::listen(&folder.path().join("proxy.sock"));
    let show = "echo pid $$ $LISTEN_PID fds $LISTEN_FDS $LISTEN_FDNAMES; readlink /proc/$$/fd/[3-5]";
    for _ in 0..2 {
        let (mut command, let_through) = sockets.hand_to(Path::new("/bin/bash"));
        command.arg("-c").arg(show);
        let mut process = Process::start(&mut command, &folder.path().join("log"), let_through);
        assert!(process.wait(Duration::from_secs(5)).success());
        let (pid, output) = (process.pid(), process.output());
        assert!(output.starts_with(&format!("pid {pid} {pid} fds 3 proxy:proxy:admin\n")), "{output}");
        assert_eq!(output.matches("socket:[").count(), 3, "{output}");
    }
}

#[test]
fn an_engine_of_ones_own_is_restarted_under_its_containers() {
    let _turn = shared();
    let mut engine = Engine::start();
    let app = engine.app("survivor").start();
    let before = get(&app.target(), "/");
    let target = app.target();
    engine.stop();
    assert_eq!(get(&target, "/").instance(), before.instance());
    engine.start_again();
    assert!(app.running());
    assert_eq!(app.target(), target);
    assert_eq!(get(&target, "/").instance(), before.instance());
    assert!(Docker::here().inspect(app.name()).is_none(), "it is not on the machine's own engine");
}
