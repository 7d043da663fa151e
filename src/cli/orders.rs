//! `wakedock wake | stop | restart | keep-awake`: orders, and waiting for what comes of them.

use std::time::Duration;

use clap::Args;
use http::{Method, StatusCode};
use serde_json::json;
use tokio::time::{interval, sleep};

use crate::cli::Exit;
use crate::cli::client::{Client, ClientError, segment};
use crate::cli::remote::{Remote, Surroundings};
use crate::cli::status::{service, usually};
use crate::cli::terminal::Terminal;
use crate::cli::view::paint::{Ink, glyph, plain};
use crate::cli::view::words::{clock_time, coarse, span, until};
use crate::cli::wire::Service;
use crate::clock;
use crate::config::{format_duration, parse_duration};
use crate::domain::time::Moment;
use crate::domain::words::Phase;

/// How long one call waits; after it the phase is asked for.
const ONE_WAIT: Duration = Duration::from_secs(25);
const POLL: Duration = Duration::from_millis(250);
const TICK: Duration = Duration::from_millis(200);
/// A wake has a timeout of its own; this is for whoever watches.
const PATIENCE: &str = "10m";

#[derive(Debug, Args)]
pub(super) struct Order {
    /// The service
    name: String,

    /// Give the order and do not wait for what comes of it
    #[arg(long)]
    no_wait: bool,

    /// How long to wait at most
    #[arg(long, value_name = "DURATION", default_value = PATIENCE, value_parser = duration)]
    timeout: Duration,

    /// Print the service as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct KeepAwake {
    /// The service
    name: String,

    /// For how long from now, such as `2h`
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, required_unless_present = "end")]
    how_long: Option<Duration>,

    /// Let it sleep again as it is used
    #[arg(long, conflicts_with = "how_long")]
    end: bool,

    /// Print the service as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: Remote,
}

/// What is ordered, and where it leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Wake,
    Stop,
    Restart,
}

impl Verb {
    fn path(self) -> &'static str {
        match self {
            Self::Wake => "wake",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }

    fn aim(self) -> Phase {
        match self {
            Self::Wake | Self::Restart => Phase::Ready,
            Self::Stop => Phase::Asleep,
        }
    }

    /// Whether a phase says that the order was carried out. What failed is as stopped as it can be.
    fn is_done_in(self, phase: Option<Phase>) -> bool {
        phase == Some(self.aim()) || (self == Self::Stop && phase == Some(Phase::Failed))
    }

    /// Whether a phase says that the order will not be carried out.
    fn is_lost_in(self, phase: Phase) -> bool {
        match self {
            Self::Wake => matches!(phase, Phase::Failed | Phase::Asleep | Phase::Stopping),
            Self::Restart => phase == Phase::Failed,
            Self::Stop => matches!(phase, Phase::Ready | Phase::Waking),
        }
    }
}

/// A duration of the command line, in the words of the configuration.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|fault| format!("{}: {}", fault.reason, fault.mend))
}

pub(super) fn run(verb: Verb, order: &Order, around: Surroundings<'_>) -> Exit {
    let client = match order.remote.client(&around) {
        Ok(client) => client,
        Err(exit) => return exit,
    };
    around.run(async { carry_out(verb, order, &client, around.terminal).await })
}

async fn carry_out(
    verb: Verb,
    order: &Order,
    client: &Client,
    terminal: &Terminal,
) -> Result<Exit, ClientError> {
    let began = clock::now();
    let before = service(client, &order.name).await?;
    let work = give(verb, order, client, began);
    tokio::pin!(work);
    let mut ticks = interval(TICK);
    let outcome = loop {
        tokio::select! {
            outcome = &mut work => break outcome,
            _ = ticks.tick(), if !order.no_wait => terminal.progress(&progress(verb, &before, began)),
        }
    };
    terminal.progress("");
    let after = outcome?;
    let reached = verb.is_done_in(after.phase.0);
    if order.json {
        let whole = client.get(&format!("/api/v1/services/{}", segment(&order.name))).await?;
        let whole: serde_json::Value = whole.read()?;
        let printed = terminal.print(&format!("{whole:#}\n"));
        return Ok(if reached || order.no_wait { printed } else { Exit::Failed });
    }
    if reached || order.no_wait {
        return Ok(terminal.print(&done(verb, &before, &after, began, terminal)));
    }
    tell_failure(verb, &after, clock::now().since(began), terminal);
    Ok(Exit::Failed)
}

