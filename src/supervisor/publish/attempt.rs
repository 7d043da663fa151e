//! One attempt to have Caddy run what WakeDock knows.

use std::error::Error;
use std::fmt::Write;

use serde_json::Value;
use tokio::task::spawn_blocking;

use crate::caddy::extra::{Extra, ExtraError};
use crate::caddy::render::{self, RenderError};
use crate::caddy::sites::Sites;
use crate::caddy::{document, features, file};
use crate::config::CaddyConfig;
use crate::domain::words::PublishOutcome;
use crate::ports::{CaddyAdmin, CaddyError};

/// What an attempt came to.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) outcome: PublishOutcome,
    /// What Caddy runs now.
    pub(super) target: Value,
    pub(super) notes: Vec<String>,
}

/// Why Caddy does not run what it should.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) outcome: PublishOutcome,
    pub(super) message: String,
}

impl Failure {
    fn rejected(error: &dyn Error) -> Self {
        Self { outcome: PublishOutcome::Rejected, message: with_causes(error) }
    }
}

impl From<CaddyError> for Failure {
    fn from(error: CaddyError) -> Self {
        match error {
            CaddyError::Away { .. } => {
                Self { outcome: PublishOutcome::Unreachable, message: with_causes(&error) }
            }
            CaddyError::Rejected { .. } => Self::rejected(&error),
        }
    }
}

impl From<ExtraError> for Failure {
    fn from(error: ExtraError) -> Self {
        Self::rejected(&error)
    }
}

impl From<RenderError> for Failure {
    fn from(error: RenderError) -> Self {
        Self { outcome: PublishOutcome::Rejected, message: format!("{error}: {}", error.reason()) }
    }
}

/// Mode `managed`: render, adapt, and load where the result differs from what runs.
pub(super) async fn publish(
    admin: &dyn CaddyAdmin,
    running: &Value,
    sites: &Sites,
    config: &CaddyConfig,
) -> Result<Done, Failure> {
    let extra = match config.extra.clone() {
        Some(pattern) => blocking(move || Extra::read(&pattern)).await??,
        None => Extra::default(),
    };
    // Asked anew each time: Caddy may have been replaced by another version since.
    let features = features::probe(admin).await?;
    let rendered = render::caddyfile(sites, config, features, &extra)?;
    let target = document::prepare(admin.adapt(&rendered.text).await?, running);
    let outcome = if document::same(&target, running) {
        PublishOutcome::Unchanged
    } else {
        admin.load(&target).await?;
        PublishOutcome::Published
    };
    let mut notes = rendered.notes;
    if document::has_options(running) {
        let note = "the Caddyfile that Caddy was started with has global options, and WakeDock's take their \
                    place: write them into a file of `caddy.extra`";
        notes.push(note.to_owned());
    }
    Ok(Done { outcome, target, notes })
}

/// Mode `file`: render, and write where the result differs from what is there.
pub(super) async fn write(sites: &Sites, config: &CaddyConfig) -> Result<PublishOutcome, Failure> {
    let text = render::import_file(sites, config)?;
    let path = config.file.clone();
    match blocking(move || file::write(&path, &text)).await? {
        Ok(true) => Ok(PublishOutcome::Published),
        Ok(false) => Ok(PublishOutcome::Unchanged),
        Err(error) => Err(Failure::rejected(&error)),
    }
}

/// Files are slow where the disk is.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    spawn_blocking(work).await.map_err(|error| Failure::rejected(&error))
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
