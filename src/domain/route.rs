//! Host and path to service: one hash look-up for an exact host, a second for a wildcard.

use std::collections::HashMap;

use crate::domain::host::HostPattern;

/// All routes. Built once for a configuration, then only read.
#[derive(Debug, Clone)]
pub struct RouteTable<T> {
    exact: HashMap<Box<str>, Vec<Route<T>>>,
    /// By the parent of the wildcard.
    wildcard: HashMap<Box<str>, Vec<Route<T>>>,
}

#[derive(Debug, Clone)]
struct Route<T> {
    /// Empty: every path.
    prefix: Box<str>,
    target: T,
}

impl<T> Default for RouteTable<T> {
    fn default() -> Self {
        Self { exact: HashMap::new(), wildcard: HashMap::new() }
    }
}

impl<T> RouteTable<T> {
    /// Adds a route. False, and nothing changed, where the same host and path have one already.
    pub fn insert(&mut self, host: &HostPattern, path: Option<&str>, target: T) -> bool {
        let (map, key) = match host {
            HostPattern::Exact(host) => (&mut self.exact, host.as_str()),
            HostPattern::Wildcard(parent) => (&mut self.wildcard, parent.as_str()),
        };
        let prefix = path.unwrap_or("").trim_end_matches('/');
        let routes = map.entry(key.into()).or_default();
        if routes.iter().any(|route| &*route.prefix == prefix) {
            return false;
        }
        routes.push(Route { prefix: prefix.into(), target });
        // The longest prefix is tried first.
        routes.sort_by_key(|route| std::cmp::Reverse(route.prefix.len()));
        true
    }

    /// Finds the route for a host (lower case, no port, no trailing dot) and a path.
    /// An exact host goes before a wildcard, a longer path before a shorter one.
    #[must_use]
    pub fn find(&self, host: &str, path: &str) -> Option<&T> {
        if let Some(found) = self.exact.get(host).and_then(|routes| first_match(routes, path)) {
            return Some(found);
        }
        if self.wildcard.is_empty() {
            return None;
        }
        let (label, parent) = host.split_once('.')?;
        if label.is_empty() {
            return None;
        }
        self.wildcard.get(parent).and_then(|routes| first_match(routes, path))
    }

    /// Whether any service has this host, whatever the path.
    #[must_use]
    pub fn knows(&self, host: &str) -> bool {
        self.exact.contains_key(host)
            || host
                .split_once('.')
                .is_some_and(|(label, parent)| !label.is_empty() && self.wildcard.contains_key(parent))
    }
}

fn first_match<'a, T>(routes: &'a [Route<T>], path: &str) -> Option<&'a T> {
    routes.iter().find(|route| is_below(path, &route.prefix)).map(|route| &route.target)
}

/// Whether `path` is `prefix` or lies below it, by whole segments.
fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| prefix.is_empty() || rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(routes: &[(&str, Option<&str>, u8)]) -> RouteTable<u8> {
        let mut table = RouteTable::default();
        for (host, path, target) in routes {
            assert!(table.insert(&HostPattern::parse(host).unwrap(), *path, *target));
        }
        table
    }

    #[test]
    fn exact_before_wildcard() {
        let table = table(&[("*.example.com", None, 1), ("a.example.com", None, 2)]);
        assert_eq!(table.find("a.example.com", "/"), Some(&2));
        assert_eq!(table.find("b.example.com", "/"), Some(&1));
        assert_eq!(table.find("example.com", "/"), None);
        assert_eq!(table.find("x.y.example.com", "/"), None);
        assert!(table.knows("zzz.example.com"));
    }

    #[test]
    fn paths_by_whole_segments() {
        let table = table(&[("a.b", None, 1), ("a.b", Some("/api"), 2), ("a.b", Some("/api/v2"), 3)]);
        assert_eq!(table.find("a.b", "/apix"), Some(&1));
        assert_eq!(table.find("a.b", "/api"), Some(&2));
        assert_eq!(table.find("a.b", "/api/v1"), Some(&2));
        assert_eq!(table.find("a.b", "/api/v2/x"), Some(&3));
    }

    #[test]
    fn one_host_has_one_service() {
        let mut table = table(&[("a.b", None, 1)]);
        assert!(!table.insert(&HostPattern::parse("A.b").unwrap(), None, 2));
        assert_eq!(table.find("a.b", "/"), Some(&1));
    }
}
