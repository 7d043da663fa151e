//! Where services come from: file, API and labels together.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod api;
mod labels;
mod merging;
mod removed;
mod town;
mod unread;
