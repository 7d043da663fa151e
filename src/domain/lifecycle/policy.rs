//! The part of a service's configuration that its lifecycle depends on.

use std::time::Duration;

use crate::domain::lifecycle::How;
use crate::domain::service::ServiceSpec;
use crate::domain::time::Moment;

/// When to give up, and when to let sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// From the order to ready.
    pub wake_timeout: Duration,
    pub pause_after: Option<Duration>,
    pub stop_after: Option<Duration>,
    /// Not put to sleep before this long after ready.
    pub min_awake: Duration,
    /// What Docker grants the container between SIGTERM and SIGKILL.
    pub stop_timeout: Duration,
}

impl From<&ServiceSpec> for Policy {
    fn from(spec: &ServiceSpec) -> Self {
        Self {
            wake_timeout: spec.wake_timeout,
            pause_after: spec.idle.pause_after,
            stop_after: spec.idle.stop_after,
            min_awake: spec.idle.min_awake,
            stop_timeout: spec.idle.stop_timeout,
        }
    }
}

impl Policy {
    /// How an unused service is put to sleep first, and after how long; `None`: never.
    #[must_use]
    pub fn first_sleep(&self) -> Option<(How, Duration)> {
        match (self.pause_after, self.stop_after) {
            (Some(pause), _) => Some((How::Pause, pause)),
            (None, Some(stop)) => Some((How::Stop, stop)),
            (None, None) => None,
        }
    }

    /// When a service that is ready since `ready` and unused since `quiet` falls asleep, and how.
    #[must_use]
    pub fn due(&self, ready: Moment, quiet: Moment) -> Option<(How, Moment)> {
        let (how, after) = self.first_sleep()?;
        Some((how, (quiet + after).max(ready + self.min_awake)))
    }

    /// A stop that Docker has not answered by then is given up.
    #[must_use]
    pub fn stop_deadline(&self, now: Moment) -> Moment {
        now + self.stop_timeout + Duration::from_secs(60)
    }
}
