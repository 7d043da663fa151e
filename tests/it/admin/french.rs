//! The control plane in French: problems, pages, and errors beside the fields.

use wakedock::domain::words::Role;

use super::rig::{Answer, Ask, Rig};

fn french(method: &str, path: &str) -> Ask {
    Ask::new(method, path).field("Accept-Language", "fr-CA, en;q=0.5")
}

fn page(method: &str, path: &str) -> Ask {
    french(method, path).field("Accept", "text/html")
}

fn is_french(answer: &Answer) {
    assert_eq!(answer.field("content-language"), Some("fr"), "{answer:?}");
    assert!(varies(answer), "{answer:?}");
}

/// Whether caches are told that another language gives another answer.
fn varies(answer: &Answer) -> bool {
    let fields = answer.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("vary"));
    fields
        .flat_map(|(_, value)| value.split(','))
        .any(|name| name.trim().eq_ignore_ascii_case("accept-language"))
}

#[tokio::test]
async fn problems_are_said_in_french_and_their_types_stay() {
    let rig = Rig::new().await;
    rig.user("ann", Role::Admin).await;
    let (token, _) = rig.log_in("ann").await;
    let cases = [
        (french("GET", "/api/v1/services"), "unauthenticated", "Connectez-vous d’abord"),
        (
            french("GET", "/api/v1/services").bearer("x"),
            "bad-token",
            "Le jeton n’est pas valable, ou ne l’est plus",
        ),
        (
            french("GET", "/api/v1/services/a").bearer(&token),
            "unknown-service",
            "Aucun service ne porte ce nom",
        ),
        (
            french("GET", "/api/v1/users/bob").bearer(&token),
            "unknown-user",
            "Il n’y a pas d’utilisateur de ce nom",
        ),
        (french("GET", "/api/v1/nothing"), "not-found", "Il n’y a rien ici"),
        (
            french("DELETE", "/api/v1/services").bearer(&token),
            "method-not-allowed",
            "Cela ne peut pas se faire ici",
        ),
        (
            french("GET", "/api/v1/services?limit=x").bearer(&token),
            "bad-parameter",
            "Un paramètre ne peut pas servir",
        ),
        (
            french("POST", "/api/v1/users").bearer(&token),
            "unsupported-media-type",
            "Le corps est d’un autre type",
        ),
    ];
    for (ask, kind, title) in cases {
        let answer = rig.ask(&ask).await;
        assert_eq!(answer.problem(), kind, "{ask:?}");
        assert_eq!(answer.json()["title"], title, "{ask:?}");
        is_french(&answer);
    }
}

#[tokio::test]
async fn every_part_of_a_problem_is_said() {
    let rig = Rig::new().await;
    rig.user("ann", Role::Admin).await;
    let (token, _) = rig.log_in("ann").await;
    let answer = rig.ask(&french("GET", "/api/v1/services?limit=501&phrase=1").bearer(&token)).await;
    let problem = answer.json();
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.starts_with("Les paramètres sont ici ") && detail.contains("limit"), "{detail}");
    let errors = problem["errors"].as_array().unwrap();
    let said = |pointer: &str| {
        let error = errors.iter().find(|error| error["pointer"] == pointer).unwrap();
        (error["detail"].as_str().unwrap(), error["mend"].as_str().unwrap())
    };
    assert_eq!(
        said("?limit"),
        ("limit vaut `501`, ce qui est impossible", "écrivez un nombre entier de 1 à 500")
    );
    assert_eq!(said("?phrase"), ("phrase n’est pas connu ici", "écrivez `phase`"));

    let body = serde_json::json!({
        "name": "films", "container": "films", "hosts": ["a b"], "port": "eighty",
        "idle": { "stop_after": 15, "pause_after": "soon" }, "wait": "hodl", "colour": "red",
    });
    let answer = rig.ask(&french("POST", "/api/v1/services").bearer(&token).json(&body)).await;
    assert_eq!(answer.problem(), "invalid");
    let problem = answer.json();
    assert_eq!(problem["title"], "Une partie du corps ne peut pas servir");
    let errors: Vec<String> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| format!("{}; {}", error["detail"].as_str().unwrap(), error["mend"].as_str().unwrap()))
        .collect();
    for expected in [
        "port n’est pas un nombre entier; écrivez un nombre entier de 1 à 65535",
        "idle.stop_after est un nombre nu, et une durée porte son unité; écrivez `15s` pour des secondes, `15m` pour \
         des minutes ou `15ms` pour des millisecondes",
        "idle.pause_after n’est pas une durée; écrivez des nombres entiers avec leur unité, comme `15m`, `1h30m`, \
         `90s` ou `500ms`",
        "wait n’est aucun des mots connus ici; écrivez `hold`, ou un autre de `auto`, `hold`, `page`",
    ] {
        assert!(errors.iter().any(|error| error == expected), "{expected} is not in {errors:#?}");
    }
    assert!(errors.iter().all(|error| error.contains("; ") && !error.contains(" is ")), "{errors:#?}");
    assert_eq!(errors.len(), 6, "{errors:#?}");
}

