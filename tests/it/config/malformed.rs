//! What bad configurations are told: every problem at once, each with its key and its mend.

use proptest::prelude::*;
use wakedock::config::{Place, example, load};

use super::{ConfigFile, read, variables};

/// A configuration, the key that must be named, and words of reason or mend.
const MALFORMED: &[(&str, &str, &str)] = &[
    // Syntax and shape.
    ("domain: [", "file", "YAML"),
    ("domain: 'x", "file", "YAML"),
    ("proxy:\n\tmax_held: 1", "file", "YAML"),
    ("domain: a.example\ndomain: b.example", "file", "uplicate"),
    ("- a\n- b", "file", "a list"),
    ("just text", "file", "text"),
    ("domain: *nobody", "file", "YAML"),
    ("domain: a.example\n---\ndomain: b.example", "file", "YAML"),
    ("domain:", "domain", "no value"),
    ("proxy:", "proxy", "no value"),
    ("services:", "services", "without a value"),
    ("proxy: 7080", "proxy", "a number"),
    ("services: { a: b }", "services", "a group of keys"),
    ("services: [cloud]", "services[0]", "text"),
    ("proxy.listen: ['127.0.0.1:1']", "proxy.listen", "levels"),
    // A site that WakeDock writes, and a log-in proxy that it does not ask.
    (
        "admin: { host: dash.example.com, forward_auth: { proxies: [127.0.0.1/32] } }",
        "admin.forward_auth.proxies",
        "`admin.hosts`",
    ),
    // Unknown keys.
    ("servics: []", "servics", "`services`"),
    ("proxy: { listn: [] }", "proxy.listn", "`listen`"),
    ("listen: ['127.0.0.1:1']", "listen", "`proxy.listen`"),
    ("xyzzy: 1", "xyzzy", "not a key"),
    (
        "services: [{ name: a, container: a, hosts: [], wake-timeout: 5s }]",
        "services[0].wake-timeout",
        "`wake_timeout`",
    ),
    (
        "services: [{ name: a, container: a, hosts: [], stop_after: 5m }]",
        "services[0].stop_after",
        "`idle.stop_after`",
    ),
    ("defaults: { idle: { stop_afer: 5m } }", "defaults.idle.stop_afer", "`stop_after`"),
    ("services: [{ name: a, container: a, hosts: [], imge: x }]", "services[0].imge", "even `image` belongs"),
    // Keys of work to come.
    ("docker: { image_labels: 1 }", "docker.image_labels", "truth"),
    ("docker: { wildcard_labels: yes }", "docker.wildcard_labels", "truth"),
    ("docker: { keep_removed: 24 }", "docker.keep_removed", "unit"),
    ("services: [{ name: a, hosts: [], image: nginx }]", "services[0].image", "not done yet"),
    ("services: [{ name: a, hosts: [], compose: c.yml }]", "services[0].compose", "not done yet"),
    ("services: [{ name: a, hosts: [], swarm: s }]", "services[0].swarm", "not done yet"),
    (
        "services: [{ name: a, container: a, hosts: [], depends_on: [b] }]",
        "services[0].depends_on",
        "not done yet",
    ),
    (
        "services: [{ name: a, container: a, hosts: [], keep_awake: [] }]",
        "services[0].keep_awake",
        "not done yet",
    ),
    ("services: [{ name: a, container: a, hosts: [], ignore: [] }]", "services[0].ignore", "not done yet"),
    ("services: [{ name: a, container: a, hosts: [], group: ' ' }]", "services[0].group", "empty"),
    ("services: [{ name: a, container: a, hosts: [], icon: 'https://x/y' }]", "services[0].icon", "no emoji"),
    ("services: [{ name: a, container: a, hosts: [], owners: ada }]", "services[0].owners", "list"),
    ("services: [{ name: a, container: a, hosts: [], owners: ['a b'] }]", "services[0].owners[0]", "' '"),
    (
        "{ admin: { host: d.e.f }, services: [{ name: a, container: a, hosts: [d.e.f] }] }",
        "services[0].hosts",
        "WakeDock's own",
    ),
    ("defaults: { owners: [ada] }", "defaults.owners", "one service"),
    (
        "services: [{ name: a, container: a, hosts: [], idle: { cpu_below: 5% } }]",
        "services[0].idle.cpu_below",
        "not done yet",
    ),
    (
        "services: [{ name: a, container: a, hosts: [], readiness: log }]",
        "services[0].readiness",
        "not done yet",
    ),
    (
        "services: [{ name: a, container: a, hosts: [], readiness: { type: log } }]",
        "services[0].readiness.type",
        "not done yet",
    ),
    // Durations, sizes, numbers, words.
    ("shutdown: { grace: 30 }", "shutdown.grace", "`30s`"),
    ("shutdown: { grace: never }", "shutdown.grace", "never"),
    ("shutdown: { grace: 2d }", "shutdown.grace", "at most `1d`"),
    ("proxy: { timeouts: { head: 0s } }", "proxy.timeouts.head", "shorter"),
    ("proxy: { timeouts: { head: 400d } }", "proxy.timeouts.head", "365"),
    ("proxy: { timeouts: { head: 1.5h } }", "proxy.timeouts.head", "whole"),
    ("proxy: { timeouts: { head: off } }", "proxy.timeouts.head", "`never`"),
    ("proxy: { limits: { head: 65536 } }", "proxy.limits.head", "KiB"),
    ("proxy: { limits: { head: 64K } }", "proxy.limits.head", "`KiB`"),
    ("proxy: { limits: { head: 1B } }", "proxy.limits.head", "outside"),
    ("proxy: { limits: { fields: many } }", "proxy.limits.fields", "whole number"),
    ("proxy: { limits: { fields: -3 } }", "proxy.limits.fields", "outside"),
    ("proxy: { limits: { streams: 99999999999999999999 } }", "proxy.limits.streams", "number"),
    ("proxy: { max_held: 1.5 }", "proxy.max_held", "whole number"),
    ("proxy: { socket_mode: 0o660 }", "proxy.socket_mode", "0660"),
    ("proxy: { socket_mode: '0999' }", "proxy.socket_mode", "octal"),
    ("proxy: { socket_mode: '4755' }", "proxy.socket_mode", "mode"),
    ("proxy: { socket_group: 'a b' }", "proxy.socket_group", "group"),
    ("log: { level: verbose }", "log.level", "`info`"),
    ("log: { format: jsn }", "log.format", "`json`"),
    ("log: { access: yes }", "log.access", "`true`"),
    ("caddy: { mode: manged }", "caddy.mode", "`managed`"),
    ("caddy: { http_port: 70000 }", "caddy.http_port", "65535"),
    ("caddy: { http_port: 443 }", "caddy.https_port", "plain HTTP"),
    ("caddy: { admin: 'https://127.0.0.1:2019' }", "caddy.admin", "plain HTTP"),
    ("caddy: { admin: 'http://127.0.0.1' }", "caddy.admin", "no port"),
    ("caddy: { extra: '/etc/caddy/{a}' }", "caddy.extra", "Caddyfile"),
    ("docker: { host: 'ssh://a' }", "docker.host", "unix://"),
    ("docker: { host: 'unix://run/docker.sock' }", "docker.host", "relative"),
    ("data_dir: ''", "data_dir", "empty"),
    ("domain: '*.example.com'", "domain", "wildcard"),
    ("domain: https://example.com", "domain", "`example.com`"),
    ("domain: 12", "domain", "quotes"),
    // Listeners.
    ("proxy: { listen: '127.0.0.1:7080' }", "proxy.listen", "`[127.0.0.1:7080]`"),
    ("proxy: { listen: [] }", "proxy.listen", "empty list"),
    ("proxy: { listen: ['127.0.0.1:1', '127.0.0.1:1'] }", "proxy.listen[1]", "twice"),
    ("proxy: { listen: ['127.0.0.1:1', 'localhost:2'] }", "proxy.listen[1]", "`127.0.0.1:2`"),
    ("proxy: { listen: ['/run/x.sock'] }", "proxy.listen[0]", "`unix:/run/x.sock`"),
    ("proxy: { listen: ['unix:/run/{x}.sock'] }", "proxy.listen[0]", "Caddyfile"),
    ("proxy: { trusted_proxies: ['10.0.0.0/64'] }", "proxy.trusted_proxies[0]", "network"),
    ("admin: { listen: '127.0.0.1:7080' }", "admin.listen", "proxy listens"),
    ("admin: { listen: ['127.0.0.1:7081'] }", "admin.listen", "without brackets"),
    // Services.
    ("services: [{ container: a, hosts: [] }]", "services[0].name", "missing"),
    ("services: [{ name: a, hosts: [] }]", "services[0].container", "missing"),
    ("services: [{ name: a, container: a }]", "services[0].hosts", "`domain`"),
    ("services: [{ name: My App, container: a, hosts: [] }]", "services[0].name", "`my-app`"),
    ("services: [{ name: a, container: a/b, hosts: [] }]", "services[0].container", "'/'"),
    ("services: [{ name: a, container: a, hosts: a.example }]", "services[0].hosts", "`[a.example]`"),
    ("services: [{ name: a, container: a, hosts: ['a{b.example'] }]", "services[0].hosts[0]", "'{'"),
    ("services: [{ name: a, container: a, hosts: [\"a\\nb.example\"] }]", "services[0].hosts[0]", "'\\n'"),
    ("services: [{ name: a, container: a, hosts: ['a b'] }]", "services[0].hosts[0]", "' '"),
    ("services: [{ name: a, container: a, hosts: ['a.example:80'] }]", "services[0].hosts[0]", "listener"),
    (
        "services: [{ name: a, container: a, hosts: ['http://a.example'] }]",
        "services[0].hosts[0]",
        "`a.example`",
    ),
    ("services: [{ name: a, container: a, hosts: ['a.*.example'] }]", "services[0].hosts[0]", "wildcard"),
    ("services: [{ name: a, container: a, hosts: [''] }]", "services[0].hosts[0]", "empty"),
    ("services: [{ name: a, container: a, hosts: [A.example, a.example] }]", "services[0].hosts[1]", "twice"),
    ("services: [{ name: a, container: a, hosts: [], path: app }]", "services[0].path", "`/app`"),
    ("services: [{ name: a, container: a, hosts: [], path: '/a?b' }]", "services[0].path", "'?'"),
    ("services: [{ name: a, container: a, hosts: [], port: 0 }]", "services[0].port", "outside"),
    ("services: [{ name: a, container: a, hosts: [], port: http }]", "services[0].port", "whole number"),
    ("services: [{ name: a, container: a, hosts: [], address: 'network:' }]", "services[0].address", "empty"),
    ("services: [{ name: a, container: a, hosts: [], protocol: http2 }]", "services[0].protocol", "`h2c`"),
    (
        "services: [{ name: a, container: a, hosts: [], readiness: { type: tcp, path: /x } }]",
        "services[0].readiness.path",
        "type http",
    ),
    (
        "services: [{ name: a, container: a, hosts: [], readiness: { status: 99 } }]",
        "services[0].readiness.status",
        "100 to 599",
    ),
    (
        "services: [{ name: a, container: a, hosts: [], readiness: { status: 399-200 } }]",
        "services[0].readiness.status",
        "before it begins",
    ),
    (
        "services: [{ name: a, container: a, hosts: [], readiness: [http] }]",
        "services[0].readiness",
        "a list",
    ),
    (
        "services: [{ name: a, container: a, hosts: [], wake_timeout: 0s }]",
        "services[0].wake_timeout",
        "shorter",
    ),
    (
        "services: [{ name: a, container: a, hosts: [], idle: { stop_after: 15 } }]",
        "services[0].idle.stop_after",
        "`15m`",
    ),
    (
        "services: [{ name: a, container: a, hosts: [], idle: { stop_timeout: 2h } }]",
        "services[0].idle.stop_timeout",
        "longer than 1h",
    ),
    (
        "services: [{ name: a, container: a, hosts: [], idle: { pause_after: 15m } }]",
        "services[0].idle.pause_after",
        "not below",
    ),
    ("defaults: { idle: { pause_after: 1h, stop_after: 1h } }", "defaults.idle.pause_after", "not below"),
    (
        "services: [{ name: a, container: a, hosts: [], waiting_page: { title: '' } }]",
        "services[0].waiting_page.title",
        "empty",
    ),
    (
        "services: [{ name: a, container: a, hosts: [], waiting_page: { theme: blue } }]",
        "services[0].waiting_page.theme",
        "`dark`",
    ),
    ("defaults: { hosts: [a.example] }", "defaults.hosts", "one service"),
    (
        "services: [{ name: a, container: a, hosts: [] }, { name: a, container: b, hosts: [] }]",
        "services[1].name",
        "services[0]",
    ),
    (
        "services: [{ name: a, container: a, hosts: [x.example] }, { name: b, container: b, hosts: [X.example] }]",
        "services[1].hosts",
        "`a` (services[0])",
    ),
    (
        "domain: example\nservices: [{ name: a, container: a }, { name: b, container: b, hosts: [a.example] }]",
        "services[1].hosts",
        "`b` (services[1])",
    ),
];

