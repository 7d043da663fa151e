//! What a person sees instead of a service: the boundary to the pages' templates.

use std::fmt::Write;
use std::time::Duration;

use crate::domain::service::WaitingPage;

/// What the pages are made of.
#[derive(Debug)]
pub(super) struct View<'a> {
    /// The host that was asked for.
    pub(super) host: &'a str,
    pub(super) page: &'a WaitingPage,
    /// What went wrong, in words for strangers; `None`: the service is on its way.
    pub(super) failure: Option<&'a str>,
    /// The last log lines, where the operator lets strangers read them.
    pub(super) log: &'a [String],
    pub(super) elapsed: Duration,
    pub(super) usual: Option<Duration>,
    pub(super) retry_after: Duration,
}

/// The page as HTML.
pub(super) fn render(view: &View<'_>) -> String {
    let title = escape(view.page.title.as_deref().unwrap_or(view.host));
    let refresh = view.retry_after.as_secs().max(1);
    let mut html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <meta name=robots content=noindex><meta http-equiv=refresh content={refresh}><title>{title}</title>\
         <h1>{title}</h1>"
    );
    // Writing to a string does not fail.
    let _ = match view.failure {
        Some(failure) => write!(html, "<p>{}</p><p><a href=\"\">Try again</a></p>", escape(failure)),
        None => write!(html, "<p>Starting, for {} s.</p>", view.elapsed.as_secs()),
    };
    if let (None, Some(usual)) = (view.failure, view.usual) {
        let _ = write!(html, "<p>Usually this takes {} s.</p>", usual.as_secs().max(1));
    }
    if let Some(message) = &view.page.message {
        let _ = write!(html, "<p>{}</p>", escape(message));
    }
    if !view.log.is_empty() {
        let _ = write!(html, "<pre>{}</pre>", escape(&view.log.join("\n")));
    }
    html
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}
