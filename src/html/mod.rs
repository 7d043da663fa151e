//! Pages: templates from `templates/`, embedded, escaped by name, strict about what they are given.

mod assets;
mod clip;
pub mod dashboard;
mod language;
pub mod message;
pub mod waiting;
mod wording;

pub use language::Language;

use std::sync::{Arc, LazyLock};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};

/// Why a page was not rendered. The templates are part of the program and tested: whoever meets
/// this has found a bug.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot render `{template}`")]
pub struct RenderError {
    template: &'static str,
    #[source]
    source: Arc<minijinja::Error>,
}

/// Every template. Names end in `.html`: that is what makes minijinja escape.
const TEMPLATES: &[(&str, &str)] = &[
    ("waiting/base.html", include_str!("../../templates/waiting/base.html")),
    ("waiting/page.html", include_str!("../../templates/waiting/page.html")),
    ("waiting/refusal.html", include_str!("../../templates/waiting/refusal.html")),
];

static ENVIRONMENT: LazyLock<Result<Environment<'static>, RenderError>> = LazyLock::new(environment);

fn environment() -> Result<Environment<'static>, RenderError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.map_err(|error| failed("syntax", error))?);
    // Ours, and free of `</`: the only values that are not escaped.
    for (name, text) in
        [("style", &assets::STYLE), ("dark_style", &assets::DARK), ("script", &assets::SCRIPT)]
    {
        environment.add_global(name, Value::from_safe_string(text.to_string()));
    }
    for (name, text) in TEMPLATES {
        environment.add_template(name, text).map_err(|error| failed(name, error))?;
    }
    Ok(environment)
}

fn failed(template: &'static str, source: minijinja::Error) -> RenderError {
    RenderError { template, source: Arc::new(source) }
}

/// Renders a template to a whole string first: a page is never sent by halves.
fn render(template: &'static str, view: impl serde::Serialize) -> Result<String, RenderError> {
    let environment = ENVIRONMENT.as_ref().map_err(Clone::clone)?;
    let found = environment.get_template(template).map_err(|error| failed(template, error))?;
    found.render(Serde(view)).map_err(|error| failed(template, error))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn trap_35_every_template_escapes() {
        let environment = environment().unwrap();
        let mut names = 0;
        for (name, template) in environment.templates() {
            names += 1;
            assert!(name.ends_with(".html"), "{name}");
            let probe = Environment::new();
            let escaped =
                probe.render_named_str(name, "{{ value }}", minijinja::context! { value => "<\"'&>" });
            assert_eq!(escaped.unwrap(), "&lt;&quot;&#x27;&amp;&gt;", "{name}");
            let text = template.source();
            assert!(!text.contains("safe") && !text.contains("autoescape"), "{name} switches escaping off");
            // Unquoted, an attribute's value ends at a blank, which nobody escapes.
            assert!(!text.contains("={{"), "{name} has an attribute without quotes");
        }
        assert_eq!(names, TEMPLATES.len());
        assert!(names >= 3);
    }

    #[test]
    fn what_is_not_given_is_an_error_and_not_a_gap() {
        let error = render("waiting/page.html", BTreeMap::from([("lang", "en")])).unwrap_err();
        assert!(error.to_string().contains("waiting/page.html"), "{error}");
    }
}
