//! What good configurations mean.

use std::time::Duration;

use wakedock::config::{CaddyMode, Config, Listen, effective, load, restart_needed};
use wakedock::domain::service::{AddressPolicy, Readiness, WaitMode};

use super::{ConfigFile, read, service, variables};

#[test]
fn nothing_written_is_the_defaults() {
    let loaded = read("").unwrap();
    assert_eq!(loaded.config, Config::default());
    assert!(loaded.warnings.is_empty());
    assert_eq!(read("# only a comment\n---\n").unwrap().config, Config::default());
}

#[test]
fn environment_goes_before_file_before_defaults() {
    let file = ConfigFile::new("domain: file.example\nproxy: { max_held: 5, timeouts: { head: 3s } }\n");
    let env = [
        ("WAKEDOCK_DOMAIN", "env.example"),
        ("WAKEDOCK_PROXY__LISTEN", "127.0.0.1:0, unix:/run/x.sock"),
        ("WAKEDOCK_PROXY__TRUSTED_PROXIES", "[\"10.0.0.0/8\", '192.168.1.1']"),
        ("WAKEDOCK_PROXY__TIMEOUTS__BODY", "never"),
        ("WAKEDOCK_LOG__ACCESS", "true"),
        ("WAKEDOCK_CADDY__MODE", "off"),
        ("WAKEDOCK_CADDY__HTTP_PORT", "8080"),
        ("WAKEDOCK_DEFAULTS__IDLE__STOP_AFTER", "1h"),
        ("WAKEDOCK_DATA_DIR", ""),
    ];
    let config = file.load(&env).unwrap().config;
    assert_eq!(config.domain.as_deref(), Some("env.example"));
    assert_eq!(config.proxy.max_held, 5, "the file over the default");
    assert_eq!(config.proxy.timeouts.head, Some(Duration::from_secs(3)), "beside what the environment gives");
    assert_eq!(config.proxy.timeouts.body, None);
    let listen = [Listen::Tcp("127.0.0.1:0".parse().unwrap()), Listen::Unix("/run/x.sock".into())];
    assert_eq!(config.proxy.listen, listen);
    assert_eq!(config.proxy.trusted_proxies.len(), 2);
    assert!(config.log.access);
    assert_eq!(config.caddy.mode, CaddyMode::Off);
    assert_eq!(config.caddy.http_port, 8080);
    assert_eq!(config.data_dir, Config::default().data_dir, "an empty variable is as good as none");
}

#[test]
fn the_environment_can_name_the_file() {
    let file = ConfigFile::new("domain: named.example\n");
    let path = file.path().display().to_string();
    let loaded = load(None, variables(&[("WAKEDOCK_CONFIG", &path)]).into_iter()).unwrap();
    assert_eq!(loaded.config.domain.as_deref(), Some("named.example"));
    assert_eq!(loaded.file, Some(file.path()));
    assert!(loaded.warnings.is_empty(), "WAKEDOCK_CONFIG is no unknown variable");

    let other = ConfigFile::new("domain: other.example\n");
    let loaded = load(Some(&other.path()), variables(&[("WAKEDOCK_CONFIG", &path)]).into_iter()).unwrap();
    assert_eq!(loaded.config.domain.as_deref(), Some("other.example"), "--config goes before it");
}

#[test]
fn an_unknown_variable_is_a_warning_only() {
    let file = ConfigFile::new("");
    let env = [("WAKEDOCK_PORT_7080_TCP", "tcp://172.17.0.2:7080"), ("WAKEDOCK_LOG__LEVELL", "debug")];
    let loaded = file.load(&env).unwrap();
    assert_eq!(loaded.config, Config::default());
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings
            .iter()
            .any(|text| text.contains("WAKEDOCK_LOG__LEVELL") && text.contains("WAKEDOCK_LOG__LEVEL"))
    );
}

#[test]
fn off_unquoted_is_the_word() {
    let config = read("caddy: { mode: off, tls: off }\n").unwrap().config;
    assert_eq!(config.caddy.mode, CaddyMode::Off);
    assert_eq!(
        read("services: [{ name: no, hosts: [no], container: off }]").unwrap().config.services.len(),
        1
    );
}

