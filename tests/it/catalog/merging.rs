//! The sources put together, whatever they say: properties of the pure function.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value as Json, json};
use wakedock::config::sources::labels::{self, LabelSource, Labelled};
use wakedock::config::sources::{ApiSource, Assembled, Contender, Input, assemble, read_stored};
use wakedock::config::{FileSources, Layer};
use wakedock::domain::host::Hostname;
use wakedock::domain::name::ServiceName;
use wakedock::domain::time::Timestamp;
use wakedock::domain::words::Origin;

use super::town::loaded;

const HOSTS: [&str; 7] =
    ["a.b", "c.d", "e.f", "*.a.b", "own.example.com", "a.b, c.d, e.f", "bücher.example, x y"];
const NAMES: [&str; 5] = ["web", "shop", "api-1", "0123456789ab_web", "Odd Name"];
const LABELS: [&str; 22] = [
    "wakedock.host",
    "wakedock.hosts",
    "wakedock.name",
    "wakedock.port",
    "wakedock.path",
    "wakedock.stop-after",
    "wakedock.pause-after",
    "wakedock.idle.pause-after",
    "wakedock.readiness",
    "wakedock.readiness-path",
    "wakedock.status",
    "wakedock.wait",
    "wakedock.group",
    "wakedock.icon",
    "wakedock.container",
    "wakedock.owners",
    "wakedock.depends-on",
    "wakedock.nonsense",
    "wakedock.",
    "com.docker.compose.project",
    "com.docker.compose.service",
    "homepage.group",
];
const VALUES: [&str; 14] =
    ["a.b", "web", "shop", "80", "0", "5m", "20m", "never", "tcp", "http", "/x", "hold", "true", "\u{202e}"];

const FILES: [&str; 3] = [
    "services: []\n",
    "domain: example.com\nservices: [{ name: shop, container: shop-1, hosts: [a.b], idle: { stop_after: 10m } }]\n",
    "domain: example.com\ndefaults: { idle: { pause_after: 1m }, readiness: tcp }\n\
     services: [{ name: web, container: web, readiness: { path: /up } }, { name: shop, container: x, hosts: [] }]\n",
];

#[derive(Debug, Clone)]
struct Crate {
    container: String,
    created: i64,
    source: LabelSource,
    was: Option<ServiceName>,
    holds: Vec<String>,
    removed: bool,
}

