//! The task that publishes: when it looks, when it acts, when it tries again.

use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tracing::{info, warn};

use crate::caddy::document::{self, Owner};
use crate::caddy::extra;
use crate::caddy::sites::{OwnAddresses, Sites};
use crate::clock;
use crate::config::{CaddyAddress, CaddyConfig, CaddyMode};
use crate::domain::time::Moment;
use crate::domain::words::PublishOutcome;
use crate::ports::CaddyAdmin;
use crate::supervisor::publish::ask::{self, Ask, AskError, Draft, Verdict};
use crate::supervisor::publish::attempt::{self, Failure};
use crate::supervisor::publish::handle::{PublisherHandle, Wish};
use crate::supervisor::publish::state::PublishState;

/// Changes that come together are published together.
const COALESCE: Duration = Duration::from_millis(50);
/// How often the operator's files are looked at; also, how soon after a look the next one may come
/// because Caddy changed.
const TICK: Duration = Duration::from_secs(1);
/// How often Caddy is asked what it runs although nothing tells of a change.
const CHECK: Duration = Duration::from_secs(60);
/// The first pause after a failure; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause while Caddy is away: its return is noticed this late at most.
const LONGEST_ABSENCE: Duration = Duration::from_secs(5);
/// The longest pause before what was rejected is tried again: it seldom gets better by itself.
const LONGEST_REJECTION: Duration = Duration::from_secs(60);
/// What somebody put in the place of ours is replaced this often at most: each time costs every
/// site its WebSockets.
const CALM: Duration = Duration::from_secs(10);

/// Questions that wait.
const ASKS: usize = 8;

/// Makes a client of the Caddy at an address.
pub type Connect = Box<dyn Fn(&CaddyAddress) -> Arc<dyn CaddyAdmin> + Send + Sync>;
/// Hears of every attempt, to count it.
pub type OnOutcome = Box<dyn Fn(PublishOutcome) + Send + Sync>;

/// The task.
pub struct Publisher {
    wish: watch::Receiver<Wish>,
    asks: Option<mpsc::Receiver<Ask>>,
    state: watch::Sender<PublishState>,
    own: OwnAddresses,
    connect: Connect,
    /// The Caddy that was looked at last.
    caddy: Option<(CaddyAddress, Arc<dyn CaddyAdmin>)>,
    on_outcome: OnOutcome,
    /// What Caddy was given last, or was found running: the last good one.
    target: Option<Value>,
    /// The operator's files, as they were at the last look.
    stamp: Vec<(PathBuf, SystemTime, u64)>,
    /// Caddy may not run what it should.
    is_open: bool,
    /// Not tried again before.
    retry_at: Moment,
    pause: Duration,
    calm_until: Moment,
    looked_at: Moment,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("own", &self.own).finish_non_exhaustive()
    }
}

impl Publisher {
    /// A publisher that has not begun, and the way to talk to it. Nothing is published before it
    /// was told the hosts.
    #[must_use]
    pub fn new(
        config: CaddyConfig,
        own: OwnAddresses,
        connect: Connect,
        on_outcome: OnOutcome,
    ) -> (PublisherHandle, Self) {
        let (wish_sender, wish) = watch::channel(Wish { hosts: None, config, dashboard: None });
        let (state, state_receiver) = watch::channel(PublishState::default());
        let (ask, asks) = mpsc::channel(ASKS);
        let publisher = Self {
            wish,
            asks: Some(asks),
            state,
            own,
            connect,
            caddy: None,
            on_outcome,
            target: None,
            stamp: Vec::new(),
            is_open: false,
            retry_at: Moment::START,
            pause: FIRST_PAUSE,
            calm_until: Moment::START,
            looked_at: Moment::START,
        };
        (PublisherHandle { wish: wish_sender.into(), ask, state: state_receiver }, publisher)
    }

