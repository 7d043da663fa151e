//! The containers that the engine has, for somebody who is about to make a service of one.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;

use crate::ports::{Container, Listed, Listing, ReadError};
use crate::supervisor::fleet::Fleet;

/// Looks that go on at the same time.
const AT_ONCE: usize = 8;

impl Fleet {
    /// Every container, by name, each with what a look at it says; `None`: it went away meanwhile.
    ///
    /// # Errors
    /// Docker does not answer.
    pub async fn containers(&self) -> Result<Vec<(Listed, Option<Container>)>, ReadError> {
        let engine = self.engine();
        let listed = engine.list(Listing::All).await?;
        let looks = listed.into_iter().map(|listed| {
            let engine = Arc::clone(&engine);
            async move {
                let found = engine.inspect(&listed.id.0).await.ok();
                (listed, found)
            }
        });
        let mut found: Vec<_> = stream::iter(looks).buffer_unordered(AT_ONCE).collect().await;
        found.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
        Ok(found)
    }
}
