//! The log: text for people or one JSON object a line for programs, to standard error.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value as Json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{Targets, dynamic_filter_fn};
use tracing_subscriber::fmt::format::{FmtSpan, Format, Writer};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry, fmt as layer_fmt, reload};

use crate::clock;
use crate::domain::time::Timestamp;

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// For people.
    Text,
    /// For programs: one JSON object each.
    Json,
}

/// Changes the level and the lines of a running log.
#[derive(Clone)]
pub struct LogHandle {
    filter: reload::Handle<Targets, Registry>,
    json: Arc<AtomicBool>,
}

impl fmt::Debug for LogHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogHandle")
    }
}

impl LogHandle {
    /// From now on, writes what is at least as severe as `level`.
    pub fn set_level(&self, level: Level) {
        // Fails only where the subscriber is gone, and then nothing is written anyway.
        let _ = self.filter.reload(targets(level));
    }

    /// From now on, writes such lines.
    pub fn set_lines(&self, lines: Lines) {
        self.json.store(lines == Lines::Json, Ordering::Relaxed);
    }
}

/// Makes the log of this process go to standard error.
///
/// # Errors
/// There is one already.
pub fn init(level: Level, lines: Lines) -> Result<LogHandle, tracing::subscriber::SetGlobalDefaultError> {
    let colour =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let (subscriber, handle) = subscriber(level, lines, colour, io::stderr);
    tracing::subscriber::set_global_default(subscriber)?;
    Ok(handle)
}

/// A subscriber that writes to `writer`, and the handle to its level.
pub fn subscriber<W>(
    level: Level,
    lines: Lines,
    colour: bool,
    writer: W,
) -> (impl Subscriber + Send + Sync + use<W>, LogHandle)
where
    W: for<'w> MakeWriter<'w> + Clone + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(targets(level));
    let json = Arc::new(AtomicBool::new(lines == Lines::Json));
    // Asked for each line: the kind of lines can change at any time.
    let only = |wanted: bool| {
        let json = Arc::clone(&json);
        dynamic_filter_fn(move |_, _| json.load(Ordering::Relaxed) == wanted)
    };
    let text_lines = layer_fmt::layer()
        .event_format(Format::default().with_timer(Clock).with_target(false))
        .with_span_events(FmtSpan::NONE)
        .with_ansi(colour)
        .with_writer(writer.clone())
        .with_filter(only(false));
    let json_lines = layer_fmt::layer()
        .fmt_fields(JsonFields)
        .event_format(JsonLines)
        .with_ansi(false)
        .with_writer(writer)
        .with_filter(only(true));
    // The filter stands alone below the lines: a call that nobody wants costs one load.
    let subscriber = Registry::default().with(filter).with(text_lines.and_then(json_lines));
    (subscriber, LogHandle { filter: handle, json })
}

/// Ours at `level`; what libraries say only where it is at least a warning, or all is traced. h2 warns
/// of each client that breaks its rules, without a word on who it is: a stranger could fill the log.
fn targets(level: Level) -> Targets {
    let libraries = if level == Level::TRACE { Level::DEBUG } else { level.min(Level::WARN) };
    let h2 = if level == Level::TRACE { Level::DEBUG } else { level.min(Level::ERROR) };
    Targets::new().with_default(libraries).with_target("h2", h2).with_target("wakedock", level)
}

struct Clock;

impl FormatTime for Clock {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        writer.write_str(&rfc3339(clock::wall()))
    }
}

/// `2025-11-22T15:28:03.123Z`.
fn rfc3339(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.as_millis()) {
        Ok(at) => format!("{at:.3}"),
        Err(_) => at.as_millis().to_string(),
    }
}

