//! What can go wrong between WakeDock and a provider. All of it is for the operator's log; a browser
//! is told only which kind it was.

use std::error::Error;

/// Longest message that is taken over from a provider.
const LONGEST: usize = 300;

/// Why nobody was logged in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OidcError {
    /// No usable answer: the network, TLS, or something that is no provider.
    #[error("the provider cannot be asked: {reason}")]
    Away { reason: String },
    /// The provider knows better: the code was used before, is too old, or the client is not who it
    /// says.
    #[error("the provider refused the code: {reason}")]
    Refused { reason: String },
    /// The ID token is not the provider's, not for WakeDock, or not for this log-in.
    #[error("the ID token is not valid: {reason}")]
    Token { reason: String },
    #[error("`{url}` is no address to come back to: {reason}")]
    RedirectUrl { url: String, reason: String },
}

/// An error and what caused it, in one line without anything that could forge another.
pub(super) fn whole(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = next.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = next.source();
    }
    plain(&text)
}

/// Text from a stranger, fit for one line of a log.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect()
}
