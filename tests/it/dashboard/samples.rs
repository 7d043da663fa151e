//! A household's services as views: what the tests render, and what the pictures show.

use wakedock::config::SourceProblem;
use wakedock::domain::service::Theme;
use wakedock::domain::words::{Origin, Phase, Role, StopCause, WakeCause, WakeOutcome};
use wakedock::html::Language;
use wakedock::html::dashboard::chart::{self, Stay, Wake};
use wakedock::html::dashboard::overview::{
    Awake, Failure, LastWake, Link, Overview, Row, Sort, Start, Totals, Trouble,
};
use wakedock::html::dashboard::pages as view;
use wakedock::html::dashboard::service::{
    Container, Edit, Field, Form, May, New, Problem, Service, Session, Setting, Wrong,
};
use wakedock::html::dashboard::{Banner, Frame, Notice, Person, Place, overview, pages, service, spark};

use super::sample_pages::{account, activity, audit, by_provider, caddy, settings, tokens, users};

/// Sunday, 23 November 2025, 19:42 UTC.
pub(super) const NOW: i64 = 1_763_926_920_000;
pub(super) const MINUTE: i64 = 60_000;
pub(super) const HOUR: i64 = 60 * MINUTE;

/// Texts of others that try to get out of the page.
pub(super) const NASTY: &str = r#""><script>alert(1)</script><img src=x onerror=alert(2)>' onload='x {{ 7*7 }} {% raw %} </title></pre> &lt;"#;

pub(super) fn frame(place: Place, back: &str) -> Frame {
    Frame {
        language: Language::ENGLISH,
        theme: Theme::Auto,
        person: Some(Person { name: "anna".into(), role: Role::Admin, leaves: true }),
        csrf: "b3f1c2d4e5a697887766554433221100".into(),
        back: back.into(),
        place,
        banners: Vec::new(),
        notice: None,
        newest: 812,
        now: NOW,
        offset: 3600,
    }
}

/// Name, group, sign, memory in megabytes.
const HOUSE: &[(&str, &str, &str, u64)] = &[
    ("jellyfin", "Media", "", 412),
    ("navidrome", "Media", "", 48),
    ("audiobookshelf", "Media", "", 121),
    ("kavita", "Media", "", 164),
    ("photoprism", "Media", "", 634),
    ("immich", "Media", "", 903),
    ("nextcloud", "Office", "", 286),
    ("collabora", "Office", "", 517),
    ("paperless", "Office", "", 348),
    ("stirling-pdf", "Office", "", 455),
    ("vikunja", "Office", "", 39),
    ("wiki", "Office", "", 97),
    ("vaultwarden", "Office", "", 31),
    ("freshrss", "Reading", "", 44),
    ("wallabag", "Reading", "", 88),
    ("linkding", "Reading", "", 102),
    ("calibre", "Reading", "", 212),
    ("gitea", "Workshop", "", 141),
    ("woodpecker", "Workshop", "", 61),
    ("grafana", "Workshop", "", 118),
    ("code-server", "Workshop", "", 372),
    ("n8n", "Workshop", "", 264),
    ("excalidraw", "Workshop", "", 12),
    ("home-assistant", "House", "", 391),
    ("zigbee2mqtt", "House", "", 92),
    ("grocy", "House", "", 67),
    ("mealie", "House", "", 143),
    ("actual", "House", "", 71),
    ("minecraft", "", "", 2140),
    ("speedtest", "", "", 55),
];

pub(super) fn row(name: &str, phase: Phase) -> Row {
    let host = format!("{name}.example.com");
    Row {
        name: name.into(),
        icon: None,
        group: None,
        links: vec![Link { href: format!("https://{host}/"), text: host }],
        phase,
        since: NOW - 3 * HOUR,
        missing: None,
        paused: false,
        probing: false,
        usual: Some(4200),
        failure: None,
        awake: Awake::Unknown,
        held: 0,
        last_wake: None,
        last_stop: Some(StopCause::Idle),
        requests: 0,
        memory: None,
        problems: 0,
    }
}

