//! Lists in pages: `?limit&cursor`, `{"items": […], "next": …}`.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::admin::api::query::Given;

/// The parameters of every list.
pub const PARAMETERS: [&str; 2] = ["limit", "cursor"];

/// Items of one page at most.
pub const MOST: u64 = 500;
/// Items of one page where nobody said.
pub const USUAL: u64 = 100;

/// Where a page begins, and how long it is.
#[derive(Debug, Clone, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// Items at most.
    #[param(minimum = 1, maximum = 500, default = 100, required = false)]
    pub limit: u64,
    /// `next` of the page before. Without it, the first page.
    #[param(value_type = String, required = false, max_length = 400, pattern = "^[A-Za-z0-9_-]*$")]
    pub cursor: Option<String>,
}

impl Paging {
    /// Reads `limit` and `cursor`. The cursor comes back as the key it was made of.
    pub fn read(given: &mut Given) -> Self {
        let limit = given.number("limit", 1..=MOST).unwrap_or(USUAL);
        let cursor = given.text("cursor", 400).and_then(|cursor| {
            let key = BASE64_URL_SAFE_NO_PAD.decode(&cursor).ok().and_then(|key| String::from_utf8(key).ok());
            if key.is_none() {
                given.wrong("cursor", "is none of ours", "take `next` of the page before, or leave it out");
            }
            key
        });
        Self { limit, cursor }
    }

    #[must_use]
    pub fn limit(&self) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }

    /// One page out of all items in the order of their keys.
    pub fn cut<T>(&self, all: impl IntoIterator<Item = T>, key: impl Fn(&T) -> String) -> Page<T> {
        let after = |item: &T| self.cursor.as_deref().is_none_or(|cursor| key(item).as_str() > cursor);
        let mut items: Vec<T> = all.into_iter().filter(after).take(self.limit() + 1).collect();
        let more = items.len() > self.limit();
        items.truncate(self.limit());
        let next = items.last().filter(|_| more).map(|last| cursor(&key(last)));
        Page { items, next }
    }
}

impl<T> Page<T> {
    #[must_use]
    pub fn empty() -> Self {
        Self { items: Vec::new(), next: None }
    }
}

/// The cursor after the item with this key.
#[must_use]
pub fn cursor(key: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(key)
}

/// One page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// The cursor of the page after this one; null on the last.
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_without_a_gap() {
        let all: Vec<String> = (0..7).map(|number| format!("s{number}")).collect();
        let mut paging = Paging { limit: 3, cursor: None };
        let mut seen = Vec::new();
        for pages in 1.. {
            let page = paging.cut(all.clone(), Clone::clone);
            seen.extend(page.items);
            let Some(next) = page.next else {
                assert_eq!(pages, 3);
                break;
            };
            paging.cursor = Some(String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(next).unwrap()).unwrap());
        }
        assert_eq!(seen, all);
        assert!(
            Paging { limit: 7, cursor: None }.cut(all, Clone::clone).next.is_none(),
            "a full page can be the last"
        );
    }
}