#[test]
fn every_malformed_configuration_is_told_its_key_and_reason() {
    assert!(MALFORMED.len() >= 50);
    let mut missed = Vec::new();
    for (text, key, word) in MALFORMED {
        let problems = match read(text) {
            Ok(_) => {
                missed.push(format!("{text}\n  was accepted"));
                continue;
            }
            Err(problems) => problems,
        };
        let found = problems.0.iter().any(|problem| {
            problem.key == *key && (problem.reason.contains(word) || problem.mend.contains(word))
        });
        if !found || problems.0.len() != 1 {
            missed.push(format!("{text}\n  wanted {key}: {word}, got\n{problems}"));
        }
        for problem in &problems.0 {
            assert!(!problem.reason.is_empty() && !problem.mend.is_empty(), "{text}");
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n\n"));
}

#[test]
fn all_problems_come_at_once_in_the_order_of_the_file() {
    let text = "domain: 'a b'
proxy:
  max_held: many
  listen: ['x', 'y']
services:
  - name: A
    hosts: ['{}']
  - name: b
    container: b
    hosts: []
    idle: { stop_after: 5 }
nonsense: 1
";
    let problems = read(text).unwrap_err();
    let found: Vec<_> = problems
        .0
        .iter()
        .map(|problem| match &problem.place {
            Some(Place::File { line, .. }) => (*line, problem.key.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        found,
        [
            (1, "domain"),
            (3, "proxy.max_held"),
            (4, "proxy.listen[0]"),
            (4, "proxy.listen[1]"),
            (6, "services[0].name"),
            (6, "services[0].container"),
            (7, "services[0].hosts[0]"),
            (11, "services[1].idle.stop_after"),
            (12, "nonsense"),
        ]
    );
    let shown = problems.to_string();
    assert!(shown.contains("\n  value  many\n  mend   write a whole number"), "{shown}");
}

#[test]
fn a_bad_variable_is_named() {
    let file = ConfigFile::new("");
    let problems =
        file.load(&[("WAKEDOCK_SHUTDOWN__GRACE", "30"), ("WAKEDOCK_ADMIN__HOST", "*.x")]).unwrap_err();
    let found: Vec<_> =
        problems.0.iter().map(|problem| (problem.key.as_str(), problem.place.clone())).collect();
    assert_eq!(
        found,
        [
            ("admin.host", Some(Place::Variable("WAKEDOCK_ADMIN__HOST".to_owned()))),
            ("shutdown.grace", Some(Place::Variable("WAKEDOCK_SHUTDOWN__GRACE".to_owned()))),
        ]
    );
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let problems = load(Some("/nowhere/config.yml".as_ref()), std::iter::empty()).unwrap_err();
    assert_eq!(problems.0[0].value.as_deref(), Some("/nowhere/config.yml"));
    assert!(load(None, variables(&[("WAKEDOCK_CONFIG", "/nowhere.yml")]).into_iter()).is_err());
    assert!(load(Some("/tmp".as_ref()), std::iter::empty()).is_err(), "a directory");
}

#[test]
fn bytes_that_are_no_text_are_told_so() {
    let file = ConfigFile::new(b"domain: a.example\nlog: \xff\xfe\n");
    let problems = file.load(&[]).unwrap_err();
    assert!(problems.0[0].reason.contains("UTF-8"));
    assert!(matches!(problems.0[0].place, Some(Place::File { line: 2, .. })));
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        text.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    let problems = read(&text).unwrap_err();
    assert!(!problems.0.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever the file holds, it is read or refused with at least one problem.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Err(problems) = ConfigFile::new(bytes).load(&[]) {
            prop_assert!(!problems.0.is_empty());
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[a-z:\\[\\]{}\\-&*!|>'\"%@`# \\n\\t,.0-9]{0,200}") {
        if let Err(problems) = ConfigFile::new(text).load(&[]) {
            prop_assert!(!problems.0.is_empty());
        }
    }

    /// A good file with a piece cut out, doubled or overwritten.
    #[test]
    fn a_mangled_example_is_read_or_refused(
        from in any::<prop::sample::Index>(),
        length in 0_usize..200,
        instead in prop_oneof![Just(String::new()), any::<String>(), "[ \\n:\\-]{1,20}", "[0-9a-z]{1,9}"],
    ) {
        let text = example();
        let characters: Vec<char> = text.chars().collect();
        let from = from.index(characters.len());
        let to = (from + length).min(characters.len());
        let mangled: String =
            characters[..from].iter().copied().chain(instead.chars()).chain(characters[to..].iter().copied()).collect();
        if let Err(problems) = ConfigFile::new(&mangled).load(&[]) {
            prop_assert!(!problems.0.is_empty());
            for problem in &problems.0 {
                prop_assert!(!problem.key.is_empty() && !problem.mend.is_empty());
            }
        }
    }

    /// Any value for any key.
    #[test]
    fn any_value_is_read_or_refused(
        key in prop::sample::select(vec![
            "domain", "data_dir", "proxy.listen", "proxy.socket_mode", "proxy.limits.head", "caddy.admin",
            "docker.host", "shutdown.grace", "caddy.extra", "defaults.readiness", "defaults.waiting_page.title",
            "defaults.address", "proxy.trusted_proxies",
        ]),
        value in any::<String>(),
    ) {
        let name = format!("WAKEDOCK_{}", key.to_uppercase().replace('.', "__"));
        let file = ConfigFile::new("");
        if let Err(problems) = file.load(&[(&name, &value)]) {
            prop_assert!(problems.0.iter().all(|problem| problem.key.starts_with(key)), "{}", problems);
        }
    }
}

/// The story: a slip in the name of the secret told it to everybody who may read events.
#[test]
fn a_misspelt_secret_is_not_told() {
    for key in ["client_secert", "secret", "password", "client"] {
        let text = format!("admin: {{ oidc: {{ {key}: hunter2hunter2 }} }}\n");
        let told = read(&text).unwrap_err().to_string();
        assert!(told.contains(&format!("admin.oidc.{key}")) && !told.contains("hunter2"), "{told}");
    }
    let told = read("proxy: { listn: hunter2 }\n").unwrap_err().to_string();
    assert!(told.contains("hunter2"), "elsewhere it helps: {told}");
}

#[test]
fn a_log_in_proxy_fits_a_site_of_one_s_own() {
    let proxies = "forward_auth: { proxies: [127.0.0.1/32] }";
    for fine in [
        format!("admin: {{ hosts: [dash.example.com], {proxies} }}\n"),
        format!("admin: {{ host: dash.example.com, {proxies} }}\ncaddy: {{ mode: off }}\n"),
    ] {
        assert!(read(&fine).is_ok(), "{fine}");
    }
}
