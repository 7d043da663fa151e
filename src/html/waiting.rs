//! What a browser shows while a service is not there: the waiting page, the failure page, and a
//! plain page for the other refusals.
//!
//! Strangers read them. They name the host that was asked for (or the operator's title) and what
//! is happening, and nothing of the machine behind; log lines only where the operator allows it.
//! Each is one document under 10 kB that asks for nothing but `/.wakedock/events`.

use std::time::Duration;

use serde::Serialize;

use crate::domain::service::Theme;
use crate::html::language::key;
use crate::html::wording::{self, Phrase, Said};
use crate::html::{Language, RenderError, assets, clip, render};

/// Bytes that a title, a message and log lines may take when escaped, so that the whole page stays
/// under 10 kB. A title stands on it twice.
const TITLE: usize = 260;
const MESSAGE: usize = 640;
const LOG: usize = 1200;
const QUERY: usize = 300;

/// The fields that go with every one of these pages, beside its status and `Retry-After`: never
/// cached, never indexed, nothing loaded, no address passed on.
#[must_use]
pub fn fields(language: Language) -> [(&'static str, &'static str); 8] {
    [
        ("content-type", "text/html; charset=utf-8"),
        ("content-language", language.code()),
        ("vary", "accept-language"),
        ("cache-control", "no-store"),
        ("x-robots-tag", "noindex"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("content-security-policy", content_security_policy()),
    ]
}

/// Admits the style and the script of these pages by their hashes, and nothing else.
#[must_use]
pub fn content_security_policy() -> &'static str {
    &assets::POLICY
}

/// The waiting page of a service.
#[derive(Debug, Clone)]
pub struct WaitingView<'a> {
    /// The operator's title, or the host that was asked for.
    pub title: &'a str,
    /// The operator's message.
    pub message: Option<&'a str>,
    pub theme: Theme,
    pub language: Language,
    /// Of the address that was asked for.
    pub query: Option<&'a str>,
    pub state: WaitingState<'a>,
}

/// What the service does.
#[derive(Debug, Clone)]
pub enum WaitingState<'a> {
    Waking {
        /// The container runs; the application does not answer yet.
        probing: bool,
        /// Since the wake was ordered.
        elapsed: Duration,
        /// How long a wake of this service usually takes, where that is known.
        usual: Option<Duration>,
    },
    /// It is put to sleep, and will be woken right after.
    Stopping { usual: Option<Duration> },
    Failed {
        /// Until the next try is allowed.
        retry_after: Duration,
        /// The newest last; empty where the operator did not allow to show them.
        log: &'a [String],
    },
}

impl WaitingState<'_> {
    /// When to look again: for `Retry-After`, and for readers without script. At least a second.
    #[must_use]
    pub fn look_again(&self) -> Duration {
        let seconds =
            |from, to, time: Duration| time.clamp(Duration::from_secs(from), Duration::from_secs(to));
        let time = match self {
            Self::Waking { elapsed, usual: Some(usual), .. } if elapsed < usual => {
                seconds(2, 10, *usual - *elapsed)
            }
            Self::Waking { elapsed, .. } => seconds(3, 15, *elapsed / 4),
            Self::Stopping { .. } => Duration::from_secs(3),
            Self::Failed { retry_after, .. } => *retry_after,
        };
        Duration::from_secs(time.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX))
    }
}

/// A refusal that has no page of its own.
#[derive(Debug, Clone)]
pub struct RefusalView<'a> {
    /// The operator's title, or the host that was asked for.
    pub title: &'a str,
    pub theme: Theme,
    pub language: Language,
    /// Of the address that was asked for.
    pub query: Option<&'a str>,
    pub refused: Refused,
    /// When to look again, where that may help: the page then loads itself.
    pub retry_after: Option<Duration>,
}

/// Why there is no answer, as far as strangers are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    UnknownHost,
    HoldTimeout,
    Overloaded,
    Draining,
    Disabled,
    EngineUnavailable,
    UpstreamError,
    UpstreamTimeout,
}

impl Refused {
    pub const ALL: &'static [Self] = &[
        Self::UnknownHost,
        Self::HoldTimeout,
        Self::Overloaded,
        Self::Draining,
        Self::Disabled,
        Self::EngineUnavailable,
        Self::UpstreamError,
        Self::UpstreamTimeout,
    ];
}

