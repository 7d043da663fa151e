//! Clients that ask for something and do not read it. What they do not take waits in buffers, holds
//! a connection, and with it a place; so it waits for a while only.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A connection whose other side has to take something now and then, while there is something for it.
#[derive(Debug)]
pub(super) struct Patient<S> {
    stream: S,
    patience: Duration,
    /// Since the last write that went through. `None`: none waits.
    over: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, over: None }
    }

    /// What became of a write: one that waits does so until the patience is over.
    fn wrote<T>(&mut self, outcome: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.over = None;
            return outcome;
        }
        let patience = self.patience;
        let over = self.over.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(over.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "the client does not read")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(outcome, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.wrote(outcome, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    // Sockets have nothing of their own to flush, so that a flush says nothing about the client.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn whoever_reads_nothing_is_let_go() {
        let (near, _far) = duplex(16);
        let began = crate::clock::now();
        let error = Patient::new(near, PATIENCE).write_all(&[0; 100]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(crate::clock::now().since(began), PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_slow_is_waited_for() {
        let (near, mut far) = duplex(16);
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            while all.len() < 100 {
                tokio::time::sleep(PATIENCE - Duration::from_secs(1)).await;
                let mut piece = [0; 16];
                let read = far.read(&mut piece).await.unwrap();
                all.extend_from_slice(&piece[..read]);
            }
            all.len()
        });
        Patient::new(near, PATIENCE).write_all(&[0; 100]).await.unwrap();
        assert_eq!(reading.await.unwrap(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_to_send_is_nothing_to_read() {
        let (near, mut far) = duplex(16);
        let mut near = Patient::new(near, PATIENCE);
        near.write_all(&[1; 16]).await.unwrap();
        tokio::time::sleep(100 * PATIENCE).await;
        far.read_exact(&mut [0; 16]).await.unwrap();
        near.write_all(&[1; 16]).await.unwrap();
    }
}
