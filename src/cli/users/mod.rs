//! `wakedock user`: who may log in, and as what. With a WakeDock that runs, by its API; without one,
//! in its store.

mod direct;

pub(super) use direct::caller;

use std::time::Duration;

use clap::{Args, Subcommand};
use http::Method;
use serde::{Deserialize, Deserializer};
use serde_json::{Value as Json, json};

use crate::cli::Exit;
use crate::cli::client::{Client, ClientError, segment};
use crate::cli::remote::{Remote, Surroundings};
use crate::cli::secret::new_password;
use crate::cli::terminal::Terminal;
use crate::cli::view::paint::{Ink, plain};
use crate::cli::view::table::{self, Cell, Column};
use crate::cli::view::words::ago;
use crate::cli::wire::parse_time;
use crate::clock;
use crate::domain::time::Timestamp;
use crate::domain::words::Role;

const USERS: &str = "/api/v1/users";

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Make a user; the password is asked for
    ///
    /// Works without a running WakeDock, too: this is how the first one is made.
    Add {
        /// 1 to 64 of a–z, 0–9, `.`, `_`, `-` and `@`
        name: String,

        /// viewer, user or admin [default: admin for the first user, else viewer]
        #[arg(long, value_parser = role)]
        role: Option<Role>,

        #[command(flatten)]
        password: PasswordFrom,

        #[command(flatten)]
        remote: Remote,
    },
    /// List the users
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,

        #[command(flatten)]
        remote: Remote,
    },
    /// Give a user another password, which ends every session of theirs
    Password {
        name: String,

        #[command(flatten)]
        password: PasswordFrom,

        #[command(flatten)]
        remote: Remote,
    },
    /// Give a user another role, which ends every session of theirs
    Role {
        name: String,

        /// viewer, user or admin
        #[arg(value_parser = role)]
        role: Role,

        #[command(flatten)]
        remote: Remote,
    },
    /// Let a user in no more, until they are enabled again
    Disable {
        name: String,

        #[command(flatten)]
        remote: Remote,
    },
    /// Let a user in again
    Enable {
        name: String,

        #[command(flatten)]
        remote: Remote,
    },
    /// Remove a user, with sessions and tokens
    Remove {
        name: String,

        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Debug, Clone, Copy, Args)]
pub(super) struct PasswordFrom {
    /// Read the password from the first line of standard input instead of asking for it
    #[arg(long)]
    password_stdin: bool,
}

/// A role of the command line.
pub(super) fn role(word: &str) -> Result<Role, String> {
    let known: Vec<String> = Role::ALL.iter().map(|role| format!("`{role}`")).collect();
    Role::parse(word).ok_or_else(|| format!("is no role: write one of {}", known.join(", ")))
}

impl UserCommand {
    fn remote(&self) -> &Remote {
        match self {
            Self::Add { remote, .. }
            | Self::List { remote, .. }
            | Self::Password { remote, .. }
            | Self::Role { remote, .. }
            | Self::Disable { remote, .. }
            | Self::Enable { remote, .. }
            | Self::Remove { remote, .. } => remote,
        }
    }
}

/// Somebody who can log in.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct User {
    username: String,
    role: String,
    disabled: bool,
    #[serde(deserialize_with = "time")]
    created_at: Option<Timestamp>,
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.and_then(|text| parse_time(&text)))
}

/// What is to change of a user.
#[derive(Debug)]
enum Change {
    Password(String),
    Role(Role),
    Disabled(bool),
}

/// Where users are kept: behind the API, or in a store that nobody else has open.
enum Users {
    Api(Client),
    Store(Box<direct::Opened>),
}

pub(super) fn run(command: &UserCommand, around: Surroundings<'_>) -> Exit {
    let client = match command.remote().client(&around) {
        Ok(client) => client,
        Err(exit) => return exit,
    };
    around.run(async {
        // Asked first, so that nobody types a password in vain.
        let (users, all) = match client.all(USERS).await {
            Ok(all) => (Users::Api(client), all),
            Err(error) if error.nobody_there() && !command.remote().is_elsewhere() => {
                let makes = matches!(command, UserCommand::Add { .. });
                match direct::open(makes, &error, &around).await {
                    Ok(Some(opened)) => {
                        let all = opened.list();
                        (Users::Store(Box::new(opened)), all)
                    }
                    Ok(None) => (Users::Api(client), Vec::new()),
                    Err(exit) => return Ok(exit),
                }
            }
            Err(error) => return Err(error),
        };
        let done = carry_out(command, &users, &all, around.terminal).await;
        match users {
            Users::Api(_) => done,
            // Its own failures are told where they happen.
            Users::Store(opened) => {
                let closed = opened.close(around.terminal).await;
                done.map(|exit| if exit == Exit::Fine { closed } else { exit })
            }
        }
    })
}

