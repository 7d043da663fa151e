//! WakeDock: a Caddy-fronted wake-on-request appliance for Docker.
//!
//! # Floors
//!
//! A module names only modules on lower floors; modules on one floor don't know each other
//! (`tests/guards.rs` fails otherwise, `docs/ARCHITECTURE.md` says why).
//!
//! | floor | modules | what they are |
//! |---|---|---|
//! | 5 | [`app`], [`cli`] | composition: the only place that sees everything |
//! | 4 | [`proxy`], [`admin`] | HTTP surfaces: data plane, control plane |
//! | 3 | [`supervisor`] | services: one actor each, fleet, reconcile, publish |
//! | 2 | [`engine`], [`store`], [`caddy`], [`probe`], [`oidc`], [`html`] | adapters |
//! | 1 | [`config`], [`ports`], [`clock`], [`metrics`], [`telemetry`], [`local_socket`] | what the adapters share |
//! | 0 | [`domain`] | pure: no tokio, no I/O, no clock, no serde |

pub mod domain;

pub mod clock;
pub mod config;
pub mod local_socket;
pub mod metrics;
pub mod ports;
pub mod telemetry;

pub mod caddy;
pub mod engine;
pub mod html;
pub mod oidc;
pub mod probe;
pub mod store;

pub mod supervisor;

pub mod admin;
pub mod proxy;

pub mod app;
pub mod cli;
