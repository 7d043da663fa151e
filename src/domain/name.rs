//! Names that cannot hold what they must not: parsed once, at the edge, and trusted inside.

use std::fmt;
use std::sync::Arc;

/// Why a text is not a name, in words for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("is empty")]
    Empty,
    #[error("is longer than {0} characters")]
    TooLong(usize),
    #[error("holds the character {0:?}")]
    Character(char),
    #[error("begins or ends with {0:?}")]
    Edge(char),
}

/// The name of a service: 1 to 63 of `a-z`, `0-9`, `-`, `_` and `.`, beginning and ending with a
/// letter or a figure. It is also a metric label and, with the domain behind it, a host name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(Arc<str>);

impl ServiceName {
    /// Reads a service name.
    ///
    /// # Errors
    /// Says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check(text, 63, |c| c.is_ascii_lowercase() || c.is_ascii_digit(), "-_.")?;
        Ok(Self(text.into()))
    }

    /// What requests for hosts that are nobody's are counted under. Not a name that can be parsed.
    #[must_use]
    pub fn unknown() -> Self {
        Self("_unknown".into())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name (never the id) of a container: the identity that outlives an update of its image.
/// Docker's own rule: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerName(Arc<str>);

impl ContainerName {
    /// Reads a container name.
    ///
    /// # Errors
    /// Says which rule of Docker's the text breaks.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.strip_prefix('/').unwrap_or(text);
        let first = text.chars().next().ok_or(NameError::Empty)?;
        if !first.is_ascii_alphanumeric() {
            return Err(NameError::Edge(first));
        }
        if text.len() > 255 {
            return Err(NameError::TooLong(255));
        }
        match text.chars().find(|c| !(c.is_ascii_alphanumeric() || "_.-".contains(*c))) {
            Some(odd) => Err(NameError::Character(odd)),
            None => Ok(Self(text.into())),
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check(
    text: &str,
    longest: usize,
    inner: impl Fn(char) -> bool,
    also_inside: &str,
) -> Result<(), NameError> {
    let (Some(first), Some(last)) = (text.chars().next(), text.chars().next_back()) else {
        return Err(NameError::Empty);
    };
    if let Some(odd) = text.chars().find(|c| !inner(*c) && !also_inside.contains(*c)) {
        return Err(NameError::Character(odd));
    }
    for edge in [first, last] {
        if !inner(edge) {
            return Err(NameError::Edge(edge));
        }
    }
    if text.len() > longest {
        return Err(NameError::TooLong(longest));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_names() {
        assert!(ServiceName::parse("cloud").is_ok());
        assert!(ServiceName::parse("shop-db.2").is_ok());
        assert_eq!(ServiceName::parse(""), Err(NameError::Empty));
        assert_eq!(ServiceName::parse("a b"), Err(NameError::Character(' ')));
        assert_eq!(ServiceName::parse("Cloud"), Err(NameError::Character('C')));
        assert_eq!(ServiceName::parse("-a"), Err(NameError::Edge('-')));
        assert_eq!(ServiceName::parse(&"a".repeat(64)), Err(NameError::TooLong(63)));
    }

    #[test]
    fn container_names() {
        assert_eq!(ContainerName::parse("/Next_cloud-1").unwrap().as_str(), "Next_cloud-1");
        assert!(ContainerName::parse("../etc").is_err());
        assert!(ContainerName::parse("a/b").is_err());
        assert!(ContainerName::parse("a?all=1").is_err());
    }
}