/// So many rows of a household that goes on and on.
pub(super) fn rows(count: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    for at in 0..count {
        let (name, group, icon, megabytes) = HOUSE[at % HOUSE.len()];
        let again = at / HOUSE.len();
        let name = if again == 0 { name.to_owned() } else { format!("{name}-{again}") };
        let spread = i64::try_from((at * 37 + 11) % 97).unwrap();
        let mut row = row(&name, Phase::Asleep);
        row.group = (!group.is_empty()).then(|| group.into());
        row.icon = (!icon.is_empty()).then(|| icon.into());
        row.since = NOW - (spread + 1) * 23 * MINUTE;
        row.requests = u64::try_from(spread * spread * 7 + 13).unwrap();
        row.usual = Some(900 + spread * 61);
        row.last_wake = Some(LastWake {
            at: row.since - 40 * MINUTE,
            cause: if spread % 9 == 0 { WakeCause::Manual } else { WakeCause::Request },
            took: Some(850 + spread * 63),
        });
        match at % HOUSE.len() {
            0 => {
                awake(&mut row, 94 * MINUTE, megabytes, Awake::InUse { leases: 2 });
            }
            6 => awake(&mut row, 12 * MINUTE, megabytes, Awake::Idle { until: NOW + 11 * MINUTE + 24_000 }),
            12 => awake(&mut row, 3 * MINUTE, megabytes, Awake::Idle { until: NOW + 4 * MINUTE + 9_000 }),
            23 => awake(&mut row, 51 * HOUR, megabytes, Awake::Never),
            20 => awake(&mut row, 47 * MINUTE, megabytes, Awake::KeptAwake { until: NOW + 73 * MINUTE }),
            8 => {
                row.phase = Phase::Waking;
                row.probing = true;
                row.since = NOW - 4_000;
                row.usual = Some(6200);
                row.held = 1;
                row.last_wake = Some(LastWake { at: NOW - 4_000, cause: WakeCause::Request, took: None });
            }
            13 => {
                row.phase = Phase::Stopping;
                row.since = NOW - 1_000;
            }
            21 => {
                row.phase = Phase::Failed;
                row.since = NOW - 9_000;
                row.failure = Some(Failure {
                    reason: "n8n exited with code 1 after 0.3 s".into(),
                    retry_at: NOW + 7_000,
                });
                row.last_wake =
                    Some(LastWake { at: NOW - 9_000, cause: WakeCause::Request, took: Some(312) });
            }
            3 => row.paused = true,
            4 => row.missing = Some("photoprism-app".into()),
            25 => row.problems = 1,
            29 => row.last_wake = None,
            _ => {}
        }
        rows.push(row);
    }
    rows
}

fn awake(row: &mut Row, for_ms: i64, megabytes: u64, why: Awake) {
    row.phase = Phase::Ready;
    row.since = NOW - for_ms;
    row.memory = Some(megabytes * 1_000_000);
    row.awake = why;
    row.last_wake = row.last_wake.map(|wake| LastWake { at: NOW - for_ms, ..wake });
}

pub(super) fn overview_of(count: usize) -> Overview {
    let rows = rows(count);
    let ready = |row: &&Row| row.phase == Phase::Ready;
    let totals = Totals {
        awake: rows.iter().filter(ready).count(),
        asleep: rows.iter().filter(|row| row.phase == Phase::Asleep).count(),
        memory: Some(rows.iter().filter_map(|row| row.memory).sum()),
        saved: Some(6_830_000_000),
        wakes_today: 41,
        wake_p50: Some(2140),
        problems: 2,
    };
    let start = Start {
        labels: true,
        host: "hi.example.com".into(),
        href: "https://hi.example.com/".into(),
        command: "curl https://hi.example.com/".into(),
    };
    Overview { rows, totals, sort: Sort::Name, filter: String::new(), troubles: Vec::new(), start }
}

pub(super) fn trouble_of(service: Option<&str>, container: Option<&str>) -> Trouble {
    let problem = SourceProblem {
        key: "wakedock.stop-after".into(),
        value: Some("15".into()),
        reason: "is a bare number, and a duration carries its unit".into(),
        mend: "write `15s` for seconds, `15m` for minutes or `15ms` for milliseconds".into(),
        origin: Origin::Label,
        container: container.map(Into::into),
    };
    Trouble::new(service.map(Into::into), &problem)
}

