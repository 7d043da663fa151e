//! The application that `WakeDock`'s tests and demo put to sleep: every behaviour is a switch.

#![allow(
    clippy::disallowed_methods,
    reason = "the application lives in real time; the ban on clocks is WakeDock's"
)]

mod body;
mod digest;
mod face;
mod routes;
mod serve;
mod switches;
mod websocket;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use switches::Switches;

/// Wrong usage or a switch that cannot be read.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let verb = std::env::args().nth(1);
    if matches!(verb.as_deref(), Some("--help" | "-h" | "help")) {
        print!("{}", include_str!("help.txt"));
        return ExitCode::SUCCESS;
    }
    let switches = match Switches::read(|name| std::env::var(name).ok()) {
        Ok(switches) => switches,
        Err(problem) => {
            eprintln!("testapp: {problem}");
            return ExitCode::from(USAGE);
        }
    };
    match verb.as_deref() {
        None => run(switches),
        Some("health") => health(switches.port),
        Some(other) => {
            eprintln!("testapp: `{other}` is no verb; see --help");
            ExitCode::from(USAGE)
        }
    }
}

fn run(switches: Switches) -> ExitCode {
    // Written to, so that it is really taken.
    let held = std::hint::black_box(vec![1_u8; switches.memory * 1_000_000]);
    let served = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| runtime.block_on(serve::run(switches)));
    drop(held);
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("testapp: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Asks the running application itself: what a `HEALTHCHECK CMD` in an image without a shell calls.
fn health(port: u16) -> ExitCode {
    let patience = Duration::from_secs(2);
    let asked = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), patience)
        .and_then(|mut stream| {
            stream.set_read_timeout(Some(patience))?;
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: health\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        });
    match asked {
        Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => ExitCode::SUCCESS,
        Ok(answer) => {
            println!("{}", answer.lines().next().unwrap_or("no answer"));
            ExitCode::FAILURE
        }
        Err(problem) => {
            println!("{problem}");
            ExitCode::FAILURE
        }
    }
}
