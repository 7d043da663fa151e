//! Everything that the admin side shows: what its OpenAPI document names, and the pages that its own
//! links lead to.

use std::collections::{BTreeSet, VecDeque};

use super::api::Api;

/// Pages and operations that go on for ever once they are asked for.
const ENDLESS: &[&str] = &["/api/v1/events"];

/// Pages below one folder that are looked at.
const ALIKE: usize = 8;

/// An operation of the OpenAPI document.
#[derive(Debug, Clone)]
pub struct Operation {
    /// In capitals.
    pub method: String,
    /// With `{…}` where something is to be filled in.
    pub path: String,
}

impl Operation {
    /// Its path, with `with` in every place that is to be filled in.
    pub fn filled(&self, with: &str) -> String {
        let parts: Vec<_> =
            self.path.split('/').map(|part| if part.starts_with('{') { with } else { part }).collect();
        parts.join("/")
    }

    fn is_complete(&self) -> bool {
        !self.path.contains('{')
    }
}

/// Every operation of the document. Panics where there is none.
pub fn operations(api: &Api) -> Vec<Operation> {
    let document = api.get("/api/v1/openapi.json");
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in ["get", "put", "post", "delete", "patch"] {
            if item.get(method).is_some() {
                operations.push(Operation { method: method.to_uppercase(), path: path.clone() });
            }
        }
    }
    assert!(!operations.is_empty(), "the document names no operation");
    operations
}

/// Asks for whatever the API shows without being told of what: how many answers there were.
pub fn look_at_the_api(api: &Api) -> usize {
    let shown = operations(api).into_iter().filter(|operation| {
        operation.method == "GET" && operation.is_complete() && !ENDLESS.contains(&operation.path.as_str())
    });
    let asked = shown.map(|operation| {
        let answer = api.ask("GET", &operation.path, None);
        assert_eq!(answer.status(), 200, "{}: {}", operation.path, answer.text());
        // A backup is not.
        answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json"))
    });
    asked.filter(|is_a_list| *is_a_list).count()
}

/// Asks for every page that the pages' own links lead to, from the overview on: their paths. Of those
/// below one folder, as the pages of services are, a few do for all.
pub fn look_at_every_page(api: &Api) -> BTreeSet<String> {
    let folder = |page: &str| page.split('/').nth(1).unwrap_or_default().to_owned();
    let mut seen = BTreeSet::from(["/".to_owned()]);
    let mut coming = VecDeque::from(["/".to_owned()]);
    while let Some(path) = coming.pop_front() {
        let answer = api.ask("GET", &path, None);
        assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
        if !answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html")) {
            continue;
        }
        for target in links(&answer.text()) {
            let page = target.split(['?', '#']).next().unwrap_or_default().to_owned();
            let alike = seen.iter().filter(|known| folder(known) == folder(&page)).count();
            if alike < ALIKE && !ENDLESS.contains(&page.as_str()) && seen.insert(page) {
                coming.push_back(target);
            }
        }
    }
    seen
}

/// Where the links and assets of a page lead, as far as that is here.
pub fn links(page: &str) -> Vec<String> {
    let starts = [" href=\"/", " src=\"/"];
    let found = starts.iter().flat_map(|start| page.split(*start).skip(1));
    let inside = found.filter_map(|rest| rest.split('"').next()).filter(|rest| !rest.starts_with('/'));
    inside.map(|rest| format!("/{}", rest.replace("&amp;", "&"))).collect()
}

#[test]
fn links_of_a_page_are_those_that_stay_here() {
    let page =
        "<a href=\"/\">a</a><img src=\"/x.svg\"><a href=\"//e.com/\"><a class=b href=\"/s/a?b=1&amp;c\">";
    assert_eq!(links(page), ["/", "/s/a?b=1&c", "/x.svg"]);
}
