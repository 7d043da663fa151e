//! What templates may call: texts, figures, times. Times are elements that the script keeps current.

use minijinja::value::Kwargs;
use minijinja::{Environment, Error, State, Value};

use crate::html::Language;
use crate::html::dashboard::escape::Escaped;
use crate::html::dashboard::{format, words};
use crate::html::language::key;
use crate::html::message;

pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_function("t", |state: &State<'_, '_>, key: &str, values: Kwargs| {
        words::text(state, key, &values)
    });
    environment.add_function("known", |state: &State<'_, '_>, start: &str, word: &str| {
        words::of(state).text(&format!("{start}{word}")).unwrap_or(word).to_owned()
    });
    environment
        .add_function("num", |state: &State<'_, '_>, number: u64| format::number(words::of(state), number));
    environment.add_function("decimal", |state: &State<'_, '_>, number: &str| {
        format::decimal(words::of(state), number)
    });
    figure(environment, "took", format::took);
    figure(environment, "span", format::span);
    environment
        .add_function("bytes", |state: &State<'_, '_>, bytes: u64| format::bytes(words::of(state), bytes));
    environment.add_function("day_name", |state: &State<'_, '_>, ms: i64| {
        format::day(words::of(state), ms, offset(state))
    });
    time(environment, "ago", |language, now, ms, _| match now - ms {
        ..1000 => language.get(key::TIME_NOW).to_owned(),
        time => language.get(key::TIME_AGO).replace("{}", &format::span(language, time)),
    });
    time(environment, "lasts", |language, now, ms, _| match now - ms {
        ..1000 => language.get(key::TIME_NOW).to_owned(),
        time => language.get(key::TIME_LASTS).replace("{}", &format::span(language, time)),
    });
    time(environment, "until", |language, now, ms, _| format::countdown(language, ms - now));
    time(environment, "clock", |_, _, ms, offset| format::clock(ms, offset));
    time(environment, "at", |language, _, ms, offset| format::date_and_time(language, ms, offset));
    environment.add_function("hidden", hidden);
    environment.add_filter("sentence", sentence);
    environment.add_filter("ours", |state: &State<'_, '_>, text: &str| message::say(words::of(state), text));
    environment.add_filter("ticks", |text: &str| Value::from_safe_string(ticks(text)));
    environment.add_filter("kind", kind);
    environment.add_filter("urlencode", |text: &str| super::encode(text));
}

fn figure(environment: &mut Environment<'static>, name: &'static str, show: fn(Language, i64) -> String) {
    environment.add_function(name, move |state: &State<'_, '_>, ms: i64| show(words::of(state), ms));
}

/// A `<time>` whose kind is the function's name: the script goes on counting by it.
fn time(
    environment: &mut Environment<'static>,
    name: &'static str,
    show: fn(Language, i64, i64, i32) -> String,
) {
    environment.add_function(name, move |state: &State<'_, '_>, ms: i64| {
        let text = show(words::of(state), whole(state, "now"), ms, offset(state));
        let iso = format::iso(ms);
        Value::from_safe_string(format!(
            r#"<time data-t="{name}" datetime="{iso}">{}</time>"#,
            Escaped(&text)
        ))
    });
}

fn whole(state: &State<'_, '_>, name: &str) -> i64 {
    state.lookup(name).and_then(|value| i64::try_from(value).ok()).unwrap_or_default()
}

fn offset(state: &State<'_, '_>) -> i32 {
    i32::try_from(whole(state, "offset")).unwrap_or_default()
}

/// A text with a capital at its beginning.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// What stands between backticks as code, everything escaped.
fn ticks(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    // One that is alone stays what it is.
    let pairs = parts.len() / 2 * 2 + 1 == parts.len();
    let mut html = String::with_capacity(text.len() + 16);
    for (at, part) in parts.iter().enumerate() {
        match (pairs, at % 2) {
            (true, 1) => html.push_str(&format!("<code>{}</code>", Escaped(part))),
            (true, _) => html.push_str(&Escaped(part).to_string()),
            (false, _) if at == 0 => html.push_str(&Escaped(part).to_string()),
            (false, _) => html.push_str(&format!("`{}", Escaped(part))),
        }
    }
    html
}

/// What something is, with the way to where that is described.
fn kind(kind: &Value) -> Result<Value, Error> {
    let part = |name: &str| kind.get_attr(name);
    let (before, name, after) = (part("before")?, part("name")?, part("after")?);
    let name = Escaped(&name.to_string()).to_string();
    let href = part("href")?;
    let name = match href.as_str() {
        Some(href) => format!("<a href=\"#{}\">{name}</a>", Escaped(href)),
        None => name,
    };
    Ok(Value::from_safe_string(format!("{before}{name}{after}")))
}

/// What every form carries: the token against forged requests, and the page to come back to.
fn hidden(frame: &Value) -> Result<Value, Error> {
    let field = |name: &str| Ok::<_, Error>(frame.get_attr(name)?.to_string());
    Ok(Value::from_safe_string(format!(
        r#"<input type="hidden" name="csrf" value="{}"><input type="hidden" name="back" value="{}">"#,
        Escaped(&field("csrf")?),
        Escaped(&field("back")?),
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backticks_become_code_and_nothing_else_does() {
        assert_eq!(
            ticks("write `15m` or `<b>`, not 15"),
            "write <code>15m</code> or <code>&lt;b&gt;</code>, not 15"
        );
        assert_eq!(ticks("a ` alone <i>"), "a ` alone &lt;i&gt;");
        assert_eq!(ticks(""), "");
    }
}
