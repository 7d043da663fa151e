//! Long bodies, one after the other on one connection.

use std::io;
use std::net::SocketAddr;

use tokio::time::Instant;

use crate::wire::{PIECE, Wire};

pub async fn download(at: SocketAddr, host: &str, bytes: u64, times: u64) -> io::Result<String> {
    let mut wire = Wire::connect(at).await?;
    let start = Instant::now();
    for _ in 0..times {
        let request = format!("GET /bytes/{bytes} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        wire.send(request.as_bytes()).await?;
        wire.answer().await?;
    }
    Ok(summary(bytes * times, start))
}

pub async fn upload(at: SocketAddr, host: &str, bytes: u64, times: u64) -> io::Result<String> {
    let mut wire = Wire::connect(at).await?;
    let piece = vec![b'x'; PIECE];
    let start = Instant::now();
    for _ in 0..times {
        let head = format!("POST /sink HTTP/1.1\r\nHost: {host}\r\nContent-Length: {bytes}\r\n\r\n");
        wire.send(head.as_bytes()).await?;
        let mut left = bytes;
        while left > 0 {
            let part = left.min(PIECE as u64);
            wire.send(&piece[..part as usize]).await?;
            left -= part;
        }
        wire.answer().await?;
    }
    Ok(summary(bytes * times, start))
}

fn summary(bytes: u64, start: Instant) -> String {
    format!("{{\"bytes\":{bytes},\"micros\":{}}}", start.elapsed().as_micros())
}
