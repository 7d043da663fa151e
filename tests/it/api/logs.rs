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

/// Its ids were the time when they were sent: what had been written before that, and not been sent,
/// was lost to whoever came back. And no more than 500 lines came.
#[tokio::test]
async fn who_comes_back_gets_every_line_since_and_none_twice() {
    let house = House::new(&["cloud"]).await;
    for number in 0..800 {
        house.engine.print("cloud", &format!("line {number}"));
    }
    let log = "GET /api/v1/services/cloud/logs?tail=500";
    let sse = ("accept", "text/event-stream");
    let mut first = house.follow(log, &[sse]).await;
    let until = first.through("data: line 301\n\n").await;
    assert_eq!(until.matches("data: ").count(), 2, "the last 500: {until}");
    let id = until.rsplit_once("id: ").unwrap().1.lines().next().unwrap().to_owned();
    drop(first);
    house.engine.print("cloud", "the last");
    let mut again =
        house.follow("GET /api/v1/services/cloud/logs?tail=5", &[sse, ("last-event-id", &id)]).await;
    let rest = again.through("data: the last\n\n").await;
    let lines: Vec<&str> = rest.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(lines.len(), 499, "{lines:?}");
    assert_eq!((lines[0], lines[497]), ("line 302", "line 799"));
}

/// There is no line to go on after yet.
#[tokio::test]
async fn a_log_that_begins_now_says_where_that_is() {
    let house = House::new(&["cloud"]).await;
    house.engine.print("cloud", "before");
    let log = "GET /api/v1/services/cloud/logs?tail=0";
    let sse = ("accept", "text/event-stream");
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let mut first = house.follow(log, &[sse]).await;
    assert_eq!(first.through("\n\n").await, "retry: 2000\n\n");
    let place = first.through("\n\n").await;
    let place = place.strip_prefix("id: ").unwrap().trim_end().to_owned();
    drop(first);
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    house.engine.print("cloud", "meanwhile");
    let mut again = house.follow(log, &[sse, ("last-event-id", &place)]).await;
    let seen = again.through("data: meanwhile\n\n").await;
    assert!(!seen.contains("before"), "{seen}");
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
