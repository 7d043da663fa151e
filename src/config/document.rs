//! What is generated from the table of keys: JSON Schema, commented example, reference page.

use serde_json::{Map, Value as Json, json};

use crate::config::Config;
use crate::config::env::variable;
use crate::config::keys::CONFIG;
use crate::config::paths::join;
use crate::config::print::{self, comment};
use crate::config::report::Report;
use crate::config::service::{DEFAULTS, Draft, SERVICE};
use crate::config::table::Table;
use crate::config::yaml::{self, flow};

/// The services of the example: one with every option, one with as little as there can be.
const EXAMPLE_SERVICES: [&str; 2] = [
    "{ name: cloud, hosts: [cloud.example.com], container: nextcloud-app, port: 80, \
       readiness: { type: http, path: /status.php, status: 200-399 } }",
    "{ name: db, hosts: [], container: nextcloud-db, readiness: docker }",
];

/// The JSON Schema (draft 2020-12) of the configuration file.
#[must_use]
pub fn schema() -> Json {
    let mut properties = object(&CONFIG, Some(&Config::default()));
    let options = |table, required: &[&str]| {
        let mut options = object(table, Some(&Draft::new()));
        if !required.is_empty() {
            options["required"] = json!(required);
        }
        options
    };
    properties["properties"]["defaults"] = options(&DEFAULTS, &[]);
    properties["properties"]["defaults"]["description"] = json!("Options for all services.");
    properties["properties"]["services"] = json!({
        "type": "array",
        "description": "What WakeDock lets sleep and wakes.",
        "items": options(&SERVICE, &["name", "container"]),
    });
    properties["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    properties["title"] = json!("WakeDock configuration");
    properties
}

/// The schema of a table as a JSON object, nested like its keys.
fn object<T>(table: &Table<T>, defaults: Option<&T>) -> Json {
    let mut root = closed_object();
    for key in table.keys() {
        let mut schema = (key.schema)();
        schema["description"] = json!(key.doc);
        if let Some(default) = defaults.map(key.show).filter(|default| !default.is_null()) {
            schema["default"] = default;
        }
        let mut at = &mut root;
        let mut path = String::new();
        let mut levels = key.path.split('.').peekable();
        while let Some(level) = levels.next() {
            path = join(&path, level);
            let properties = at["properties"].as_object_mut();
            let Some(properties) = properties else { break };
            if levels.peek().is_none() {
                properties.insert(level.to_owned(), schema);
                break;
            }
            at = properties.entry(level.to_owned()).or_insert_with(|| {
                let mut group = closed_object();
                group["description"] = json!(table.group(&path).map_or("", |group| group.doc));
                group
            });
        }
    }
    for (group, short) in table.groups.iter().filter_map(|group| Some((group.path, group.short?))) {
        let word = table.key(short).map_or(Json::Null, |key| (key.schema)());
        if let Some(schema) = root["properties"].get_mut(group) {
            *schema = json!({ "anyOf": [schema.take(), word] });
        }
    }
    root
}

fn closed_object() -> Json {
    json!({ "type": "object", "additionalProperties": false, "properties": Map::new() })
}

/// The commented configuration: every key with its default, and two services.
#[must_use]
pub fn example() -> String {
    let mut text = String::new();
    for line in [
        "The configuration of WakeDock: every key, with the value it has where nothing is written.",
        "Keep what you change. Lines with two marks explain, lines with one are keys without a default.",
        "`wakedock config check` says what is wrong, `wakedock config print` what holds in the end.",
    ] {
        comment(&mut text, "", line);
    }
    text.push_str("#\n# yaml-language-server: $schema=config.schema.json\n\n");
    text.push_str(&print::commented(&Config::default()));
    text.push('\n');
    comment(
        &mut text,
        "",
        "Any option of a service but its name, hosts, path and container, for all services.",
    );
    text.push_str("defaults: {}\n\n");
    comment(
        &mut text,
        "",
        "What sleeps and is woken. The first entry shows every option, with its default where it has one.",
    );
    text.push_str("services:\n");
    let [whole, short] = EXAMPLE_SERVICES.map(example_service);
    text.push_str(&print::commented_service(&whole));
    text.push('\n');
    comment(&mut text, "  ", "No more than this is needed:");
    text.push_str(&print::short_service(&short, &Draft::new()));
    text
}

fn example_service(text: &str) -> Draft {
    let mut draft = Draft::new();
    let mut report = Report::default();
    if let Ok(document) = yaml::parse(text) {
        draft.read(&SERVICE, "", &document.value, &mut report);
    }
    draft
}

/// The reference page, in Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# Configuration reference\n\n\
         Generated from the table of keys in `src/config/`; `wakedock config schema` says the same to programs, \
         `wakedock config example` shows it as a file.\n\n\
         - The file is the one named by `--config`, else by `$WAKEDOCK_CONFIG`, else `./config/config.yml`, else \
         `/etc/wakedock/config.yml`. Without any, the defaults hold.\n\
         - The environment goes before the file, the file before the defaults. Lists are comma-separated in the \
         environment, or in YAML's `[…]`; an empty variable is as good as none; an unknown one is a warning. A \
         secret may stand in a file, which the variable that ends in `_FILE` names.\n\
         - Durations carry a unit (`15m`, `1h30m`, `90s`, `500ms`; d, h, m, s, ms; at most `365d`), sizes too \
         (`MB` is 1000², `MiB` 1024²).\n\
         - An unknown key is an error, and so is a key without a value.\n\
         - A good edit of the file is live within a second. A bad one, or a file caught empty, changes nothing. \
         `data_dir`, the listeners and `docker.host` wait for a restart.\n",
    );
    page.push_str("\n## Settings\n\n");
    rows(&mut page, &CONFIG, &Config::default(), |key| Some(key.to_owned()));
    page.push_str("\n## Services\n\n");
    page.push_str(
        "Each entry of `services`. `name` and `container` are required. Whatever has a variable here may also stand \
         in `defaults`, for all services.\n\n",
    );
    rows(&mut page, &SERVICE, &Draft::new(), |key| DEFAULTS.key(key).map(|_| join("defaults", key)));
    page.push_str("\n## Not yet\n\nKnown, and refused with a word that says so: ");
    let settings = CONFIG.refused.iter().copied().flatten().map(|refused| refused.path.to_owned());
    let options = SERVICE.refused.iter().copied().flatten().map(|refused| join("services[]", refused.path));
    let later: Vec<_> = settings.chain(options).map(|path| format!("`{path}`")).collect();
    page.push_str(&later.join(", "));
    page.push_str(", and `log` as type of readiness.\n");
    page
}

fn rows<T>(
    page: &mut String,
    table: &Table<T>,
    defaults: &T,
    in_environment: impl Fn(&str) -> Option<String>,
) {
    page.push_str("| Key | Value | Default | Variable | Meaning |\n|---|---|---|---|---|\n");
    for key in table.keys() {
        let default = match (key.show)(defaults) {
            Json::Null => String::new(),
            value => format!("`{}`", flow(&value)),
        };
        let variable = in_environment(key.path).map_or(String::new(), |key| format!("`{}`", variable(&key)));
        let variable = if key.secret {
            format!("{variable}, or {}_FILE`", variable.trim_end_matches('`'))
        } else {
            variable
        };
        let cells = [format!("`{}`", key.path), (key.describe)(), default, variable, key.doc.to_owned()];
        let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        page.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
}
