//! What the fuzz targets reach of reading a configuration. No part of the interface: it follows the
//! code behind it.

use std::path::PathBuf;

use crate::config::env::Environment;
use crate::config::load::{Emptiness, Loaded, Source, assemble};
use crate::config::problem::ConfigProblems;

/// The configuration that a file of this content means, with nothing in the environment.
///
/// # Errors
/// Every problem there is, at once.
pub fn read(bytes: &[u8]) -> Result<Loaded, ConfigProblems> {
    let source = Source { file: PathBuf::from("config.yml"), bytes: bytes.to_vec() };
    assemble(Some(source), &Environment::new(std::iter::empty()), Emptiness::Allowed)
}
