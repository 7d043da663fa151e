//! A raw HTTP/1.1 client: it sends what it is told to and hides nothing of what comes back.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// Larger bodies are written by a thread of their own, so that an echo cannot deadlock.
const WRITTEN_AT_ONCE: usize = 16 << 10;

/// How long a read may be silent unless the connection was told otherwise.
const PATIENCE: Duration = Duration::from_secs(70);

/// Where a connection goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Target {
    pub fn tcp(&self) -> SocketAddr {
        match self {
            Self::Tcp(address) => *address,
            Self::Unix(path) => panic!("{} is no TCP address", path.display()),
        }
    }
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(stream) => Self::Tcp(stream.try_clone()?),
            Self::Unix(stream) => Self::Unix(stream.try_clone()?),
        })
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(how),
            Self::Unix(stream) => stream.shutdown(how),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Status line and fields.
#[derive(Debug, Clone, Default)]
pub struct Head {
    pub status: u16,
    pub version: String,
    /// In order; names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The first field of this name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

/// A whole answer.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub head: Head,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    /// Status of each interim answer that came first.
    pub interim: Vec<u16>,
}

impl Answer {
    pub fn status(&self) -> u16 {
        self.head.status
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    pub fn trailer(&self, name: &str) -> Option<&str> {
        find(&self.trailers, name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|problem| panic!("{problem} in the answer {} {:?}", self.status(), self.text()))
    }

    /// Which process of the test application answered; `None`: not the application.
    pub fn instance(&self) -> Option<&str> {
        self.header("x-instance")
    }

    /// Whether that process had been told to stop.
    pub fn told_to_stop(&self) -> bool {
        self.header("x-told-to-stop").is_some()
    }
}

fn find<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find_map(|(field, value)| (field == name).then_some(value.as_str()))
}

#[derive(Debug, Clone)]
enum Body {
    Empty,
    Sized(Vec<u8>),
    Chunked(Vec<Vec<u8>>),
}

/// A request to send on a connection of its own, or on an open one.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Body,
    patience: Duration,
}

