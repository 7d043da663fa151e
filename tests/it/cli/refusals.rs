//! What goes wrong between the command line and a daemon, and how it is said.

use serde_json::json;

use super::daemon::Daemon;
use super::{Said, wakedock};

fn run(arguments: &[&str]) -> Said {
    wakedock(arguments).output().unwrap().into()
}

#[test]
fn a_wrong_command_line_is_64() {
    for bad in [
        &["wake"][..],
        &["wake", "a", "b"],
        &["wake", "a", "--timeout", "5"],
        &["wake", "a", "--timeout", "soon"],
        &["status", "--nonsense"],
        &["status", "a", "b"],
        &["status", "--url", "http://x", "--token", "a", "--token-file", "b"],
        &["completions"],
        &["completions", "cmd.exe"],
        &["stop", "--no-wait"],
    ] {
        assert_eq!(
            run(bad).failed(64).matches("Usage: ").count(),
            usize::from(!bad.contains(&"--timeout") && !bad.contains(&"cmd.exe")),
            "{bad:?}"
        );
    }
    let said = run(&["wake", "a", "--timeout", "5"]);
    assert!(said.err.contains("bare number") && said.err.contains("`5s`"), "{}", said.err);
}

#[test]
fn a_url_that_is_none_is_64_with_its_mend() {
    for (url, reason) in
        [("example.com", "does not begin"), ("ftp://a", "neither"), ("http://a:b@c", "user name")]
    {
        let said = run(&["status", "--url", url]);
        let text = said.failed(64);
        assert!(text.starts_with("error: `") && text.contains(reason), "{text}");
        assert!(text.contains("\n  at     --url\n  mend   write it like `https://"), "{text}");
    }
    let said: Said = wakedock(&["status"]).env("WAKEDOCK_URL", "nonsense").output().unwrap().into();
    assert!(said.failed(64).contains("nonsense"));
}

#[test]
fn without_a_daemon_it_says_where_it_looked_and_what_to_start() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("c.yml");
    let socket = folder.path().join("none.sock");
    std::fs::write(&config, format!("admin: {{ socket: {} }}\n", socket.display())).unwrap();
    for command in [&["status"][..], &["wake", "a"], &["stop", "a"], &["logs", "a"], &["status", "--watch"]] {
        let said: Said =
            wakedock(command).args(["--config".as_ref(), config.as_os_str()]).output().unwrap().into();
        let text = said.failed(1);
        assert!(text.starts_with("error: WakeDock does not run here\n"), "{text}");
        assert!(text.contains(&format!("\n  at     {}: No such file", socket.display())), "{text}");
        assert!(text.contains("\n  mend   start it (`systemctl start wakedock`"), "{text}");
    }
    std::fs::write(&config, "admin: { socket: off }\n").unwrap();
    let said: Said =
        wakedock(&["status"]).args(["--config".as_ref(), config.as_os_str()]).output().unwrap().into();
    assert!(said.failed(64).contains("no local socket"), "{}", said.err);
}

/// The daemon goes on with the last good configuration while somebody edits the file: what shows it
/// must go on, too.
#[test]
fn a_half_edited_file_does_not_hide_what_runs() {
    let daemon =
        Daemon::new().says("GET /api/v1/services/a", 200, &json!({ "name": "a", "phase": "asleep" }));
    let half = std::fs::read_to_string(daemon.config()).unwrap() + "services: [{ name: x, hots: 5 }]\n";
    std::fs::write(daemon.config(), half).unwrap();
    assert!(daemon.run(&["status", "a"]).fine().starts_with("○ a  asleep"));
    // One that was named and cannot be read at all is another matter.
    std::fs::write(daemon.config(), "a: [\n").unwrap();
    assert!(daemon.run(&["status", "a"]).failed(64).contains("not YAML"));
}

