//! What the log says while a test runs, on the thread of the test.

use std::io;
use std::sync::{Arc, Mutex};

use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;
use wakedock::telemetry::{Lines, subscriber};

/// The lines so far. They are collected until this is dropped.
pub(crate) struct Said {
    lines: Buffer,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Buffer {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

impl Said {
    /// Begins to listen.
    pub(crate) fn listen() -> Self {
        let lines = Buffer::default();
        let (subscriber, _) = subscriber(tracing::Level::INFO, Lines::Text, false, lines.clone());
        Self { lines, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// Every line that has all of these words in it.
    pub(crate) fn lines(&self, words: &[&str]) -> Vec<String> {
        let text = String::from_utf8(self.lines.0.lock().unwrap().clone()).unwrap();
        let fits = |line: &&str| words.iter().all(|word| line.contains(word));
        text.lines().filter(fits).map(Into::into).collect()
    }
}
