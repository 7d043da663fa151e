//! Everything that needs no built binary: one link for all of it.

mod caddy;
mod config;
mod engine;
mod guards;
mod html;
mod lifecycle;
mod proxy;
mod store;
mod supervisor;
mod support;
