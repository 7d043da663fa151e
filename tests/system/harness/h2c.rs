//! A client of h2c with prior knowledge.

use std::io;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Runtime;

use super::http::{Answer, Head, Target};

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(70);

/// One connection of many streams.
pub struct H2Connection {
    runtime: Runtime,
    client: SendRequest<Full<bytes::Bytes>>,
}

impl H2Connection {
    /// # Errors
    /// Nobody listens there, or it speaks no h2c.
    pub fn open(target: &Target) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let client = runtime.block_on(async {
            match target {
                Target::Tcp(address) => client(TcpStream::connect(address).await?).await,
                Target::Unix(path) => client(UnixStream::connect(path).await?).await,
            }
        })?;
        Ok(Self { runtime, client })
    }

    /// # Errors
    /// The stream was reset or refused, or the connection broke.
    pub fn send(&self, request: http::Request<Vec<u8>>) -> io::Result<Answer> {
        let mut client = self.client.clone();
        let exchange = async {
            client.ready().await.map_err(io::Error::other)?;
            let request = request.map(|body| Full::new(body.into()));
            let answer = client.send_request(request).await.map_err(io::Error::other)?;
            let (head, body) = answer.into_parts();
            let body = body.collect().await.map_err(io::Error::other)?;
            let trailers = body.trailers().map(fields).unwrap_or_default();
            let head = Head {
                status: head.status.as_u16(),
                version: format!("{:?}", head.version),
                headers: fields(&head.headers),
            };
            Ok(Answer { head, body: body.to_bytes().into(), trailers, interim: Vec::new() })
        };
        let within = async { tokio::time::timeout(PATIENCE, exchange).await.map_err(io::Error::other)? };
        self.runtime.block_on(within)
    }

    /// # Errors
    /// The stream was reset or refused, or the connection broke.
    pub fn get(&self, host: &str, path: &str) -> io::Result<Answer> {
        let request = http::Request::get(format!("http://{host}{path}")).body(Vec::new());
        self.send(request.map_err(io::Error::other)?)
    }

    /// A unary gRPC call with one message.
    ///
    /// # Errors
    /// The stream was reset or refused, or the connection broke.
    pub fn grpc(&self, host: &str, path: &str, message: &[u8]) -> io::Result<Answer> {
        let mut body = vec![0];
        body.extend(u32::try_from(message.len()).map_err(io::Error::other)?.to_be_bytes());
        body.extend(message);
        let request = http::Request::post(format!("http://{host}{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(body);
        self.send(request.map_err(io::Error::other)?)
    }
}

async fn client(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> io::Result<SendRequest<Full<bytes::Bytes>>> {
    let (client, connection) =
        handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    Ok(client)
}

fn fields(map: &http::HeaderMap) -> Vec<(String, String)> {
    map.iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}
