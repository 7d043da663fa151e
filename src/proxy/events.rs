//! `/.wakedock/events`: the waiting page hears, the moment it happens, how the wake goes. Watching
//! wakes nothing and is not activity.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use tokio::sync::watch;

use crate::clock;
use crate::domain::words::Phase;
use crate::proxy::body::Events;
use crate::proxy::plane::Stage;
use crate::proxy::worker::Worker;
use crate::supervisor::handle::{ServiceHandle, Snapshot};

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
pub(super) fn of(service: &ServiceHandle, worker: &Rc<Worker>) -> Events {
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
    let usual = snapshot.usual.map_or_else(|| "null".to_owned(), |usual| usual.as_millis().to_string());
    format!(
        "event: phase\ndata: {{\"phase\":\"{}\",\"elapsed_ms\":{elapsed},\"usual_ms\":{usual}}}\n\n",
        snapshot.phase
    )
}