fn pairs() -> impl Strategy<Value = BTreeMap<String, String>> {
    let value = prop_oneof![
        4 => select(&VALUES[..]).prop_map(str::to_owned),
        3 => select(&HOSTS[..]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    let label = prop_oneof![9 => select(&LABELS[..]).prop_map(str::to_owned), 1 => "wakedock\\.\\PC{0,12}"];
    prop::collection::btree_map(label, value, 0..7)
}

fn source(container: &str, mut labels: BTreeMap<String, String>) -> LabelSource {
    labels.insert("wakedock.enable".to_owned(), "true".to_owned());
    match labels::read(container, &labels) {
        Labelled::Asks(source) => source,
        other => panic!("it asks: {other:?}"),
    }
}

fn boxes() -> impl Strategy<Value = Vec<Crate>> {
    let one = (select(&NAMES[..]), 0..3_i64, pairs(), any::<bool>(), any::<bool>(), select(&HOSTS[..3]));
    let one = one.prop_map(|(container, created, labels, was, removed, host)| {
        let source = source(container, labels);
        let was = source.name.clone().filter(|_| was);
        let holds = was.iter().map(|_| host.to_owned()).collect();
        Crate { container: container.to_owned(), created, source, was, holds, removed }
    });
    // Names of containers are unique.
    prop::collection::vec(one, 0..6).prop_map(|all| {
        let mut seen = BTreeSet::new();
        all.into_iter().filter(|one| seen.insert(one.container.clone())).collect()
    })
}

fn layers() -> impl Strategy<Value = BTreeMap<ServiceName, (Layer, i64)>> {
    let keys = select(vec![
        json!({ "container": "api-1", "hosts": ["a.b", "c.d"] }),
        json!({ "container": "web", "hosts": ["own.example.com"], "idle": { "pause_after": "30m" } }),
        json!({ "hosts": ["e.f"], "idle": { "stop_after": "1m" } }),
        json!({ "readiness": { "type": "tcp" }, "group": "G" }),
        json!({ "zzz": 1, "hosts": 5 }),
        Json::Null,
    ]);
    let one = (select(&["web", "shop", "third"][..]), keys, 0..3_i64);
    prop::collection::vec(one, 0..4).prop_map(|all| {
        let layer = |(name, keys, at): (&str, Json, i64)| {
            let name = ServiceName::parse(name).unwrap();
            let (layer, _) = read_stored(&name, &keys);
            (name, (layer, at))
        };
        all.into_iter().map(layer).collect()
    })
}

struct Said<'a> {
    domain: Option<&'a str>,
    file: &'a FileSources,
    api: &'a BTreeMap<ServiceName, (Layer, i64)>,
    boxes: &'a [Crate],
    wildcards: bool,
}

fn put_together(said: &Said<'_>, backwards: bool) -> Assembled {
    let own = [Hostname::parse("own.example.com").unwrap()];
    let mut api: Vec<_> = said.api.iter().collect();
    let mut boxes: Vec<_> = said.boxes.iter().collect();
    if backwards {
        api.reverse();
        boxes.reverse();
    }
    let api: Vec<_> = api
        .into_iter()
        .map(|(name, (layer, at))| ApiSource {
            name,
            layer,
            made_at: Timestamp::from_millis(*at),
            problems: &[],
        })
        .collect();
    let contenders: Vec<_> = boxes
        .into_iter()
        .map(|one| Contender {
            container: &one.container,
            created: Timestamp::from_millis(one.created),
            source: &one.source,
            was: one.was.as_ref(),
            holds: &one.holds,
            removed: one.removed,
            is_again: false,
        })
        .collect();
    assemble(&Input {
        domain: said.domain,
        own_hosts: &own,
        wildcard_labels: said.wildcards,
        file: said.file,
        api: &api,
        contenders: &contenders,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_sources_say(
        file in select(&FILES[..]), api in layers(), boxes in boxes(), wildcards in any::<bool>(),
    ) {
        let loaded = loaded(file);
        let domain = loaded.config.domain.as_deref();
        let said = Said { domain, file: &loaded.sources, api: &api, boxes: &boxes, wildcards };
        let assembled = put_together(&said, false);

        prop_assert_eq!(&assembled, &put_together(&said, true), "the order means nothing");

        let mut owners = BTreeMap::new();
        let (mut firm, mut loose) = (BTreeSet::new(), BTreeSet::new());
        for (name, assembly) in &assembled.services {
            let Some(spec) = &assembly.spec else {
                prop_assert!(!assembly.problems.is_empty(), "left out without a reason: {:?}", assembly);
                continue;
            };
            for host in &spec.hosts {
                prop_assert_ne!(host.to_string(), "own.example.com");
                let before = owners.insert((host.clone(), spec.path.clone()), name);
                prop_assert!(before.is_none(), "{} is that of two: {:?}", host, assembled);
                let by_label = assembly.origins.contains(&("hosts", Origin::Label));
                let whole = if by_label { &mut loose } else { &mut firm };
                let fresh = whole.insert(host.clone());
                prop_assert!(fresh || !by_label, "labels share {}: {:?}", host, assembled);
            }
        }

        for host in &loose {
            prop_assert!(!firm.contains(host), "a label has a part of {}: {:?}", host, assembled);
        }

        let empty = BTreeMap::new();
        let alone = Said { api: &empty, boxes: &[], ..said };
        let alone = put_together(&alone, false);
        for (name, layer) in &loaded.sources.services {
            let (now, then) = (&assembled.services[name], &alone.services[name]);
            let spec = now.spec.as_ref().expect("what the file says is a service");
            let values = wakedock::config::values(spec);
            let file = wakedock::config::values(then.spec.as_ref().unwrap());
            for (key, _) in layer.iter() {
                let find = |values: &[(&'static str, Json)]| values.iter().find(|(own, _)| *own == key).cloned();
                prop_assert_eq!(find(&values), find(&file), "the file says {}", key);
                prop_assert!(now.origins.contains(&(key, Origin::File)), "{}", key);
            }
        }
    }

    /// A bad label is a problem of its own service.
    #[test]
    fn a_bad_option_changes_nobody(api in layers(), boxes in boxes(), labels in pairs(), bad in any::<String>()) {
        let loaded = loaded(FILES[1]);
        let domain = loaded.config.domain.as_deref();
        let mut labels = labels;
        labels.remove("wakedock.idle.stop-after");
        labels.insert("wakedock.stop-after".to_owned(), "never".to_owned());
        let one = |labels: &BTreeMap<String, String>| Crate {
            container: "newcomer".to_owned(),
            created: 1,
            source: source("newcomer", labels.clone()),
            was: None,
            holds: Vec::new(),
            removed: false,
        };
        let good = [boxes.clone(), vec![one(&labels)]].concat();
        labels.insert("wakedock.stop-after".to_owned(), format!("x{bad}"));
        let bad = [boxes, vec![one(&labels)]].concat();
        let said = |boxes| put_together(
            &Said { domain, file: &loaded.sources, api: &api, boxes, wildcards: false }, false,
        );
        let (good, bad) = (said(&good), said(&bad));
        for (name, assembly) in &good.services {
            if assembly.labelled.as_deref() != Some("newcomer") {
                prop_assert_eq!(Some(assembly), bad.services.get(name));
            }
        }
        prop_assert_eq!(good.services.len(), bad.services.len());
    }
}

/// The file alone makes the services that it makes without this.
#[test]
fn the_file_alone_is_what_it_was() {
    for file in FILES {
        let loaded = loaded(file);
        let empty = BTreeMap::new();
        let domain = loaded.config.domain.as_deref();
        let said = Said { domain, file: &loaded.sources, api: &empty, boxes: &[], wildcards: false };
        let specs: Vec<_> =
            put_together(&said, false).services.into_values().filter_map(|one| one.spec).collect();
        let mut wanted = loaded.config.services.clone();
        wanted.sort_by(|one, other| one.name.cmp(&other.name));
        assert_eq!(specs, wanted);
    }
}