#[tokio::test]
async fn whoever_asks_for_nothing_gets_english() {
    let rig = Rig::new().await;
    for accepted in ["", "de", "*", "en, fr;q=0.9", "fr;q=0", "\u{1}"] {
        let answer = rig.ask(&Ask::new("GET", "/api/v1/services").field("Accept-Language", accepted)).await;
        if answer.status == 400 {
            continue;
        }
        assert_eq!(answer.json()["title"], "Log in first", "{accepted:?}");
        assert_eq!(answer.field("content-language"), Some("en"));
        assert!(varies(&answer), "{answer:?}");
    }
    // What was chosen for pages is not what a program of the same browser asks for.
    let chosen = Ask::new("GET", "/api/v1/services").field("Cookie", "wakedock_language=fr");
    assert_eq!(rig.ask(&chosen).await.json()["title"], "Log in first");
}

#[tokio::test]
async fn pages_and_their_errors_are_french_by_choice_or_by_the_browser() {
    let rig = Rig::new().await;
    rig.user("ann", Role::Admin).await;
    let answer = rig.ask(&page("GET", "/login")).await;
    is_french(&answer);
    assert!(answer.body.contains("<html lang=\"fr\"") && answer.body.contains("Mot de passe"), "{answer:?}");
    let chosen =
        Ask::new("GET", "/login").field("Cookie", "wakedock_language=fr").field("Accept-Language", "en");
    is_french(&rig.ask(&chosen).await);

    let wrong =
        page("POST", "/login").form("username=ann&password=nothing").field("Sec-Fetch-Site", "same-origin");
    let wrong = rig.ask(&wrong).await;
    assert_eq!(wrong.status, 401);
    assert!(wrong.body.contains("Le nom d’utilisateur ou le mot de passe est incorrect."), "{wrong:?}");

    let (cookie, csrf) = rig.browser("ann").await;
    let missing = rig.ask(&page("GET", "/nowhere").cookie(&cookie)).await;
    assert_eq!((missing.status, missing.field("content-type")), (404, Some("text/html; charset=utf-8")));
    is_french(&missing);
    assert!(missing.body.contains("Introuvable"), "{missing:?}");
    let forged = rig.ask(&page("POST", "/settings").cookie(&cookie).form("csrf=x")).await;
    is_french(&forged);
    assert!(forged.body.contains("La requête ne montre aucun jeton de cette session."), "{forged:?}");

    let form =
        |path: &str, fields: &str| page("POST", path).cookie(&cookie).form(&format!("csrf={csrf}&{fields}"));
    for (path, fields, said) in [
        ("/settings", "session_idle=5x&session_absolute=30d", "n’est pas une durée avec son unité"),
        (
            "/settings",
            "session_idle=5x&session_absolute=30d",
            "Écrivez <code>12h</code>|Écrivez `12h` pour des heures",
        ),
        ("/users", "username=ann&password=long+enough+to+be+one&role=user", "déjà un utilisateur de ce nom"),
        ("/users", "username=bob&password=short&role=user", "moins de 8 caractères"),
        (
            "/new",
            "name=films&container=films&port=eighty",
            "n’est pas un nombre entier. Écrivez un nombre entier de 1 à 65535.",
        ),
        ("/new", "name=Fi+lms&container=films", "contient le caractère"),
        (
            "/new",
            "name=films&container=films&idle.stop_after=15",
            "est un nombre nu, et une durée porte son unité.",
        ),
    ] {
        let answer = rig.ask(&form(path, fields)).await;
        assert_eq!(answer.status, 422, "{path}: {answer:?}");
        assert!(
            said.split('|').any(|said| answer.body.contains(said)),
            "{path}: {said} is not in {}",
            answer.body
        );
        is_french(&answer);
    }
}