async fn carry_out(
    command: &UserCommand,
    users: &Users,
    all: &[Json],
    terminal: &Terminal,
) -> Result<Exit, ClientError> {
    let (name, change, done) = match command {
        UserCommand::List { json, .. } => return Ok(list(all, *json, terminal)),
        UserCommand::Add { name, role, password, .. } => {
            let role = role.unwrap_or(if all.is_empty() { Role::Admin } else { Role::Viewer });
            let password = match new_password(&plain(name), password.password_stdin, terminal) {
                Ok(password) => password,
                Err(exit) => return Ok(exit),
            };
            return add(users, name, role, password, terminal).await;
        }
        UserCommand::Remove { name, .. } => return remove(users, name, terminal).await,
        UserCommand::Password { name, password, .. } => {
            match new_password(&plain(name), password.password_stdin, terminal) {
                Ok(password) => (name, Change::Password(password), "has another password now".to_owned()),
                Err(exit) => return Ok(exit),
            }
        }
        UserCommand::Role { name, role, .. } => (name, Change::Role(*role), format!("is {role} now")),
        UserCommand::Disable { name, .. } => (name, Change::Disabled(true), "is let in no more".to_owned()),
        UserCommand::Enable { name, .. } => (name, Change::Disabled(false), "is let in again".to_owned()),
    };
    let exit = match users {
        Users::Store(opened) => opened.change(name, change, terminal).await,
        Users::Api(client) => {
            let body = match change {
                Change::Password(password) => json!({ "password": password }),
                Change::Role(role) => json!({ "role": role.as_str() }),
                Change::Disabled(disabled) => json!({ "disabled": disabled }),
            };
            client.call(Method::PATCH, &path(name), Some(&body), Duration::ZERO).await?;
            Exit::Fine
        }
    };
    Ok(if exit == Exit::Fine { terminal.print(&format!("{} {done}\n", plain(name))) } else { exit })
}

fn path(name: &str) -> String {
    format!("{USERS}/{}", segment(name))
}

async fn add(
    users: &Users,
    name: &str,
    role: Role,
    password: String,
    terminal: &Terminal,
) -> Result<Exit, ClientError> {
    let exit = match users {
        Users::Store(opened) => opened.add(name, role, password, terminal).await,
        Users::Api(client) => {
            let body = json!({ "username": name, "password": password, "role": role.as_str() });
            client.call(Method::POST, USERS, Some(&body), Duration::ZERO).await?;
            Exit::Fine
        }
    };
    Ok(if exit == Exit::Fine {
        terminal.print(&format!("{} can log in, with the role {role}\n", plain(name)))
    } else {
        exit
    })
}

async fn remove(users: &Users, name: &str, terminal: &Terminal) -> Result<Exit, ClientError> {
    let exit = match users {
        Users::Store(opened) => opened.remove(name, terminal).await,
        Users::Api(client) => {
            client.call(Method::DELETE, &path(name), None, Duration::ZERO).await?;
            Exit::Fine
        }
    };
    Ok(if exit == Exit::Fine { terminal.print(&format!("{} is gone\n", plain(name))) } else { exit })
}

fn list(all: &[Json], json: bool, terminal: &Terminal) -> Exit {
    if json {
        return terminal.print(&format!("{:#}\n", json!({ "items": all })));
    }
    let users: Vec<User> = all.iter().filter_map(|user| serde_json::from_value(user.clone()).ok()).collect();
    if users.is_empty() {
        return terminal.print("No users yet: `wakedock user add NAME` makes the first one, an admin.\n");
    }
    let now = clock::wall();
    let columns = [
        Column::text("NAME", 0),
        Column::text("ROLE", 0),
        Column::text("LOG-IN", 0),
        Column::figures("MADE", 1),
    ];
    let rows: Vec<Vec<Cell>> = users
        .iter()
        .map(|user| {
            vec![
                Cell::new(Ink::Strong, &user.username),
                Cell::new(Ink::Plain, &user.role),
                if user.disabled {
                    Cell::new(Ink::Red, "disabled")
                } else {
                    Cell::new(Ink::Plain, "allowed")
                },
                Cell::or_nothing(user.created_at.map(|at| ago(now, at))),
            ]
        })
        .collect();
    terminal.print(&table::render(&columns, &rows, terminal.width(), terminal.palette()))
}
