//! The dashboard's texts as templates call for them.

use minijinja::value::Kwargs;
use minijinja::{Error, ErrorKind, State, Value};

use crate::html::Language;
use crate::html::language::key;

/// The text under a key.
pub(super) fn get(language: Language, key: &str) -> Result<&'static str, Error> {
    language.text(key).ok_or_else(|| Error::new(ErrorKind::UndefinedError, format!("no text `{key}`")))
}

/// The language of the page that is being rendered.
pub(super) fn of(state: &State<'_, '_>) -> Language {
    let code = state.lookup("lang");
    let code = code.as_ref().and_then(Value::as_str).unwrap_or_default();
    Language::from_code(code).unwrap_or_default()
}

/// `t("row.in-use", n=2)`: the text under the key, its places filled. Names in braces are places; of a
/// text that counts there is one for each form that `format.plural` names: `row.in-use#one`.
pub(super) fn text(state: &State<'_, '_>, key: &str, values: &Kwargs) -> Result<String, Error> {
    let language = of(state);
    let text = match values.get::<Option<Value>>("n")? {
        Some(number) => match language.text(key) {
            Some(text) => text,
            None => get(language, &format!("{key}#{}", form(language, state, number)?))?,
        },
        None => get(language, key)?,
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
fn form(language: Language, state: &State<'_, '_>, number: Value) -> Result<String, Error> {
    let rule = state.env().compile_expression(language.get(key::FORMAT_PLURAL))?;
    Ok(rule.eval(minijinja::context! { n => number })?.to_string())
}
