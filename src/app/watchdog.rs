//! What systemd is told: ready, stopping, and alive (sd_notify(3)).

use sd_notify::NotifyState;

/// Ready; from now on the watchdog is fed, where there is one, by the control plane itself: if
/// that hangs, systemd restarts WakeDock.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
    if let Some(limit) = sd_notify::watchdog_enabled() {
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(limit / 2);
            loop {
                tick.tick().await;
                tell(&[NotifyState::Watchdog]);
            }
        });
    }
}

pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager was not told");
    }
}
