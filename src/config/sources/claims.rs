//! One host, with its path, belongs to one service: the first claim stands.

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
pub(super) fn grant(parts: &mut [Part<'_>], own: Option<&Hostname>) {
    let mut owners: HashMap<String, (Rank<'_>, usize)> = HashMap::new();
    for (index, part) in parts.iter().enumerate().filter(|(_, part)| !part.is_out) {
        for host in part.hosts.iter().filter(|host| !is_own(host, own)) {
            let route = part.route(host);
            let rank = rank(part, &route);
            match owners.get(&route) {
                Some((first, _)) if *first <= rank => {}
                _ => {
                    owners.insert(route, (rank, index));
                }
            }
        }
    }
    let owners: HashMap<String, usize> =
        owners.into_iter().map(|(route, (_, index))| (route, index)).collect();
    let names: Vec<_> = parts.iter().map(|part| (part.name.clone(), part.speaks)).collect();
    for (index, part) in parts.iter_mut().enumerate().filter(|(_, part)| !part.is_out) {
        let asked = std::mem::take(&mut part.hosts);
        let had_any = !asked.is_empty();
        for host in asked {
            if is_own(&host, own) {
                let reason = format!("asks for `{host}`, which is WakeDock's own host");
                part.complain("hosts", Fault::new(reason, "give it another host"));
                continue;
            }
            let route = part.route(&host);
            match owners.get(&route).map(|owner| (*owner, &names[*owner])) {
                Some((owner, (name, speaks))) if owner != index => {
                    let reason = format!(
                        "asks for `{route}`, which belongs to the service `{name}` already ({})",
                        by(*speaks)
                    );
                    let mend = format!("give it another host, or take this one from `{name}`");
                    part.complain("hosts", Fault::new(reason, mend));
                }
                _ => part.hosts.push(host),
            }
        }
        // What the file says is a service, whatever a label adds to it.
        part.is_out |= had_any && part.hosts.is_empty() && !part.is_of_file();
    }
}

fn is_own(host: &HostPattern, own: Option<&Hostname>) -> bool {
    matches!((host, own), (HostPattern::Exact(host), Some(own)) if host == own)
}

fn by(origin: Origin) -> &'static str {
    match origin {
        Origin::File => "by the configuration file",
        Origin::Api => "by the API",
        Origin::Label => "by label",
        Origin::Shared | Origin::Default => "by its name",
    }
}

fn rank<'a>(part: &'a Part<'_>, route: &str) -> Rank<'a> {
    let class = match part.speaks {
        Origin::File => 0,
        Origin::Api => 1,
        Origin::Label | Origin::Shared | Origin::Default => 2,
    };
    let is_new = class == 2 && !part.holds.iter().any(|held| held == route);
    (class, is_new, part.since, part.name.as_str())
}
