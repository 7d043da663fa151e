//! HTTPS: who is believed, and what is said of the others.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use super::{Said, wakedock};

/// Made for these tests, for the name `localhost`; its authority's key is thrown away.
fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/cli/certificates").join(name)
}

/// Answers every request with one sleeping service, under the test's certificate.
async fn server() -> SocketAddr {
    let chain =
        CertificateDer::pem_file_iter(certificate("server.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(certificate("server.key")).unwrap();
    let config: Result<_, rustls::Error> =
        ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            assert!(head.contains("authorization: Bearer wd_x\r\n"), "{head}");
            let body = r#"{"name":"a","phase":"asleep"}"#;
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    address
}

async fn status(url: String, roots: PathBuf) -> Said {
    let run = move || {
        let mut command = wakedock(&["status", "a", "--url", &url, "--token", "wd_x"]);
        Said::from(command.env("SSL_CERT_FILE", roots).output().unwrap())
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_believed_from_whom_this_machine_trusts_and_for_its_name() {
    let address = server().await;
    let port = address.port();
    let said = status(format!("https://localhost:{port}"), certificate("authority.pem")).await;
    assert!(said.fine().starts_with("○ a  asleep"), "{}", said.out);

    // Signed by the same authority, for another name.
    let said = status(format!("https://127.0.0.1:{port}"), certificate("authority.pem")).await;
    let text = said.failed(1);
    assert!(
        text.starts_with("error: WakeDock does not answer\n") && text.contains("not valid for name"),
        "{text}"
    );

    // Its own certificate is no authority, and a key is no certificate.
    let said = status(format!("https://localhost:{port}"), certificate("server.pem")).await;
    assert!(said.failed(1).contains("invalid peer certificate"), "{}", said.err);
    let said = status(format!("https://localhost:{port}"), certificate("server.key")).await;
    assert!(said.failed(1).contains("no certificates to trust"), "{}", said.err);

    // Neither side speaks the other's language.
    let said = status(format!("http://localhost:{port}"), certificate("authority.pem")).await;
    assert!(said.failed(1).contains("broke"), "{}", said.err);
}
