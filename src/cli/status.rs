//! `wakedock status`.

use clap::Args;
use serde_json::{Value as Json, json};

use crate::cli::Exit;
use crate::cli::client::{Client, ClientError, segment};
use crate::cli::remote::{Remote, Surroundings};
use crate::cli::terminal::Terminal;
use crate::cli::view::services::{self, Frame};
use crate::cli::view::{detail, words};
use crate::cli::watch;
use crate::cli::wire::{Overview, Service};
use crate::domain::time::Timestamp;

const SERVICES: &str = "/api/v1/services";
const OVERVIEW: &str = "/api/v1/system/overview";

#[derive(Debug, Args)]
pub(super) struct Status {
    /// One service in detail: why it is awake, who woke it, what is wrong
    name: Option<String>,

    /// Stay, and show each change in place; Ctrl-C ends
    #[arg(long, short)]
    watch: bool,

    /// Print JSON: `{"overview":…,"services":[…]}`, or the service; with --watch one line a change
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: Remote,
}

/// What there is to see at one moment.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    /// By the clock of whoever answered.
    pub(super) now: Timestamp,
    overview: Json,
    services: Vec<Json>,
}

impl Picture {
    /// Asks for it.
    pub(super) async fn take(client: &Client, name: Option<&str>) -> Result<Self, ClientError> {
        if let Some(name) = name {
            let answer = client.get(&format!("/api/v1/services/{}", segment(name))).await?;
            return Ok(Self { now: answer.now(), overview: Json::Null, services: vec![answer.read()?] });
        }
        let (overview, services) = tokio::try_join!(client.get(OVERVIEW), client.all(SERVICES))?;
        Ok(Self { now: overview.now(), overview: overview.read()?, services })
    }

    /// As a person reads it, at a moment a little later than that of the picture.
    pub(super) fn text(&self, name: Option<&str>, frame: Frame) -> Result<String, ClientError> {
        let services: Vec<Service> = self
            .services
            .iter()
            .map(|service| serde_json::from_value(service.clone()))
            .collect::<Result<_, _>>()
            .map_err(|error| ClientError::Foreign {
                address: "/api/v1/services".to_owned(),
                detail: format!("its answer cannot be read: {error}"),
            })?;
        match (name, services.first()) {
            (Some(_), Some(service)) => Ok(detail::render(service, frame)),
            _ => {
                let overview: Overview = serde_json::from_value(self.overview.clone()).unwrap_or_default();
                Ok(services::render(&services, &overview, frame))
            }
        }
    }

    /// As a program reads it.
    pub(super) fn json(&self, name: Option<&str>) -> Json {
        match (name, self.services.first()) {
            (Some(_), Some(service)) => service.clone(),
            _ => json!({ "overview": self.overview, "services": self.services }),
        }
    }
}

pub(super) fn run(arguments: &Status, around: Surroundings<'_>) -> Exit {
    let client = match arguments.remote.client(&around) {
        Ok(client) => client,
        Err(exit) => return exit,
    };
    let name = arguments.name.as_deref();
    around.run(async {
        if arguments.watch {
            return watch::run(&client, name, arguments.json, around.terminal).await;
        }
        let picture = Picture::take(&client, name).await?;
        if arguments.json {
            return Ok(around.terminal.print(&format!("{:#}\n", picture.json(name))));
        }
        let text = picture.text(name, frame(picture.now, around.terminal))?;
        Ok(around.terminal.print(&text))
    })
}

pub(super) fn frame(now: Timestamp, terminal: &Terminal) -> Frame {
    Frame { now, width: terminal.width(), palette: terminal.palette() }
}

/// One service, after an order.
pub(super) async fn service(client: &Client, name: &str) -> Result<Service, ClientError> {
    client.read(&format!("/api/v1/services/{}", segment(name))).await
}

/// `in 6 s`, for what usually takes so long.
pub(super) fn usually(service: &Service) -> Option<String> {
    service.usual_wake_ms.map(|usual| words::span(std::time::Duration::from_millis(usual)))
}