/// One object a line: `time`, `level`, `message`, then every field of the event and of the spans
/// around it, at the top level. The innermost field of a name counts.
struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(text) = span.extensions().get::<FormattedFields<N>>()
                && let Ok(map) = serde_json::from_str::<Map<String, Json>>(text.as_str())
            {
                fields.0.extend(map);
            }
        }
        event.record(&mut fields);
        let message = fields.0.remove("message").unwrap_or_else(|| Json::String(String::new()));
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        write!(writer, r#"{{"time":"{}","level":"{level}","message":{message}"#, rfc3339(clock::wall()))?;
        for (name, value) in fields.0.iter().filter(|(name, _)| !["time", "level"].contains(&name.as_str())) {
            write!(writer, ",{}:{value}", Json::String(name.clone()))?;
        }
        writeln!(writer, "}}")
    }
}

/// Keeps the fields of a span as one JSON object.
struct JsonFields;

impl<'w> FormatFields<'w> for JsonFields {
    fn format_fields<R: tracing_subscriber::field::RecordFields>(
        &self,
        mut writer: Writer<'w>,
        record: R,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        record.record(&mut fields);
        write!(writer, "{}", Json::Object(fields.0))
    }

    fn add_fields(
        &self,
        current: &'w mut FormattedFields<Self>,
        record: &tracing::span::Record<'_>,
    ) -> fmt::Result {
        let mut fields = Fields(serde_json::from_str(current.as_str()).unwrap_or_default());
        record.record(&mut fields);
        current.fields = Json::Object(fields.0).to_string();
        Ok(())
    }
}

#[derive(Default)]
struct Fields(Map<String, Json>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Json>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // A `Debug` that fails has said what it could.
        let _ = write!(text, "{value:?}");
        self.put(field, text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(deeper) = cause {
            // Writing to a string cannot fail.
            let _ = write!(text, ": {deeper}");
            cause = deeper.source();
        }
        self.put(field, text);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

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

    fn written(lines: Lines, act: impl FnOnce(LogHandle)) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let (subscriber, handle) = subscriber(Level::INFO, lines, false, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || act(handle));
        String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn json_has_its_fields_at_the_top() {
        let text = written(Lines::Json, |_| {
            let span = tracing::info_span!("request", request_id = "abc", service = "outer");
            let _inside = span.enter();
            tracing::warn!(service = "cloud", count = 3, awake = true, "line\nbreak \"quoted\"");
        });
        assert_eq!(text.lines().count(), 1);
        let line: Json = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "warn");
        assert_eq!(line["message"], "line\nbreak \"quoted\"");
        assert_eq!(line["request_id"], "abc");
        assert_eq!(line["service"], "cloud", "the event's own field goes before the span's");
        assert_eq!(line["count"], 3);
        assert_eq!(line["awake"], true);
        let time = line["time"].as_str().unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
        assert!(text.starts_with("{\"time\":"), "{text}");
    }

    #[test]
    fn fields_recorded_later_are_there_too() {
        let text = written(Lines::Json, |_| {
            let span = tracing::info_span!("request", status = tracing::field::Empty);
            span.record("status", 503);
            span.in_scope(|| tracing::info!("answered"));
        });
        assert_eq!(serde_json::from_str::<Json>(&text).unwrap()["status"], 503);
    }

    #[test]
    fn text_stays_on_one_line_per_event() {
        let text = written(Lines::Text, |_| tracing::info!(service = "cloud", "asleep"));
        assert_eq!(text.lines().count(), 1);
        assert!(
            text.contains("INFO") && text.contains("asleep") && text.contains("service=\"cloud\""),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'), "no colour where there is no terminal");
    }

    #[test]
    fn the_level_changes_at_run_time() {
        let text = written(Lines::Json, |handle| {
            tracing::debug!("one");
            handle.set_level(Level::DEBUG);
            tracing::debug!("two");
            handle.set_level(Level::ERROR);
            tracing::warn!("three");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("two"));
    }

    #[test]
    fn libraries_are_quiet() {
        let text = written(Lines::Json, |_| {
            tracing::info!(target: "hyper::proto", "chatter");
            tracing::warn!(target: "hyper::proto", "trouble");
            tracing::warn!(target: "h2::proto", "what a stranger did");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}
