//! The way to talk to the publisher.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use crate::config::{CaddyConfig, CaddyMode};
use crate::domain::host::{HostPattern, Hostname};
use crate::supervisor::publish::ask::{Ask, AskError, Draft, Verdict};
use crate::supervisor::publish::state::PublishState;

/// What Caddy is to run.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    /// `None`: not known yet. A WakeDock that has just started must not take the routes away.
    pub(super) hosts: Option<BTreeSet<HostPattern>>,
    pub(super) config: CaddyConfig,
    /// The dashboard's own host.
    pub(super) dashboard: Option<Hostname>,
}

/// The way to talk to the publisher. It ends when all of these are gone.
#[derive(Debug, Clone)]
pub struct PublisherHandle {
    pub(super) wish: Arc<watch::Sender<Wish>>,
    pub(super) ask: mpsc::Sender<Ask>,
    pub(super) state: watch::Receiver<PublishState>,
}

impl PublisherHandle {
    /// These are the hosts of all services. The same ones again are no news.
    pub fn set_sites(&self, hosts: Vec<HostPattern>) {
        let hosts: BTreeSet<HostPattern> = hosts.into_iter().collect();
        self.wish.send_if_modified(|wish| {
            let is_news = wish.hosts.as_ref() != Some(&hosts);
            if is_news {
                wish.hosts = Some(hosts);
            }
            is_news
        });
    }

    /// This is the dashboard's own host. The same one again is no news.
    pub fn set_dashboard(&self, host: Option<Hostname>) {
        self.wish.send_if_modified(|wish| {
            let is_news = wish.dashboard != host;
            wish.dashboard = host;
            is_news
        });
    }

    /// This is the configuration now. It is always compared with what Caddy runs, also where
    /// nothing changed: somebody asked for a reload.
    pub fn set_config(&self, config: CaddyConfig) {
        self.wish.send_modify(|wish| wish.config = config);
    }

    /// How Caddy is told.
    #[must_use]
    pub fn mode(&self) -> CaddyMode {
        self.wish.borrow().config.mode
    }

    /// What Caddy is to run, or the file that is to be imported.
    ///
    /// # Errors
    /// Says what stands in the way.
    pub async fn draft(&self) -> Result<Draft, AskError> {
        self.ask(Ask::Draft).await
    }

    /// What Caddy thinks of it. Nothing is changed.
    ///
    /// # Errors
    /// There is nothing to think about, or Caddy does not answer.
    pub async fn verdict(&self) -> Result<Verdict, AskError> {
        self.ask(Ask::Verdict).await
    }

    /// Publishes now, and tells how that ended.
    ///
    /// # Errors
    /// There is nothing to publish.
    pub async fn publish(&self) -> Result<PublishState, AskError> {
        self.ask(Ask::Publish).await
    }

    async fn ask<T>(
        &self,
        ask: impl FnOnce(oneshot::Sender<Result<T, AskError>>) -> Ask,
    ) -> Result<T, AskError> {
        let (answer, answered) = oneshot::channel();
        self.ask.send(ask(answer)).await.map_err(|_| AskError::Ended)?;
        answered.await.unwrap_or(Err(AskError::Ended))
    }

    /// How it stands.
    #[must_use]
    pub fn state(&self) -> PublishState {
        self.state.borrow().clone()
    }

    /// Every change of how it stands.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<PublishState> {
        self.state.clone()
    }
}