/// A service that is used in the evenings.
pub(super) fn one_service() -> Service {
    let mut row = rows(1).remove(0);
    row.held = 0;
    let midnight = NOW - 20 * HOUR - 42 * MINUTE;
    let mut stays = vec![Stay { from: NOW - 94 * MINUTE - 4300, ready: Some(NOW - 94 * MINUTE), to: None }];
    for day in 0..7 {
        let start = midnight - day * 24 * HOUR;
        let stay = |from: i64, length: i64| Stay {
            from: start + from * MINUTE,
            ready: Some(start + from * MINUTE + 4_300),
            to: Some(start + (from + length) * MINUTE),
        };
        stays.push(stay(425 + day * 11, 48));
        if day > 0 {
            stays.push(stay(1090 + day * 7, 130 + 17 * day));
        }
        if day == 3 {
            stays.push(stay(760, 95));
            stays.push(Stay { from: start + 900 * MINUTE, ready: None, to: Some(start + 906 * MINUTE) });
        }
    }
    let wakes: Vec<Wake> = (0..38_i64)
        .map(|at| {
            let engine = 290 + (at * 53) % 120;
            let slow = if at % 11 == 7 { 2600 } else { 0 };
            Wake { took: engine + 3100 + (at * 197) % 1400 + slow, engine: Some(engine), failed: at == 22 }
        })
        .collect();
    let hours: Vec<spark::Hour> = (0..160)
        .map(|ago| spark::Hour {
            start: NOW - ago * HOUR,
            requests: u64::try_from((ago * 37) % 61).unwrap(),
            memory: (ago % 5 != 0).then_some(4e8),
            cpu: (ago % 5 != 0).then_some(0.07),
        })
        .collect();
    let session = |at: i64, path: &str, client: &str, took: i64, awake: Option<i64>| Session {
        at,
        cause: WakeCause::Request,
        outcome: WakeOutcome::Ready,
        path: Some(path.into()),
        client: Some(client.into()),
        took: Some(took),
        engine: Some(took / 11),
        awake,
        open: awake.is_none(),
        stop: awake.map(|_| StopCause::Idle),
    };
    let mut manual = session(NOW - 51 * HOUR, "", "", 4012, Some(95 * MINUTE));
    (manual.cause, manual.path, manual.client) = (WakeCause::Manual, None, Some("anna".into()));
    let mut failed = session(NOW - 76 * HOUR, "GET /web/index.html", "192.168.1.23", 60_000, None);
    (failed.outcome, failed.open, failed.stop) = (WakeOutcome::Timeout, false, Some(StopCause::FailedWake));
    let setting = |key: &str, value: &str, origin| Setting { key: key.into(), value: value.into(), origin };
    Service {
        row,
        container: "jellyfin".into(),
        cpu: Some("38".into()),
        wakes_today: 2,
        days: chart::days(NOW, 3600, 7, &stays),
        wakes: chart::wakes(&wakes),
        sparks: spark::sparks(NOW, 7, &hours),
        sessions: vec![
            session(NOW - 94 * MINUTE, "GET /web/index.html", "192.168.1.23", 4300, None),
            session(NOW - 13 * HOUR, "GET /System/Ping", "192.168.1.40", 4120, Some(48 * MINUTE)),
            session(NOW - 25 * HOUR, "POST /Sessions/Playing", "10.8.0.3", 3984, Some(147 * MINUTE)),
            manual,
            failed,
        ],
        log: Some(
            [
                "[18:08:41] [INF] Jellyfin version: 10.11.2",
                "[18:08:42] [INF] Kestrel is listening on 0.0.0.0",
                "[18:08:44] [INF] Startup complete 0:00:03.9",
                "[18:09:03] [INF] WebSocket from 192.168.1.23 open",
                "[18:09:07] [INF] Playback started: The General, 1926",
            ]
            .map(String::from)
            .to_vec(),
        ),
        sources: vec![Origin::Label, Origin::Api],
        values: vec![
            setting("hosts", "jellyfin.example.com", Origin::Label),
            setting("container", "jellyfin", Origin::Label),
            setting("port", "8096", Origin::Label),
            setting("group", "Media", Origin::Api),
            setting("icon", "J", Origin::Api),
            setting("idle.stop_after", "30m", Origin::Api),
            setting("idle.pause_after", "never", Origin::Default),
            setting("wait", "auto", Origin::Default),
            setting("wake_timeout", "2m", Origin::Shared),
            setting("readiness.type", "http", Origin::Label),
            setting("readiness.path", "/health", Origin::Label),
        ],
        problems: Vec::new(),
        may: May { act: true, edit: true, remove: true },
    }
}

