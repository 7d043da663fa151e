//! `wakedock health`: whether the WakeDock of this configuration serves, for health checks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use clap::Args;
use http::StatusCode;
use serde_json::Value as Json;

use crate::cli::Exit;
use crate::cli::client::{Client, ClientError, Target};
use crate::cli::remote::{Remote, Surroundings};
use crate::cli::view::paint::plain;

#[derive(Debug, Args)]
pub(super) struct Health {
    /// Fail also when something is degraded: configuration, Docker, Caddy or the store
    #[arg(long)]
    strict: bool,

    /// Print the answer as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: Remote,
}

pub(super) fn run(arguments: &Health, around: Surroundings<'_>) -> Exit {
    let clients = match clients(arguments, &around) {
        Ok(clients) => clients,
        Err(exit) => return exit,
    };
    let path = if arguments.strict { "/readyz?strict" } else { "/readyz" };
    around.run(async {
        let mut last = None;
        for client in &clients {
            match client.get(path).await {
                Ok(answer) => {
                    let said: Json = answer.read()?;
                    let text =
                        if arguments.json { format!("{said:#}\n") } else { format!("{}\n", words(&said)) };
                    return Ok(around.terminal.print(&text));
                }
                Err(ClientError::Refused { body, status: StatusCode::SERVICE_UNAVAILABLE, .. }) => {
                    return Ok(unwell(&body, arguments.json, &around));
                }
                // Not there, or not for us: the other way may do.
                Err(error) if error.status().is_none() => last = last.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        last.map_or(Ok(Exit::Failed), Err)
    })
}

/// The ways to ask: the socket, which may be missing, and the listener of `/readyz`.
fn clients(arguments: &Health, around: &Surroundings<'_>) -> Result<Vec<Client>, Exit> {
    if arguments.remote.is_elsewhere() {
        return Ok(vec![arguments.remote.client(around)?]);
    }
    let settings = around.settings()?;
    let url = Target::parse(&format!("http://{}", reachable(settings.admin.listen)));
    let url = url.map_err(|error| error.tell(around.terminal))?;
    let make = |target| Client::new(target, None).map_err(|error| error.tell(around.terminal));
    let mut clients = Vec::new();
    if let Some(socket) = settings.admin.socket {
        clients.push(make(Target::Socket(socket))?);
    }
    clients.push(make(url)?);
    Ok(clients)
}

/// `0.0.0.0` listens everywhere, and is nowhere.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let address = match listen.ip() {
        IpAddr::V4(address) if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(address) if address.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        address => address,
    };
    SocketAddr::new(address, listen.port())
}

/// It answered that it does not serve, or not as it should.
fn unwell(body: &[u8], json: bool, around: &Surroundings<'_>) -> Exit {
    let said: Json = serde_json::from_slice(body).unwrap_or_default();
    if json {
        around.terminal.print(&format!("{said:#}\n"));
    } else {
        around.terminal.fail(&format!("WakeDock is {}", words(&said)), Some("/readyz"), None);
    }
    Exit::Failed
}

/// `degraded: engine, caddy`.
fn words(said: &Json) -> String {
    let word = plain(said["status"].as_str().unwrap_or("not ready"));
    let checks = said["checks"].as_object().into_iter().flatten();
    let degraded: Vec<String> =
        checks.filter(|(_, verdict)| *verdict != "ok").map(|(name, _)| plain(name)).collect();
    if degraded.is_empty() { word } else { format!("{word}: {}", degraded.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everywhere_is_asked_on_this_machine() {
        for (listen, asked) in
            [("0.0.0.0:7081", "127.0.0.1:7081"), ("[::]:7081", "[::1]:7081"), ("10.0.0.1:1", "10.0.0.1:1")]
        {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), asked);
        }
    }
}
