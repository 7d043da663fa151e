//! The dashboard's pages: view structs become HTML, and nothing here knows where a view comes from.
//!
//! Templates are made ready by the first page and let go some time after the last one
//! ([`release`]): a dashboard that nobody looks at costs nothing.

pub mod assets;
pub mod chart;
mod escape;
mod format;
mod frame;
mod functions;
pub mod overview;
pub mod pages;
pub mod reference;
pub mod service;
pub mod spark;
mod words;

pub use frame::{Banner, Frame, Notice, Person, Place};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value, context};
use serde::Serialize;

use crate::clock;
use crate::domain::time::Moment;
use crate::html::{Language, RenderError, failed};

/// Every template. Names end in `.html`: that is what makes minijinja escape.
macro_rules! templates {
    ($($name:literal),+ $(,)?) => {
        &[$((
            concat!("dashboard/", $name, ".html"),
            include_str!(concat!("../../../templates/dashboard/", $name, ".html")),
        )),+]
    };
}

const TEMPLATES: &[(&str, &str)] = templates![
    "account",
    "activity",
    "audit",
    "base",
    "caddy",
    "days",
    "edit",
    "error",
    "errors",
    "field",
    "fields",
    "login",
    "new",
    "notice",
    "overview",
    "parameters",
    "reference",
    "row",
    "same",
    "service",
    "settings",
    "setup",
    "sparks",
    "status",
    "tokens",
    "totals",
    "troubles",
    "user",
    "users",
    "wakes",
    "why",
    "wrong",
];

struct Loaded {
    environment: Arc<Environment<'static>>,
    used: Moment,
}

static LOADED: Mutex<Option<Loaded>> = Mutex::new(None);

fn loaded() -> MutexGuard<'static, Option<Loaded>> {
    // What is behind this lock is whole at every step.
    LOADED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets the templates go where no page was rendered for this long. Says whether they are gone.
pub fn release(idle: Duration) -> bool {
    let mut loaded = loaded();
    if loaded.as_ref().is_some_and(|loaded| clock::now().since(loaded.used) >= idle) {
        *loaded = None;
    }
    loaded.is_none()
}

fn ready() -> Result<Arc<Environment<'static>>, RenderError> {
    let mut loaded = loaded();
    if let Some(loaded) = &mut *loaded {
        loaded.used = clock::now();
        return Ok(Arc::clone(&loaded.environment));
    }
    let environment = Arc::new(environment()?);
    *loaded = Some(Loaded { environment: Arc::clone(&environment), used: clock::now() });
    Ok(environment)
}

fn environment() -> Result<Environment<'static>, RenderError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.map_err(|error| failed("syntax", error))?);
    environment.set_formatter(escape::format);
    functions::add(&mut environment);
    let path = |at: usize| assets::all().get(at).map(|asset| asset.path.as_str());
    let asset = context! {
        style => path(0), script => path(1), icon => path(2), reference => path(3), more => path(4)
    };
    environment.add_global("asset", asset);
    for (name, text) in TEMPLATES {
        environment.add_template(name, text).map_err(|error| failed(name, error))?;
    }
    Ok(environment)
}

/// Renders a template to a whole string first: a page is never sent by halves.
fn render(template: &'static str, frame: &Frame, view: impl Serialize) -> Result<String, RenderError> {
    page(&*ready()?, template, frame, Value::from(Serde(view)))
}

fn page(
    environment: &Environment<'static>,
    template: &'static str,
    frame: &Frame,
    view: Value,
) -> Result<String, RenderError> {
    let context = context! {
        lang => frame.language.code(),
        now => frame.now,
        offset => frame.offset,
        f => Value::from(Serde(frame.context())),
        v => view,
    };
    let found = environment.get_template(template).map_err(|error| failed(template, error))?;
    found.render(context).map_err(|error| failed(template, error))
}

/// A text of the dashboard's, its places filled.
///
/// # Errors
/// [`RenderError`] where there is no such text.
pub fn say(language: Language, key: &str, places: &[(&str, &str)]) -> Result<String, RenderError> {
    let text = words::get(language, key).map_err(|error| failed("words", error))?;
    Ok(places.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value)))
}

/// How long somebody has to wait, never less than it is: `45 s`, `2 min 5 s`.
#[must_use]
pub fn how_long(language: Language, time: Duration) -> String {
    let seconds = time.as_millis().div_ceil(1000).try_into().unwrap_or(i64::MAX / 1000);
    format::countdown(language, seconds.min(i64::MAX / 1000) * 1000)
}

/// A text as a part of a path.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