    /// Publishes until every handle is gone.
    pub async fn run(mut self) {
        let mut rest = CHECK;
        let mut wish = self.wish.clone();
        let Some(mut asks) = self.asks.take() else { return };
        loop {
            tokio::select! {
                changed = wish.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    sleep(COALESCE).await;
                    wish.mark_unchanged();
                    self.is_open = true;
                    self.retry_at = clock::now();
                    self.pause = FIRST_PAUSE;
                }
                () = sleep(rest) => {}
                () = self.caddy_changes() => {}
                () = self.files_change() => {}
                Some(ask) = asks.recv() => self.answer(ask).await,
            }
            rest = self.look().await;
        }
    }

    async fn answer(&mut self, ask: Ask) {
        // Who asked may have gone away.
        match ask {
            Ask::Draft(answer) => drop(answer.send(self.draft().await)),
            Ask::Verdict(answer) => drop(answer.send(self.verdict().await)),
            Ask::Publish(answer) => drop(answer.send(self.publish_now().await)),
        }
    }

    async fn draft(&mut self) -> Result<Draft, AskError> {
        let Wish { hosts, config, dashboard } = self.wish.borrow().clone();
        let sites = Sites { hosts: hosts.ok_or(AskError::TooEarly)?, own: self.own.clone(), dashboard };
        let admin = (config.mode == CaddyMode::Managed).then(|| self.client(&config.admin));
        ask::draft(admin.as_deref(), &sites, &config).await
    }

    async fn verdict(&mut self) -> Result<Verdict, AskError> {
        let (mode, address) = {
            let wish = self.wish.borrow();
            (wish.config.mode, wish.config.admin.clone())
        };
        if mode == CaddyMode::Off {
            return Err(AskError::Off);
        }
        let draft = self.draft().await?;
        let admin = self.client(&address);
        ask::verdict(admin.as_ref(), draft).await
    }

    async fn publish_now(&mut self) -> Result<PublishState, AskError> {
        let Wish { hosts, config, .. } = self.wish.borrow().clone();
        if config.mode == CaddyMode::Off {
            return Err(AskError::Off);
        }
        if hosts.is_none() {
            return Err(AskError::TooEarly);
        }
        self.is_open = true;
        self.retry_at = clock::now();
        self.pause = FIRST_PAUSE;
        self.look().await;
        Ok(self.state.borrow().clone())
    }

    /// Resolves when Caddy may run something else than it did when it was looked at.
    async fn caddy_changes(&self) {
        let Some((_, caddy)) = &self.caddy else { return pending().await };
        caddy.changed().await;
        sleep(TICK.saturating_sub(clock::now().since(self.looked_at))).await;
    }

    /// Resolves when the operator's files are not what they were at the last look.
    async fn files_change(&self) {
        if self.caddy.is_none() || self.wish.borrow().config.extra.is_none() {
            return pending().await;
        }
        while self.files() == self.stamp {
            sleep(TICK).await;
        }
    }

    fn files(&self) -> Vec<(PathBuf, SystemTime, u64)> {
        self.wish.borrow().config.extra.as_deref().map(extra::stamp).unwrap_or_default()
    }

    /// Brings Caddy in step, where it is not. Returns when to look again.
    async fn look(&mut self) -> Duration {
        let Wish { hosts, config, dashboard } = self.wish.borrow().clone();
        let Some(hosts) = hosts else { return CHECK };
        let sites = Sites { hosts, own: self.own.clone(), dashboard };
        if config.mode != CaddyMode::Managed {
            self.caddy = None;
        }
        match config.mode {
            CaddyMode::Managed => self.manage(&sites, &config).await,
            CaddyMode::File => self.write(&sites, &config).await,
            CaddyMode::Off => {
                if self.is_open {
                    self.is_open = false;
                    self.state.send_replace(PublishState::default());
                }
                CHECK
            }
        }
    }

    async fn manage(&mut self, sites: &Sites, config: &CaddyConfig) -> Duration {
        let admin = self.client(&config.admin);
        let now = clock::now();
        self.looked_at = now;
        let stamp = self.files();
        if stamp != self.stamp {
            self.stamp = stamp;
            self.is_open = true;
            self.retry_at = now;
        }
        let running = match admin.running().await {
            Ok(running) => running,
            Err(error) => return self.fail(error.into()),
        };
        let owner = document::owner(&running);
        if owner == Owner::Foreign && !config.take_over {
            return self.leave_alone();
        }
        let is_lost = self.target.as_ref().is_some_and(|target| !document::same(target, &running));
        let is_displaced = is_lost && owner != Owner::Nobody;
        let is_due = (self.is_open && now >= self.retry_at)
            || (is_lost && owner == Owner::Nobody)
            || (is_displaced && now >= self.calm_until);
        if !is_due {
            return self.due_in(is_displaced);
        }
        if is_displaced {
            self.calm_until = now + CALM;
        }
        match attempt::publish(admin.as_ref(), &running, sites, config).await {
            Ok(done) => {
                self.target = Some(done.target);
                self.succeed(PublishState {
                    outcome: Some(done.outcome),
                    hosts: sites.hosts.len(),
                    notes: done.notes,
                    ..PublishState::default()
                })
            }
            Err(failure) => {
                // A Caddy that came back with nothing is better off with the last good one.
                if let (Some(target), Owner::Nobody) = (&self.target, owner) {
                    let target = document::prepare(target.clone(), &running);
                    if admin.load(&target).await.is_ok() {
                        info!("Caddy runs the last good configuration again");
                        self.target = Some(target);
                    }
                }
                self.fail(failure)
            }
        }
    }

    /// When to look again where there is something to do, and it is not the time for it yet.
    fn due_in(&self, is_displaced: bool) -> Duration {
        let due = match (self.is_open, is_displaced) {
            (true, _) => self.retry_at,
            (false, true) => self.calm_until,
            (false, false) => return CHECK,
        };
        due.since(clock::now())
    }

    fn client(&mut self, address: &CaddyAddress) -> Arc<dyn CaddyAdmin> {
        match &self.caddy {
            Some((known, client)) if known == address => Arc::clone(client),
            _ => {
                let client = (self.connect)(address);
                self.caddy = Some((address.clone(), Arc::clone(&client)));
                client
            }
        }
    }

    async fn write(&mut self, sites: &Sites, config: &CaddyConfig) -> Duration {
        if !self.is_open || clock::now() < self.retry_at {
            return CHECK;
        }
        match attempt::write(sites, config).await {
            Ok(outcome) => self.succeed(PublishState {
                outcome: Some(outcome),
                hosts: sites.hosts.len(),
                ..PublishState::default()
            }),
            Err(failure) => self.fail(failure),
        }
    }

    fn succeed(&mut self, state: PublishState) -> Duration {
        self.is_open = false;
        self.pause = FIRST_PAUSE;
        let before = self.state.borrow().clone();
        if state.outcome == Some(PublishOutcome::Published) || !before.is_fine() {
            info!(hosts = state.hosts, "Caddy knows every host");
        }
        for note in state.notes.iter().filter(|note| !before.notes.contains(note)) {
            warn!("{note}");
        }
        self.say(state);
        CHECK
    }

    fn fail(&mut self, failure: Failure) -> Duration {
        let Failure { outcome, message } = failure;
        let before = self.state.borrow().clone();
        if before.message.as_ref() != Some(&message) {
            warn!(outcome = outcome.as_str(), "{message}");
        }
        self.is_open = true;
        self.retry_at = clock::now() + self.pause;
        let pause = self.pause;
        let longest =
            if outcome == PublishOutcome::Unreachable { LONGEST_ABSENCE } else { LONGEST_REJECTION };
        self.pause = (pause * 2).min(longest);
        self.say(PublishState { outcome: Some(outcome), message: Some(message), foreign: false, ..before });
        pause.min(longest)
    }

    /// Somebody else's configuration runs: said once, and looked at until it is gone.
    fn leave_alone(&mut self) -> Duration {
        self.is_open = true;
        self.retry_at = clock::now();
        let before = self.state.borrow().clone();
        if !before.foreign {
            let message = "Caddy runs a configuration that is not WakeDock's and is left alone: start Caddy \
                           with WakeDock's caddy/Caddyfile as /etc/caddy/Caddyfile and keep your own sites in \
                           the files of `caddy.extra`, or set `caddy.take_over: true`";
            warn!("{message}");
            self.say(PublishState {
                outcome: Some(PublishOutcome::Unchanged),
                message: Some(message.to_owned()),
                foreign: true,
                ..before
            });
        }
        CHECK
    }

    fn say(&self, state: PublishState) {
        if let Some(outcome) = state.outcome {
            (self.on_outcome)(outcome);
        }
        self.state.send_replace(PublishState { at: clock::wall(), ..state });
    }
}
