//! Caddy: what it is told (a Caddyfile made from a template), and how (its admin API, or a file).
//!
//! Routes come from WakeDock's own knowledge, never from what runs at the moment, so that a
//! service that sleeps, or was removed, keeps its host.

pub mod admin;
#[doc(hidden)]
pub mod bench;
pub mod document;
pub mod extra;
pub mod features;
pub mod file;
pub mod lexer;
pub mod render;
pub mod sites;

use crate::caddy::extra::{Extra, ExtraError};
use crate::caddy::features::Features;
use crate::caddy::render::{RenderError, Rendered};
use crate::caddy::sites::{OwnAddresses, Sites};
use crate::config::{CaddyMode, Config};

/// Why there is no Caddyfile for a configuration.
#[derive(Debug, thiserror::Error)]
pub enum CaddyfileError {
    #[error("`proxy.listen` is empty: Caddy has nowhere to send requests to")]
    NoListener,
    #[error(transparent)]
    Extra(#[from] ExtraError),
    #[error(transparent)]
    Render(#[from] RenderError),
}

/// The Caddyfile that a configuration means, without asking any Caddy what it knows: what every
/// version from 2.6.2 on accepts. In mode `file` it is the file to import, and in mode `off`, where
/// nothing is published, the same.
///
/// # Errors
/// Says which of the operator's files, or which value, stands in the way.
pub fn caddyfile(config: &Config) -> Result<Rendered, CaddyfileError> {
    let own =
        OwnAddresses::choose(&config.proxy.listen, config.admin.listen).ok_or(CaddyfileError::NoListener)?;
    let hosts = config.services.iter().flat_map(|service| service.hosts.iter().cloned()).collect();
    let sites = Sites { hosts, own, dashboard: config.admin.host.clone() };
    if config.caddy.mode != CaddyMode::Managed {
        return Ok(Rendered { text: render::import_file(&sites, &config.caddy)?, notes: Vec::new() });
    }
    let extra = match &config.caddy.extra {
        Some(pattern) => Extra::read(pattern)?,
        None => Extra::default(),
    };
    Ok(render::caddyfile(&sites, &config.caddy, Features::default(), &extra)?)
}
