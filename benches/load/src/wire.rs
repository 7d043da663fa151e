//! A connection, and as much of HTTP/1.1 as is said on it.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes read at once.
pub const PIECE: usize = 256 * 1024;

/// A connection with what was read of it and not taken yet.
pub struct Wire {
    pub stream: TcpStream,
    pub seen: Vec<u8>,
}

impl Wire {
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, seen: Vec::with_capacity(PIECE) })
    }

    pub async fn connect(at: SocketAddr) -> io::Result<Self> {
        Self::new(TcpStream::connect(at).await?)
    }

    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads more; an end is an error.
    pub async fn more(&mut self) -> io::Result<()> {
        if self.stream.read_buf(&mut self.seen).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// Takes a head off.
    pub async fn head(&mut self) -> io::Result<String> {
        let mut from = 0;
        loop {
            if let Some(at) = self.seen[from..].windows(4).position(|four| four == b"\r\n\r\n") {
                // The buffer stays: a new one would be as small as what is in it, and so would reads.
                let head: Vec<u8> = self.seen.drain(..from + at + 4).collect();
                return Ok(String::from_utf8_lossy(&head).into_owned());
            }
            from = self.seen.len().saturating_sub(3);
            self.more().await?;
        }
    }

    /// Takes a body of this length off, without keeping it.
    pub async fn skip(&mut self, length: u64) -> io::Result<()> {
        let mut left = length;
        loop {
            let taken = left.min(self.seen.len() as u64);
            self.seen.drain(..usize::try_from(taken).unwrap_or(usize::MAX));
            left -= taken;
            if left == 0 {
                return Ok(());
            }
            self.more().await?;
        }
    }

    /// Takes a whole answer off, which must be a 200 with a length.
    pub async fn answer(&mut self) -> io::Result<()> {
        let head = self.head().await?;
        if !head.starts_with("HTTP/1.1 200") {
            return Err(io::Error::other(format!("answers {:?}", head.lines().next())));
        }
        let length = field(&head, "content-length").and_then(|length| length.parse().ok());
        self.skip(length.ok_or_else(|| io::Error::other("an answer without length"))?).await
    }
}

/// A field of a head.
pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find_map(|(own, value)| own.eq_ignore_ascii_case(name).then(|| value.trim()))
}

/// The first error of some tasks, or what they came to.
pub async fn all<T: 'static>(tasks: Vec<tokio::task::JoinHandle<io::Result<T>>>) -> io::Result<Vec<T>> {
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await.map_err(io::Error::other)??);
    }
    Ok(results)
}
