//! Log-in by an OpenID Connect provider, as it is configured.

use std::fmt;

use crate::config::ForwardRoles;
use crate::domain::words::Role;

/// Log-in by an OpenID Connect provider. There is one where issuer and client are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcConfig {
    /// Exactly as the provider says it of itself.
    pub issuer: Option<String>,
    pub client_id: Option<String>,
    /// `None`: a public client, which PKCE alone protects.
    pub client_secret: Option<Secret>,
    pub scopes: Vec<String>,
    /// What a person is called here the first time.
    pub username_claim: String,
    pub groups_claim: String,
    pub roles: ForwardRoles,
    /// Where the provider sends browsers back to. `None`: to where they came from.
    pub redirect_url: Option<String>,
    /// Whether whoever logs out here is led to the provider to log out there too, where it has a place
    /// for that.
    pub single_logout: bool,
    /// What the log-in page calls the provider. `None`: its host.
    pub label: Option<String>,
}

impl Default for OidcConfig {
    fn default() -> Self {
        Self {
            issuer: None,
            client_id: None,
            client_secret: None,
            scopes: ["openid", "profile"].map(ToOwned::to_owned).into(),
            username_claim: "preferred_username".to_owned(),
            groups_claim: "groups".to_owned(),
            roles: ForwardRoles::default(),
            redirect_url: None,
            single_logout: true,
            label: None,
        }
    }
}

impl OidcConfig {
    /// Whether people can log in this way.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.issuer.is_some() && self.client_id.is_some()
    }

    /// What the log-in page calls the provider.
    #[must_use]
    pub fn name(&self) -> &str {
        let host = || {
            let (_, rest) = self.issuer.as_deref()?.split_once("://")?;
            rest.split(['/', ':']).next()
        };
        self.label.as_deref().or_else(host).unwrap_or_default()
    }
}

impl ForwardRoles {
    /// The highest role that any of these groups has.
    #[must_use]
    pub fn role_of<'a>(&self, groups: impl Iterator<Item = &'a str>) -> Option<Role> {
        let role = |group: &str| {
            let has = |own: &[String]| own.iter().any(|own| own == group);
            if has(&self.admin) {
                Some(Role::Admin)
            } else if has(&self.user) {
                Some(Role::User)
            } else {
                has(&self.viewer).then_some(Role::Viewer)
            }
        };
        groups.filter_map(role).max()
    }
}

/// Something that is written nowhere: no log, no page and no `config print` shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself, for whom it is meant for.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let config = OidcConfig { client_secret: Some(Secret::new("hunter2")), ..OidcConfig::default() };
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn the_highest_role_of_all_groups_counts() {
        let roles = ForwardRoles {
            admin: vec!["admins".into()],
            user: vec!["family".into()],
            viewer: vec!["guests".into()],
        };
        let of = |groups: &[&str]| roles.role_of(groups.iter().copied());
        assert_eq!(of(&["guests", "admins", "family"]), Some(Role::Admin));
        assert_eq!(of(&["guests", "x"]), Some(Role::Viewer));
        assert_eq!(of(&["Admins", "admins2", ""]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_provider_is_called_by_its_host() {
        let mut config = OidcConfig {
            issuer: Some("https://auth.example.com:8443/realms/home".into()),
            ..OidcConfig::default()
        };
        assert_eq!(config.name(), "auth.example.com");
        config.label = Some("Authelia".into());
        assert_eq!(config.name(), "Authelia");
    }
}
