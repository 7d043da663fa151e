//! The services of the harbour: a household's, as people really have them.

use serde_json::{Value, json};

/// What a service does while the pictures are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Now {
    Asleep,
    /// Ready, and nobody uses it.
    Quiet,
    /// Ready, with somebody at it.
    Used,
    /// Its container runs, its application does not answer yet.
    Waking,
    /// It ended while it was woken.
    Failed,
}

pub struct Ship {
    pub name: &'static str,
    pub group: Option<&'static str>,
    /// Drawn by any font with the usual symbols.
    pub icon: Option<&'static str>,
    pub image: &'static str,
    /// Wakes a day.
    pub wakes: u32,
    /// How long one takes, in milliseconds.
    pub takes: u32,
    /// For how long it is used then, in minutes.
    pub used: u32,
    /// Megabytes while awake.
    pub memory: u32,
    /// What the first request of a session asks for.
    pub asked: &'static str,
    pub now: Now,
}

const fn ship(name: &'static str, group: &'static str, icon: &'static str, image: &'static str) -> Ship {
    Ship {
        name,
        group: Some(group),
        icon: Some(icon),
        image,
        wakes: 3,
        takes: 2400,
        used: 25,
        memory: 140,
        asked: "GET /",
        now: Now::Asleep,
    }
}

pub const HARBOUR: &[Ship] = &[
    Ship {
        wakes: 2,
        takes: 3900,
        used: 95,
        memory: 420,
        asked: "GET /web/",
        now: Now::Used,
        ..ship("jellyfin", "Media", "▶", "jellyfin/jellyfin:10.11.2")
    },
    Ship {
        wakes: 5,
        takes: 640,
        used: 35,
        memory: 48,
        asked: "GET /app/",
        ..ship("navidrome", "Media", "♫", "deluan/navidrome:0.58.5")
    },
    Ship {
        wakes: 1,
        takes: 9800,
        used: 50,
        memory: 910,
        asked: "GET /photos",
        ..ship("immich", "Media", "✿", "immich-app/immich-server:v2.2.3")
    },
    Ship {
        wakes: 4,
        takes: 3100,
        used: 30,
        memory: 286,
        asked: "GET /apps/files/",
        now: Now::Quiet,
        ..ship("nextcloud", "Office", "☁", "nextcloud:31-apache")
    },
    Ship {
        wakes: 2,
        takes: 6400,
        used: 20,
        memory: 348,
        asked: "GET /documents",
        now: Now::Waking,
        ..ship("paperless", "Office", "§", "paperless-ngx/paperless-ngx:2.19.5")
    },
    Ship {
        wakes: 6,
        takes: 420,
        used: 12,
        memory: 31,
        asked: "POST /identity/connect/token",
        ..ship("vaultwarden", "Office", "♜", "vaultwarden/server:1.34.3-alpine")
    },
    Ship {
        wakes: 2,
        takes: 1700,
        used: 40,
        memory: 97,
        asked: "GET /en/home",
        ..ship("wiki", "Office", "✎", "requarks/wiki:2.5")
    },
    Ship {
        wakes: 3,
        takes: 1200,
        used: 45,
        memory: 141,
        asked: "GET /anna/garden",
        ..ship("forgejo", "Workshop", "⚒", "forgejo/forgejo:13.0.2")
    },
    Ship {
        wakes: 2,
        takes: 5200,
        used: 15,
        memory: 264,
        asked: "POST /webhook/inbox",
        now: Now::Failed,
        ..ship("n8n", "Workshop", "☍", "n8nio/n8n:1.120.4")
    },
    Ship {
        wakes: 1,
        takes: 2200,
        used: 120,
        memory: 372,
        asked: "GET /?folder=/src",
        ..ship("code-server", "Workshop", "λ", "codercom/code-server:4.105.1")
    },
    Ship {
        wakes: 0,
        takes: 7300,
        used: 0,
        memory: 391,
        asked: "GET /lovelace",
        now: Now::Quiet,
        ..ship("home-assistant", "House", "⌂", "home-assistant/home-assistant:2025.11")
    },
    Ship {
        wakes: 2,
        takes: 980,
        used: 18,
        memory: 143,
        asked: "GET /g/home",
        ..ship("mealie", "House", "♨", "mealie-recipes/mealie:v3.5.0")
    },
    Ship {
        wakes: 1,
        takes: 1500,
        used: 22,
        memory: 71,
        ..ship("actual", "House", "€", "actualbudget/actual-server:25.11.0")
    },
    Ship {
        group: None,
        icon: None,
        wakes: 1,
        takes: 310,
        used: 4,
        memory: 22,
        ..ship("speedtest", "", "", "librespeed/speedtest:5.4.1")
    },
];

/// Where they answer.
pub const DOMAIN: &str = "harbour.example";

impl Ship {
    pub fn host(&self) -> String {
        let name = match self.name {
            "home-assistant" => "home",
            "nextcloud" => "cloud",
            "forgejo" => "git",
            name => name,
        };
        format!("{name}.{DOMAIN}")
    }

    /// As it stands in the configuration file.
    pub fn service(&self) -> Value {
        let mut service = json!({
            "name": self.name, "hosts": [self.host()], "container": self.name, "port": 8080,
        });
        if let Some(group) = self.group {
            service["group"] = json!(group);
        }
        if let Some(icon) = self.icon {
            service["icon"] = json!(icon);
        }
        match self.name {
            "home-assistant" => service["idle"] = json!({ "stop_after": "never" }),
            "vaultwarden" => service["idle"] = json!({ "pause_after": "5m", "stop_after": "2h" }),
            // Its application takes its time, so that there is time to look.
            "paperless" => service["wake_timeout"] = json!("30m"),
            "jellyfin" => service["readiness"] = json!({ "type": "http", "path": "/healthz" }),
            _ => {}
        }
        service
    }
}
