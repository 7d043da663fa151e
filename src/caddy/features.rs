//! What the Caddy at hand knows. It does not tell its version, but it tells whether it can adapt a
//! Caddyfile that uses a word.

use crate::ports::{CaddyAdmin, CaddyError};

/// Words that newer versions know and the oldest supported one, 2.6.2, does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Features {
    /// Open WebSockets outlive a change of the configuration (from 2.7.0).
    pub stream_close_delay: bool,
}

const STREAM_CLOSE_DELAY: &str = "http://probe.invalid {
	reverse_proxy 127.0.0.1:9 {
		stream_close_delay 1s
	}
}
";

/// Asks Caddy. It runs nothing of what it is asked.
///
/// # Errors
/// [`CaddyError`] where Caddy is away, or refuses for another reason than the word.
pub async fn probe(admin: &dyn CaddyAdmin) -> Result<Features, CaddyError> {
    let stream_close_delay = match admin.adapt(STREAM_CLOSE_DELAY).await {
        Ok(_) => true,
        Err(CaddyError::Rejected { message }) if message.contains("stream_close_delay") => false,
        Err(error) => return Err(error),
    };
    Ok(Features { stream_close_delay })
}
