//! What `benches/compare` needs beside wrk: load at a fixed rate, long bodies, WebSockets, and the
//! upstream for the last two. Each prints one line of JSON.

#![allow(
    clippy::disallowed_methods,
    reason = "a load generator lives in real time; the ban on clocks is WakeDock's"
)]

mod rate;
mod serve;
mod socket;
mod transfer;
mod wire;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

const HELP: &str = "\
Usage: load serve PORT
       load rate PORT HOST CONNECTIONS REQUESTS_PER_SECOND SECONDS
       load websocket PORT HOST CONNECTIONS SECONDS
       load download|upload PORT HOST BYTES TIMES
";

fn main() -> ExitCode {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    let Some(outcome) = run(&given) else {
        eprint!("{HELP}");
        return ExitCode::from(64);
    };
    match outcome {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("load: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// `None`: not understood.
fn run(given: &[&str]) -> Option<io::Result<String>> {
    let (verb, rest) = given.split_first()?;
    let number = |at: usize| rest.get(at).and_then(|text| text.parse::<u64>().ok());
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, rest.first()?.parse().ok()?));
    let host = rest.get(1).copied().unwrap_or_default();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Some(Err(error)),
    };
    Some(match *verb {
        "serve" => runtime.block_on(serve::serve(at)),
        "rate" => runtime.block_on(rate::run(at, host, number(2)?, number(3)?, number(4)?)),
        "websocket" => runtime.block_on(socket::run(at, host, number(2)?, number(3)?)),
        "download" => runtime.block_on(transfer::download(at, host, number(2)?, number(3)?)),
        "upload" => runtime.block_on(transfer::upload(at, host, number(2)?, number(3)?)),
        _ => return None,
    })
}
