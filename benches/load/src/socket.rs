//! WebSocket messages, each sent when the one before has come back.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::wire::{Wire, all};

/// Bytes of a message: a line of a chat, an event.
pub const MESSAGE: usize = 64;
/// RFC 6455's own example, and what answers it.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

pub async fn run(at: SocketAddr, host: &str, connections: u64, seconds: u64) -> io::Result<String> {
    let start = Instant::now();
    let until = start + Duration::from_secs(seconds);
    let tasks = (0..connections).map(|_| tokio::spawn(client(at, host.to_owned(), until)));
    let messages: u64 = all(tasks.collect()).await?.into_iter().sum();
    Ok(format!("{{\"messages\":{messages},\"micros\":{}}}", start.elapsed().as_micros()))
}

async fn client(at: SocketAddr, host: String, until: Instant) -> io::Result<u64> {
    let mut wire = Wire::connect(at).await?;
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    );
    wire.send(request.as_bytes()).await?;
    let head = wire.head().await?;
    if !head.starts_with("HTTP/1.1 101") {
        return Err(io::Error::other(format!("no WebSocket: {:?}", head.lines().next())));
    }
    let mut message = vec![0x82, 0x80 | MESSAGE as u8];
    message.extend(MASK);
    message.extend((0..MESSAGE).map(|at| b'x' ^ MASK[at % 4]));
    let mut expected = vec![0x82, MESSAGE as u8];
    expected.extend([b'x'; MESSAGE]);
    let mut messages = 0;
    while Instant::now() < until {
        wire.send(&message).await?;
        while wire.seen.len() < expected.len() {
            wire.more().await?;
        }
        if wire.seen != expected {
            return Err(io::Error::other("another message came back"));
        }
        wire.seen.clear();
        messages += 1;
    }
    Ok(messages)
}
