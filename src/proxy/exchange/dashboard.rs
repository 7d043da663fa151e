//! Requests for the dashboard's own host: handed over to the control plane, each on a connection of
//! its own.

use std::io;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Request, Response, Version};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use crate::proxy::downstream::state::{Active, ConnState};
use crate::proxy::exchange::body::ResponseBody;
use crate::proxy::fields::rewrite_response;
use crate::proxy::settings::Dashboard;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::proxy) enum HandOverError {
    #[error("the control plane takes no more connections")]
    Crowded,
    #[error("no socket")]
    Socket(#[from] io::Error),
    #[error("the control plane did not answer")]
    Http(#[from] hyper::Error),
}

/// Sends a request, whose fields have been put right, and returns the answer.
pub(in crate::proxy) async fn forward(
    dashboard: &Dashboard,
    request: Request<Incoming>,
    active: Active,
) -> Result<Response<ResponseBody>, (HandOverError, Active)> {
    let mut response = match exchange(dashboard, request, active.state()).await {
        Ok(response) => response,
        Err(error) => return Err((error, active)),
    };
    *response.version_mut() = Version::HTTP_11;
    rewrite_response(response.headers_mut(), None);
    Ok(response.map(|body| {
        let pieces = stream::unfold(body, |mut body| async move {
            loop {
                // What broke off ends here; the length that was promised tells the client.
                let frame = body.frame().await?.ok()?;
                if let Ok(bytes) = frame.into_data() {
                    return Some((bytes, body));
                }
            }
        });
        ResponseBody::events(pieces.boxed_local(), active)
    }))
}

async fn exchange(
    dashboard: &Dashboard,
    request: Request<Incoming>,
    state: &Arc<ConnState>,
) -> Result<Response<Incoming>, HandOverError> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    dashboard.hand_over.try_send(theirs).map_err(|_| HandOverError::Crowded)?;
    let stream = TokioIo::new(tokio::net::UnixStream::from_std(ours)?);
    let (mut sender, connection) = http1::handshake(stream).await?;
    tokio::task::spawn_local(async move {
        if let Err(error) = connection.await {
            tracing::trace!(%error, "a connection to the control plane broke");
        }
    });
    let request = request.map(|body| HandedOn::new(body, Arc::clone(state)));
    Ok(sender.send_request(request).await?)
}

/// A client's body on its way.
struct HandedOn {
    body: Incoming,
    state: Arc<ConnState>,
}

impl HandedOn {
    fn new(body: Incoming, state: Arc<ConnState>) -> Self {
        if body.is_end_stream() {
            state.answering();
        }
        Self { body, state }
    }
}

impl Body for HandedOn {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.state.answering();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
