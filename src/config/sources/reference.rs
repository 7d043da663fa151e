//! The reference of labels, made from the table of keys.

use crate::config::service::{Draft, SERVICE};
use crate::config::sources::names::{self, PREFIX};
use crate::config::yaml::flow;

/// The reference page, in Markdown.
#[must_use]
pub fn labels_reference() -> String {
    let mut page = String::from(
        "# Label reference\n\n\
         Generated from the table of keys in `src/config/`; every option of a service in the \
         [configuration](configuration.md) has its label.\n\n\
         ```console\n\
         $ docker run -d --label wakedock.enable=true --label wakedock.host=app.example.com IMAGE\n\
         ```\n\n\
         is a whole configuration. A container is found within a second, stopped or running; nothing that runs \
         is stopped or restarted for it.\n\n\
         - `wakedock.enable` must be `true`. A container made anew without it, or with `false`, is let go at \
         once, and not stopped.\n\
         - Values are text, as in the environment: lists are comma-separated or in YAML's `[…]`, durations and \
         sizes carry a unit, `wakedock.host=` (nothing) means no route.\n\
         - Without `wakedock.name` the service is called after compose's project and service \
         (`project-service`), else after its container.\n\
         - File and API go before labels, labels before `defaults`, key by key. A container that a service of \
         file or API names belongs to that service, and its labels add to it.\n\
         - A bad option falls back to its default; a bad host, path, name or port leaves the service out. Both \
         are told in the log, by the API, on the dashboard, and counted in `wakedock_source_problems`. An \
         unknown label is told with the nearest one that is known.\n\
         - A host belongs to one service: WakeDock's own `admin.host` and `admin.hosts` before the file before \
         the API before labels. File and API may share one by `path`; a label gets a host as a whole, and none \
         below a wildcard of theirs. Among labels the first claim stands, also after a restart or an update; \
         who loses a host keeps the others, and who keeps none is left out, because nobody could wake it.\n\
         - A container that was removed keeps its hosts for `docker.keep_removed`; whoever asks for it waits \
         for the next container of that name, for `hold_timeout`.\n\
         - Labels that come with the image count only with `docker.image_labels: true`. Docker does not tell a \
         label of the container from one of the same value in its image: both count as the image's.\n\
         - Wildcard hosts count only with `docker.wildcard_labels: true`.\n\
         - `homepage.group` and `homepage.icon` serve where WakeDock's own are absent; the group is compose's \
         project otherwise. `homepage.name` is not read: a service's name stands in addresses, metrics and the \
         log, and stays what it is when somebody renames a tile.\n\
         - Containers of `docker compose run` are left alone.\n\n\
         | Label | Also | Value | Default | Meaning |\n|---|---|---|---|---|\n\
         | `wakedock.enable` |  | `true` or `false` |  | Whether it is a service. |\n",
    );
    let defaults = Draft::new();
    for key in SERVICE.keys().filter(|key| !names::is_refused(key.path)) {
        let mut names = names::names(key.path).into_iter();
        let first = names.next().unwrap_or_default();
        let also: Vec<_> = names.map(|name| format!("`{name}`")).collect();
        let default = match (key.show)(&defaults) {
            serde_json::Value::Null => String::new(),
            value => format!("`{}`", flow(&value)),
        };
        let cells =
            [format!("`{PREFIX}{first}`"), also.join(", "), (key.describe)(), default, key.doc.to_owned()];
        let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        page.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    let refused: Vec<_> =
        names::NOT_BY_LABEL.iter().map(|(key, reason, _)| format!("`{PREFIX}{key}` ({reason})")).collect();
    page.push_str(&format!("\nNo label gives {}.\n", refused.join(", ")));
    page
}
