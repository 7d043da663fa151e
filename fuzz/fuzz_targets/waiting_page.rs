//! The waiting page and the page of a refusal: nothing that a stranger says becomes markup, and
//! the page stays small.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use wakedock::domain::service::Theme;
use wakedock::html::Language;
use wakedock::html::waiting::{RefusalView, Refused, WaitingState, WaitingView, page, refusal};

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    title: &'a str,
    message: Option<&'a str>,
    query: Option<&'a str>,
    log: Vec<String>,
    state: u8,
    elapsed: Duration,
    usual: Option<Duration>,
}

fn tags(page: &str) -> usize {
    page.bytes().filter(|byte| *byte == b'<').count()
}

fuzz_target!(|input: Input<'_>| {
    let Input { title, message, query, log, state, elapsed, usual } = input;
    let state = |log| match state % 4 {
        0 => WaitingState::Waking { probing: false, elapsed, usual },
        1 => WaitingState::Waking { probing: true, elapsed, usual },
        2 => WaitingState::Stopping { usual },
        _ => WaitingState::Failed { retry_after: elapsed, log },
    };
    let (theme, language) = (Theme::Auto, Language::ENGLISH);
    let shown =
        page(&WaitingView { title, message, theme, language, query, state: state(log.as_slice()) }).unwrap();
    assert!(shown.len() < 10_240, "{} bytes", shown.len());
    // As many tags as where nothing could be one; where nothing is cut off for its length. A figure
    // goes wherever what it stands for does, also within a terminal sequence.
    let harmless = |text: &str| text.replace(['<', '>', '&', '"', '\'', '/'], "0");
    let lines: Vec<String> = log.iter().map(|line| harmless(line)).collect();
    let plain = page(&WaitingView {
        title: &harmless(title),
        message: message.map(harmless).as_deref(),
        theme,
        language,
        query: query.map(harmless).as_deref(),
        state: state(lines.as_slice()),
    })
    .unwrap();
    if title.len() < 40 && message.is_none_or(|message| message.len() < 100) && log.concat().len() < 100 {
        assert_eq!(tags(&shown), tags(&plain), "{shown}\n{plain}");
    }
    for refused in Refused::ALL {
        let view =
            RefusalView { title, theme, language, query, refused: *refused, retry_after: Some(elapsed) };
        assert!(refusal(&view).unwrap().len() < 10_240);
    }
});
