//! The container engine: Docker, or Podman's socket.
//!
//! Every call is bounded in time, and every answer that never came is [`InspectError::Away`] and
//! its like: the caller's business is to go on with what is awake, not to know why.

mod api;
#[doc(hidden)]
pub mod bench;
mod elements;
mod events;
mod exec;
mod failure;
mod inspect;
mod list;
mod locate;
mod logs;
mod metered;
mod text;
mod transport;
mod usage;
mod vantage;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bollard::query_parameters::StopContainerOptions;

use crate::config::DockerHost;
use crate::domain::time::Timestamp;
use crate::domain::usage::UsageSample;
use crate::ports::{
    BoxFuture, BoxStream, Container, ContainerEngine, ContainerEvent, ContainerId, ContainerState,
    EngineVersion, HealthCommand, InspectError, Listed, Listing, LogLine, LogStart, OrderError, ReadError,
};

pub use locate::{LocateError, Located, locate};
pub use metered::Metered;

use api::{Api, QUESTION, segment};
use failure::{Failure, within};
use inspect::Inspected;

/// What a start may take: networks, volumes, a slow disk.
const START: Duration = Duration::from_secs(120);

/// What pausing or going on may take.
const FREEZE: Duration = Duration::from_secs(30);

/// What a stop may take beside the grace it was given.
const STOP_MARGIN: Duration = Duration::from_secs(30);

/// An engine that speaks Docker's API.
pub struct Docker {
    api: Arc<Api>,
    listed: list::Known,
}

impl fmt::Debug for Docker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Docker").finish_non_exhaustive()
    }
}

impl Docker {
    /// A client for the engine at `host`. Connects at each call, so that the engine need not be up
    /// now, and may be restarted at any time.
    #[must_use]
    pub fn connect(host: &DockerHost) -> Self {
        Self { api: Arc::new(Api::new(host.clone())), listed: list::Known::default() }
    }

    async fn look(&self, name: &str) -> Result<Container, Failure> {
        let Some(name) = segment(name) else {
            return Err(Failure::refused(404, "not a container's name"));
        };
        let found: Inspected = self.api.get(&format!("/containers/{name}/json")).await?;
        Ok(found.into_container())
    }

    async fn send_stop(&self, id: &ContainerId, grace: Duration) -> Result<(), Failure> {
        // The API takes whole seconds; a fraction is rounded up, so that nobody gets less.
        let seconds = grace.as_secs() + u64::from(grace.subsec_nanos() > 0);
        let t = Some(i32::try_from(seconds).unwrap_or(i32::MAX));
        let options = StopContainerOptions { t, ..Default::default() };
        let stop = async { Ok(self.api.bollard.stop_container(&id.0, Some(options)).await?) };
        within(grace + STOP_MARGIN, stop).await
    }

    async fn send_unpause(&self, id: &ContainerId) -> Result<(), Failure> {
        within(FREEZE, async { Ok(self.api.bollard.unpause_container(&id.0).await?) }).await
    }

    /// Engines answer 500 to some orders that do not fit the container's state (20.10 to `unpause`
    /// of what is not paused, Podman to more): a look at the container tells these from failures.
    async fn check_fit(
        &self,
        id: &ContainerId,
        done: Result<(), Failure>,
        fits: fn(ContainerState) -> bool,
    ) -> Result<(), OrderError> {
        let failure = match done {
            Ok(()) => return Ok(()),
            Err(Failure::Refused { status: 500, message }) => match self.look(&id.0).await {
                Ok(container) if !fits(container.state) => return Err(OrderError::Conflict { message }),
                _ => Failure::Refused { status: 500, message },
            },
            Err(failure) => failure,
        };
        Err(failure.for_order(id))
    }

    /// Docker stops a paused container by itself (it delivers the signal, then lets it go on);
    /// Podman refuses to.
    async fn stop_awake_or_paused(&self, id: &ContainerId, grace: Duration) -> Result<(), Failure> {
        let refused = match self.send_stop(id, grace).await {
            Err(refused @ Failure::Refused { status: 409 | 500, .. }) => refused,
            done => return done,
        };
        match self.look(&id.0).await {
            Ok(container) if container.state == ContainerState::Paused => {
                self.send_unpause(id).await?;
                self.send_stop(id, grace).await
            }
            _ => Err(refused),
        }
    }
}

impl ContainerEngine for Docker {
    fn inspect<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Container, InspectError>> {
        Box::pin(async move { self.look(name).await.map_err(|failure| failure.for_inspect(name)) })
    }

    fn list(&self, which: Listing) -> BoxFuture<'_, Result<Vec<Listed>, ReadError>> {
        Box::pin(async move { Ok(list::list(&self.api, &self.listed, which).await?) })
    }

    fn start<'a>(&'a self, id: &'a ContainerId) -> BoxFuture<'a, Result<(), OrderError>> {
        Box::pin(async move {
            let start = async { Ok(self.api.bollard.start_container(&id.0, None).await?) };
            let started = within(START, start).await;
            self.check_fit(id, started, |state| state != ContainerState::Paused).await
        })
    }

    fn stop<'a>(&'a self, id: &'a ContainerId, grace: Duration) -> BoxFuture<'a, Result<(), OrderError>> {
        Box::pin(async move {
            self.stop_awake_or_paused(id, grace).await.map_err(|failure| failure.for_order(id))
        })
    }

    fn pause<'a>(&'a self, id: &'a ContainerId) -> BoxFuture<'a, Result<(), OrderError>> {
        Box::pin(async move {
            let pause = async { Ok(self.api.bollard.pause_container(&id.0).await?) };
            let paused = within(FREEZE, pause).await;
            self.check_fit(id, paused, |state| state == ContainerState::Running).await
        })
    }

    fn unpause<'a>(&'a self, id: &'a ContainerId) -> BoxFuture<'a, Result<(), OrderError>> {
        Box::pin(async move {
            let unpaused = self.send_unpause(id).await;
            self.check_fit(id, unpaused, |state| state == ContainerState::Paused).await
        })
    }

    fn logs<'a>(
        &'a self,
        id: &'a ContainerId,
        lines: usize,
    ) -> BoxFuture<'a, Result<Vec<String>, ReadError>> {
        Box::pin(async move { Ok(logs::last(&self.api, id, lines).await?) })
    }

    fn follow_logs<'a>(
        &'a self,
        id: &'a ContainerId,
        from: LogStart,
    ) -> BoxStream<'a, Result<LogLine, ReadError>> {
        Box::pin(logs::follow(&self.api, id, from))
    }

    fn run_health_command<'a>(
        &'a self,
        id: &'a ContainerId,
        command: &'a HealthCommand,
    ) -> BoxFuture<'a, Result<bool, ReadError>> {
        Box::pin(exec::run_health_command(&self.api, id, command))
    }

    fn usage<'a>(&'a self, id: &'a ContainerId) -> BoxFuture<'a, Result<UsageSample, ReadError>> {
        Box::pin(async move { Ok(usage::read(&self.api, id).await?) })
    }

    fn events(&self, since: Option<Timestamp>) -> BoxStream<'_, Result<ContainerEvent, ReadError>> {
        Box::pin(events::stream(Arc::clone(&self.api), since))
    }

    fn version(&self) -> BoxFuture<'_, Result<EngineVersion, ReadError>> {
        Box::pin(async move {
            let version = within(QUESTION, async { Ok(self.api.bollard.version().await?) }).await?;
            Ok(EngineVersion {
                engine: version.version.unwrap_or_default(),
                api: version.api_version.unwrap_or_default(),
            })
        })
    }
}
