//! The upstream of long bodies and WebSockets: `/bytes/N`, `/sink`, `/ws`.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::socket::ACCEPT;
use crate::wire::{PIECE, Wire, field};

pub async fn serve(at: SocketAddr) -> io::Result<String> {
    let listener = TcpListener::bind(at).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let wire = Wire::new(stream)?;
        // A client that goes away is the end of its connection, and nothing to tell.
        tokio::spawn(async move { connection(wire).await.unwrap_or_default() });
    }
}

async fn connection(mut wire: Wire) -> io::Result<()> {
    let piece = vec![b'x'; PIECE];
    loop {
        let head = wire.head().await?;
        let target = head.split(' ').nth(1).unwrap_or_default();
        if target == "/ws" {
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
            );
            wire.send(answer.as_bytes()).await?;
            return echo(wire).await;
        }
        if let Some(length) = field(&head, "content-length").and_then(|length| length.parse().ok()) {
            wire.skip(length).await?;
        }
        let mut left: u64 = target.strip_prefix("/bytes/").and_then(|count| count.parse().ok()).unwrap_or(0);
        wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {left}\r\n\r\n").as_bytes()).await?;
        while left > 0 {
            let part = left.min(PIECE as u64);
            wire.send(&piece[..part as usize]).await?;
            left -= part;
        }
    }
}

/// Gives every short message back.
async fn echo(mut wire: Wire) -> io::Result<()> {
    let mut answer = Vec::new();
    loop {
        while let [first, second, rest @ ..] = wire.seen.as_slice() {
            let length = usize::from(second & 0x7f);
            let Some((mask, masked)) = rest.split_first_chunk::<4>() else { break };
            let Some(message) = masked.get(..length) else { break };
            answer.extend([*first, second & 0x7f]);
            answer.extend(message.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
            wire.seen.drain(..6 + length);
        }
        if !answer.is_empty() {
            wire.send(&answer).await?;
            answer.clear();
        }
        wire.more().await?;
    }
}
