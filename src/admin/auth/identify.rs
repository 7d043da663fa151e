//! Who is calling, from what a request brings along. What can be read in two ways is refused.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use crate::admin::audit::{self, Entry};
use crate::admin::auth::forward::{self, Said};
use crate::admin::auth::session::id_of;
use crate::admin::auth::{Auth, cookie, jwt, tokens};
use crate::admin::caller::{Caller, Via};
use crate::admin::peer::{Origin, Peer};
use crate::admin::secret;
use crate::config::AdminConfig;
use crate::domain::time::Timestamp;
use crate::domain::words::Role;

/// Parameters under which people put tokens into addresses, where logs and histories keep them.
const TOKENS_IN_QUERY: [&str; 6] = ["access_token", "token", "api_key", "apikey", "jwt", "authorization"];
/// So long somebody who comes by a log-in proxy is the same log-in, as far as the audit goes.
const CAME_EVERY: Duration = Duration::from_secs(12 * 60 * 60);
/// So many of them are remembered.
const MOST_CAME: usize = 1000;
/// The one address that carries a token by design, once.
const SET_UP: &str = "/setup";

/// What a request said of its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identified {
    /// Nothing, or nothing that is good any more.
    Nobody,
    Somebody(Caller, By),
    /// A token that is not good, or not any more.
    BadToken,
    /// A log-in proxy named a user that has no role.
    NoRole,
    /// It can be read in two ways; which, in words.
    Ambiguous(&'static str),
}

/// By which means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Socket,
    /// A token in `Authorization`.
    Bearer,
    /// What a browser sends by itself: its unsafe requests need a proof that a page of ours made them.
    Cookie,
    /// The same, with a log-in proxy between.
    Proxy,
}

impl Auth {
    /// Finds out who is calling.
    #[must_use]
    pub fn identify(
        &self,
        parts: &Parts,
        peer: &Peer,
        origin: &Origin,
        config: &AdminConfig,
        now: Timestamp,
    ) -> Identified {
        if let Peer::Socket { uid } = peer {
            let name = if *uid == 0 { "root".into() } else { format!("uid {uid}").into() };
            let via = Via::Socket { uid: *uid };
            let caller = Caller { name, role: Role::Admin, via, address: None, services: None };
            return Identified::Somebody(caller, By::Socket);
        }
        let mut authorization = parts.headers.get_all(AUTHORIZATION).iter();
        let first = authorization.next();
        if authorization.next().is_some() {
            return Identified::Ambiguous("There are two `Authorization` fields.");
        }
        if has_token(parts) {
            return Identified::Ambiguous("A token belongs into `Authorization`, not into the address.");
        }
        let Ok(cookie) = cookie::read(&parts.headers, origin.secure) else {
            return Identified::Ambiguous("There are two session cookies.");
        };
        let bearer = first.and_then(|field| field.to_str().ok()).and_then(|field| {
            let (scheme, token) = field.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let said = forward::read(&parts.headers, origin.proxy, &config.forward_auth);
        match (bearer, said, cookie) {
            (Some(_), _, Some(_)) => {
                Identified::Ambiguous("There are a session cookie and an `Authorization` field.")
            }
            (Some(token), _, None) => {
                let caller = if token.starts_with(tokens::PREFIX) {
                    self.caller_of_token(token, origin, now)
                } else {
                    self.caller_of_jwt(token, origin, now)
                };
                caller.map_or(Identified::BadToken, |caller| Identified::Somebody(caller, By::Bearer))
            }
            (None, Said::Nonsense, _) => {
                Identified::Ambiguous("The log-in proxy names no user that can be read.")
            }
            (None, Said::User { name, role }, _) => self.caller_of_proxy(&name, role, origin, now),
            (None, Said::Nothing, Some(cookie)) => self
                .caller_of_cookie(cookie, origin, now)
                .map_or(Identified::Nobody, |caller| Identified::Somebody(caller, By::Cookie)),
            (None, Said::Nothing, None) => Identified::Nobody,
        }
    }

    fn caller_of_token(&self, token: &str, origin: &Origin, now: Timestamp) -> Option<Caller> {
        if !secret::is_token(tokens::PREFIX, token) {
            return None;
        }
        let (token, role) = {
            let people = self.people();
            let token = people.tokens.get(&secret::sha256(token.as_bytes()))?;
            (Arc::clone(token), people.role_of(token, now)?)
        };
        self.used(&token, now);
        Some(Caller {
            name: token.user.clone().unwrap_or_else(|| token.made_by.as_str().into()),
            role,
            via: Via::Token { id: Arc::clone(&token.id) },
            address: origin.address,
            services: token.services.clone(),
        })
    }

    fn caller_of_jwt(&self, token: &str, origin: &Origin, now: Timestamp) -> Option<Caller> {
        let claims = jwt::read(&self.keys.load().access, token, now)?;
        let caller = self.caller_of_session(&claims.sid, None, origin, now)?;
        (*caller.name == *claims.sub && caller.role.as_str() == claims.role).then_some(caller)
    }

    fn caller_of_cookie(&self, cookie: &str, origin: &Origin, now: Timestamp) -> Option<Caller> {
        if !secret::is_token("", cookie) {
            return None;
        }
        let hash = secret::sha256(cookie.as_bytes());
        self.caller_of_session(&id_of(&hash), Some(&hash), origin, now)
    }

    fn caller_of_session(
        &self,
        id: &str,
        secret: Option<&[u8; 32]>,
        origin: &Origin,
        now: Timestamp,
    ) -> Option<Caller> {
        let (session, role) = {
            let people = self.people();
            let session = people.sessions.get(id)?;
            if secret.is_some_and(|secret| !secret::same(secret, &session.secret)) {
                return None;
            }
            (Arc::clone(session), people.user_of(session, now)?.role)
        };
        self.saw(&session, now);
        Some(Caller {
            name: Arc::clone(&session.user),
            role,
            via: Via::Session { id: Arc::clone(&session.id) },
            address: origin.address,
            services: None,
        })
    }

    /// A proxy says with every request who it is; that somebody came is written down now and then.
    fn came_by_proxy(&self, caller: &Caller, now: Timestamp) {
        {
            let mut came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
            came.retain(|_, at| now.since(*at) < CAME_EVERY);
            if came.contains_key(&caller.name) || came.len() >= MOST_CAME {
                return;
            }
            came.insert(Arc::clone(&caller.name), now);
        }
        audit::note(&self.store, Entry::by(caller, "log-in", &*caller.name));
    }

    fn caller_of_proxy(&self, name: &str, role: Option<Role>, origin: &Origin, now: Timestamp) -> Identified {
        // Whoever is disabled here does not come in by another door.
        let disabled = self.user(name).is_some_and(|user| user.disabled);
        match role.filter(|_| !disabled) {
            Some(role) => {
                let caller = Caller {
                    name: name.into(),
                    role,
                    via: Via::Proxy,
                    address: origin.address,
                    services: None,
                };
                self.came_by_proxy(&caller, now);
                Identified::Somebody(caller, By::Proxy)
            }
            None => Identified::NoRole,
        }
    }
}

fn has_token(parts: &Parts) -> bool {
    let Some(query) = parts.uri.query() else { return false };
    if parts.uri.path() == SET_UP {
        return false;
    }
    query.split('&').any(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        TOKENS_IN_QUERY.iter().any(|known| name.eq_ignore_ascii_case(known))
    })
}