/// What every page has.
#[derive(Serialize)]
struct Frame {
    lang: &'static str,
    title: String,
    /// Where a line may break: behind each dot of a host.
    title_parts: Vec<String>,
    color_scheme: &'static str,
    /// Where the dark style counts, as a media query.
    dark: Option<&'static str>,
    phase: &'static str,
    word: &'static str,
    what: &'static str,
    /// Whether the script is there.
    live: bool,
    /// Seconds until the page loads itself; with a script, only without one.
    refresh: Option<u64>,
    /// The address it then loads, as the rest of the attribute. Without one, browsers take an address
    /// with a fragment for a place on the page that is there, and load nothing. It is a query alone:
    /// no path of a stranger's can lead elsewhere. Empty where that would be too long.
    again: String,
    /// For the script.
    data: Vec<(&'static str, String)>,
}

#[derive(Serialize)]
struct WaitingContext {
    #[serde(flatten)]
    frame: Frame,
    message: Option<String>,
    time: Option<Time>,
    retry: &'static str,
    wait: String,
    log_title: &'static str,
    log: String,
    hint: Option<String>,
}

#[derive(Serialize)]
struct Time {
    elapsed: String,
    usual: Option<String>,
    /// Out of a thousand; `None` where there is no usual time to measure by.
    progress: Option<u64>,
    label: &'static str,
}

#[derive(Serialize)]
struct RefusalContext {
    #[serde(flatten)]
    frame: Frame,
    retry: Option<&'static str>,
}

/// Renders the waiting page, or the failure page.
///
/// # Errors
/// [`RenderError`] says which template is broken.
pub fn page(view: &WaitingView<'_>) -> Result<String, RenderError> {
    let language = view.language;
    let after = view.state.look_again().as_secs();
    let (phase, said) = match view.state {
        WaitingState::Waking { probing: false, .. } => ("waking", Said::Waking),
        WaitingState::Waking { probing: true, .. } => ("waking", Said::Probing),
        WaitingState::Stopping { .. } => ("stopping", Said::Stopping),
        WaitingState::Failed { .. } => ("failed", Said::Failed),
    };
    let mut frame = frame(view.title, view.theme, language, phase, Phrase::of(language, said));
    frame.live = true;
    frame.again = again_at(view.query);
    if let WaitingState::Waking { probing: true, .. } = view.state {
        frame.data.push(("step", "probing".into()));
    }
    let mut context = WaitingContext {
        frame,
        message: view.message.map(|message| clip::beginning(message, MESSAGE)),
        time: None,
        retry: language.get(key::WAITING_RETRY),
        wait: String::new(),
        log_title: language.get(key::WAITING_LOG),
        log: String::new(),
        hint: None,
    };
    match view.state {
        WaitingState::Waking { elapsed, usual, .. } => follow(&mut context, language, elapsed, usual, after),
        WaitingState::Stopping { usual } => follow(&mut context, language, Duration::ZERO, usual, after),
        WaitingState::Failed { retry_after, log } => {
            // It is about the wait, which is over.
            context.message = None;
            let wait = language.get(key::WAITING_WAIT);
            context.wait = wording::fill(wait, &wording::duration_up(language, retry_after));
            context.log = clip::newest(log, LOG);
            context.frame.data = vec![
                ("wait", retry_after.as_millis().to_string()),
                ("in", wait.into()),
                ("units", wording::units(language)),
            ];
        }
    }
    render("waiting/page.html", &context)
}

/// What a page that follows the service has, beside the failure page.
fn follow(
    context: &mut WaitingContext,
    language: Language,
    elapsed: Duration,
    usual: Option<Duration>,
    after: u64,
) {
    let late = usual.is_some_and(|usual| elapsed > usual);
    let shown = usual.map(|usual| wording::duration_up(language, usual));
    let say = |key| shown.as_ref().map(|usual| wording::fill(language.get(key), usual));
    context.time = Some(Time {
        elapsed: wording::duration(language, elapsed),
        usual: say(if late { key::WAITING_LATE } else { key::WAITING_USUAL }),
        progress: usual.map(|usual| progress(elapsed, usual)),
        label: language.get(key::WAITING_PROGRESS),
    });
    let after_shown = wording::duration(language, Duration::from_secs(after));
    context.hint = Some(wording::fill(language.get(key::WAITING_HINT), &after_shown));
    context.frame.refresh = Some(after);
    let both = |said| {
        let phrase = Phrase::of(language, said);
        format!("{}|{}", phrase.word, phrase.what)
    };
    let data = &mut context.frame.data;
    data.push(("elapsed", elapsed.as_millis().to_string()));
    data.extend(usual.map(|usual| ("usual", usual.as_millis().to_string())));
    data.extend(say(key::WAITING_LATE).map(|late| ("late", late)));
    data.push(("waking", both(Said::Waking)));
    data.push(("probing", both(Said::Probing)));
    data.push(("stopping", both(Said::Stopping)));
    data.push(("failed", both(Said::Failed)));
    data.push(("lost", language.get(key::WAITING_LOST).into()));
    data.push(("units", wording::units(language)));
}

/// How full the line is, out of a thousand: four fifths at the usual time, then ever slower, and
/// never full. The script goes on by the same rule.
fn progress(elapsed: Duration, usual: Duration) -> u64 {
    let share = elapsed.as_secs_f64() / usual.as_secs_f64().max(0.001);
    let filled = if share < 1.0 { 0.8 * share } else { 1.0 - 0.2 / share.sqrt() };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1000")]
    let thousandths = (filled * 1000.0) as u64;
    thousandths.min(999)
}

/// Renders the page of a refusal.
///
/// # Errors
/// [`RenderError`] says which template is broken.
pub fn refusal(view: &RefusalView<'_>) -> Result<String, RenderError> {
    let phrase = Phrase::refusal(view.language, view.refused);
    let mut frame = frame(view.title, view.theme, view.language, "refused", phrase);
    frame.refresh = view.retry_after.map(|after| after.as_secs().max(1));
    frame.again = again_at(view.query);
    let helps = !matches!(view.refused, Refused::UnknownHost | Refused::Disabled);
    let retry = helps.then_some(view.language.get(key::WAITING_RETRY));
    render("waiting/refusal.html", &RefusalContext { frame, retry })
}

/// The same address without its fragment, which only the browser knows.
fn again_at(query: Option<&str>) -> String {
    let query = query.unwrap_or_default();
    if clip::escaped(query) <= QUERY { format!("; url=?{query}") } else { String::new() }
}

fn frame(title: &str, theme: Theme, language: Language, phase: &'static str, phrase: Phrase) -> Frame {
    let (color_scheme, dark) = match theme {
        Theme::Auto => ("light dark", Some("(prefers-color-scheme: dark)")),
        Theme::Light => ("light", None),
        Theme::Dark => ("dark", Some("all")),
    };
    let title = clip::beginning(title, TITLE);
    Frame {
        lang: language.code(),
        title_parts: title.split_inclusive('.').map(Into::into).collect(),
        title,
        color_scheme,
        dark,
        phase,
        word: phrase.word,
        what: phrase.what,
        live: false,
        refresh: None,
        again: String::new(),
        data: Vec::new(),
    }
}
