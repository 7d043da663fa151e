//! Configuration: what is read, what is refused and how, what is generated, and reloads.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod commands;
mod generated;
mod malformed;
mod reading;
mod watching;

use std::path::PathBuf;

use wakedock::config::{ConfigProblems, Loaded, load};

/// A configuration file in a directory of its own.
struct ConfigFile {
    directory: tempfile::TempDir,
}

impl ConfigFile {
    fn new(text: impl AsRef<[u8]>) -> Self {
        let file = Self { directory: tempfile::tempdir().unwrap() };
        file.write(text);
        file
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("config.yml")
    }

    fn write(&self, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(), text).unwrap();
    }

    /// As editors do it: a new file, renamed over the old one.
    fn replace(&self, text: &str) {
        let fresh = self.directory.path().join("config.yml.new");
        std::fs::write(&fresh, text).unwrap();
        std::fs::rename(fresh, self.path()).unwrap();
    }

    fn load(&self, env: &[(&str, &str)]) -> Result<Loaded, ConfigProblems> {
        load(Some(&self.path()), variables(env).into_iter())
    }
}

fn variables(env: &[(&str, &str)]) -> Vec<(String, String)> {
    env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn read(text: &str) -> Result<Loaded, ConfigProblems> {
    ConfigFile::new(text).load(&[])
}

/// A service of this name without anything special.
fn service(name: &str) -> String {
    format!("services: [{{ name: {name}, hosts: [{name}.example.com], container: {name} }}]\n")
}
