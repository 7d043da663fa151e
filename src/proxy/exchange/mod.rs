//! One exchange: the way of a request from its head to the last byte of its answer.
//!
//! | file | what it is |
//! |---|---|
//! | `service` | the way itself: route, admit, forward, count |
//! | `connection`, `ask` | whose request it is; what it asks for |
//! | `cold`, `pages`, `events` | while there is no lease: waiting, and what is shown meanwhile |
//! | `respond`, `body` | every answer of our own; every answer's body |
//! | `tunnel`, `extended` | upgraded streams; WebSockets over HTTP/2 |
//! | `dashboard` | what is for the control plane's own host |

pub(super) mod ask;
pub(super) mod body;
mod cold;
pub(super) mod connection;
mod dashboard;
mod events;
mod extended;
mod pages;
mod respond;
pub(super) mod service;
mod tunnel;
