//! What the fuzz targets reach of reading an application's answer to a probe. No part of the
//! interface: it follows the code behind it.

use crate::probe::net::{Reading, read_status};

/// What the beginning of an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// Nothing yet.
    More,
    Status(u16),
    NotHttp,
}

/// Reads an answer that may not be whole yet.
#[must_use]
pub fn status(answer: &[u8]) -> Said {
    match read_status(answer) {
        Reading::More => Said::More,
        Reading::Status(status) => Said::Status(status),
        Reading::NotHttp => Said::NotHttp,
    }
}
