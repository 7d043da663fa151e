//! The dashboard's texts in each language: `templates/lang/CODE.json`, keys to texts. Read when a
//! page first needs a language, and let go with the templates.

use std::collections::HashMap;
use std::sync::OnceLock;

use minijinja::value::Kwargs;
use minijinja::{Error, ErrorKind, State, Value};

use crate::html::Language;

/// The texts of one language. Names in braces are places: `{name}`; of a text that counts there is
/// one for each form that `_plural` names: `row.in-use#one`.
#[derive(Debug)]
pub(super) struct Words(HashMap<&'static str, &'static str>);

impl Words {
    fn read(language: Language) -> Result<Self, Error> {
        let texts = serde_json::from_str(language.texts())
            .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
        Ok(Self(texts))
    }

    pub(super) fn get(&self, key: &str) -> Result<&'static str, Error> {
        self.0
            .get(key)
            .copied()
            .ok_or_else(|| Error::new(ErrorKind::UndefinedError, format!("no text `{key}`")))
    }
}

/// Every language that was needed so far.
#[derive(Debug, Default)]
pub(super) struct Library([OnceLock<Words>; Language::ALL.len()]);

impl Library {
    pub(super) fn words(&self, language: Language) -> Result<&Words, Error> {
        let Some(place) = self.0.get(language as usize) else {
            return Err(Error::new(ErrorKind::InvalidOperation, "a language without a place"));
        };
        if let Some(words) = place.get() {
            return Ok(words);
        }
        let words = Words::read(language)?;
        Ok(place.get_or_init(|| words))
    }

    /// The words of the page that is being rendered.
    pub(super) fn of(&self, state: &State<'_, '_>) -> Result<&Words, Error> {
        let code = state.lookup("lang");
        let code = code.as_ref().and_then(Value::as_str).unwrap_or_default();
        self.words(Language::from_code(code).unwrap_or_default())
    }
}

/// `t("row.in-use", n=2)`: the text under the key, its places filled.
pub(super) fn text(
    words: &Words,
    state: &State<'_, '_>,
    key: &str,
    values: &Kwargs,
) -> Result<String, Error> {
    let text = match values.get::<Option<Value>>("n")? {
        Some(number) => match words.0.get(key) {
            Some(text) => text,
            None => words.get(&format!("{key}#{}", form(words, state, number)?))?,
        },
        None => words.get(key)?,
    };
    let mut text = text.to_owned();
    for name in values.args() {
        let value: Value = values.get(name)?;
        text = text.replace(&format!("{{{name}}}"), &value.to_string());
    }
    values.assert_all_used()?;
    Ok(text)
}

/// Which form of a text goes with a number, by the language's own rule.
fn form(words: &Words, state: &State<'_, '_>, number: Value) -> Result<String, Error> {
    let rule = state.env().compile_expression(words.get("_plural")?)?;
    Ok(rule.eval(minijinja::context! { n => number })?.to_string())
}
