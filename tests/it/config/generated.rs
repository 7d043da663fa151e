//! The committed copies of what the table of keys generates. `WAKEDOCK_BLESS=1` writes them anew.

use serde_json::Value as Json;
use wakedock::config::{Config, effective, example, reference, schema};

use super::{ConfigFile, read};
use crate::support::committed::committed;

#[test]
fn committed_copies_are_the_generated_ones() {
    committed("config/config.yml", &example());
    committed("config/config.schema.json", &format!("{:#}\n", schema()));
    committed("docs/reference/configuration.md", &reference());
}

#[test]
fn the_example_loads_and_changes_no_default() {
    let loaded = read(&example()).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let names: Vec<_> = loaded.config.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["cloud", "db"]);
    assert_eq!(Config { services: Vec::new(), ..loaded.config }, Config::default());
}

/// The commented lines are right too: without their mark they are a configuration.
#[test]
fn the_example_loads_with_everything_uncommented() {
    let mut count = 0;
    let whole: String = example()
        .lines()
        .map(|line| {
            let text = line.trim_start();
            match text.strip_prefix("# ").filter(|rest| !rest.starts_with("yaml-language-server")) {
                Some(rest) => {
                    count += 1;
                    format!("{}{rest}\n", &line[..line.len() - text.len()])
                }
                None => format!("{line}\n"),
            }
        })
        .collect();
    assert!(count >= 6, "commented keys were found");
    let config = read(&whole).unwrap_or_else(|problems| panic!("{problems}\n{whole}")).config;
    assert_eq!(config.domain.as_deref(), Some("example.com"));
    assert_eq!(config.services[0].path.as_deref(), Some("/app"));
    assert_eq!(config.services[0].waiting_page.title.as_deref(), Some("Cloud"));
}

/// As much of JSON Schema as ours uses. Says where the value does not fit.
fn fits(schema: &Json, value: &Json, at: &str) -> Result<(), String> {
    let fail = |why: String| Err(format!("{at}: {why}"));
    if let Some(choices) = schema["anyOf"].as_array() {
        let failures: Vec<_> = choices.iter().filter_map(|choice| fits(choice, value, at).err()).collect();
        return if failures.len() < choices.len() { Ok(()) } else { fail(failures.join("; ")) };
    }
    if let Some(words) = schema["enum"].as_array() {
        return if words.contains(value) { Ok(()) } else { fail(format!("{value} is none of {words:?}")) };
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Json::String(kind) => vec![kind],
        Json::Array(kinds) => kinds.iter().filter_map(Json::as_str).collect(),
        other => return fail(format!("the schema has the type {other}")),
    };
    let kind = match value {
        Json::Object(_) => "object",
        Json::Array(_) => "array",
        Json::String(_) => "string",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "integer",
        Json::Null => "null",
    };
    if !kinds.contains(&kind) {
        return fail(format!("{value} is {kind}, wanted {kinds:?}"));
    }
    if let Some(number) = value.as_u64() {
        let least = schema["minimum"].as_u64().unwrap_or(0);
        let most = schema["maximum"].as_u64().unwrap_or(u64::MAX);
        if !(least..=most).contains(&number) {
            return fail(format!("{number} is outside {least}..{most}"));
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        fits(&schema["items"], item, &format!("{at}[{index}]"))?;
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(name) {
            Some(schema) => fits(schema, inner, &format!("{at}.{name}"))?,
            None => return fail(format!("{name} is not in the schema")),
        }
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str) {
        if value.get(name).is_none() {
            return fail(format!("{name} is required"));
        }
    }
    Ok(())
}

fn json(yaml: &str) -> Json {
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(yaml, options).unwrap()
}

#[test]
fn the_schema_accepts_what_is_right_and_nothing_else() {
    let schema = schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(fits(&schema, &json(&example()), ""), Ok(()));
    assert_eq!(fits(&schema, &json(&effective(&Config::default())), ""), Ok(()));
    for good in [
        "services: [{ name: a, container: b, readiness: tcp }]",
        "defaults: { readiness: { path: /x, status: 200 } }",
    ] {
        assert_eq!(fits(&schema, &json(good), ""), Ok(()));
    }
    for bad in [
        "servics: []",
        "proxy: { max_held: many }",
        "services: [{ name: a }]",
        "services: [{ name: a, container: b, image: c }]",
        "caddy: { mode: on }",
        "caddy: { http_port: 0 }",
        "defaults: { name: a }",
        "log: info",
    ] {
        assert!(fits(&schema, &json(bad), "").is_err(), "{bad}");
        assert!(read(bad).is_err(), "{bad}");
    }
}

/// Every property of the schema has a description, and every default is what the reader uses.
#[test]
fn the_schema_is_documented() {
    fn walk(schema: &Json, at: &str, seen: &mut usize) {
        for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
            let at = format!("{at}.{name}");
            let choice = inner["anyOf"].as_array().map_or(inner, |choices| &choices[0]);
            assert!(choice["description"].as_str().is_some_and(|text| !text.is_empty()), "{at}");
            *seen += 1;
            walk(choice, &at, seen);
        }
        if schema["items"].is_object() {
            walk(&schema["items"], &format!("{at}[]"), seen);
        }
    }
    let mut seen = 0;
    walk(&schema(), "", &mut seen);
    assert!(seen > 80, "{seen} properties");
}

#[test]
fn the_reference_names_every_variable() {
    let page = reference();
    for variable in
        ["WAKEDOCK_DOMAIN", "WAKEDOCK_PROXY__TIMEOUTS__HEAD", "WAKEDOCK_DEFAULTS__READINESS__TYPE"]
    {
        assert!(page.contains(variable), "{variable}");
        let value = if variable.ends_with("HEAD") { "7s" } else { "tcp" };
        let loaded = ConfigFile::new("").load(&[(variable, value)]).unwrap();
        assert!(loaded.warnings.is_empty(), "{variable}");
    }
    assert!(!page.contains("WAKEDOCK_NAME"), "a service's own keys have no variable");
}
