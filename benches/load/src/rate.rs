//! Requests at a fixed rate. The time of each runs from when it was due, not from when it was sent:
//! a proxy that stalls makes all that were due in the meantime late.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::wire::{Wire, all};

/// Connections are there and have been used before anything counts.
const WARM_UP: Duration = Duration::from_millis(500);

pub async fn run(
    at: SocketAddr,
    host: &str,
    connections: u64,
    per_second: u64,
    seconds: u64,
) -> io::Result<String> {
    let connections = connections.clamp(1, per_second.max(1));
    let gap = Duration::from_secs_f64(connections as f64 / per_second.max(1) as f64);
    let each = (seconds as f64 / gap.as_secs_f64()) as u32;
    let start = Instant::now() + WARM_UP;
    let tasks = (0..connections).map(|number| {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes();
        // Spread evenly, not all at once.
        let first = start + gap.mul_f64(number as f64 / connections as f64);
        tokio::spawn(client(at, request, first, gap, each))
    });
    let mut times: Vec<Duration> = all(tasks.collect()).await?.concat();
    let took = start.elapsed();
    times.sort_unstable();
    let at = |share: f64| {
        let index = ((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1));
        times.get(index).map_or(0, Duration::as_micros)
    };
    Ok(format!(
        "{{\"requests\":{},\"micros\":{},\"p50\":{},\"p99\":{},\"p999\":{}}}",
        times.len(),
        took.as_micros(),
        at(0.5),
        at(0.99),
        at(0.999)
    ))
}

async fn client(
    at: SocketAddr,
    request: Vec<u8>,
    first: Instant,
    gap: Duration,
    count: u32,
) -> io::Result<Vec<Duration>> {
    let mut wire = Wire::connect(at).await?;
    wire.send(&request).await?;
    wire.answer().await?;
    let mut times = Vec::with_capacity(count as usize);
    for number in 0..count {
        let due = first + gap * number;
        sleep_until(due).await;
        wire.send(&request).await?;
        wire.answer().await?;
        times.push(due.elapsed());
    }
    Ok(times)
}
