//! From memory to the store and back.

use std::convert::Infallible;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::name::ServiceName;
use crate::store::{ChangeError, Order, number_key};
use crate::supervisor::journal::record::{EVENTS, EventRecord};
use crate::supervisor::journal::{Event, Journal};

/// Events that come within this time are written in one commit.
const TOGETHER: Duration = Duration::from_secs(1);
/// How many records are looked at in one go: others want the store's thread, too.
const STRIDE: usize = 1_000;

impl Journal {
    /// Writes events down as they come, for ever.
    pub(in crate::supervisor) async fn keep(self) {
        loop {
            self.0.bell.notified().await;
            tokio::time::sleep(TOGETHER).await;
            self.flush().await;
        }
    }

    /// Writes down what is not written yet. What the disk does not take is lost, and counted.
    pub async fn flush(&self) {
        // Whoever asks meanwhile waits until those before are written.
        let _one = self.0.saving.lock().await;
        let events: Vec<_> = self.lock().unsaved.drain(..).collect();
        if events.is_empty() {
            return;
        }
        let count = events.len() as u64;
        let saved = self.0.store.change(move |tables| {
            for event in &events {
                tables.put(&EVENTS, &number_key(event.id), &EventRecord::from(&**event))?;
            }
            Ok::<_, crate::store::Interrupted<Infallible>>(())
        });
        if let Err(error) = saved.await {
            self.0.counts.unsaved(count);
            tracing::debug!(%error, count, "events were not written down");
        }
    }

    /// Saved events from number `first` up to, and without, `end`; nothing while the store is away.
    pub(super) async fn saved(
        &self,
        first: u64,
        end: u64,
        service: Option<&ServiceName>,
        limit: usize,
    ) -> Vec<Arc<Event>> {
        let mut found = Vec::new();
        let mut from = first;
        while found.len() < limit && from < end {
            let range = (Bound::Included(from), Bound::Excluded(end));
            let Ok(page) = self.page(range, Order::Ascending, STRIDE).await else { break };
            let Some((last, _)) = page.last() else { break };
            from = last + 1;
            take(&mut found, page, service, limit);
        }
        found
    }

    /// Saved events before number `end`, the newest first.
    pub(super) async fn saved_backwards(
        &self,
        end: u64,
        service: Option<&ServiceName>,
        limit: usize,
    ) -> Result<Vec<Arc<Event>>, ChangeError<Infallible>> {
        let mut found = Vec::new();
        let mut until = end;
        while found.len() < limit {
            let range = (Bound::Unbounded, Bound::Excluded(until));
            let stride = if service.is_none() { limit.min(STRIDE) } else { STRIDE };
            let page = self.page(range, Order::Descending, stride).await?;
            let Some((last, _)) = page.last() else { break };
            until = *last;
            take(&mut found, page, service, limit);
        }
        Ok(found)
    }

    async fn page(
        &self,
        (first, end): (Bound<u64>, Bound<u64>),
        order: Order,
        limit: usize,
    ) -> Result<Vec<(u64, Option<Arc<Event>>)>, ChangeError<Infallible>> {
        let read = self.0.store.read(move |tables| {
            let (first, end) = (first.map(number_key), end.map(number_key));
            let range = (first.as_ref().map(String::as_str), end.as_ref().map(String::as_str));
            Ok(tables.scan(&EVENTS, range, order, limit)?)
        });
        let event = |(key, record): (String, EventRecord)| {
            let id = key.parse().ok()?;
            Some((id, record.event(id).map(Arc::new)))
        };
        Ok(read.await?.into_iter().filter_map(event).collect())
    }
}

fn take(
    found: &mut Vec<Arc<Event>>,
    page: Vec<(u64, Option<Arc<Event>>)>,
    service: Option<&ServiceName>,
    limit: usize,
) {
    let wanted = page.into_iter().filter_map(|(_, event)| event).filter(|event| event.is_of(service));
    let left = limit - found.len();
    found.extend(wanted.take(left));
}
