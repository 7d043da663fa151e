//! What buttons order: wake, stop, restart, keep awake.

use std::time::Duration;

use axum::extract::Path;
use axum::response::Response;

use crate::admin::audit::{self, Entry};
use crate::admin::pages::answer;
use crate::admin::pages::form::Sent;
use crate::admin::pages::visit::Visit;
use crate::domain::words::Phase;
use crate::supervisor::handle::ServiceHandle;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// What is ordered of a service.
enum Order {
    Wake,
    Stop,
    Restart,
    KeepAwake(Duration),
    LetSleep,
}

pub(super) async fn wake(visit: Visit, Path(name): Path<String>, sent: Sent) -> Response {
    order(&visit, &name, &sent, Order::Wake).await
}

pub(super) async fn stop(visit: Visit, Path(name): Path<String>, sent: Sent) -> Response {
    order(&visit, &name, &sent, Order::Stop).await
}

pub(super) async fn restart(visit: Visit, Path(name): Path<String>, sent: Sent) -> Response {
    order(&visit, &name, &sent, Order::Restart).await
}

pub(super) async fn keep_awake(visit: Visit, Path(name): Path<String>, sent: Sent) -> Response {
    let time = match sent.get("for") {
        "30m" => 30 * MINUTE,
        "8h" => 8 * HOUR,
        "1d" => 24 * HOUR,
        "7d" => 7 * 24 * HOUR,
        _ => 2 * HOUR,
    };
    order(&visit, &name, &sent, Order::KeepAwake(Duration::from_secs(time))).await
}

pub(super) async fn let_sleep(visit: Visit, Path(name): Path<String>, sent: Sent) -> Response {
    order(&visit, &name, &sent, Order::LetSleep).await
}

async fn order(visit: &Visit, name: &str, sent: &Sent, order: Order) -> Response {
    let Some(handle) = visit.state.fleet.get(name) else { return answer::missing(visit) };
    let to = match sent.get("back") {
        "" => format!("/services/{name}"),
        back => back.to_owned(),
    };
    if !visit.state.fleet.engine_status().borrow().connected {
        return answer::back(&to, "engine", name);
    }
    let said = carry_out(visit, &handle, &order);
    if let Some(caller) = &visit.caller {
        let deed = if said == "wake-kept" { "keep-awake" } else { said };
        audit::note(&visit.state.store, Entry::by(caller, deed, name));
    }
    answer::back(&to, said, name)
}

fn carry_out(visit: &Visit, handle: &ServiceHandle, order: &Order) -> &'static str {
    let by = visit.name();
    match order {
        Order::Wake => {
            handle.wake_by(by);
            "wake"
        }
        Order::Stop => {
            handle.stop_by(by);
            "stop"
        }
        Order::Restart => {
            handle.restart_by(by);
            "restart"
        }
        Order::KeepAwake(time) => {
            handle.keep_awake_for(*time, by);
            // Nobody keeps awake what sleeps.
            if matches!(handle.snapshot().phase, Phase::Asleep | Phase::Failed | Phase::Stopping) {
                handle.wake_by(by);
                return "wake-kept";
            }
            "keep-awake"
        }
        Order::LetSleep => {
            handle.keep_awake_end(by);
            "let-sleep"
        }
    }
}
