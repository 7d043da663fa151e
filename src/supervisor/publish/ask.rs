//! What people ask the publisher: what Caddy is to run, what Caddy thinks of it, and to publish it
//! now.

use tokio::sync::oneshot;

use crate::caddy::extra::Extra;
use crate::caddy::features::{self, Features};
use crate::caddy::render;
use crate::caddy::sites::Sites;
use crate::config::{CaddyConfig, CaddyMode};
use crate::ports::{CaddyAdmin, CaddyError};
use crate::supervisor::publish::attempt::{Failure, blocking};
use crate::supervisor::publish::state::PublishState;

/// What is asked, with the way back.
pub(super) enum Ask {
    Draft(oneshot::Sender<Result<Draft, AskError>>),
    Verdict(oneshot::Sender<Result<Verdict, AskError>>),
    Publish(oneshot::Sender<Result<PublishState, AskError>>),
}

/// What Caddy is to run, or the file that is to be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub mode: CaddyMode,
    pub caddyfile: String,
    /// Options in the operator's files that WakeDock's own take the place of.
    pub notes: Vec<String>,
}

/// What Caddy thinks of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub draft: Draft,
    /// Why Caddy refuses it, in its own words, with the line where it names one.
    pub rejected: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// WakeDock has just started, and does not know its hosts.
    #[error("the hosts are not known yet")]
    TooEarly,
    #[error("`caddy.mode` is `off`: nothing is published")]
    Off,
    /// Nothing can be rendered: a file of the operator's stands against it.
    #[error("{0}")]
    Unusable(String),
    #[error("{0}")]
    Unreachable(String),
    /// WakeDock is ending.
    #[error("the publisher has ended")]
    Ended,
}

/// Renders what Caddy is to run. In mode `managed` the same as would be published, as far as Caddy
/// tells what it can do.
pub(super) async fn draft(
    admin: Option<&dyn CaddyAdmin>,
    sites: &Sites,
    config: &CaddyConfig,
) -> Result<Draft, AskError> {
    let unusable = |failure: Failure| AskError::Unusable(failure.message);
    if config.mode != CaddyMode::Managed {
        let caddyfile = render::import_file(sites, config).map_err(|error| unusable(error.into()))?;
        return Ok(Draft { mode: config.mode, caddyfile, notes: Vec::new() });
    }
    let extra = match config.extra.clone() {
        Some(pattern) => {
            let read = blocking(move || Extra::read(&pattern)).await.map_err(unusable)?;
            read.map_err(|error| unusable(error.into()))?
        }
        None => Extra::default(),
    };
    let features = match admin {
        Some(admin) => features::probe(admin).await.unwrap_or_default(),
        None => Features::default(),
    };
    let rendered =
        render::caddyfile(sites, config, features, &extra).map_err(|error| unusable(error.into()))?;
    Ok(Draft { mode: config.mode, caddyfile: rendered.text, notes: rendered.notes })
}

/// Has Caddy read a draft, without running it.
pub(super) async fn verdict(admin: &dyn CaddyAdmin, draft: Draft) -> Result<Verdict, AskError> {
    match admin.adapt(&draft.caddyfile).await {
        Ok(_) => Ok(Verdict { draft, rejected: None }),
        Err(CaddyError::Rejected { message }) => Ok(Verdict { draft, rejected: Some(message) }),
        Err(error @ CaddyError::Away { .. }) => Err(AskError::Unreachable(error.to_string())),
    }
}