/// Gives the order; the service as it is when that has come to something, or time is up.
async fn give(verb: Verb, order: &Order, client: &Client, began: Moment) -> Result<Service, ClientError> {
    let left = || order.timeout.saturating_sub(clock::now().since(began));
    let wait = if order.no_wait { Duration::ZERO } else { ONE_WAIT.min(order.timeout) };
    let query = match wait {
        Duration::ZERO => String::new(),
        wait => format!("?wait={}", format_duration(wait)),
    };
    let path = format!("/api/v1/services/{}/{}{query}", segment(&order.name), verb.path());
    let answer = match client.call(Method::POST, &path, None, wait).await {
        Ok(answer) => answer,
        // A wake that failed is told with what the service itself knows about it.
        Err(error) if error.status() == Some(StatusCode::BAD_GATEWAY) => {
            let after = service(client, &order.name).await?;
            return if after.phase.0 == Some(Phase::Failed) { Ok(after) } else { Err(error) };
        }
        Err(error) => return Err(error),
    };
    let mut seen: Service = answer.read()?;
    while !order.no_wait && left() > Duration::ZERO {
        match seen.phase.0 {
            Some(phase) if verb.is_done_in(Some(phase)) || verb.is_lost_in(phase) => break,
            _ => sleep(POLL).await,
        }
        seen = service(client, &order.name).await?;
    }
    Ok(seen)
}

fn progress(verb: Verb, before: &Service, began: Moment) -> String {
    let passed = coarse(clock::now().since(began));
    let (sign, word) = match verb {
        Verb::Wake => (glyph(Some(Phase::Waking)), "waking"),
        Verb::Stop => (glyph(Some(Phase::Stopping)), "stopping"),
        Verb::Restart => (glyph(Some(Phase::Waking)), "restarting"),
    };
    match usually(before).filter(|_| verb != Verb::Stop) {
        Some(usual) => format!("{sign} {}: {word} ({passed}, usually {usual})", plain(&before.name)),
        None => format!("{sign} {}: {word} ({passed})", plain(&before.name)),
    }
}

fn done(verb: Verb, before: &Service, after: &Service, began: Moment, terminal: &Terminal) -> String {
    let phase = after.phase.0;
    let palette = terminal.palette();
    let sign = palette.paint(Ink::of(phase), glyph(phase));
    let name = palette.paint(Ink::Strong, &plain(&after.name));
    let word = phase.map_or("unknown", Phase::as_str);
    let already = verb != Verb::Restart && before.phase.0 == Some(verb.aim());
    if already {
        return format!("{sign} {name} was {word} already\n");
    }
    if phase == Some(verb.aim()) {
        return format!("{sign} {name} is {word} after {}\n", span(clock::now().since(began)));
    }
    match usually(after).filter(|_| phase == Some(Phase::Waking)) {
        Some(usual) => format!("{sign} {name} is {word}, which usually takes {usual}\n"),
        None => format!("{sign} {name} is {word}\n"),
    }
}

fn tell_failure(verb: Verb, after: &Service, passed: Duration, terminal: &Terminal) {
    let name = plain(&after.name);
    let (what, mend) = match (&after.failure, verb) {
        (Some(failure), _) => {
            let reason = plain(&failure.reason);
            // What is not there has no log.
            let mend = match reason.starts_with("there is no container") {
                true => "create it, or mend `container` of the service".to_owned(),
                false => format!("look at `wakedock logs {name} --tail 50`"),
            };
            (format!("{name} was not woken: {reason}"), mend)
        }
        (None, verb) => {
            let word = after.phase.0.map_or("unknown", Phase::as_str);
            let wanted = verb.aim().as_str();
            (
                format!("{name} is {word}, and not {wanted}, after {}", span(passed)),
                format!("see `wakedock status {name}`"),
            )
        }
    };
    terminal.fail(&what, Some(&format!("service {name}")), Some(&mend));
}

pub(super) fn keep_awake(arguments: &KeepAwake, around: Surroundings<'_>) -> Exit {
    let client = match arguments.remote.client(&around) {
        Ok(client) => client,
        Err(exit) => return exit,
    };
    around.run(async {
        let path = format!("/api/v1/services/{}/keep-awake", segment(&arguments.name));
        match arguments.how_long {
            Some(how_long) => {
                let body = json!({ "for": format_duration(how_long) });
                client.call(Method::POST, &path, Some(&body), Duration::ZERO).await?;
            }
            None => drop(client.call(Method::DELETE, &path, None, Duration::ZERO).await?),
        }
        let answer = client.get(&format!("/api/v1/services/{}", segment(&arguments.name))).await?;
        if arguments.json {
            let service: serde_json::Value = answer.read()?;
            return Ok(around.terminal.print(&format!("{service:#}\n")));
        }
        let (now, after): (_, Service) = (answer.now(), answer.read()?);
        let palette = around.terminal.palette();
        let sign = palette.paint(Ink::of(after.phase.0), glyph(after.phase.0));
        let name = palette.paint(Ink::Strong, &plain(&after.name));
        Ok(around.terminal.print(&match after.kept_awake_until {
            Some(at) => {
                format!("{sign} {name} is kept awake for {}, until {}\n", until(now, at), clock_time(now, at))
            }
            None => format!("{sign} {name} sleeps again as it is used\n"),
        }))
    })
}
