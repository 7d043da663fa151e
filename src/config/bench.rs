//! What the fuzz targets reach of reading a configuration. No part of the interface: it follows the
//! code behind it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::config::env::Environment;
use crate::config::load::{Emptiness, Loaded, Source, assemble};
use crate::config::problem::ConfigProblems;
use crate::config::sources::labels::{self, Labelled};
use crate::config::sources::{self, Assembled, Contender, FileSources, Input};
use crate::domain::time::Timestamp;

/// The configuration that a file of this content means, with nothing in the environment.
///
/// # Errors
/// Every problem there is, at once.
pub fn read(bytes: &[u8]) -> Result<Loaded, ConfigProblems> {
    let source = Source { file: PathBuf::from("config.yml"), bytes: bytes.to_vec() };
    assemble(Some(source), &Environment::new(std::iter::empty()), Emptiness::Allowed)
}

/// The services that containers with these labels make, with nothing else said.
#[must_use]
pub fn labelled<'a>(containers: impl Iterator<Item = (&'a str, &'a BTreeMap<String, String>)>) -> Assembled {
    let read = containers.filter_map(|(container, labels)| match labels::read(container, labels) {
        Labelled::Asks(source) => Some((container, source)),
        Labelled::Not | Labelled::Unclear(_) => None,
    });
    let read: BTreeMap<_, _> = read.collect();
    let contenders: Vec<_> = read
        .iter()
        .map(|(container, source)| Contender {
            container,
            created: Timestamp::default(),
            source,
            was: None,
            holds: &[],
            removed: false,
            is_again: false,
        })
        .collect();
    sources::assemble(&Input {
        domain: Some("example.com"),
        own_hosts: &[],
        wildcard_labels: true,
        file: &FileSources::default(),
        api: &[],
        contenders: &contenders,
    })
}
