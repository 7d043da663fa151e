//! Puts the parts together and runs them.

use std::process::ExitCode;

use crate::config::{Config, Loaded};

/// Runs WakeDock until it is told to end.
#[must_use]
pub fn serve(_loaded: Loaded) -> ExitCode {
    ExitCode::FAILURE
}

/// The Caddyfile that this configuration is published as.
///
/// # Errors
/// It cannot be rendered.
pub fn caddyfile(_config: &Config) -> Result<String, Box<dyn std::error::Error>> {
    Err("rendering is not wired up".into())
}
