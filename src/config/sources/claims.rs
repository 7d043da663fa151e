//! One host belongs to one service: the first claim stands.

use std::collections::HashMap;

use crate::config::problem::Fault;
use crate::config::sources::assemble::Part;
use crate::domain::host::{HostPattern, Hostname};
use crate::domain::time::Timestamp;
use crate::domain::words::Origin;

/// Who goes first: the lesser.
type Rank<'a> = (u8, bool, Timestamp, &'a str);

/// Leaves every part the hosts that are its own. Who loses one keeps the others, and is told who
/// has it; who keeps none is left out, because nobody could wake it.
///
/// File and API share a host by its paths. A label gets a host as a whole or not at all: whoever has
/// a part of a site can read what the rest of it keeps in the browser.
pub(super) fn grant(parts: &mut [Part<'_>], own: &[Hostname]) {
    let names: Vec<_> = parts.iter().map(|part| (part.name.clone(), part.speaks)).collect();
    let firm = Owners::of(parts, own, |part, host| (class(part) < LABEL).then(|| part.route(host)));
    let mut taken: Vec<(HostPattern, usize)> = Vec::new();
    for (index, part) in parts.iter().enumerate().filter(|(_, part)| !part.is_out && class(part) < LABEL) {
        let has = |host: &&HostPattern| firm.0.get(&part.route(host)) == Some(&index);
        taken.extend(part.hosts.iter().filter(has).map(|host| (host.clone(), index)));
    }
    let loose = Owners::of(parts, own, |part, host| (class(part) == LABEL).then(|| host.to_string()));
    for (index, part) in parts.iter_mut().enumerate().filter(|(_, part)| !part.is_out) {
        let asked = std::mem::take(&mut part.hosts);
        let had_any = !asked.is_empty();
        for host in asked {
            if is_own(&host, own) {
                let reason = format!("asks for `{host}`, which is WakeDock's own host");
                part.complain("hosts", Fault::new(reason, "give it another host"));
                continue;
            }
            let owner = if class(part) < LABEL {
                firm.0.get(&part.route(&host)).copied()
            } else {
                let before = taken.iter().find(|(taken, by)| *by != index && covers(taken, &host));
                before.map(|(_, by)| *by).or(loose.0.get(&host.to_string()).copied())
            };
            match owner.filter(|owner| *owner != index).map(|owner| &names[owner]) {
                Some((name, speaks)) => {
                    let reason = format!(
                        "asks for `{}`, which belongs to the service `{name}` already ({})",
                        part.route(&host),
                        by(*speaks)
                    );
                    let mend = format!("give it another host, or take this one from `{name}`");
                    part.complain("hosts", Fault::new(reason, mend));
                }
                None => part.hosts.push(host),
            }
        }
        // What the file says is a service, whatever a label adds to it.
        part.is_out |= had_any && part.hosts.is_empty() && !part.is_of_file();
    }
}

/// Who goes first for what, by what is claimed.
struct Owners(HashMap<String, usize>);

impl Owners {
    /// `claim`: what a part claims by asking for a host; nothing where others decide.
    fn of(
        parts: &[Part<'_>],
        own: &[Hostname],
        claim: impl Fn(&Part<'_>, &HostPattern) -> Option<String>,
    ) -> Self {
        let mut owners: HashMap<String, (Rank<'_>, usize)> = HashMap::new();
        for (index, part) in parts.iter().enumerate().filter(|(_, part)| !part.is_out) {
            for host in part.hosts.iter().filter(|host| !is_own(host, own)) {
                let Some(claimed) = claim(part, host) else { continue };
                let rank = rank(part, &part.route(host));
                match owners.get(&claimed) {
                    Some((first, _)) if *first <= rank => {}
                    _ => {
                        owners.insert(claimed, (rank, index));
                    }
                }
            }
        }
        Self(owners.into_iter().map(|(claimed, (_, index))| (claimed, index)).collect())
    }
}

/// Whether whoever has the one has the other with it.
fn covers(taken: &HostPattern, host: &HostPattern) -> bool {
    match host {
        HostPattern::Exact(exact) => taken.matches(exact.as_str()),
        HostPattern::Wildcard(_) => taken == host,
    }
}

fn is_own(host: &HostPattern, own: &[Hostname]) -> bool {
    matches!(host, HostPattern::Exact(host) if own.contains(host))
}

fn by(origin: Origin) -> &'static str {
    match origin {
        Origin::File => "by the configuration file",
        Origin::Api => "by the API",
        Origin::Label => "by label",
        Origin::Shared | Origin::Default => "by its name",
    }
}

const LABEL: u8 = 2;

fn class(part: &Part<'_>) -> u8 {
    match part.speaks {
        Origin::File => 0,
        Origin::Api => 1,
        Origin::Label | Origin::Shared | Origin::Default => LABEL,
    }
}

fn rank<'a>(part: &'a Part<'_>, route: &str) -> Rank<'a> {
    let class = class(part);
    let is_new = class == LABEL && !part.holds.iter().any(|held| held == route);
    (class, is_new, part.since, part.name.as_str())
}