impl Request {
    pub fn new(method: &str, host: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: vec![("Host".to_owned(), host.to_owned())],
            body: Body::Empty,
            patience: PATIENCE,
        }
    }

    pub fn get(host: &str, path: &str) -> Self {
        Self::new("GET", host, path)
    }

    pub fn post(host: &str, path: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { body: Body::Sized(body.into()), ..Self::new("POST", host, path) }
    }

    /// A body of known length.
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: Body::Sized(body.into()), ..self }
    }

    /// A body sent in these chunks.
    #[must_use]
    pub fn chunked(self, chunks: Vec<Vec<u8>>) -> Self {
        Self { body: Body::Chunked(chunks), ..self }
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What a browser sends when a person opens the page.
    #[must_use]
    pub fn navigation(self) -> Self {
        self.header("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
            .header("Sec-Fetch-Mode", "navigate")
    }

    /// The longest silence that is put up with.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Sends it on a connection of its own and reads the whole answer.
    ///
    /// # Errors
    /// The connection could not be made, broke, was silent for too long, or spoke no HTTP.
    pub fn send(&self, target: &Target) -> io::Result<Answer> {
        let mut connection = Connection::open(target)?;
        connection.set_patience(self.patience)?;
        connection.exchange(self)
    }

    /// Bytes of the head, with the empty line.
    pub fn head(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match &self.body {
            Body::Empty => {}
            Body::Sized(bytes) => head.push_str(&format!("Content-Length: {}\r\n", bytes.len())),
            Body::Chunked(_) => head.push_str("Transfer-Encoding: chunked\r\n"),
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    fn body_on_the_wire(&self) -> Vec<u8> {
        match &self.body {
            Body::Empty => Vec::new(),
            Body::Sized(bytes) => bytes.clone(),
            Body::Chunked(chunks) => {
                let mut wire = Vec::new();
                for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
                    wire.extend(format!("{:x}\r\n", chunk.len()).bytes());
                    wire.extend(chunk);
                    wire.extend(b"\r\n");
                }
                wire.extend(b"0\r\n\r\n");
                wire
            }
        }
    }
}

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<Stream>,
}

impl Connection {
    /// # Errors
    /// Nobody listens there.
    pub fn open(target: &Target) -> io::Result<Self> {
        let stream = match target {
            Target::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, Duration::from_secs(10))?;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
            Target::Unix(path) => Stream::Unix(UnixStream::connect(path)?),
        };
        let connection = Self { stream: BufReader::new(stream) };
        connection.set_patience(PATIENCE)?;
        Ok(connection)
    }

    /// The longest silence that is put up with.
    ///
    /// # Errors
    /// The patience is zero.
    pub fn set_patience(&self, patience: Duration) -> io::Result<()> {
        match self.stream.get_ref() {
            Stream::Tcp(stream) => stream.set_read_timeout(Some(patience)),
            Stream::Unix(stream) => stream.set_read_timeout(Some(patience)),
        }
    }

    /// # Errors
    /// The connection broke.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Says that nothing more will be sent.
    ///
    /// # Errors
    /// The connection is closed already.
    pub fn finish_sending(&self) -> io::Result<()> {
        self.stream.get_ref().shutdown(Shutdown::Write)
    }

    /// Makes every read and write of this connection end, from any thread.
    ///
    /// # Errors
    /// No file descriptor is left.
    pub fn breaker(&self) -> io::Result<impl FnOnce() + Send + 'static> {
        let stream = self.stream.get_ref().try_clone()?;
        Ok(move || drop(stream.shutdown(Shutdown::Both)))
    }

    /// Sends `request` and reads the whole answer; the connection stays open.
    ///
    /// # Errors
    /// The connection broke, was silent for too long, or spoke no HTTP.
    pub fn exchange(&mut self, request: &Request) -> io::Result<Answer> {
        let mut bytes = request.head();
        bytes.extend(request.body_on_the_wire());
        if bytes.len() <= WRITTEN_AT_ONCE {
            self.send(&bytes)?;
            return self.answer(&request.method);
        }
        let mut writer = self.stream.get_ref().try_clone()?;
        std::thread::scope(|scope| {
            // A server may answer without reading everything: what counts is its answer.
            scope.spawn(move || drop(writer.write_all(&bytes)));
            let answer = self.answer(&request.method);
            if answer.is_err() {
                let _ = self.stream.get_ref().shutdown(Shutdown::Both);
            }
            answer
        })
    }

    /// Reads one head, interim or not.
    ///
    /// # Errors
    /// The connection ended, or what came is no head.
    pub fn read_head(&mut self) -> io::Result<Head> {
        let line = self.line()?;
        let mut words = line.splitn(3, ' ');
        let version = words.next().unwrap_or_default().to_owned();
        let status = words.next().and_then(|status| status.parse().ok());
        let Some(status) = status.filter(|_| version.starts_with("HTTP/")) else {
            return Err(garbled(&line));
        };
        Ok(Head { status, version, headers: self.fields()? })
    }

    /// Reads the answer to a request of this method, with the interim ones before it.
    ///
    /// # Errors
    /// The connection ended early, was silent for too long, or spoke no HTTP.
    pub fn answer(&mut self, method: &str) -> io::Result<Answer> {
        let mut interim = Vec::new();
        let head = loop {
            let head = self.read_head()?;
            if head.status >= 200 || head.status == 101 {
                break head;
            }
            interim.push(head.status);
        };
        let mut answer = Answer { head, interim, ..Answer::default() };
        if method == "HEAD" || matches!(answer.status(), 101 | 204 | 304) {
            return Ok(answer);
        }
        if answer.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            while let Some(chunk) = self.chunk()? {
                answer.body.extend(chunk);
            }
            answer.trailers = self.fields()?;
        } else if let Some(length) = answer.header("content-length") {
            let length = length.parse().map_err(|_| garbled(length))?;
            answer.body = vec![0; length];
            self.stream.read_exact(&mut answer.body)?;
        } else {
            self.stream.read_to_end(&mut answer.body)?;
        }
        Ok(answer)
    }

    /// The next chunk of a chunked body; `None` at its end, where the trailer fields follow.
    ///
    /// # Errors
    /// The connection ended early, or what came is no chunk.
    pub fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = self.line()?;
        let size = line.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size.trim(), 16).map_err(|_| garbled(&line))?;
        if size == 0 {
            return Ok(None);
        }
        let mut chunk = vec![0; size];
        self.stream.read_exact(&mut chunk)?;
        if self.line()?.is_empty() { Ok(Some(chunk)) } else { Err(garbled("a chunk without its end")) }
    }

    /// Fields up to the empty line: of a head, or the trailers after the last chunk.
    ///
    /// # Errors
    /// The connection ended early, or what came is no field.
    pub fn fields(&mut self) -> io::Result<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(fields);
            }
            let (name, value) = line.split_once(':').ok_or_else(|| garbled(&line))?;
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// A line without its end.
    ///
    /// # Errors
    /// The connection ended.
    pub fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended within a line"));
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        String::from_utf8(line).map_err(io::Error::other)
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

fn garbled(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: {what:?}"))
}
