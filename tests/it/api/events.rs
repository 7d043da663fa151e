//! What happens, as a stream and as a list.

use serde_json::Value;
use wakedock::supervisor::journal::What;

use super::house::{Follow, House};

const SSE: [(&str, &str); 1] = [("accept", "text/event-stream")];

/// The next event: its id, its kind, its data.
async fn next(follow: &mut Follow) -> (u64, String, Value) {
    loop {
        let text = follow.through("\n\n").await;
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        let Some(data) = field("data: ") else { continue };
        let id = field("id: ").unwrap().parse().unwrap();
        return (id, field("event: ").unwrap(), serde_json::from_str(&data).unwrap());
    }
}

#[tokio::test]
async fn a_wake_is_followed_from_beginning_to_end() {
    let house = House::new(&["cloud", "films"]).await;
    let mut all = house.follow("GET /api/v1/events", &SSE).await;
    assert_eq!(all.headers["cache-control"], "no-store");
    let mut films = house.follow("GET /api/v1/events?service=films", &SSE).await;
    house.ask("POST /api/v1/services/cloud/wake?wait=5s").await;
    let mut kinds = Vec::new();
    let mut last = 0;
    loop {
        let (id, kind, data) = next(&mut all).await;
        assert!(id > last);
        assert_eq!(data["id"], id);
        assert_eq!(data["kind"], kind.as_str());
        assert_eq!(data["service"], "cloud");
        assert!(data["at"].is_string());
        last = id;
        let ready = kind == "phase" && data["phase"] == "ready";
        kinds.push(kind);
        if ready {
            break;
        }
    }
    assert!(kinds.contains(&"wake-started".to_owned()), "{kinds:?}");
    house.ask("POST /api/v1/services/films/wake?wait=5s").await;
    assert_eq!(next(&mut films).await.2["service"], "films", "and nothing of the other");
}

#[tokio::test]
async fn who_comes_back_misses_nothing() {
    let house = House::new(&["cloud"]).await;
    let mut first = house.follow("GET /api/v1/events", &SSE).await;
    house.ask("POST /api/v1/services/cloud/wake?wait=5s").await;
    let (seen, ..) = next(&mut first).await;
    let (expected, ..) = next(&mut first).await;
    drop(first);
    house.ask("POST /api/v1/services/cloud/stop?wait=5s").await;
    let id = seen.to_string();
    let mut again = house.follow("GET /api/v1/events", &[SSE[0], ("last-event-id", &id)]).await;
    assert_eq!(next(&mut again).await.0, expected);
    let mut last = expected;
    loop {
        let (id, kind, _) = next(&mut again).await;
        assert!(id > last, "each once");
        last = id;
        if kind == "stopped" {
            break;
        }
    }
    let mut after = house.follow(&format!("GET /api/v1/events?after={seen}"), &SSE).await;
    assert_eq!(next(&mut after).await.0, expected);
}

/// Before the first event there was nothing to name, and what happened while a client was away then
/// was lost to it.
#[tokio::test]
async fn a_stream_begins_with_its_place() {
    let house = House::new(&["cloud"]).await;
    house.ask("POST /api/v1/services/cloud/wake?wait=5s").await;
    let mut first = house.follow("GET /api/v1/events", &SSE).await;
    assert_eq!(first.through("\n\n").await, "retry: 2000\n\n");
    let place = first.through("\n\n").await;
    let place = place.strip_prefix("id: ").unwrap().trim_end().to_owned();
    drop(first);
    house.ask("POST /api/v1/services/cloud/stop?wait=5s").await;
    let mut again = house.follow("GET /api/v1/events", &[SSE[0], ("last-event-id", &place)]).await;
    assert!(next(&mut again).await.0 > place.parse().unwrap());
}

/// A thousand came, and what happened between these and the present was passed over.
#[tokio::test]
async fn who_was_away_for_thousands_of_events_gets_all_of_them() {
    let house = House::new(&["cloud"]).await;
    let journal = house.fleet.journal();
    let last = journal.newest();
    for _ in 0..5 {
        for _ in 0..500 {
            journal.publish(None, What::Draining);
        }
        journal.flush().await;
    }
    let last = last.to_string();
    let mut again = house.follow("GET /api/v1/events", &[SSE[0], ("last-event-id", &last)]).await;
    let mut seen = Vec::new();
    while seen.len() < 2500 {
        let (id, kind, _) = next(&mut again).await;
        if kind == "draining" {
            seen.push(id);
        }
    }
    assert!(seen.is_sorted_by(|a, b| a < b));
    journal.publish(None, What::Draining);
    assert!(next(&mut again).await.0 > seen[2499], "and it goes on");
}

/// It heard nothing ever after: the numbers of another store had come further.
#[tokio::test]
async fn a_place_that_never_was_is_the_present() {
    let house = House::new(&["cloud"]).await;
    for id in ["99999999", "18446744073709551615", "-1", "nonsense"] {
        let mut stream = house.follow("GET /api/v1/events", &[SSE[0], ("last-event-id", id)]).await;
        house.fleet.journal().publish(None, What::Draining);
        assert_eq!(next(&mut stream).await.1, "draining", "{id}");
    }
}

#[tokio::test]
async fn the_past_is_a_list_in_pages() {
    let house = House::new(&["cloud"]).await;
    house.ask("POST /api/v1/services/cloud/wake?wait=5s").await;
    house.ask("POST /api/v1/services/cloud/stop?wait=5s").await;
    let json = [("accept", "application/json")];
    let all = house.ask_with("GET /api/v1/events?limit=500", &json).await.json();
    let of_one = house.ask("GET /api/v1/services/cloud/events?limit=500").await.json();
    let ids = |page: &Value| -> Vec<u64> {
        page["items"].as_array().unwrap().iter().map(|item| item["id"].as_u64().unwrap()).collect()
    };
    assert!(ids(&of_one).len() >= 4, "{of_one}");
    assert!(ids(&of_one).is_sorted_by(|a, b| a > b), "the newest first");
    assert!(ids(&of_one).iter().all(|id| ids(&all).contains(id)));
    let mut paged = Vec::new();
    let mut line = "GET /api/v1/services/cloud/events?limit=2".to_owned();
    loop {
        let page = house.ask(&line).await.json();
        paged.extend(ids(&page));
        let Some(next) = page["next"].as_str() else { break };
        line = format!("GET /api/v1/services/cloud/events?limit=2&cursor={next}");
    }
    assert_eq!(paged, ids(&of_one));
    assert_eq!(house.ask("GET /api/v1/services/cloud/events?cursor=bm9uZQ").await.status, 400);
}
