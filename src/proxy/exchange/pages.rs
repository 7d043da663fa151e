//! What a person sees instead of a service: from an answer of ours to the page that says it.

use std::time::Duration;

use http::header::ACCEPT_LANGUAGE;
use http::{HeaderMap, HeaderValue, Request};
use hyper::body::Incoming;

use crate::clock;
use crate::domain::service::Theme;
use crate::domain::words::{Phase, Refusal};
use crate::html::Language;
use crate::html::waiting::{self, RefusalView, Refused, WaitingState, WaitingView};
use crate::proxy::exchange::ask;
use crate::proxy::exchange::respond::{Page, Verdict, verdict};
use crate::proxy::trouble::{Fault, Trouble};
use crate::supervisor::handle::{ServiceHandle, Snapshot, WakeStep};

/// A person who asked: somebody whose browser shows the answer as a page. Their language is read
/// only where there is a page for them. The query is for the page to ask for the same again.
pub(in crate::proxy) struct Reader {
    languages: Option<HeaderValue>,
    query: Option<Box<str>>,
}

impl Reader {
    /// `None`: a program asked.
    pub(in crate::proxy) fn of(request: &Request<Incoming>) -> Option<Self> {
        ask::is_navigation(request).then(|| Self {
            languages: languages(request.headers()),
            query: request.uri().query().map(Into::into),
        })
    }

    fn language(&self) -> Language {
        let accepted = self.languages.as_ref().and_then(|value| value.to_str().ok());
        accepted.map_or_else(Language::default, Language::from_accept)
    }
}

/// The value of `Accept-Language`; of several lines, which no browser sends, one.
fn languages(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut lines = headers.get_all(ACCEPT_LANGUAGE).iter();
    let first = lines.next()?;
    if lines.next().is_none() {
        return Some(first.clone());
    }
    let lines: Vec<&[u8]> = headers.get_all(ACCEPT_LANGUAGE).iter().map(HeaderValue::as_bytes).collect();
    HeaderValue::from_bytes(&lines.join(&b',')).ok()
}

/// The form of an answer about a service.
pub(in crate::proxy) fn for_service(
    service: &ServiceHandle,
    host: &str,
    reader: Option<&Reader>,
    trouble: &Trouble,
) -> Page {
    let Some(reader) = reader else { return Page::Text };
    let snapshot = service.snapshot();
    let spec = service.spec();
    let page = &spec.waiting_page;
    let title = page.title.as_deref().unwrap_or(host);
    let log = snapshot.failure.as_deref().filter(|_| page.show_logs).map_or(&[][..], |failure| &failure.log);
    let state = match trouble {
        Trouble::Waking { .. } => waking(&snapshot),
        Trouble::Refused(Refusal::Failed { retry_after } | Refusal::BackingOff { retry_after }) => {
            WaitingState::Failed { retry_after: *retry_after, log }
        }
        other => return refusal(title, page.theme, reader, other),
    };
    let language = reader.language();
    rendered(
        language,
        waiting::page(&WaitingView {
            title,
            message: page.message.as_deref(),
            theme: page.theme,
            language,
            query: reader.query.as_deref(),
            state,
        }),
    )
}

/// The form of an answer about a host that no service has.
pub(in crate::proxy) fn for_nobody(host: &str, reader: Option<&Reader>, trouble: &Trouble) -> Page {
    reader.map_or(Page::Text, |reader| refusal(host, Theme::Auto, reader, trouble))
}

fn waking(snapshot: &Snapshot) -> WaitingState<'static> {
    match snapshot.phase {
        Phase::Stopping => WaitingState::Stopping { usual: snapshot.usual },
        // Asleep: the order goes out this moment. Ready: it was faster than this page.
        Phase::Waking | Phase::Asleep | Phase::Ready | Phase::Failed => WaitingState::Waking {
            probing: snapshot.phase == Phase::Waking && snapshot.step == WakeStep::Probing,
            elapsed: elapsed(snapshot),
            usual: snapshot.usual,
        },
    }
}

fn elapsed(snapshot: &Snapshot) -> Duration {
    if snapshot.phase == Phase::Waking { clock::now().since(snapshot.since) } else { Duration::ZERO }
}

/// When a page that waits asks again without script, and what `Retry-After` says.
pub(in crate::proxy) fn look_again(snapshot: &Snapshot) -> Duration {
    waking(snapshot).look_again()
}

fn refusal(title: &str, theme: Theme, reader: &Reader, trouble: &Trouble) -> Page {
    let Some(refused) = refused(trouble) else { return Page::Text };
    let Verdict { retry_after, .. } = verdict(trouble);
    let language = reader.language();
    rendered(
        language,
        waiting::refusal(&RefusalView {
            title,
            theme,
            language,
            query: reader.query.as_deref(),
            refused,
            retry_after,
        }),
    )
}

/// The refusals that have a page; the rest is for programs.
fn refused(trouble: &Trouble) -> Option<Refused> {
    match trouble {
        Trouble::Refused(refusal) => match refusal {
            Refusal::UnknownHost => Some(Refused::UnknownHost),
            Refusal::HoldTimeout => Some(Refused::HoldTimeout),
            Refusal::Overloaded => Some(Refused::Overloaded),
            Refusal::Draining => Some(Refused::Draining),
            Refusal::Disabled => Some(Refused::Disabled),
            Refusal::EngineUnavailable => Some(Refused::EngineUnavailable),
            Refusal::Failed { .. } | Refusal::BackingOff { .. } => None,
        },
        Trouble::Upstream(fault) => match fault {
            Fault::Refused(refusal) => refused(&Trouble::Refused(*refusal)),
            Fault::ConnectTimeout | Fault::HeadTimeout | Fault::WriteTimeout => {
                Some(Refused::UpstreamTimeout)
            }
            Fault::Connect(_)
            | Fault::Terminated(_)
            | Fault::Protocol(_)
            | Fault::Length
            | Fault::TransferCoding
            | Fault::UnaskedUpgrade
            | Fault::Handshake => Some(Refused::UpstreamError),
            Fault::ClientBody(_) => None,
        },
        Trouble::Waking { .. }
        | Trouble::Crowded
        | Trouble::Prefetch
        | Trouble::NotFound
        | Trouble::BadRequest(_)
        | Trouble::TargetTooLong
        | Trouble::HeadTooLarge => None,
    }
}

/// A page that cannot be rendered is a mistake of ours; the person still gets the answer.
fn rendered(language: Language, page: Result<String, crate::html::RenderError>) -> Page {
    match page {
        Ok(html) => Page::Html { html, language },
        Err(error) => {
            tracing::error!(%error, "a page was not rendered");
            Page::Text
        }
    }
}