#[test]
fn a_refusal_is_said_with_its_mend() {
    let problem = |title: &str| json!({ "type": "/problems/x", "title": title, "status": 0, "detail": "There is no such service." });
    let daemon = Daemon::new()
        .says("GET /api/v1/services/gone", 404, &problem("Unknown service"))
        .says("GET /api/v1/services/closed", 401, &problem("Log in first"))
        .says("GET /api/v1/services/mine", 403, &problem("Your role does not allow this"))
        .says("GET /api/v1/services/bad", 422, &json!({ "title": "Not valid", "errors": [
            { "pointer": "/idle/stop_after", "detail": "stop_after is a bare number", "mend": "write `15s`" },
            { "pointer": "/hosts/0", "detail": "hosts holds a \u{1b}[2J brace", "mend": "" },
        ]}));
    let said = daemon.run(&["status", "gone"]);
    assert_eq!(
        said.failed(1),
        "error: Unknown service: There is no such service.\n  at     GET /api/v1/services/gone\n"
    );
    let said = daemon.run(&["status", "closed"]);
    assert!(
        said.failed(1).contains("\n  mend   give a token by `--token-file FILE` or $WAKEDOCK_TOKEN"),
        "{}",
        said.err
    );
    let said = daemon.run(&["status", "mine"]);
    assert!(
        said.failed(1).contains("\n  mend   use the token of somebody with a higher role"),
        "{}",
        said.err
    );
    assert_eq!(
        daemon.run(&["status", "bad"]).failed(1),
        "error: stop_after is a bare number\n  at     idle.stop_after\n  mend   write `15s`\n\
         error: hosts holds a  [2J brace\n  at     hosts.0\n"
    );
}

#[test]
fn what_is_not_wakedock_is_said_to_be_none() {
    let daemon = Daemon::new()
        .says_raw("GET /api/v1/services/html", 200, "text/html", "<html>Welcome to nginx")
        .says_exactly(
            "GET /api/v1/services/moved",
            "HTTP/1.1 302 X\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n",
        )
        .says_raw("GET /api/v1/services/down", 502, "text/html", "<html>Bad gateway")
        .says_exactly("GET /api/v1/services/cut", "HTTP/1.1 200 X\r\nContent-Length: 99\r\n\r\n{")
        .says_exactly("GET /api/v1/services/noise", "220 smtp.example.com ready\r\n");
    for (name, what) in [
        ("html", "is not WakeDock"),
        ("moved", "is not WakeDock"),
        ("down", "WakeDock answered 502"),
        ("cut", "broke"),
        ("noise", "broke"),
    ] {
        let said = daemon.run(&["status", name]);
        assert!(said.failed(1).contains(what), "{name}: {}", said.err);
    }
}

#[test]
fn a_token_goes_where_it_is_asked_to_and_nowhere_else() {
    let daemon =
        Daemon::new().says("GET /api/v1/services/a", 200, &json!({ "name": "a", "phase": "asleep" }));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "wd_from_file\n").unwrap();
    let path = file.path().display().to_string();
    let env = [("WAKEDOCK_TOKEN", "wd_from_env")];
    daemon.run_with(&["status", "a"], &[]).fine();
    daemon.run_with(&["status", "a"], &env).fine();
    daemon.run_with(&["status", "a", "--token-file", &path], &env).fine();
    daemon.run_with(&["status", "a", "--token", "wd_from_flag"], &env).fine();
    let sent: Vec<Option<String>> = daemon
        .asked()
        .iter()
        .map(|head| {
            let value = head.lines().find_map(|line| line.strip_prefix("authorization: "));
            value.map(str::to_owned)
        })
        .collect();
    let bearer = |token: &str| Some(format!("Bearer {token}"));
    assert_eq!(sent, [None, bearer("wd_from_env"), bearer("wd_from_file"), bearer("wd_from_flag")]);

    std::fs::write(file.path(), " \n").unwrap();
    let said = daemon.run(&["status", "a", "--token-file", &path]);
    assert!(said.failed(64).contains("is empty"), "{}", said.err);
    // A warning about an unknown variable would make every command with a token a noisy one.
    let said: Said = wakedock(&["config", "check"]).envs(env).output().unwrap().into();
    assert!(said.fine().contains("0 warnings"));
}
