//! What the fuzz targets reach of reading Caddy's answers. No part of the interface: it follows the
//! code behind it.

use http::StatusCode;

use crate::caddy::admin;

/// What an operator is shown of an answer that is an error.
#[must_use]
pub fn message(status: StatusCode, body: &[u8]) -> String {
    admin::message(status, body)
}
