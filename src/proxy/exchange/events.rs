//! `/.wakedock/events`: the waiting page hears, the moment it happens, how the wake goes. Watching
//! wakes nothing and is not activity.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use tokio::sync::watch;

use crate::clock;
use crate::domain::words::Phase;
use crate::proxy::drain::Stage;
use crate::proxy::exchange::body::Events;
use crate::proxy::worker::Worker;
use crate::supervisor::handle::{ServiceHandle, Snapshot, WakeStep};

/// While it wakes, the page's clock is set about this often.
const TICK: Duration = Duration::from_secs(1);
/// Else a comment keeps proxies in between from closing.
const COMMENT: Duration = Duration::from_secs(15);

struct Feed {
    service: watch::Receiver<Snapshot>,
    stage: watch::Receiver<Stage>,
    begun: bool,
    ended: bool,
}

/// The events of a service, until it is ready or has failed, or the proxy drains.
pub(in crate::proxy) fn of(service: &ServiceHandle, worker: &Rc<Worker>) -> Events {
    let feed = Feed { service: service.watch(), stage: worker.stage.clone(), begun: false, ended: false };
    Box::pin(stream::unfold(feed, |mut feed| async move {
        let text = feed.next().await?;
        Some((Bytes::from(text), feed))
    }))
}

impl Feed {
    async fn next(&mut self) -> Option<String> {
        if self.ended {
            return None;
        }
        if std::mem::replace(&mut self.begun, true) {
            let phase = self.service.borrow().phase;
            let pause = if phase == Phase::Waking { TICK } else { COMMENT };
            tokio::select! {
                biased;
                changed = self.service.changed() => changed.ok()?,
                _ = self.stage.wait_for(|stage| *stage != Stage::Serving) => return None,
                () = tokio::time::sleep(pause) => {
                    if phase != Phase::Waking {
                        return Some(": still here\n\n".to_owned());
                    }
                }
            }
        }
        let snapshot = self.service.borrow_and_update();
        self.ended = matches!(snapshot.phase, Phase::Ready | Phase::Failed);
        Some(event(&snapshot))
    }
}

fn event(snapshot: &Snapshot) -> String {
    let elapsed = match snapshot.phase {
        Phase::Waking => clock::now().since(snapshot.since).as_millis(),
        Phase::Asleep | Phase::Ready | Phase::Stopping | Phase::Failed => 0,
    };
    let step = match (snapshot.phase, snapshot.step) {
        (Phase::Waking, WakeStep::Starting) => ",\"step\":\"starting\"",
        (Phase::Waking, WakeStep::Probing) => ",\"step\":\"probing\"",
        _ => "",
    };
    let usual = snapshot.usual.map_or_else(|| "null".to_owned(), |usual| usual.as_millis().to_string());
    format!(
        "event: phase\ndata: {{\"phase\":\"{}\",\"elapsed_ms\":{elapsed},\"usual_ms\":{usual}{step}}}\n\n",
        snapshot.phase
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed() -> (watch::Sender<Snapshot>, watch::Sender<Stage>, Feed) {
        let (snapshots, service) = watch::channel(Snapshot::new(Phase::Asleep, clock::now()));
        let (stages, stage) = watch::channel(Stage::Serving);
        (snapshots, stages, Feed { service, stage, begun: false, ended: false })
    }

    fn data(phase: &str, elapsed: u64, usual: &str) -> Option<String> {
        let step = if phase == "waking" { ",\"step\":\"starting\"" } else { "" };
        Some(format!(
            "event: phase\ndata: {{\"phase\":\"{phase}\",\"elapsed_ms\":{elapsed},\"usual_ms\":{usual}{step}}}\n\n"
        ))
    }

    #[tokio::test(start_paused = true)]
    async fn tells_every_change_and_every_second_until_ready() {
        let (snapshots, _stages, mut feed) = feed();
        assert_eq!(feed.next().await, data("asleep", 0, "null"), "at once");
        assert_eq!(feed.next().await.as_deref(), Some(": still here\n\n"), "after a while");
        let mut waking = Snapshot::new(Phase::Waking, clock::now());
        waking.usual = Some(Duration::from_millis(2500));
        snapshots.send_replace(waking);
        assert_eq!(feed.next().await, data("waking", 0, "2500"));
        let began = clock::now();
        assert!(feed.next().await.is_some_and(|event| event.contains("\"phase\":\"waking\"")));
        assert_eq!(clock::now().since(began).as_secs(), 1);
        snapshots.send_replace(Snapshot::new(Phase::Ready, clock::now()));
        assert_eq!(feed.next().await, data("ready", 0, "null"));
        assert_eq!(feed.next().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn ends_with_a_failure_with_the_drain_and_with_the_service() {
        let (snapshots, _stages, mut failing) = feed();
        snapshots.send_replace(Snapshot::new(Phase::Failed, clock::now()));
        assert_eq!(failing.next().await, data("failed", 0, "null"));
        assert_eq!(failing.next().await, None);
        let (_snapshots, stages, mut draining) = feed();
        draining.next().await;
        stages.send_replace(Stage::Draining { until: clock::now() });
        assert_eq!(draining.next().await, None);
        let (snapshots, _stages, mut retired) = feed();
        retired.next().await;
        drop(snapshots);
        assert_eq!(retired.next().await, None);
    }
}
