//! The containers that ask for WakeDock by their labels, or did so when they were seen last.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use serde_json::json;

use crate::config::sources::labels::{self, LabelSource, Labelled};
use crate::config::sources::{Assembled, Contender, SourceProblem, is_passing};
use crate::domain::name::ServiceName;
use crate::domain::time::Timestamp;
use crate::domain::words::Origin;
use crate::ports::Listed;

/// So many containers may ask: more than one machine runs, and few enough to hold in memory whatever
/// their labels say.
const MOST: usize = 2_000;
/// So many containers that ask, but not as it must be said, are told.
const MOST_UNCLEAR: usize = 50;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) id: String,
    pub(super) created: Timestamp,
    pub(super) source: LabelSource,
    /// The labels that count, as they are written down: a JSON object.
    pub(super) labels: Box<str>,
    /// The service it is.
    pub(super) was: Option<ServiceName>,
    /// What that service answers at because a label says so.
    pub(super) holds: Vec<String>,
    /// Since when it is away.
    pub(super) removed_at: Option<Timestamp>,
}

/// What of the labels counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) image_labels: bool,
    pub(super) keep_removed: Duration,
}

/// All of them, by the names of their containers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Contenders {
    pub(super) known: BTreeMap<String, Known>,
    /// Containers that may want to be asked for, but don't say so as it must be said.
    pub(super) problems: Vec<SourceProblem>,
}

impl Contenders {
    /// What is to be made of a list: of all containers, or, where no known one is missing in it, of
    /// those with labels.
    pub(super) fn seen(&self, listed: &[Listed], rules: Rules, now: Timestamp) -> Self {
        let mut next = Self::default();
        let names: HashMap<&str, &str> =
            listed.iter().map(|listed| (listed.name.as_str(), listed.id.0.as_str())).collect();
        let ids: HashMap<&str, &str> =
            listed.iter().map(|listed| (listed.id.0.as_str(), listed.name.as_str())).collect();
        let mut fresh: Vec<_> = listed.iter().collect();
        // Where there are too many, those go first that were first.
        fresh.sort_by_key(|listed| (!self.known.contains_key(&listed.name), listed.created, &listed.name));
        for listed in fresh {
            next.add(self, listed, rules);
        }
        for (name, known) in &self.known {
            let is_there = names.contains_key(name.as_str());
            let renamed = ids.get(known.id.as_str()).is_some_and(|now| now != name && !is_passing(now));
            // Made anew without labels, or under another name by now: let go at once. One that was
            // no service has nothing to be kept.
            if next.known.contains_key(name) || is_there || renamed || known.was.is_none() {
                continue;
            }
            let since = known.removed_at.unwrap_or(now);
            if now.since(since) < rules.keep_removed && next.known.len() < MOST {
                next.known.insert(name.clone(), Known { removed_at: Some(since), ..known.clone() });
            }
        }
        next
    }

    fn add(&mut self, before: &Self, listed: &Listed, rules: Rules) {
        let mut labels = listed.labels.clone();
        if rules.image_labels {
            labels.extend(listed.image_labels.clone());
        }
        let source = match labels::read(&listed.name, &labels) {
            Labelled::Not => return,
            Labelled::Unclear(problem) => return self.complain(&listed.name, problem),
            Labelled::Asks(source) => source,
        };
        if self.known.len() >= MOST {
            return self.complain(&listed.name, too_many());
        }
        let old = before.known.get(&listed.name);
        // One that was only renamed is what it was, unless compose is about to replace it.
        let renamed = || {
            let mut same = before.known.values().filter(|known| known.id == listed.id.0);
            same.next().filter(|_| !is_passing(&listed.name))
        };
        let old = old.or_else(renamed);
        let known = Known {
            id: listed.id.0.clone(),
            created: match old {
                Some(old) if old.id == listed.id.0 => old.created,
                _ => listed.created,
            },
            source,
            labels: json!(labels).to_string().into(),
            was: old.and_then(|old| old.was.clone()),
            holds: old.map(|old| old.holds.clone()).unwrap_or_default(),
            removed_at: None,
        };
        self.known.insert(listed.name.clone(), known);
    }

    fn complain(&mut self, container: &str, problem: SourceProblem) {
        if self.problems.len() < MOST_UNCLEAR {
            self.problems.push(SourceProblem { container: Some(container.to_owned()), ..problem });
        }
    }

