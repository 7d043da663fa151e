//! The fake engine as the port wants it: every call is noted, may be told to go wrong, and is not
//! answered while the engine is away.

use std::io;
use std::time::Duration;

use futures_util::stream;
use wakedock::clock;
use wakedock::domain::time::Timestamp;
use wakedock::domain::usage::UsageSample;
use wakedock::ports::{
    BoxFuture, BoxStream, Container, ContainerAction, ContainerEngine, ContainerEvent, ContainerId,
    ContainerState, EngineVersion, HealthCommand, InspectError, Listed, Listing, LogLine, LogStart,
    OrderError, ReadError,
};

use super::{Call, FakeContainer, FakeEngine, Fault, Made};

impl FakeEngine {
    /// Notes a call, and keeps it from being answered while the engine is away.
    async fn reach<T, E>(
        &self,
        call: Call,
        target: &str,
        away: impl Fn(io::Error) -> E,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut news = self.news.subscribe();
        {
            let mut world = self.world();
            world.made.push(Made { call, target: target.to_owned(), at: clock::now() });
        }
        let gone = async {
            while !self.world().away {
                if news.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            biased;
            () = gone => Err(away(io::ErrorKind::ConnectionRefused.into())),
            answer = answer => answer,
        }
    }

    async fn fault(&self, id: &ContainerId, call: Call) -> Result<(), OrderError> {
        let fault = match self.world().find(&id.0) {
            None => return Err(OrderError::Missing { id: id.clone() }),
            Some(container) => container.faults.get(&call).cloned(),
        };
        match fault {
            None => Ok(()),
            Some(Fault::Conflict) => Err(OrderError::Conflict { message: format!("{call:?} as told") }),
            Some(Fault::Refused { status, message }) => Err(OrderError::Refused { status, message }),
            Some(Fault::Hangs) => std::future::pending().await,
        }
    }

    async fn order(
        &self,
        call: Call,
        id: &ContainerId,
        carry_out: impl Future<Output = Result<(), OrderError>>,
    ) -> Result<(), OrderError> {
        let answer = async {
            self.fault(id, call).await?;
            carry_out.await
        };
        self.reach(call, &id.0, OrderError::Away, answer).await
    }

    async fn read<T>(
        &self,
        call: Call,
        id: &ContainerId,
        read: impl Fn(&FakeContainer) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let answer = async {
            match self.fault(id, call).await {
                Err(OrderError::Refused { status, message }) => Err(ReadError::Refused { status, message }),
                Err(_) => Err(ReadError::Refused { status: 404, message: "no such container".to_owned() }),
                Ok(()) => read(self.world().expect(&id.0)),
            }
        };
        self.reach(call, &id.0, ReadError::Away, answer).await
    }

    /// Pause and unpause.
    fn freeze(&self, id: &ContainerId, from: ContainerState, to: ContainerState) -> Result<(), OrderError> {
        let mut world = self.world();
        let container = world.find(&id.0).ok_or_else(|| OrderError::Missing { id: id.clone() })?;
        if container.view.state != from {
            return Err(OrderError::Conflict { message: format!("it is {:?}", container.view.state) });
        }
        container.view.state = to;
        let paused = to == ContainerState::Paused;
        let action = if paused { ContainerAction::Pause } else { ContainerAction::Unpause };
        self.emit(&mut world, id, action);
        Ok(())
    }
}

fn not_running() -> ReadError {
    ReadError::Refused { status: 409, message: "the container is not running".to_owned() }
}

impl ContainerEngine for FakeEngine {
    fn inspect<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Container, InspectError>> {
        let answer = async {
            let mut world = self.world();
            let found = world.find(name).map(|container| container.view.clone());
            found.ok_or_else(|| InspectError::Missing { name: name.to_owned() })
        };
        Box::pin(self.reach(Call::Inspect, name, InspectError::Away, answer))
    }

