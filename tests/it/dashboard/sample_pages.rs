//! The other pages as views: routes, activity, people and their keys, settings, the doors.

use wakedock::domain::words::{Phase, Role};
use wakedock::html::dashboard::pages as view;

use super::samples::{HOUR, MINUTE, NOW, field, rows};

pub(super) fn caddy() -> view::Caddy {
    let routes = rows(9).into_iter().map(|row| {
        let host = row.links[0].text.clone();
        view::Route::new(&host, "", Some(row.links[0].href.clone()), &row.name, &row.name, row.phase)
    });
    let caddyfile = "{\n\tadmin localhost:2019\n\ton_demand_tls {\n\t\task http://127.0.0.1:7081/caddy/ask\n\t}\n}\n\nhttps://jellyfin.example.com,\nhttps://navidrome.example.com {\n\ttls {\n\t\ton_demand\n\t}\n\treverse_proxy unix//run/wakedock/proxy.sock {\n\t\tlb_try_duration 15s\n\t}\n}\n";
    view::Caddy {
        verdict: "published",
        sign: "ready",
        since: Some(NOW - 26 * HOUR),
        mode: "managed",
        target: "http://127.0.0.1:2019".into(),
        message: None,
        routes: routes.collect(),
        caddyfile: Some(caddyfile.into()),
        opinion: "refused",
        objection: Some("Caddyfile:4: unrecognized directive: encod".into()),
        notes: vec!["`email` of your own files is replaced".into()],
    }
}

pub(super) fn activity() -> view::Activity {
    let event = |id: u64, ago: i64, service: &str| view::Event {
        id,
        at: NOW - ago,
        service: (!service.is_empty()).then(|| service.into()),
        ..view::Event::default()
    };
    let phase = |id, ago, service, phase: Phase, cause| view::Event {
        phase: Some(phase.as_str()),
        kind: "phase".into(),
        cause,
        ..event(id, ago, service)
    };
    let kind = |kind: &str, event: view::Event| view::Event { kind: kind.into(), ..event };
    view::Activity {
        events: vec![
            view::Event { stop: Some("idle"), ..phase(812, 1_000, "freshrss", Phase::Asleep, None) },
            view::Event {
                by: Some("GET /documents · 192.168.1.23".into()),
                ..phase(811, 4_000, "paperless", Phase::Waking, Some("request"))
            },
            view::Event {
                detail: Some("exited with code 1".into()),
                bad: true,
                ..phase(808, 9_000, "n8n", Phase::Failed, Some("request"))
            },
            view::Event {
                took: Some(934),
                engine: Some(216),
                ..phase(804, 3 * MINUTE, "vaultwarden", Phase::Ready, Some("request"))
            },
            view::Event {
                by: Some("anna".into()),
                until: Some(NOW + HOUR),
                ..kind("kept-awake", event(803, 4 * MINUTE, "immich"))
            },
            view::Event { detail: Some("30 hosts".into()), ..kind("published", event(801, 44 * MINUTE, "")) },
            kind("service-added", event(799, 44 * MINUTE, "mealie")),
            view::Event { detail: Some("27.3.1".into()), ..kind("engine", event(761, 26 * HOUR, "")) },
            view::Event { detail: Some("0.1.0".into()), ..kind("started", event(760, 26 * HOUR, "")) },
        ],
        service: None,
        only_problems: false,
        next: Some("/activity?before=760".into()),
    }
}

pub(super) fn users() -> view::Users {
    let user = |name: &str, role, disabled, seen: Option<i64>| {
        view::User::new(name.into(), role, disabled, NOW - 900 * HOUR, seen.map(|ago| NOW - ago))
    };
    view::Users {
        users: vec![
            user("anna", Role::Admin, false, Some(1_000)),
            user("ben", Role::User, false, Some(26 * HOUR)),
            user("display-kitchen", Role::Viewer, false, Some(4 * MINUTE)),
            user("guest", Role::Viewer, true, None),
        ],
        ..view::Users::default()
    }
}

