//! What API or dashboard say about a service: the same keys as in the file, with the same rules.

use serde_json::Value as Json;

use crate::config::problem::Problem;
use crate::config::report::Report;
use crate::config::service::{Draft, SERVICE};
use crate::config::sources::layer::from_json;
use crate::config::sources::{Layer, SourceProblem};
use crate::domain::name::ServiceName;
use crate::domain::words::Origin;

/// Reads the keys of one service, nested as in the file. What is wrong is left out, and told with
/// the path of its key (`idle.stop_after`, `hosts[1]`; empty: the whole).
#[must_use]
pub fn read_api(name: &ServiceName, keys: &Json) -> (Layer, Vec<Problem>) {
    let mut keys = keys.clone();
    if let Json::Object(map) = &mut keys
        && map.get("name").and_then(Json::as_str) == Some(name.as_str())
    {
        map.remove("name");
    }
    let value = from_json(&keys);
    let mut report = Report::default();
    Draft::new().read(&SERVICE, "", &value, &mut report);
    if keys.get("name").is_some() && !report.is_problem("name") {
        let fault = crate::config::Fault::new(
            format!("differs from the name of the service, `{name}`"),
            "take it out: a service keeps its name",
        );
        report.problem("name", value.find_ref("name"), fault);
    }
    let layer = Layer::given(&SERVICE, "", &value, &report);
    let problems = report.finish().err().map(|problems| problems.0).unwrap_or_default();
    (layer, problems)
}

/// The same, where it was written down before and is to be used as far as it can be.
#[must_use]
pub fn read_stored(name: &ServiceName, keys: &Json) -> (Layer, Vec<SourceProblem>) {
    let (layer, problems) = read_api(name, keys);
    let told = |problem: Problem| SourceProblem {
        key: problem.key,
        value: problem.value,
        reason: problem.reason,
        mend: problem.mend,
        origin: Origin::Api,
        container: None,
    };
    (layer, problems.into_iter().map(told).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(keys: Json) -> (Layer, Vec<String>) {
        let (layer, problems) = read_api(&ServiceName::parse("web").unwrap(), &keys);
        (layer, problems.into_iter().map(|problem| problem.key).collect())
    }

    #[test]
    fn what_the_file_may_say_the_api_may() {
        let keys = json!({
            "name": "web", "container": "w", "hosts": ["a.b"], "port": 80, "readiness": "tcp",
            "idle": { "stop_after": "5m" }, "owners": ["ada"],
        });
        let (layer, problems) = read(keys.clone());
        assert_eq!(problems, [] as [&str; 0]);
        let mut nested = keys;
        nested["readiness"] = json!({ "type": "tcp" });
        nested.as_object_mut().unwrap().remove("name");
        assert_eq!(layer.nested(), nested);
    }

    #[test]
    fn problems_name_their_keys() {
        let (layer, problems) = read(json!({
            "name": "other", "hosts": ["a.b", "a b"], "idle": { "stop_after": 5 }, "zzz": 1, "image": "x",
            "port": null, "container": "w",
        }));
        for key in ["name", "hosts[1]", "idle.stop_after", "zzz", "image", "port"] {
            assert!(problems.iter().any(|problem| problem == key), "{key}: {problems:?}");
        }
        assert_eq!(layer.nested(), json!({ "container": "w" }));
        for whole in [json!(null), json!([]), json!("x"), json!(5)] {
            assert_eq!(read(whole).1, [""]);
        }
        let (_, problems) = read(json!({ "idle": { "stop_after": "5m", "pause_after": "6m" } }));
        assert_eq!(problems, ["idle.pause_after"]);
    }
}
