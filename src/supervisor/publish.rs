//! Keeps Caddy in step with the set of routes, by one task.
//!
//! Sleeping and waking never come here: a change of Caddy's configuration can close every
//! WebSocket of every site. Only another set of hosts, another configuration or another file of
//! the operator's leads to a publish, and only where the result differs from what Caddy runs.

mod ask;
mod attempt;
mod task;

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use crate::config::{CaddyAddress, CaddyConfig, CaddyMode};
use crate::domain::host::{HostPattern, Hostname};
use crate::domain::time::Timestamp;
use crate::domain::words::PublishOutcome;
use crate::ports::CaddyAdmin;

use crate::supervisor::publish::ask::Ask;
pub use crate::supervisor::publish::ask::{AskError, Draft, Verdict};
pub use crate::supervisor::publish::task::Publisher;

/// Makes a client of the Caddy at an address.
pub type Connect = Box<dyn Fn(&CaddyAddress) -> Arc<dyn CaddyAdmin> + Send + Sync>;
/// Hears of every attempt, to count it.
pub type OnOutcome = Box<dyn Fn(PublishOutcome) + Send + Sync>;

/// How WakeDock stands with Caddy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublishState {
    /// Of the last attempt. `None`: there was none yet, or the mode is `off`.
    pub outcome: Option<PublishOutcome>,
    /// When that was.
    pub at: Timestamp,
    /// For the operator: why not, in Caddy's own words where it said some.
    pub message: Option<String>,
    /// Caddy runs somebody else's configuration, which is left alone.
    pub foreign: bool,
    /// How many hosts Caddy was told of last.
    pub hosts: usize,
    /// Options in the operator's files that WakeDock's own take the place of.
    pub notes: Vec<String>,
}

impl PublishState {
    /// Whether Caddy runs what it should, as far as is known.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        use PublishOutcome::{Published, Rejected, Unchanged, Unreachable};
        match self.outcome {
            None | Some(Published | Unchanged) => !self.foreign,
            Some(Rejected | Unreachable) => false,
        }
    }
}

/// What Caddy is to run.
#[derive(Debug, Clone)]
struct Wish {
    /// `None`: not known yet. A WakeDock that has just started must not take the routes away.
    hosts: Option<BTreeSet<HostPattern>>,
    config: CaddyConfig,
    /// The dashboard's own host.
    dashboard: Option<Hostname>,
}

/// The way to talk to the publisher. It ends when all of these are gone.
#[derive(Debug, Clone)]
pub struct PublisherHandle {
    wish: Arc<watch::Sender<Wish>>,
    ask: mpsc::Sender<Ask>,
    state: watch::Receiver<PublishState>,
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
