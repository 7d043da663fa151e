//! A service's log, through every restart.

use wakedock::domain::words::Phase;

use super::house::House;

#[tokio::test]
async fn the_last_lines_are_text() {
    let house = House::new(&["cloud"]).await;
    for line in ["one", "two", "three"] {
        house.engine.print("cloud", line);
    }
    let answer = house.ask("GET /api/v1/services/cloud/logs?tail=2").await;
    assert_eq!(answer.body, "two\nthree\n");
    assert_eq!(answer.field("content-type"), "text/plain; charset=utf-8");
    let events = house
        .ask_with("GET /api/v1/services/cloud/logs?tail=1&follow=false", &[("accept", "text/event-stream")])
        .await;
    assert!(events.body.ends_with("\ndata: three\n\n"), "{}", events.body);
    let picture = house.ask_with("GET /api/v1/services/cloud/logs", &[("accept", "image/png")]).await;
    assert_eq!(picture.status, 406);
    assert_eq!(house.ask("GET /api/v1/services/cloud/logs?tail=501").await.status, 400);
}

#[tokio::test]
async fn lines_are_followed_through_a_restart() {
    let house = House::new(&["cloud"]).await;
    house.engine.print("cloud", "before");
    let mut log = house.follow("GET /api/v1/services/cloud/logs", &[("accept", "text/event-stream")]).await;
    assert_eq!(log.headers["content-type"], "text/event-stream");
    let first = log.through("data: before\n\n").await;
    assert!(first.contains("retry: ") && first.contains("\nid: "), "{first}");
    for run in ["first run", "second run"] {
        house.ask("POST /api/v1/services/cloud/wake?wait=5s").await;
        house.engine.print("cloud", run);
        let seen = log.through(&format!("data: {run}\n\n")).await;
        assert!(!seen.contains("before"), "nothing is told again: {seen}");
        house.ask("POST /api/v1/services/cloud/stop?wait=5s").await;
        house.reaches("cloud", Phase::Asleep).await;
    }
    let mut text = house.follow("GET /api/v1/services/cloud/logs?tail=1&follow=true", &[]).await;
    assert_eq!(text.through("\n").await, "second run\n");
}

#[tokio::test]
async fn a_log_that_is_not_there_is_a_problem() {
    let house = House::new(&["cloud"]).await;
    house.engine.remove("cloud");
    let answer = house.ask("GET /api/v1/services/cloud/logs").await;
    assert_eq!((answer.status.as_u16(), answer.problem().0.as_str()), (409, "no-container"));
    house.engine.go_away();
    let answer = house.ask("GET /api/v1/services/cloud/logs?follow=true").await;
    assert_eq!((answer.status.as_u16(), answer.problem().0.as_str()), (503, "engine-unavailable"));
}