pub(super) fn field(key: &str, value: &str, default: &str, label: bool) -> Field {
    Field { key: key.into(), value: value.into(), default: default.into(), label, ..Field::default() }
}

pub(super) fn form() -> Form {
    let mut stop = field("idle.stop_after", "15", "15m", true);
    stop.error = Some(Wrong {
        reason: "is a bare number, and a duration carries its unit".into(),
        mend: "write `15s` for seconds, `15m` for minutes or `15ms` for milliseconds".into(),
    });
    let options = |field: Field, words: &[&str]| Field {
        options: words.iter().map(|word| (*word).into()).collect(),
        ..field
    };
    let mut container = field("container", "paperless-web", "", true);
    container.origin = Some("label");
    Form {
        main: vec![
            Field { required: true, ..field("name", "paperless", "", true) },
            field("hosts", "paper.example.com", "paperless.example.com", true),
            container,
            field("port", "8000", "8000", true),
            field("group", "Office", "", true),
            field("icon", "", "", true),
            stop,
            field("idle.pause_after", "", "never", true),
            options(field("wait", "", "auto", true), &["", "auto", "hold", "page"]),
            options(field("readiness.type", "http", "auto", true), &["", "http", "tcp", "docker", "none"]),
            field("readiness.path", "/accounts/login/", "/", true),
        ],
        more: vec![
            field("path", "", "", false),
            field("page_after", "", "2s", false),
            field("wake_timeout", "", "60s", false),
        ],
        more_open: false,
        errors: 1,
        general: Vec::new(),
    }
}

fn edit() -> Edit {
    Edit {
        name: "paperless".into(),
        from_file: false,
        from_label: true,
        editable: true,
        changed: true,
        revision: "7".into(),
        form: form(),
        labels: None,
        yaml: YAML.into(),
    }
}

const YAML: &str = "services:\n  - name: paperless\n    hosts: [paper.example.com]\n    container: paperless-web\n    port: 8000\n    group: Office\n    idle: { stop_after: 15m }\n    readiness: { type: http, path: /accounts/login/ }\n";
const LABELS: &str = "wakedock.enable=true\nwakedock.host=paper.example.com\nwakedock.port=8000\nwakedock.group=Office\nwakedock.stop-after=15m\nwakedock.readiness=http\nwakedock.readiness-path=/accounts/login/\n";

fn picking() -> New {
    let container = |name: &str, image: &str, ports: &[u16], state: &str, service: Option<&str>| Container {
        name: name.into(),
        image: image.into(),
        ports: ports.to_vec(),
        state: state.into(),
        service: service.map(Into::into),
    };
    New {
        containers: Some(vec![
            container("paperless-web", "ghcr.io/paperless-ngx/paperless-ngx:2.14", &[8000], "running", None),
            container("changedetection", "dgtlmoon/changedetection.io", &[5000], "exited", None),
            container("uptime-kuma", "louislam/uptime-kuma:1", &[3001], "running", None),
            container("jellyfin", "jellyfin/jellyfin:10.11.2", &[8096, 8920], "running", Some("jellyfin")),
            container("gitea", "gitea/gitea:1.25", &[22, 3000], "exited", Some("gitea")),
        ]),
        ..New::default()
    }
}

