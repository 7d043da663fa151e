//! The text, without a running Caddy; the real one formats it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use wakedock::caddy::extra::Extra;
use wakedock::caddy::features::Features;
use wakedock::caddy::sites::OwnAddresses;
use wakedock::caddy::{lexer, render};
use wakedock::config::{CaddyAddress, CaddyConfig, CaddyTls, Listen};
use wakedock::domain::host::{HostPattern, Hostname};

use crate::support::committed::committed;

use super::real::caddy;
use super::{config, hosts, own, sites};

const NEWER: Features = Features { stream_close_delay: true };
const SOME: &[&str] = &["cloud.example.com", "*.apps.example.com", "blog.example.com", "192.0.2.7", "[::1]"];

fn text(names: &[&str], config: &CaddyConfig, features: Features) -> String {
    render::caddyfile(&sites(names), config, features, &Extra::default()).unwrap().text
}

/// Every kind of output there is without files of the operator's.
fn every_kind() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for tls in [CaddyTls::Auto, CaddyTls::Internal, CaddyTls::Off] {
        for features in [Features::default(), NEWER] {
            for names in [&[][..], &SOME[..1], SOME] {
                for proxy in [own().proxy, Listen::Tcp("[::1]:7080".parse().unwrap())] {
                    let mut sites = sites(names);
                    sites.own = OwnAddresses { proxy, ..own() };
                    sites.dashboard =
                        (names.len() != 1).then(|| Hostname::parse("dash.example.com").unwrap());
                    let config = CaddyConfig { tls, ..config() };
                    let name = format!("{tls:?} {features:?} {} hosts", names.len());
                    let managed = render::caddyfile(&sites, &config, features, &Extra::default()).unwrap();
                    all.push((format!("managed {name}"), managed.text));
                    all.push((format!("file {name}"), render::import_file(&sites, &config).unwrap()));
                }
            }
        }
    }
    all
}

/// The dashboard has a site of its own, past the data plane, and nobody has to ask for its certificate.
#[test]
fn the_dashboard_is_reached_directly() {
    let mut sites = sites(&["cloud.example.com"]);
    sites.dashboard = Hostname::parse("dash.example.com").ok();
    let text = render::caddyfile(&sites, &config(), Features::default(), &Extra::default()).unwrap().text;
    let (_, site) = text.split_once("https://dash.example.com {").unwrap();
    let (site, _) = site.split_once("\n}\n").unwrap();
    assert!(site.contains("reverse_proxy 127.0.0.1:7081") && !site.contains("on_demand"), "{site}");
    sites.dashboard = Hostname::parse("192.0.2.1").ok();
    let text = render::import_file(&sites, &config()).unwrap();
    assert!(text.contains("https://192.0.2.1 {\n\ttls internal\n"), "{text}");
}

#[test]
fn golden_managed_auto() {
    committed("tests/it/caddy/golden/managed_auto.caddy", &text(SOME, &config(), NEWER));
}

#[test]
fn golden_managed_off() {
    let config = CaddyConfig {
        tls: CaddyTls::Off,
        http_port: 8080,
        admin: CaddyAddress::Unix("/run/caddy/admin.sock".into()),
        ..config()
    };
    committed("tests/it/caddy/golden/managed_off.caddy", &text(SOME, &config, Features::default()));
}

#[test]
fn golden_import_file() {
    let text = render::import_file(&sites(SOME), &config()).unwrap();
    committed("tests/it/caddy/golden/import_auto.caddy", &text);
}

/// Trap 25: the same routes are the same text, in whatever order they came.
#[test]
fn the_same_hosts_are_the_same_text() {
    let mut turned: Vec<&str> = SOME.to_vec();
    turned.reverse();
    turned.push(SOME[0]);
    assert_eq!(text(SOME, &config(), NEWER), text(&turned, &config(), NEWER));
}

#[test]
fn the_output_is_formatted_as_caddy_formats() {
    let all = every_kind();
    assert!(all.len() > 30);
    for (name, text) in all {
        assert_eq!(caddy(&["fmt", "-"], &text).stdout, text, "{name}");
    }
}

#[test]
fn the_real_caddy_adapts_every_kind() {
    let delays: Vec<(String, String)> =
        every_kind().into_iter().filter(|(name, _)| !name.contains("stream_close_delay: true")).collect();
    assert!(delays.len() > 10);
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in delays {
        let file = dir.path().join("Caddyfile");
        std::fs::write(&file, &text).unwrap();
        let output = caddy(&["adapt", "--adapter", "caddyfile", "--config", file.to_str().unwrap()], "");
        assert!(output.success, "{name}: {}\n{text}", output.stderr);
    }
}