    fn list(&self, which: Listing) -> BoxFuture<'_, Result<Vec<Listed>, ReadError>> {
        let answer = async move {
            let world = self.world();
            let listed = world.containers.iter().map(FakeContainer::listed);
            let wanted = listed.filter(|listed| match which {
                Listing::All => true,
                Listing::WithLabel(label) => {
                    listed.labels.contains_key(label) || listed.image_labels.contains_key(label)
                }
            });
            Ok(wanted.collect())
        };
        Box::pin(self.reach(Call::List, "", ReadError::Away, answer))
    }

    fn start<'a>(&'a self, id: &'a ContainerId) -> BoxFuture<'a, Result<(), OrderError>> {
        Box::pin(self.order(Call::Start, id, async {
            let (state, delay) = {
                let mut world = self.world();
                let container = world.expect(&id.0);
                (container.view.state, container.start_delay)
            };
            match state {
                ContainerState::Running => return Ok(()),
                ContainerState::Paused => {
                    return Err(OrderError::Conflict {
                        message: "cannot start a paused container".to_owned(),
                    });
                }
                ContainerState::Removing => {
                    return Err(OrderError::Conflict {
                        message: "container is marked for removal and cannot be started".to_owned(),
                    });
                }
                _ => {}
            }
            tokio::time::sleep(delay).await;
            if self.world().find(&id.0).is_none() {
                return Err(OrderError::Missing { id: id.clone() });
            }
            self.set_running(id);
            Ok(())
        }))
    }

    fn stop<'a>(&'a self, id: &'a ContainerId, grace: Duration) -> BoxFuture<'a, Result<(), OrderError>> {
        Box::pin(self.order(Call::Stop, id, async move {
            let (running, delay, code) = {
                let mut world = self.world();
                let container = world.expect(&id.0);
                let running =
                    matches!(container.view.state, ContainerState::Running | ContainerState::Paused);
                let killed = container.ignores_term || container.stop_delay > grace;
                let (delay, code) = if killed { (grace, 137) } else { (container.stop_delay, 143) };
                (running, delay, code)
            };
            if running {
                tokio::time::sleep(delay).await;
                let mut world = self.world();
                if self.end(&mut world, id, code) {
                    self.emit(&mut world, id, ContainerAction::Stop);
                }
            }
            Ok(())
        }))
    }

    fn pause<'a>(&'a self, id: &'a ContainerId) -> BoxFuture<'a, Result<(), OrderError>> {
        let pause = async { self.freeze(id, ContainerState::Running, ContainerState::Paused) };
        Box::pin(self.order(Call::Pause, id, pause))
    }

    fn unpause<'a>(&'a self, id: &'a ContainerId) -> BoxFuture<'a, Result<(), OrderError>> {
        let unpause = async { self.freeze(id, ContainerState::Paused, ContainerState::Running) };
        Box::pin(self.order(Call::Unpause, id, unpause))
    }