    /// As the assembly wants them.
    pub(super) fn list(&self) -> Vec<Contender<'_>> {
        let away: HashSet<_> = self
            .known
            .values()
            .filter(|known| known.removed_at.is_some())
            .filter_map(|known| known.source.compose.as_ref())
            .collect();
        let contender = |(container, known)| {
            let (container, known): (&String, &Known) = (container, known);
            Contender {
                container,
                created: known.created,
                source: &known.source,
                was: known.was.as_ref(),
                holds: &known.holds,
                removed: known.removed_at.is_some(),
                is_again: known.source.compose.as_ref().is_some_and(|own| away.contains(own)),
            }
        };
        self.known.iter().map(contender).collect()
    }

    /// Notes which services they are now. Whether that is news.
    pub(super) fn remember(&mut self, assembled: &Assembled) -> bool {
        let mut services: HashMap<&str, (&ServiceName, &[String])> = HashMap::new();
        for (name, assembly) in &assembled.services {
            if let Some(container) = &assembly.labelled {
                services.insert(container, (name, &assembly.holds));
            }
        }
        let mut is_news = false;
        self.known.retain(|container, known| {
            let now = services.get(container.as_str());
            let (was, holds) = now.map_or((None, &[][..]), |(name, holds)| (Some(*name), *holds));
            is_news |= known.was.as_ref() != was || known.holds != holds;
            known.was = was.cloned();
            known.holds = holds.to_vec();
            // Another container is that service now.
            was.is_some() || known.removed_at.is_none()
        });
        is_news
    }
}

fn too_many() -> SourceProblem {
    SourceProblem {
        key: "wakedock.enable".to_owned(),
        value: None,
        reason: format!("is on more than {MOST} containers, and those made last are left out"),
        mend: "take it off some of them".to_owned(),
        origin: Origin::Label,
        container: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{ContainerId, ContainerState};

    const RULES: Rules = Rules { image_labels: false, keep_removed: Duration::from_secs(60) };

    fn listed(name: &str, id: &str, labels: &[(&str, &str)]) -> Listed {
        Listed {
            id: ContainerId(id.to_owned()),
            name: name.to_owned(),
            created: Timestamp::from_millis(1000),
            state: ContainerState::Created,
            image: String::new(),
            labels: labels.iter().map(|(label, value)| ((*label).into(), (*value).into())).collect(),
            image_labels: BTreeMap::new(),
            ports: Vec::new(),
        }
    }

    const ASKS: [(&str, &str); 2] = [("wakedock.enable", "true"), ("wakedock.host", "a.b")];

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// One container that is a service.
    fn one() -> Contenders {
        let mut one = Contenders::default().seen(&[listed("web", "1", &ASKS)], RULES, at(0));
        one.known.get_mut("web").unwrap().was = ServiceName::parse("web").ok();
        one
    }

    #[test]
    fn one_that_is_away_is_kept_for_its_time() {
        let away = one().seen(&[], RULES, at(5_000));
        assert_eq!(away.known["web"].removed_at, Some(at(5_000)));
        let still = away.seen(&[], RULES, at(64_000));
        assert_eq!(still.known["web"].removed_at, Some(at(5_000)));
        assert!(still.seen(&[], RULES, at(65_000)).known.is_empty());
        let back = still.seen(&[listed("web", "2", &ASKS)], RULES, at(64_500));
        assert_eq!(back.known["web"].removed_at, None);
        assert_eq!(back.known["web"].was, ServiceName::parse("web").ok());
    }

    #[test]
    fn one_that_came_back_without_labels_is_let_go() {
        assert!(one().seen(&[listed("web", "2", &[])], RULES, at(1)).known.is_empty());
        let off = [("wakedock.enable", "false"), ("wakedock.host", "a.b")];
        assert!(one().seen(&[listed("web", "2", &off)], RULES, at(1)).known.is_empty());
    }

    #[test]
    fn a_rename_is_no_removal_unless_compose_does_it() {
        let renamed = one().seen(&[listed("shop", "1", &ASKS)], RULES, at(1));
        assert_eq!(renamed.known.keys().collect::<Vec<_>>(), ["shop"]);
        assert_eq!(renamed.known["shop"].was, ServiceName::parse("web").ok());
        let replaced = one().seen(&[listed("0123456789ab_web", "1", &ASKS)], RULES, at(1));
        assert_eq!(replaced.known["web"].removed_at, Some(at(1)), "it comes back in a moment");
        assert_eq!(replaced.known["0123456789ab_web"].was, None);
    }

    #[test]
    fn labels_of_the_image_count_where_they_may() {
        let mut of_image = listed("web", "1", &[]);
        of_image.image_labels = ASKS.map(|(label, value)| (label.into(), value.into())).into();
        let list = [of_image];
        assert!(Contenders::default().seen(&list, RULES, at(0)).known.is_empty());
        let rules = Rules { image_labels: true, ..RULES };
        assert_eq!(Contenders::default().seen(&list, rules, at(0)).known.len(), 1);
    }

    #[test]
    fn a_stranger_cannot_crowd_out_who_was_there_before() {
        let crowd: Vec<_> =
            (0..MOST + 100).map(|n| listed(&format!("a{n}"), &n.to_string(), &ASKS)).collect();
        let mut all = crowd;
        all.push(listed("web", "1x", &ASKS));
        let mut before = one();
        before.known.get_mut("web").unwrap().id = "1x".to_owned();
        let next = before.seen(&all, RULES, at(0));
        assert_eq!(next.known.len(), MOST);
        assert!(next.known.contains_key("web"));
        assert_eq!(next.problems.len(), MOST_UNCLEAR);
    }
}
