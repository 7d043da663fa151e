//! Answer bodies: whole, or fed through a channel by a task.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use tokio::sync::mpsc;

pub type Body = UnsyncBoxBody<Bytes, io::Error>;
/// An error breaks the answer off.
pub type Piece = Result<Frame<Bytes>, io::Error>;

pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body and the end that feeds it; the body ends when the feeding end is dropped, and feeding
/// fails when the client is gone.
pub fn piped() -> (mpsc::Sender<Piece>, Body) {
    let (feed, pieces) = mpsc::channel(2);
    (feed, Piped(pieces).boxed_unsync())
}

struct Piped(mpsc::Receiver<Piece>);

impl http_body::Body for Piped {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Piece>> {
        self.0.poll_recv(context)
    }
}