    fn logs<'a>(
        &'a self,
        id: &'a ContainerId,
        lines: usize,
    ) -> BoxFuture<'a, Result<Vec<String>, ReadError>> {
        Box::pin(self.read(Call::Logs, id, move |container| {
            let skip = container.logs.len().saturating_sub(lines);
            Ok(container.logs[skip..].to_vec())
        }))
    }

    fn follow_logs<'a>(
        &'a self,
        id: &'a ContainerId,
        from: LogStart,
    ) -> BoxStream<'a, Result<LogLine, ReadError>> {
        let stream = stream::unfold(Tail::Opening, move |tail| async move {
            let mut news = self.news.subscribe();
            let (mut next, broken) = match tail {
                Tail::End => return None,
                Tail::At { next, broken } => (next, broken),
                Tail::Opening => {
                    let opened = self.read(Call::Logs, id, |container| Ok(first_line(container, from)));
                    match opened.await {
                        Err(error) => return Some((Err(error), Tail::End)),
                        Ok(first) => (first, self.world().broken),
                    }
                }
            };
            loop {
                {
                    let mut world = self.world();
                    let now_broken = world.broken;
                    let container = world.find(&id.0)?;
                    if let Some(text) = container.logs.get(next).cloned() {
                        let line = LogLine { written: written(container, next), text };
                        next += 1;
                        return Some((Ok(line), Tail::At { next, broken }));
                    }
                    if now_broken != broken {
                        let cut = ReadError::Away(io::ErrorKind::ConnectionReset.into());
                        return Some((Err(cut), Tail::End));
                    }
                    if !matches!(container.view.state, ContainerState::Running | ContainerState::Paused) {
                        return None;
                    }
                }
                news.changed().await.ok()?;
            }
        });
        Box::pin(stream)
    }

    fn run_health_command<'a>(
        &'a self,
        id: &'a ContainerId,
        _command: &'a HealthCommand,
    ) -> BoxFuture<'a, Result<bool, ReadError>> {
        Box::pin(self.read(Call::Health, id, |container| {
            if container.view.state != ContainerState::Running {
                return Err(not_running());
            }
            let up = container.started.map(|started| clock::now().since(started));
            Ok(container.passes_after.is_some_and(|after| up >= Some(after)))
        }))
    }

    fn usage<'a>(&'a self, id: &'a ContainerId) -> BoxFuture<'a, Result<UsageSample, ReadError>> {
        Box::pin(self.read(Call::Usage, id, |container| match container.view.state {
            ContainerState::Running | ContainerState::Paused => Ok(container.usage),
            _ => Err(not_running()),
        }))
    }

    fn events(&self, since: Option<Timestamp>) -> BoxStream<'_, Result<ContainerEvent, ReadError>> {
        let stream = stream::unfold(Position::Start(since), move |position| async move {
            let mut news = self.news.subscribe();
            let (mut next, broken) = match position {
                Position::End => return None,
                Position::At { next, broken } => (next, broken),
                Position::Start(since) => {
                    let opened = self.reach(Call::Events, "", ReadError::Away, async { Ok(()) }).await;
                    if let Err(error) = opened {
                        return Some((Err(error), Position::End));
                    }
                    let world = self.world();
                    let first = since.map(|since| world.events.iter().position(|event| event.at >= since));
                    (first.flatten().unwrap_or(world.events.len()), world.broken)
                }
            };
            loop {
                {
                    let world = self.world();
                    if let Some(event) = world.events.get(next) {
                        next += 1;
                        return Some((Ok(event.clone()), Position::At { next, broken }));
                    }
                    if world.broken != broken {
                        let cut = ReadError::Away(io::ErrorKind::ConnectionReset.into());
                        return Some((Err(cut), Position::End));
                    }
                }
                news.changed().await.ok()?;
            }
        });
        Box::pin(stream)
    }

    fn version(&self) -> BoxFuture<'_, Result<EngineVersion, ReadError>> {
        let answer = async { Ok(EngineVersion { engine: "fake".to_owned(), api: "1.41".to_owned() }) };
        Box::pin(self.reach(Call::Version, "", ReadError::Away, answer))
    }
}

enum Position {
    Start(Option<Timestamp>),
    At { next: usize, broken: u64 },
    End,
}

enum Tail {
    Opening,
    At { next: usize, broken: u64 },
    End,
}

/// The index of the first line that is asked for.
fn first_line(container: &FakeContainer, from: LogStart) -> usize {
    let lines = container.logs.len();
    match from {
        LogStart::Last(last) => lines.saturating_sub(last),
        LogStart::After(time) => (0..lines).find(|line| written(container, *line) > time).unwrap_or(lines),
    }
}

/// When a line was written.
fn written(container: &FakeContainer, line: usize) -> u64 {
    let undated = container.logs.len() - container.printed.len();
    match line.checked_sub(undated) {
        Some(dated) => container.printed[dated],
        None => u64::try_from(line).unwrap() + 1,
    }
}
