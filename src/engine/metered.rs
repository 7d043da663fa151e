//! Counts and times every call to the engine.

use std::future::Future;
use std::time::Duration;

use futures_util::StreamExt;

use crate::clock;
use crate::domain::time::Timestamp;
use crate::domain::usage::UsageSample;
use crate::metrics::{EngineOperation, ProcessMetrics};
use crate::ports::{
    BoxFuture, BoxStream, Container, ContainerEngine, ContainerEvent, ContainerId, EngineVersion,
    HealthCommand, InspectError, Listed, Listing, LogLine, LogStart, OrderError, ReadError,
};

/// An engine whose calls are counted.
#[derive(Debug)]
pub struct Metered<E> {
    engine: E,
    metrics: ProcessMetrics,
}

impl<E> Metered<E> {
    pub fn new(engine: E, metrics: ProcessMetrics) -> Self {
        Self { engine, metrics }
    }

    async fn count<T, Error>(
        &self,
        operation: EngineOperation,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let began = clock::now();
        let result = call.await;
        self.metrics.engine_call(operation, clock::now().since(began), result.is_err());
        result
    }
}

impl<E: ContainerEngine> ContainerEngine for Metered<E> {
    fn inspect<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Container, InspectError>> {
        Box::pin(self.count(EngineOperation::Inspect, self.engine.inspect(name)))
    }

    fn list(&self, which: Listing) -> BoxFuture<'_, Result<Vec<Listed>, ReadError>> {
        Box::pin(self.count(EngineOperation::List, self.engine.list(which)))
    }

    fn start<'a>(&'a self, id: &'a ContainerId) -> BoxFuture<'a, Result<(), OrderError>> {
        Box::pin(self.count(EngineOperation::Start, self.engine.start(id)))
    }

    fn stop<'a>(&'a self, id: &'a ContainerId, grace: Duration) -> BoxFuture<'a, Result<(), OrderError>> {
        Box::pin(self.count(EngineOperation::Stop, self.engine.stop(id, grace)))
    }

    fn pause<'a>(&'a self, id: &'a ContainerId) -> BoxFuture<'a, Result<(), OrderError>> {
        Box::pin(self.count(EngineOperation::Pause, self.engine.pause(id)))
    }

    fn unpause<'a>(&'a self, id: &'a ContainerId) -> BoxFuture<'a, Result<(), OrderError>> {
        Box::pin(self.count(EngineOperation::Unpause, self.engine.unpause(id)))
    }

    fn logs<'a>(
        &'a self,
        id: &'a ContainerId,
        lines: usize,
    ) -> BoxFuture<'a, Result<Vec<String>, ReadError>> {
        Box::pin(self.count(EngineOperation::Logs, self.engine.logs(id, lines)))
    }

    fn follow_logs<'a>(
        &'a self,
        id: &'a ContainerId,
        from: LogStart,
    ) -> BoxStream<'a, Result<LogLine, ReadError>> {
        // A stream has no duration worth a histogram; that it broke is counted.
        let broke = |line: &Result<LogLine, ReadError>| {
            if line.is_err() {
                self.metrics.engine_call(EngineOperation::Logs, Duration::ZERO, true);
            }
        };
        Box::pin(self.engine.follow_logs(id, from).inspect(broke))
    }

    fn run_health_command<'a>(
        &'a self,
        id: &'a ContainerId,
        command: &'a HealthCommand,
    ) -> BoxFuture<'a, Result<bool, ReadError>> {
        Box::pin(self.count(EngineOperation::HealthCommand, self.engine.run_health_command(id, command)))
    }

    fn usage<'a>(&'a self, id: &'a ContainerId) -> BoxFuture<'a, Result<UsageSample, ReadError>> {
        Box::pin(self.count(EngineOperation::Usage, self.engine.usage(id)))
    }

    fn events(&self, since: Option<Timestamp>) -> BoxStream<'_, Result<ContainerEvent, ReadError>> {
        // A stream has no duration worth a histogram; that it broke is counted.
        let broke = |event: &Result<ContainerEvent, ReadError>| {
            if event.is_err() {
                self.metrics.engine_call(EngineOperation::Events, Duration::ZERO, true);
            }
        };
        Box::pin(self.engine.events(since).inspect(broke))
    }

    fn version(&self) -> BoxFuture<'_, Result<EngineVersion, ReadError>> {
        Box::pin(self.count(EngineOperation::Version, self.engine.version()))
    }
}
