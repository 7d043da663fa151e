//! Everything that needs no built binary: one link for all of it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod admin;
mod api;
mod caddy;
mod catalog;
mod cli;
mod config;
mod dashboard;
mod engine;
mod guards;
mod html;
mod lifecycle;
mod oidc;
mod proxy;
mod reference;
mod start;
mod store;
mod supervisor;
mod support;
