//! `wakedock token`: what programs show at the door.

use std::time::Duration;

use clap::Subcommand;
use http::Method;
use serde_json::{Value as Json, json};

use crate::cli::Exit;
use crate::cli::client::{Client, ClientError, segment};
use crate::cli::orders::duration;
use crate::cli::remote::{Remote, Surroundings};
use crate::cli::terminal::Terminal;
use crate::cli::users::role;
use crate::cli::view::paint::{Ink, plain};
use crate::cli::view::table::{self, Cell, Column};
use crate::cli::view::words::{ago, until};
use crate::cli::wire::parse_time;
use crate::clock;
use crate::config::format_duration;
use crate::domain::words::Role;

const TOKENS: &str = "/api/v1/tokens";

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token, and print it this once
    Create {
        /// What it is for
        name: String,

        /// viewer, user or admin
        #[arg(long, value_parser = role, default_value = "viewer")]
        role: Role,

        /// After which time it is worth nothing, such as `90d` [default: never]
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        expires_in: Option<Duration>,

        /// For this service alone; may be given several times
        #[arg(long = "service", value_name = "NAME")]
        services: Vec<String>,

        /// Print the token with all that is known of it, as JSON
        #[arg(long)]
        json: bool,

        #[command(flatten)]
        remote: Remote,
    },
    /// List the tokens, without the tokens themselves
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,

        #[command(flatten)]
        remote: Remote,
    },
    /// Make a token worthless
    Revoke {
        /// As `wakedock token list` shows it
        id: String,

        #[command(flatten)]
        remote: Remote,
    },
}

pub(super) fn run(command: &TokenCommand, around: Surroundings<'_>) -> Exit {
    let remote = match command {
        TokenCommand::Create { remote, .. }
        | TokenCommand::List { remote, .. }
        | TokenCommand::Revoke { remote, .. } => remote,
    };
    let client = match remote.client(&around) {
        Ok(client) => client,
        Err(exit) => return exit,
    };
    around.run(async { carry_out(command, &client, around.terminal).await })
}

async fn carry_out(
    command: &TokenCommand,
    client: &Client,
    terminal: &Terminal,
) -> Result<Exit, ClientError> {
    match command {
        TokenCommand::Create { name, role, expires_in, services, json, .. } => {
            let mut body = json!({ "name": name, "role": role.as_str() });
            if let Some(expires_in) = expires_in {
                body["expires_in"] = format_duration(*expires_in).into();
            }
            if !services.is_empty() {
                body["services"] = services.clone().into();
            }
            let made: Json = client.call(Method::POST, TOKENS, Some(&body), Duration::ZERO).await?.read()?;
            if *json {
                return Ok(terminal.print(&format!("{made:#}\n")));
            }
            // On standard output alone, so that it can be kept by a pipe.
            let exit = terminal.print(&format!("{}\n", plain(made["token"].as_str().unwrap_or_default())));
            terminal.note("this is the only time that it is shown");
            Ok(exit)
        }
        TokenCommand::List { json, .. } => {
            let all = client.all(TOKENS).await?;
            if *json {
                return Ok(terminal.print(&format!("{:#}\n", json!({ "items": all }))));
            }
            Ok(show(&all, terminal))
        }
        TokenCommand::Revoke { id, .. } => {
            let path = format!("{TOKENS}/{}", segment(id));
            client.call(Method::DELETE, &path, None, Duration::ZERO).await?;
            Ok(terminal.print(&format!("token {} is worth nothing any more\n", plain(id))))
        }
    }
}

fn show(tokens: &[Json], terminal: &Terminal) -> Exit {
    if tokens.is_empty() {
        return terminal.print("No tokens: `wakedock token create NAME` makes one.\n");
    }
    let columns = [
        Column::text("ID", 0),
        Column::text("NAME", 0).at_least(8),
        Column::text("ROLE", 0),
        Column::text("FOR", 4).at_least(8),
        Column::text("OF", 3),
        Column::figures("USED", 2),
        Column::figures("ENDS IN", 1),
    ];
    let now = clock::wall();
    let rows: Vec<Vec<Cell>> = tokens
        .iter()
        .map(|token| {
            let text = |key: &str| token[key].as_str().unwrap_or_default();
            let time = |key: &str| token[key].as_str().and_then(parse_time);
            let services = token["services"].as_array().map(|services| {
                let names: Vec<&str> = services.iter().filter_map(Json::as_str).collect();
                names.join(", ")
            });
            vec![
                Cell::new(Ink::Plain, text("id")),
                Cell::new(Ink::Strong, text("name")),
                Cell::new(Ink::Plain, text("role")),
                services.map_or(Cell::new(Ink::Faint, "all"), |services| Cell::new(Ink::Plain, services)),
                Cell::or_nothing(token["username"].as_str().map(str::to_owned)),
                Cell::or_nothing(time("used_at").map(|at| ago(now, at))),
                match time("expires_at") {
                    Some(at) if at <= now => Cell::new(Ink::Red, "over"),
                    Some(at) => Cell::new(Ink::Plain, until(now, at)),
                    None => Cell::new(Ink::Faint, "never"),
                },
            ]
        })
        .collect();
    terminal.print(&table::render(&columns, &rows, terminal.width(), terminal.palette()))
}