pub(super) fn tokens(fresh: bool) -> view::Tokens {
    let token = |id: &str, name: &str, role: Role, used: Option<i64>, ends: Option<i64>| view::Token {
        id: id.into(),
        name: name.into(),
        role: role.as_str(),
        owner: "anna".into(),
        used_at: used.map(|ago| NOW - ago),
        expires_at: ends.map(|ahead| NOW + ahead),
        expired: ends.is_some_and(|ahead| ahead < 0),
    };
    view::Tokens {
        tokens: vec![
            token("k3v9", "homepage", Role::Viewer, Some(8_000), Some(61 * 24 * HOUR)),
            token("p0qd", "shortcuts on the phone", Role::User, Some(30 * HOUR), None),
            token("x7ma", "old backup script", Role::Viewer, None, Some(-HOUR)),
        ],
        fresh: fresh.then(|| view::Fresh {
            name: "homepage".into(),
            token: "wd_k3v9_3nQm8tXw5ZrYb1KcVhJ7uPdLs0".into(),
        }),
        roles: vec!["viewer", "user", "admin"],
        lives: &["7d", "30d", "90d", "365d", "never"],
        wrong: None,
    }
}

pub(super) fn audit() -> view::Audit {
    let deed = |ago: i64, who: &str, action: &str, subject: &str| view::Deed {
        at: NOW - ago,
        who: who.into(),
        via: "session".into(),
        address: Some("192.168.1.23".into()),
        action: action.into(),
        subject: subject.into(),
        changes: Vec::new(),
    };
    view::Audit {
        entries: vec![
            view::Deed {
                changes: vec!["idle.stop_after 15m → 30m".into()],
                ..deed(12 * MINUTE, "anna", "service-changed", "jellyfin")
            },
            deed(47 * MINUTE, "ben", "keep-awake", "code-server"),
            deed(3 * HOUR, "anna", "log-in", "anna"),
            view::Deed {
                via: "socket".into(),
                address: None,
                ..deed(26 * HOUR, "root", "user-created", "ben")
            },
        ],
        next: Some("/audit?cursor=abc".into()),
    }
}

pub(super) fn settings() -> view::Settings {
    let value = |key, value: Option<&str>, origin, place: Option<&str>| view::Value {
        key,
        value: value.map(Into::into),
        origin,
        place: place.map(Into::into),
        ..view::Value::default()
    };
    let fact = |key, value: &str| view::Fact { key, value: value.into(), ..view::Fact::default() };
    view::Settings {
        fields: vec![field("session_idle", "30d", "30d", true)],
        revision: "3".into(),
        wrong: None,
        facts: vec![
            fact("version", "0.1.0"),
            view::Fact { key: "started", at: Some(NOW - 26 * HOUR), ..view::Fact::default() },
            fact("engine", "27.3.1"),
            view::Fact { key: "store", bytes: Some(1_400_000), ..view::Fact::default() },
        ],
        running: view::Running {
            file: Some("/etc/wakedock/config.yml".into()),
            at: NOW - 26 * HOUR,
            refused: Some(view::RefusedEdit {
                at: NOW - 3 * MINUTE,
                problems: vec![view::ConfigProblem {
                    key: "caddy.tls".into(),
                    value: Some("maybe".into()),
                    reason: "is none of auto, internal, off".into(),
                    mend: "write a duration such as `15m`".into(),
                    place: Some("/etc/wakedock/config.yml:9:8".into()),
                }],
            }),
            values: vec![
                value("domain", Some("example.com"), "file", Some("1")),
                value("data_dir", Some("/var/lib/wakedock"), "default", None),
                view::Value {
                    waits: true,
                    ..value(
                        "admin.listen",
                        Some("127.0.0.1:7081"),
                        "environment",
                        Some("WAKEDOCK_ADMIN__LISTEN"),
                    )
                },
                view::Value { hidden: true, ..value("admin.oidc.client_secret", None, "file", Some("12")) },
                value("admin.host", None, "default", None),
            ],
        },
    }
}

pub(super) fn account() -> view::Account {
    let log_in = |id: &str, agent: &str, address: &str, seen: i64, this| view::LogIn {
        id: id.into(),
        agent: agent.into(),
        address: address.into(),
        made_at: NOW - 90 * HOUR,
        seen_at: NOW - seen,
        this,
    };
    view::Account::new(
        "anna".into(),
        Role::Admin,
        true,
        vec![
            log_in("1", "Firefox on Linux", "192.168.1.23", 1_000, true),
            log_in("2", "Safari on iPhone", "10.8.0.3", 9 * HOUR, false),
        ],
        None,
    )
}

pub(super) fn by_provider() -> view::Login {
    let provider = Some(view::Provider { name: "Authelia".into(), away: true });
    let wrong = Some("That log-in was begun too long ago.".into());
    view::Login { next: "/services/cloud?tab=log".into(), wrong, provider, ..view::Login::default() }
}
