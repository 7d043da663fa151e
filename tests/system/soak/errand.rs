//! One request to the test application, and what must come back.

use std::sync::OnceLock;

use crate::harness::{Answer, Request};

use super::book::{Chance, Wrong};

pub enum Errand {
    Page,
    Echo(Vec<u8>),
    Chunked(Vec<Vec<u8>>),
    Bytes(usize),
    Fields,
    Status(u16),
    Head(usize),
    Delay(u64),
    Trailers,
}

/// The largest that is asked for.
pub const LARGEST: usize = 6_000_000;

/// What `/bytes/N` sends, or a part of it. Kept, because comparing is then cheap.
pub fn pattern(from: usize, count: usize) -> &'static [u8] {
    static WHOLE: OnceLock<Vec<u8>> = OnceLock::new();
    &WHOLE.get_or_init(|| (0..LARGEST).map(|at| (at % 251) as u8).collect())[from..from + count]
}

impl Errand {
    /// Mostly small things.
    pub fn any(chance: &mut Chance) -> Self {
        match chance.between(0, 19) {
            0..5 => Self::Page,
            5..9 => {
                let count = chance.between(0, 2000);
                Self::Echo(chance.bytes(count))
            }
            9 => {
                let count = chance.between(20_000, 200_000);
                Self::Echo(chance.bytes(count))
            }
            10..13 => Self::Bytes(chance.between(0, 30_000) as usize),
            13 | 14 => Self::Fields,
            15 => Self::Status([204, 301, 304, 404, 418, 500][chance.between(0, 5) as usize]),
            16 => Self::Head(chance.between(0, 100_000) as usize),
            17 => Self::Delay(chance.between(0, 300)),
            18 => Self::Trailers,
            _ => Self::chunked(chance, 5, 4000),
        }
    }

    pub fn chunked(chance: &mut Chance, chunks: u64, most: u64) -> Self {
        let chunks = chance.between(1, chunks);
        let mut chunk = || {
            let count = chance.between(1, most);
            chance.bytes(count)
        };
        Self::Chunked((0..chunks).map(|_| chunk()).collect())
    }

    fn method(&self) -> &'static str {
        match self {
            Self::Echo(_) | Self::Chunked(_) => "POST",
            Self::Head(_) => "HEAD",
            _ => "GET",
        }
    }

    fn path(&self, id: &str) -> String {
        match self {
            Self::Page => "/".into(),
            Self::Echo(_) | Self::Chunked(_) => "/echo".into(),
            Self::Bytes(count) | Self::Head(count) => format!("/bytes/{count}"),
            Self::Fields => format!("/echo-headers?id={id}"),
            Self::Status(status) => format!("/status/{status}"),
            Self::Delay(millis) => format!("/delay?ms={millis}"),
            Self::Trailers => "/trailers".into(),
        }
    }

    pub fn request(&self, host: &str, id: &str) -> Request {
        let request = match self {
            Self::Echo(body) => Request::post(host, &self.path(id), body.clone()),
            Self::Chunked(chunks) => Request::new("POST", host, &self.path(id)).chunked(chunks.clone()),
            Self::Trailers => Request::get(host, &self.path(id)).header("TE", "trailers"),
            _ => Request::new(self.method(), host, &self.path(id)),
        };
        request.header("X-Request-ID", id).patience(super::LIMIT)
    }

    pub fn http2(&self, host: &str, id: &str) -> Result<http::Request<Vec<u8>>, Wrong> {
        let body = match self {
            Self::Echo(body) => body.clone(),
            Self::Chunked(chunks) => chunks.concat(),
            _ => Vec::new(),
        };
        let mut request = http::Request::builder()
            .method(self.method())
            .uri(format!("http://{host}{}", self.path(id)))
            .header("x-request-id", id);
        if matches!(self, Self::Trailers) {
            request = request.header("te", "trailers");
        }
        Ok(request.body(body)?)
    }

    pub fn check(&self, id: &str, answer: &Answer) -> Result<(), Wrong> {
        let status = if let Self::Status(status) = self { *status } else { 200 };
        let method = self.method();
        let path = self.path(id);
        if answer.status() != status || answer.instance().is_none() || answer.header("x-wakedock").is_some() {
            let text: String = answer.text().chars().take(200).collect();
            return Err(format!("{method} {path} was answered {:?} {text:?}", answer.head).into());
        }
        if answer.header("x-request-id") != Some(id) {
            return Err(format!("{method} {path} was given another's answer: {:?}", answer.head).into());
        }
        let right = match self {
            Self::Page => answer.text() == format!("awake: {}\n", answer.instance().unwrap_or_default()),
            Self::Echo(body) => answer.body == *body,
            Self::Chunked(chunks) => answer.body == chunks.concat(),
            Self::Bytes(count) => answer.body == pattern(0, *count),
            Self::Fields => answer.json()["target"].as_str().is_some_and(|target| target.ends_with(&path)),
            Self::Status(_) => answer.body.is_empty(),
            Self::Head(count) => {
                answer.body.is_empty() && answer.header("content-length") == Some(&count.to_string())
            }
            Self::Delay(_) => answer.text() == "after a delay\n",
            Self::Trailers => {
                answer.text() == "with trailers\n" && answer.trailer("x-checksum") == Some("abc123")
            }
        };
        if right {
            return Ok(());
        }
        Err(format!("{method} {path} was answered with another body, of {} bytes", answer.body.len()).into())
    }
}
