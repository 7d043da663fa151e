//! A timer that is set again and again, mostly for nothing: it is touched only where it must ring
//! earlier than it would, or has rung too early.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Sleep;

use crate::clock;
use crate::domain::time::Moment;

#[derive(Debug, Default)]
pub(super) struct Alarm(Option<(Moment, Pin<Box<Sleep>>)>);

impl Alarm {
    /// Ready from `deadline` on, whatever it was asked for before.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, deadline: Moment) -> Poll<()> {
        let (rings, sleep) = self
            .0
            .get_or_insert_with(|| (deadline, Box::pin(tokio::time::sleep_until(clock::instant(deadline)))));
        if deadline < *rings {
            *rings = deadline;
            sleep.as_mut().reset(clock::instant(deadline));
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if *rings >= deadline {
                return Poll::Ready(());
            }
            *rings = deadline;
            sleep.as_mut().reset(clock::instant(deadline));
        }
    }
}

/// Waits for `patience` at most; without one, for as long as it takes.
pub(super) async fn within<F: Future>(patience: Option<Duration>, future: F) -> Option<F::Output> {
    match patience {
        Some(patience) => tokio::time::timeout(patience, future).await.ok(),
        None => Some(future.await),
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rings_when_it_was_set_to_last() {
        let began = clock::now();
        let after = |millis| began + Duration::from_millis(millis);
        let mut alarm = Alarm::default();
        let mut glance = async |deadline| poll_fn(|cx| Poll::Ready(alarm.poll(cx, deadline))).await;
        assert!(glance(after(500)).await.is_pending());
        assert!(glance(after(100)).await.is_pending(), "earlier");
        assert!(glance(after(900)).await.is_pending(), "later");
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(glance(after(900)).await.is_pending(), "it would have rung at 100");
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert!(glance(after(900)).await.is_ready());
        assert!(glance(after(5000)).await.is_pending(), "and is set again");
        poll_fn(|cx| alarm.poll(cx, after(5000))).await;
        assert_eq!(clock::now().since(began).as_millis(), 5000);
    }
}