/// Every page there is, under the name its picture has.
pub(super) fn all(change: &dyn Fn(&mut Frame)) -> Vec<(&'static str, String)> {
    let at = |place, back: &str| {
        let mut frame = frame(place, back);
        change(&mut frame);
        frame
    };
    let nobody = |back: &str| Frame { person: None, ..at(Place::Elsewhere, back) };
    let home = at(Place::Services, "/");
    let trouble = Frame {
        banners: vec![
            Banner { kind: "docker", since: Some(NOW - 3 * MINUTE), detail: None },
            Banner {
                kind: "caddy",
                since: None,
                detail: Some("adapting config: line 4: unknown directive".into()),
            },
            Banner { kind: "store", since: None, detail: None },
            Banner { kind: "config", since: None, detail: None },
            Banner { kind: "restart", since: None, detail: None },
        ],
        notice: Some(Notice { bad: true, key: "engine", subject: "wiki".into(), detail: None }),
        ..home.clone()
    };
    let troubles = vec![trouble_of(Some("mealie"), None), trouble_of(None, Some("old-wiki"))];
    let troubled = Overview { troubles, ..overview_of(12) };
    let empty = Overview { rows: Vec::new(), totals: Totals::default(), ..overview_of(1) };
    let mut asleep = one_service();
    asleep.row = rows(12).remove(11);
    (asleep.log, asleep.sessions, asleep.wakes) = (None, Vec::new(), None);
    asleep.problems.push(Problem {
        key: "idle.stop_after".into(),
        reason: "is a bare number, and a duration carries its unit".into(),
        mend: "write `15s` for seconds, `15m` for minutes or `15ms` for milliseconds".into(),
        origin: Origin::Label,
    });
    let filled = New {
        form: Some(Form { errors: 0, ..form() }),
        labels: Some(LABELS.into()),
        yaml: YAML.into(),
        ..New::default()
    };
    let place = |place| at(place, "/");
    let error = |kind| view::ErrorPage { kind, detail: None };
    let mut pages = vec![
        ("overview", overview::overview(&home, &overview_of(30))),
        ("overview-empty", overview::overview(&home, &empty)),
        ("overview-trouble", overview::overview(&trouble, &troubled)),
        ("service", service::service(&at(Place::Services, "/services/jellyfin"), &one_service())),
        ("service-asleep", service::service(&at(Place::Services, "/services/wiki"), &asleep)),
        ("edit", service::edit(&at(Place::Services, "/services/paperless/edit"), &edit())),
        ("new", service::new(&at(Place::Services, "/new"), &picking())),
        ("new-filled", service::new(&at(Place::Services, "/new"), &filled)),
        ("caddy", pages::caddy(&place(Place::Caddy), &caddy())),
        ("activity", pages::activity(&place(Place::Activity), &activity())),
        ("users", pages::users(&place(Place::Users), &users())),
        (
            "user",
            pages::user(&place(Place::Users), &view::OneUser { user: users().users.remove(1), wrong: None }),
        ),
        ("tokens", pages::tokens(&place(Place::Tokens), &tokens(true))),
        ("audit", pages::audit(&place(Place::Audit), &audit())),
        ("settings", pages::settings(&place(Place::Settings), &settings())),
        ("account", pages::account(&place(Place::Account), &account())),
        ("login", pages::login(&nobody("/"), &view::Login { next: "/".into(), ..view::Login::default() })),
        ("login-provider", pages::login(&nobody("/"), &by_provider())),
        (
            "setup",
            pages::setup(&nobody("/"), &view::Setup { token: Some("s3t".into()), ..view::Setup::default() }),
        ),
        ("setup-over", pages::setup(&nobody("/"), &view::Setup::default())),
    ];
    pages.extend(
        ["missing", "forbidden", "changed", "refused", "broken"]
            .map(|kind| ("error", pages::error(&place(Place::Elsewhere), &error(kind)))),
    );
    pages.extend(super::reference::pages(&|path| at(Place::Elsewhere, path)));
    pages
        .into_iter()
        .map(|(name, html)| (name, html.unwrap_or_else(|error| panic!("{name}: {error:?}"))))
        .collect()
}
