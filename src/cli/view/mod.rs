//! How things look on a terminal: words, colours, tables. Pure: data in, text out.

pub(super) mod calm;
pub(super) mod detail;
pub(super) mod paint;
pub(super) mod services;
pub(super) mod table;
pub(super) mod words;

#[cfg(test)]
mod samples;
