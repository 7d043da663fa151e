//! WakeDock's own API as programs use it: over the local socket, or over the network with a token.

use std::io;
use std::time::Duration;

use serde_json::Value;

use super::http::{Answer, Request, Target};
use super::wakedock::WakeDock;

/// A client of the API.
#[derive(Debug, Clone)]
pub struct Api {
    target: Target,
    host: String,
    token: Option<String>,
    language: Option<&'static str>,
    patience: Duration,
}

impl Api {
    /// Over the local socket, where root and WakeDock's own user are admin.
    pub fn local(dock: &WakeDock) -> Self {
        Self {
            target: dock.admin_unix(),
            host: "localhost".to_owned(),
            token: None,
            language: None,
            patience: Duration::from_secs(30),
        }
    }

    /// Over the network, as nobody.
    pub fn stranger(dock: &WakeDock) -> Self {
        Self { target: dock.admin(), host: dock.admin().tcp().to_string(), ..Self::local(dock) }
    }

    /// The same with this token.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    /// The same with this language.
    #[must_use]
    pub fn in_language(self, language: &'static str) -> Self {
        Self { language: Some(language), ..self }
    }

    /// The longest silence that is put up with.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    /// A request with what this client shows at the door.
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Request {
        let request = Request::new(method, &self.host, path).patience(self.patience);
        let request = match &self.token {
            Some(token) => request.header("Authorization", &format!("Bearer {token}")),
            None => request,
        };
        let request = match self.language {
            Some(language) => request.header("Accept-Language", language),
            None => request,
        };
        match body {
            Some(body) => request.header("Content-Type", "application/json").body(body.to_string()),
            None => request,
        }
    }

    /// # Errors
    /// There was no whole answer.
    pub fn try_ask(&self, method: &str, path: &str, body: Option<&Value>) -> io::Result<Answer> {
        self.request(method, path, body).send(&self.target)
    }

    /// Sends a request; any answer will do.
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.try_ask(method, path, body).unwrap_or_else(|problem| panic!("{method} {path}: {problem}"))
    }

    /// Sends a request that has to be done: its JSON, or null where there is none.
    pub fn done(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let answer = self.ask(method, path, body);
        assert!(
            (200..300).contains(&answer.status()),
            "{method} {path}: {} {}",
            answer.status(),
            answer.text()
        );
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }

    pub fn get(&self, path: &str) -> Value {
        self.done("GET", path, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Value {
        self.done("POST", path, Some(body))
    }

    pub fn put(&self, path: &str, body: &Value) -> Value {
        self.done("PUT", path, Some(body))
    }

    /// Every item of a list, page after page.
    pub fn list(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut from = format!("{path}?limit=100");
        loop {
            let mut page = self.get(&from);
            items.append(page["items"].as_array_mut().expect("items"));
            match page["next"].as_str() {
                Some(next) => from = format!("{path}?limit=100&cursor={next}"),
                None => return items,
            }
        }
    }

    /// Logs in over the network: the same client with the access token.
    pub fn log_in(dock: &WakeDock, username: &str, password: &str) -> Self {
        let nobody = Self::stranger(dock);
        let body = serde_json::json!({ "username": username, "password": password });
        let tokens = nobody.post("/api/v1/auth/login", &body);
        nobody.with_token(tokens["access_token"].as_str().expect("an access token"))
    }
}
