//! The reference of the API, as pages.

use wakedock::domain::words::Role;

use super::house::House;

const HTML: [(&str, &str); 1] = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];

fn document() -> serde_json::Value {
    serde_json::from_str(include_str!("../../../docs/reference/openapi.json")).unwrap()
}

/// Every operation of the document, its parts in order: tag, id, method, path.
fn operations() -> Vec<(String, String, String, String)> {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| {
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            let tag = text(&operation["tags"][0]);
            (tag, text(&operation["operationId"]), method.to_uppercase(), path.clone())
        })
    });
    all.collect()
}

#[tokio::test]
async fn every_operation_is_told_with_its_role_and_a_command() {
    let house = House::new(&["cloud"]).await;
    let all = house.ask_with("GET /api/v1/reference", &HTML).await;
    assert_eq!((all.status.as_u16(), all.field("content-type")), (200, "text/html; charset=utf-8"));
    let mut seen = 0;
    for (tag, id, method, path) in operations() {
        assert!(all.body.contains(&format!("href=\"/api/v1/reference/{tag}#{id}\"")), "{id} is not listed");
        let part = house.ask_with(&format!("GET /api/v1/reference/{tag}"), &HTML).await;
        let (_, section) = part.body.split_once(&format!("<section class=\"leaf\" id=\"{id}\">")).unwrap();
        let section = section.split("</section>").next().unwrap();
        assert!(part.body.contains(&format!("href=\"#{id}\"")), "{id} is not in the table of contents");
        assert!(section.contains(&format!("<span class=\"method\">{method}</span>")), "{section}");
        assert!(section.contains(&format!("<span class=\"route\">{path}</span>")), "{section}");
        assert!(section.contains("<span class=\"tag on\""), "{id} says nobody who may: {section}");
        let (_, command) = section.split_once("aria-label=\"curl: ").unwrap();
        let command = command.split("</pre>").next().unwrap();
        assert!(command.contains("curl ") && command.contains("$WAKEDOCK/api/v1/"), "{id}: {command}");
        assert!(!command.contains('{') || command.contains("-d &#39;{"), "{id}: {command}");
        assert!(section.contains("class=\"fine\">2"), "{id} says nothing of what comes back: {section}");
        seen += 1;
    }
    assert!(seen > 40, "{seen}");
}

#[tokio::test]
async fn what_may_go_wrong_and_what_is_sent_is_told_field_by_field() {
    let house = House::new(&[]).await;
    let services = house.ask_with("GET /api/v1/reference/services", &HTML).await.body;
    let section = |id: &str| {
        let (_, rest) = services.split_once(&format!("<section class=\"leaf\" id=\"{id}\">")).unwrap();
        rest.split("</section>").next().unwrap().to_owned()
    };
    let keep = section("keepServiceAwake");
    assert!(keep.contains("<code>for</code> <span class=\"must\">required</span>"), "{keep}");
    assert!(keep.contains("-d &#39;{ &quot;for&quot;: &quot;2h&quot; }&#39;"), "{keep}");
    let change = section("changeService");
    for kind in ["held-by-file", "host-taken", "changed", "precondition-required", "bad-token", "csrf"] {
        assert!(change.contains(&format!("<code>{kind}</code>")), "{kind} is not in {change}");
    }
    assert!(change.contains("-H &#39;If-Match: &quot;3&quot;&#39;"), "{change}");
    let list = section("listServices");
    assert!(list.contains("<code>limit</code> <small>in the query</small>"), "{list}");
    assert!(list.contains("1 to 500") && list.contains("by default <code>100</code>"), "{list}");
    assert!(list.contains("<a href=\"#object-Page_Service\">page of Service</a>"), "{list}");
    // What is referred to is there, with what it refers to.
    for object in ["Page_Service", "Service", "LastWake", "ServiceKeys", "Problem"] {
        let told = services.contains(&format!("id=\"object-{object}\""));
        assert_eq!(told, object != "Problem", "{object}");
    }
    assert!(services.contains("<code>idle.stop_after</code>"));
    for link in services.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(
            services.contains(&format!("id=\"{link}\"")) || link.starts_with("g-"),
            "#{link} leads nowhere"
        );
    }
}

#[tokio::test]
async fn every_page_is_small_and_needs_no_script() {
    let house = House::new(&[]).await;
    let mut parts: Vec<String> = operations().into_iter().map(|(tag, ..)| tag).collect();
    parts.sort();
    parts.dedup();
    parts.push(String::new());
    assert!(parts.len() > 8, "{parts:?}");
    for part in parts {
        let path = format!("/api/v1/reference/{part}");
        let answer = house.ask_with(&format!("GET {}", path.trim_end_matches('/')), &HTML).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.body.len() < 100_000, "{path} is {} bytes", answer.body.len());
        assert!(answer.field("content-security-policy").contains("default-src 'none'"));
        // But for patterns, which may hold one.
        let told: String =
            answer.body.split("<small>").map(|part| part.rsplit("</small>").next().unwrap()).collect();
        assert!(!told.contains('`'), "{path}: code that is not marked as such");
    }
}

#[tokio::test]
async fn whoever_is_signed_in_may_read_it_and_a_browser_is_led_to_the_log_in() {
    let house = House::new(&[]).await;
    let token = format!("Bearer {}", house.token("ann", Role::Viewer).await);
    let signed = [HTML[0], ("authorization", &token)];
    assert_eq!(house.ask_with("GET /api/v1/reference", &signed).await.status, 200);
    let stranger = [HTML[0], ("authorization", "Bearer nonsense")];
    assert_eq!(house.ask_with("GET /api/v1/reference", &stranger).await.status, 401);
    let nobody = house.ask_from_outside("GET /api/v1/reference/users", &HTML).await;
    assert_eq!(
        (nobody.status.as_u16(), nobody.field("location")),
        (303, "/login?next=/api/v1/reference/users")
    );
    let program = house.ask_from_outside("GET /api/v1/reference", &[("accept", "*/*")]).await;
    assert_eq!((program.status.as_u16(), program.problem().0.as_str()), (401, "unauthenticated"));
}

#[tokio::test]
async fn it_is_asked_for_as_any_other_operation() {
    let house = House::new(&[]).await;
    let french = [HTML[0], ("accept-language", "fr")];
    let page = house.ask_with("GET /api/v1/reference", &french).await;
    assert!(page.body.contains("<html lang=\"fr\"") && page.body.contains("Référence de l’API"));
    assert_eq!(page.field("vary"), "accept-language");
    let json = house.ask_with("GET /api/v1/reference", &[("accept", "application/json")]).await;
    assert_eq!((json.status.as_u16(), json.problem().0.as_str()), (406, "not-acceptable"));
    let none = house.ask_with("GET /api/v1/reference/boats", &HTML).await;
    assert_eq!((none.status.as_u16(), none.problem().0.as_str()), (404, "unknown-part"));
    let odd = house.ask_with("GET /api/v1/reference?page=2", &HTML).await;
    assert_eq!((odd.status.as_u16(), odd.problem().0.as_str()), (400, "bad-parameter"));
}