#[test]
fn a_whole_service() {
    let text = "
domain: example.com
defaults:
  wake_timeout: 2m
  readiness: { type: http, path: /up }
services:
  - name: cloud
    container: nextcloud-app
    port: 80
    address: network:front
    wait: hold
    page_after: 500ms
    max_held: 0
    idle: { stop_after: never, pause_after: 5m, stop_timeout: 0s }
    waiting_page: { title: Cloud, theme: dark, show_logs: true }
  - name: wiki
    container: /wiki
    hosts: ['*.Wiki.example.com', bücher.example, '[::1]', 10.0.0.1]
    path: /w/
    wake_timeout: 10s
    readiness: tcp
  - name: api
    container: api
    hosts: []
    readiness: { path: /ok, status: 204 }
";
    let config = read(text).unwrap().config;
    let [cloud, wiki, api] = config.services.as_slice() else { panic!("three services") };
    assert_eq!(cloud.hosts[0].to_string(), "cloud.example.com");
    assert_eq!(cloud.address, AddressPolicy::Network("front".to_owned()));
    assert_eq!(cloud.wait, WaitMode::Hold);
    assert_eq!(cloud.wake_timeout, Duration::from_secs(120), "from the defaults");
    assert_eq!(cloud.readiness, Readiness::Http { path: "/up".to_owned(), status: 200..=399 });
    assert_eq!((cloud.max_held, cloud.idle.stop_after), (0, None));
    assert_eq!(cloud.idle.pause_after, Some(Duration::from_secs(300)));
    assert!(cloud.waiting_page.show_logs);
    let hosts: Vec<_> = wiki.hosts.iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["*.wiki.example.com", "xn--bcher-kva.example", "[::1]", "10.0.0.1"]);
    assert_eq!(wiki.path.as_deref(), Some("/w"));
    assert_eq!(wiki.container.as_str(), "wiki");
    assert_eq!(wiki.readiness, Readiness::Tcp, "the whole of it, nothing of the defaults");
    assert_eq!(wiki.wake_timeout, Duration::from_secs(10));
    assert!(api.hosts.is_empty(), "no route, in spite of the domain");
    assert_eq!(api.readiness, Readiness::Http { path: "/ok".to_owned(), status: 204..=204 });
}

#[test]
fn one_host_may_be_divided_by_path() {
    let text = "services:
  - { name: a, container: a, hosts: [x.example.com] }
  - { name: b, container: b, hosts: [x.example.com], path: /b }
";
    assert_eq!(read(text).unwrap().config.services.len(), 2);
}

#[test]
fn keys_without_effect_are_said_where_they_are_set() {
    let warned = |text: &str| {
        let warnings = read(text).unwrap().warnings;
        warnings.into_iter().map(|warning| warning.key).collect::<Vec<_>>()
    };
    assert!(warned("docker: { labels: true, image_labels: true, keep_removed: 1h }").is_empty());
    let twice = "services: [{ name: a, hosts: [], container: c }, { name: b, hosts: [], container: c }]";
    assert_eq!(warned(twice), ["services[1].container"]);
}

#[test]
fn what_is_printed_reads_back() {
    let text = "
domain: example.com
data_dir: ./data
proxy:
  listen: ['[::1]:7080']
  socket_mode: 0600
  socket_group: 1000
  timeouts: { head: never, write: 1h30m }
  limits: { head: 10kB, target: 1000B }
caddy: { mode: off, extra: /etc/caddy/*.caddy, admin: 'unix:/run/caddy.sock' }
docker: { host: 'tcp://proxy:2375', labels: false }
log: { level: trace, format: json }
services:
  - { name: a, container: a, path: /x }
  - name: b
    container: b
    hosts: [b.example.com, '*.b.example.com']
    readiness: { type: http, path: '/?a=1&b=2', status: 200 }
    idle: { silent_stream: 1d, pause_after: 1ms }
    waiting_page: { title: \"a: #b 'c' \\\"d\\\"\", message: \"two\\nlines \\u2028 and \\t more\" }
  - { name: c, container: c, hosts: [], readiness: none, protocol: h2c }
";
    let first = read(text).unwrap().config;
    let printed = effective(&first);
    let second = read(&printed).unwrap_or_else(|problems| panic!("{problems}\n{printed}"));
    assert_eq!(second.config, first, "{printed}");
    assert_eq!(effective(&second.config), printed);
    assert_eq!(read(&effective(&Config::default())).unwrap().config, Config::default());
}

#[test]
fn a_restart_is_needed_for_what_is_bound_or_open() {
    let old = Config::default();
    assert!(restart_needed(&old, &read(&service("a")).unwrap().config).is_empty());
    let new = read(
        "data_dir: /x\nproxy: { listen: ['127.0.0.1:1'], socket_mode: '0600', socket_group: x, max_held: 3 }\n\
         admin: { listen: '127.0.0.1:2' }\ndocker: { host: 'tcp://a:1' }\nlog: { level: debug }\n",
    );
    assert_eq!(
        restart_needed(&old, &new.unwrap().config),
        [
            "data_dir",
            "proxy.listen",
            "proxy.socket_mode",
            "proxy.socket_group",
            "admin.listen",
            "docker.host"
        ]
    );
}

#[test]
fn merge_keys_and_anchors_work() {
    let text = "services:
  - &base { name: a, container: a, hosts: [], wake_timeout: 5s }
  - { <<: *base, name: b, container: b }
";
    let config = read(text).unwrap().config;
    assert_eq!(config.services[1].wake_timeout, Duration::from_secs(5));
}
