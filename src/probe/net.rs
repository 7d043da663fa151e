//! Readiness attempts over the network.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::ports::{BoxFuture, Probe, ProbeAnswer, Prober};

/// A container is at hand: a connection that takes longer met a network that is not up yet, and
/// the kernel would try again only after a second.
const CONNECT: Duration = Duration::from_millis(300);

/// No status line is this far down in an answer.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Makes readiness attempts on connections of its own, one each.
#[derive(Debug, Clone, Copy, Default)]
pub struct NetProber;

impl Prober for NetProber {
    fn attempt(&self, address: SocketAddr, probe: Probe, patience: Duration) -> BoxFuture<'_, ProbeAnswer> {
        Box::pin(async move {
            let connect = timeout(patience.min(CONNECT), TcpStream::connect(address));
            let Ok(Ok(stream)) = connect.await else { return ProbeAnswer::Refused };
            match probe {
                Probe::Tcp => ProbeAnswer::Connected,
                Probe::Http { host, path } => {
                    let asked = timeout(patience, ask(stream, &host, &path)).await;
                    asked.unwrap_or(ProbeAnswer::Silent)
                }
            }
        })
    }
}

/// Asks, and reads until the status is known.
async fn ask(mut stream: TcpStream, host: &str, path: &str) -> ProbeAnswer {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: WakeDock\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    if stream.write_all(request.as_bytes()).await.is_err() {
        return ProbeAnswer::Closed;
    }
    let mut answer = Vec::new();
    loop {
        let mut piece = [0; 1024];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) if answer.is_empty() => return ProbeAnswer::Closed,
            // A byte came, so that the application is there; that it is not HTTP is its affair.
            Ok(0) | Err(_) => return ProbeAnswer::NotHttp,
            Ok(length) => answer.extend_from_slice(&piece[..length]),
        }
        match read_status(&answer) {
            Reading::Status(status) => return ProbeAnswer::Status(status),
            Reading::NotHttp => return ProbeAnswer::NotHttp,
            Reading::More if answer.len() >= LONGEST_ANSWER => return ProbeAnswer::NotHttp,
            Reading::More => {}
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading {
    More,
    Status(u16),
    NotHttp,
}

/// The status of the first final answer; interim ones (1xx) are passed over.
pub(super) fn read_status(mut answer: &[u8]) -> Reading {
    loop {
        const BEGIN: &[u8] = b"HTTP/1.";
        let seen = answer.len().min(BEGIN.len());
        if answer[..seen] != BEGIN[..seen] {
            return Reading::NotHttp;
        }
        let Some(end) = answer.iter().position(|byte| *byte == b'\n') else { return Reading::More };
        let line = String::from_utf8_lossy(&answer[..end]);
        let status = line.split_ascii_whitespace().nth(1).and_then(|status| status.parse::<u16>().ok());
        match status {
            Some(100..=199) => {}
            Some(status @ 200..=999) => return Reading::Status(status),
            _ => return Reading::NotHttp,
        }
        match answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            Some(end) => answer = &answer[end + 4..],
            None => return Reading::More,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn reads_the_status_as_soon_as_the_line_is_whole() {
        assert_eq!(read_status(b"HTTP/1.1 200 OK\r\n"), Reading::Status(200));
        assert_eq!(read_status(b"HTTP/1.0 404\r\nX: y"), Reading::Status(404));
        assert_eq!(read_status(b"HT"), Reading::More);
        assert_eq!(read_status(b"HTTP/1.1 200 O"), Reading::More);
        assert_eq!(read_status(b"HTTP/1.1 103 Early\r\nLink: x\r\n"), Reading::More);
        assert_eq!(
            read_status(b"HTTP/1.1 103 E\r\nLink: x\r\n\r\nHTTP/1.1 503 No\r\n"),
            Reading::Status(503)
        );
        for other in [b"SSH-2.0-".as_slice(), b"\x00\x00\x12\x04", b"HTTP/1.1 OK\n", b"HTTP/1.1 99 x\n"] {
            assert_eq!(read_status(other), Reading::NotHttp, "{other:?}");
        }
    }

    /// Serves one connection after reading the request, and returns what was met and asked.
    async fn met(probe: Probe, answer: &'static [u8], close: bool) -> (ProbeAnswer, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let length = stream.read(&mut asked).await.unwrap();
            stream.write_all(answer).await.unwrap();
            let stream = (!close).then_some(stream);
            (String::from_utf8_lossy(&asked[..length]).into_owned(), stream)
        };
        let (met, (asked, _open)) =
            tokio::join!(NetProber.attempt(address, probe, Duration::from_millis(200)), serve);
        (met, asked)
    }

    fn http() -> Probe {
        Probe::Http { host: "app.example.com".to_owned(), path: "/ok?x=1".to_owned() }
    }

    #[tokio::test]
    async fn tells_the_answers_apart() {
        let (answer, asked) = met(http(), b"HTTP/1.1 204 No Content\r\n", false).await;
        assert_eq!(answer, ProbeAnswer::Status(204));
        assert!(asked.starts_with("GET /ok?x=1 HTTP/1.1\r\nHost: app.example.com\r\n"), "{asked}");
        assert!(asked.contains("User-Agent: WakeDock\r\n") && asked.contains("Connection: close\r\n"));
        assert_eq!(met(http(), b"", true).await.0, ProbeAnswer::Closed);
        assert_eq!(met(http(), b"", false).await.0, ProbeAnswer::Silent);
        assert_eq!(met(http(), b"+OK POP3\r\n", false).await.0, ProbeAnswer::NotHttp);
        assert_eq!(met(http(), b"HTTP/1.1 2", true).await.0, ProbeAnswer::NotHttp);
    }

    #[tokio::test]
    async fn nobody_listens() {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        for probe in [Probe::Tcp, http()] {
            assert_eq!(NetProber.attempt(address, probe, CONNECT).await, ProbeAnswer::Refused);
        }
    }

    #[tokio::test]
    async fn tcp_only_connects() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(NetProber.attempt(address, Probe::Tcp, CONNECT).await, ProbeAnswer::Connected);
    }
}
