//! Log-in by a proxy in front, which says who it is. Believed from listed peers alone.

use std::net::IpAddr;

use axum::http::HeaderMap;

use crate::config::ForwardAuth;
use crate::domain::words::Role;

/// What a proxy said of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing, or nobody whose word counts did.
    Nothing,
    /// A name, and the role of its groups, if any of them has one.
    User { name: String, role: Option<Role> },
    /// Two names, or one that cannot be read.
    Nonsense,
}

/// Reads it. `peer`: who is directly at the other end.
pub(super) fn read(headers: &HeaderMap, peer: Option<IpAddr>, config: &ForwardAuth) -> Said {
    let listed = |peer: IpAddr| config.proxies.iter().any(|network| network.contains(&peer.to_canonical()));
    if !peer.is_some_and(listed) {
        return Said::Nothing;
    }
    let mut names = headers.get_all(&config.user).iter();
    let Some(name) = names.next() else { return Said::Nothing };
    let name = name.to_str().map(str::trim).unwrap_or_default();
    if name.is_empty() || name.len() > 128 || names.next().is_some() {
        return Said::Nonsense;
    }
    // Authelia's commas, and Authentik's bars.
    let groups = headers
        .get_all(&config.groups)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split([',', '|']))
        .map(str::trim);
    let role = config.roles.role_of(groups);
    Said::User { name: name.to_ascii_lowercase(), role }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ForwardRoles;

    fn config() -> ForwardAuth {
        ForwardAuth {
            proxies: vec!["10.0.0.1/32".parse().unwrap()],
            roles: ForwardRoles {
                admin: vec!["admins".to_owned()],
                user: vec!["family".to_owned()],
                viewer: Vec::new(),
            },
            ..ForwardAuth::default()
        }
    }

    fn said(peer: &str, fields: &[(&'static str, &'static str)]) -> Said {
        let headers: HeaderMap = fields
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .fold(HeaderMap::new(), |mut headers, (name, value): (axum::http::HeaderName, _)| {
                headers.append(name, value);
                headers
            });
        read(&headers, peer.parse().ok(), &config())
    }

    #[test]
    fn only_the_listed_proxy_is_believed() {
        let fields = [("remote-user", "Ann"), ("remote-groups", "family, admins")];
        let ann = Said::User { name: "ann".to_owned(), role: Some(Role::Admin) };
        assert_eq!(said("10.0.0.1", &fields), ann);
        assert_eq!(said("::ffff:10.0.0.1", &fields), ann);
        let bars = [("remote-user", "ann"), ("remote-groups", "family|admins")];
        assert_eq!(said("10.0.0.1", &bars), ann);
        assert_eq!(said("10.0.0.2", &fields), Said::Nothing);
        assert_eq!(said("", &fields), Said::Nothing);
    }

    #[test]
    fn without_a_group_that_is_known_there_is_no_role() {
        let nobody = Said::User { name: "ann".to_owned(), role: None };
        assert_eq!(said("10.0.0.1", &[("remote-user", "ann"), ("remote-groups", "adminsx,x")]), nobody);
        assert_eq!(said("10.0.0.1", &[("remote-user", "ann")]), nobody);
        assert_eq!(said("10.0.0.1", &[("remote-groups", "admins")]), Said::Nothing);
        let two = [("remote-user", "ann"), ("remote-user", "root"), ("remote-groups", "admins")];
        assert_eq!(said("10.0.0.1", &two), Said::Nonsense);
    }
}