#[test]
fn the_configuration_alone_makes_the_same_text() {
    use wakedock::config::{
        AdminConfig, Config, DockerConfig, LogConfig, LogFormat, ProxyConfig, ProxyLimits, ProxyTimeouts,
        ShutdownConfig,
    };
    use wakedock::domain::name::{ContainerName, ServiceName};
    use wakedock::domain::service::ServiceSpec;

    let mut service = ServiceSpec::new(ServiceName::parse("a").unwrap(), ContainerName::parse("a").unwrap());
    service.hosts = hosts(SOME);
    let config = Config {
        domain: None,
        data_dir: PathBuf::from("/var/lib/wakedock"),
        proxy: ProxyConfig {
            listen: vec![Listen::Tcp("127.0.0.1:7080".parse().unwrap()), own().proxy],
            socket_mode: 0o660,
            socket_group: None,
            trusted_proxies: Vec::new(),
            max_held: 1,
            timeouts: ProxyTimeouts {
                head: None,
                keep_alive: None,
                body: None,
                connect: None,
                response_head: None,
                write: None,
            },
            limits: ProxyLimits {
                head: 1,
                fields: 1,
                target: 1,
                connections: 1,
                connections_per_address: 1,
                streams: 1,
            },
        },
        admin: AdminConfig { listen: "0.0.0.0:7081".parse().unwrap(), ..AdminConfig::default() },
        caddy: config(),
        docker: DockerConfig { labels: false, ..Config::default().docker },
        log: LogConfig { level: tracing::Level::INFO, format: LogFormat::Text, access: false },
        history: Config::default().history,
        shutdown: ShutdownConfig { grace: std::time::Duration::ZERO, stop_services: false },
        services: vec![service],
    };
    let rendered = wakedock::caddy::caddyfile(&config).unwrap();
    assert_eq!(rendered.text, text(SOME, &self::config(), Features::default()));
    let unheard = Config { proxy: ProxyConfig { listen: Vec::new(), ..config.proxy.clone() }, ..config };
    assert!(wakedock::caddy::caddyfile(&unheard).is_err());
}

/// Trap 27: what cannot be one bare token is refused, with the value in the message.
#[test]
fn a_value_that_is_no_bare_token_is_refused() {
    let nasty = [
        "/run/a b.sock",
        "/run/{$HOME}.sock",
        "/run/{env.X}",
        "/run/a\n}\nevil {",
        "/run/\"a\"",
        "/run/`a`",
        "/run/#a",
        "/run/a\\",
        "/run/a\u{a0}b",
        "/run/a\0",
        "/run/a,b",
        "/run/<<EOF",
    ];
    for path in nasty {
        let mut sites = sites(SOME);
        sites.own = OwnAddresses { proxy: Listen::Unix(path.into()), ..own() };
        let error = render::caddyfile(&sites, &config(), NEWER, &Extra::default()).unwrap_err();
        assert!(error.reason().contains("one word"), "{path:?}: {}", error.reason());
        let config = CaddyConfig { admin: CaddyAddress::Unix(path.into()), ..config() };
        assert!(render::caddyfile(&super::sites(SOME), &config, NEWER, &Extra::default()).is_err());
    }
    for address in ["", "host:1 {", "{$ADMIN}"] {
        let config = CaddyConfig { admin: CaddyAddress::Tcp(address.to_owned()), ..config() };
        assert!(render::caddyfile(&sites(SOME), &config, NEWER, &Extra::default()).is_err(), "{address:?}");
    }
}

fn words(text: &str) -> Vec<&str> {
    lexer::tokens(text).into_iter().map(|token| &text[token.span]).collect()
}

proptest! {
    /// Whatever text stands where a host is configured: it is refused, or it is one word.
    #[test]
    fn no_host_adds_a_word(text in "[a-z0-9.*\\-_{}\"`#\\\\ \n\t$\\[\\]:,é<]{1,24}") {
        if let Ok(host) = HostPattern::parse(&text) {
            let mut sites = sites(&[]);
            sites.hosts = BTreeSet::from([host.clone()]);
            let config = CaddyConfig { tls: CaddyTls::Off, ..config() };
            let rendered = render::caddyfile(&sites, &config, NEWER, &Extra::default()).unwrap().text;
            let plain = super::render::text(&["x.example"], &config, NEWER);
            let (found, wanted) = (words(&rendered), words(&plain));
            prop_assert_eq!(found.len(), wanted.len());
            let own = format!("http://{host}");
            let differing = found.iter().zip(&wanted).filter(|(a, b)| a != b);
            let differing: Vec<&str> = differing.map(|(a, _)| *a).collect();
            prop_assert_eq!(differing, vec![own.as_str()]);
        }
    }

    /// The same for a value whose type does not protect it.
    #[test]
    fn no_address_adds_a_word(text in any::<String>()) {
        let wanted = words(&super::render::text(SOME, &config(), NEWER)).len();
        let config = CaddyConfig { admin: CaddyAddress::Tcp(text), ..config() };
        if let Ok(rendered) = render::caddyfile(&sites(SOME), &config, NEWER, &Extra::default()) {
            prop_assert_eq!(words(&rendered.text).len(), wanted);
        }
    }
}

