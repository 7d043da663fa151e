//! Host and path to service, against a table that is searched from end to end.

#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use wakedock::domain::host::HostPattern;
use wakedock::domain::route::RouteTable;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    routes: Vec<(&'a str, Option<&'a str>)>,
    questions: Vec<(&'a str, &'a str)>,
}

fn below(path: &str, prefix: &str) -> bool {
    path == prefix || prefix.is_empty() || (path.starts_with(prefix) && path[prefix.len()..].starts_with('/'))
}

fuzz_target!(|input: Input<'_>| {
    let mut table = RouteTable::default();
    let mut plain: Vec<(HostPattern, &str, usize)> = Vec::new();
    for (number, (host, path)) in input.routes.iter().enumerate() {
        let Ok(pattern) = HostPattern::parse(host) else { continue };
        let prefix = path.unwrap_or("").trim_end_matches('/');
        let taken = plain.iter().any(|(other, at, _)| *other == pattern && *at == prefix);
        assert_eq!(table.insert(&pattern, *path, number), !taken);
        if !taken {
            plain.push((pattern, prefix, number));
        }
    }
    for (host, path) in &input.questions {
        let best = plain
            .iter()
            .filter(|(pattern, prefix, _)| pattern.matches(host) && below(path, prefix))
            .max_by_key(|(pattern, prefix, _)| (matches!(pattern, HostPattern::Exact(_)), prefix.len()));
        assert_eq!(table.find(host, path), best.map(|(_, _, number)| number));
        assert_eq!(table.knows(host), plain.iter().any(|(pattern, ..)| pattern.matches(host)));
    }
});