/// A file of the operator's that is hard to cut in two.
const TANGLED: &str = "# { not the options
{
	debug # } nor their end
	log access {
		output discard
		format filter {
			wrap json
			fields {
				`request>headers>X-}` delete
				\"request>headers>X-\\\"}\" delete
			}
		}
	}
	order respond before \\
		redir
	grace_period 3s
}

http://own.example.com:{$PORT:8123} {
	respond \"two
} lines {\" 200
	header X-A `back } tick` # {
	@m path /a{b}c
	respond @m c
}
";

/// The same lexer as Caddy's: what it makes of the file alone is what it makes of ours.
#[test]
fn caddy_reads_the_operators_file_as_if_it_were_alone() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "tangled.caddy", TANGLED);
    let extra = Extra::read(dir.path().join("tangled.caddy").to_str().unwrap()).unwrap();
    assert_eq!(extra.options.len(), 4, "{:?}", extra.options);
    let rendered = render::caddyfile(&sites(&[]), &config(), Features::default(), &extra).unwrap();
    assert!(rendered.notes.is_empty(), "{:?}", rendered.notes);
    write(dir.path(), "ours", &rendered.text);
    let [alone, ours] = ["tangled.caddy", "ours"].map(|name| {
        let file = dir.path().join(name);
        let output = caddy(&["adapt", "--adapter", "caddyfile", "--config", file.to_str().unwrap()], "");
        assert!(output.success, "{name}: {}\n{}", output.stderr, rendered.text);
        serde_json::from_str::<serde_json::Value>(&output.stdout).unwrap()
    });
    assert!(alone["logging"]["logs"]["access"].is_object(), "{alone}");
    assert_eq!(ours["logging"], alone["logging"]);
    assert_eq!(ours["apps"]["http"]["servers"], alone["apps"]["http"]["servers"]);
    assert_eq!(ours["apps"]["http"]["grace_period"], alone["apps"]["http"]["grace_period"]);
}

fn write(dir: &Path, name: &str, content: &str) {
    std::fs::write(dir.join(name), content).unwrap();
}

#[test]
fn the_operators_options_go_into_our_block() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        "options.caddy",
        "{\n\temail me@example.com\n\tadmin off\n\thttp_port 1\n\ton_demand_tls {\n\t\task http://x\n\t}\n\
         \tservers {\n\t\tmetrics\n\t}\n\tgrace_period 3s\n}\n\nhttp://own.example.com {\n\trespond own\n}\n",
    );
    write(dir.path(), "site.caddy", "http://site.example.com {\n\trespond site\n}\n");
    let extra = Extra::read(dir.path().join("*.caddy").to_str().unwrap()).unwrap();
    for tls in [CaddyTls::Auto, CaddyTls::Off] {
        let rendered =
            render::caddyfile(&sites(SOME), &CaddyConfig { tls, ..config() }, NEWER, &extra).unwrap();
        let text = rendered.text;
        assert!(text.contains("\temail me@example.com\n"), "{text}");
        assert!(text.contains("grace_period 3s") && !text.contains("grace_period 10s"), "{text}");
        assert!(text.contains("\tadmin 127.0.0.1:2019\n") && !text.contains("admin off"), "{text}");
        assert_eq!(text.matches("servers").count(), 1, "{text}");
        assert!(text.contains(&format!("import {}/site.caddy", dir.path().display())), "{text}");
        assert!(text.contains("http://own.example.com {\n\trespond own\n}"), "{text}");
        let asks = tls == CaddyTls::Auto;
        assert_eq!(text.contains("ask http://x"), !asks, "with TLS off the operator's own is kept");
        assert_eq!(rendered.notes.len(), if asks { 3 } else { 2 }, "{:?}", rendered.notes);
        assert!(rendered.notes[0].contains("options.caddy: option `admin`"), "{:?}", rendered.notes);

        if !asks {
            // The new word is of a Caddy that may not be here.
            let text = text.replace("\t\tstream_close_delay 24h\n", "");
            let file = dir.path().join("whole");
            std::fs::write(&file, text).unwrap();
            let output = caddy(&["adapt", "--adapter", "caddyfile", "--config", file.to_str().unwrap()], "");
            assert!(output.success, "{}", output.stderr);
            for part in ["own.example.com", "site.example.com", "cloud.example.com", "metrics"] {
                assert!(output.stdout.contains(part), "{part}");
            }
        }
    }
}
