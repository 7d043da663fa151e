//! What is sent and what comes back, as one sees it: one household throughout.

use serde_json::{Value, json};

/// What is sent with an operation.
pub(super) fn sent(id: &str) -> Option<Value> {
    Some(match id {
        "createService" => json!({
            "name": "cloud", "container": "nextcloud-app", "hosts": ["cloud.example.com"],
            "idle": { "stop_after": "30m" },
        }),
        "replaceService" => json!({
            "container": "nextcloud-app", "hosts": ["cloud.example.com"], "idle": { "stop_after": "1h" },
        }),
        "changeService" => json!({ "idle": { "stop_after": "30m" }, "group": "Office" }),
        "keepServiceAwake" => json!({ "for": "2h" }),
        "logIn" => json!({ "username": "anna", "password": "a harbour at night" }),
        "refreshTokens" => json!({ "refresh_token": "wdr_5f0c…" }),
        "changePassword" => json!({
            "current_password": "a harbour at night", "new_password": "boats that sleep by day",
        }),
        "createUser" => json!({ "username": "ben", "password": "boats that sleep by day", "role": "user" }),
        "changeUser" => json!({ "role": "viewer" }),
        "createToken" => json!({ "name": "homepage", "role": "viewer", "expires_in": "365d" }),
        "changeSettings" => json!({ "session_idle_seconds": 86_400 }),
        _ => return None,
    })
}

/// An object of the document.
pub(super) fn of(schema: &str) -> Option<Value> {
    Some(match schema {
        "Service" => service(),
        "ServiceDetail" => {
            let mut detail = service();
            detail["config"] = json!([
                { "key": "container", "value": "nextcloud-app", "origin": "file" },
                { "key": "idle.stop_after", "value": "30m", "origin": "api" },
                { "key": "wake_timeout", "value": "60s", "origin": "default" },
            ]);
            detail["api_keys"] = json!({ "idle": { "stop_after": "30m" } });
            detail["api"] = json!({
                "made_by": "anna", "made_at": "2026-11-02T18:20:00.000Z",
                "changed_by": "anna", "changed_at": "2026-11-02T18:20:00.000Z",
            });
            detail
        }
        "Session" => json!({
            "cause": "request", "ordered_at": "2026-11-23T06:00:00.000Z", "outcome": "ready",
            "decided_at": "2026-11-23T06:00:01.840Z", "took_ms": 1840, "engine_ms": 310,
            "by": asked(), "reason": null,
            "stop": { "cause": "idle", "at": "2026-11-23T06:45:12.000Z", "took_ms": 720 },
        }),
        "Event" => json!({
            "id": 1042, "at": "2026-11-23T06:00:01.840Z", "service": "cloud", "kind": "wake-ended",
            "outcome": "ready", "took_ms": 1840, "engine_ms": 310,
        }),
        "Overview" => json!({
            "services": 30, "awake": 4, "asleep": 25, "waking": 1, "failed": 0, "held": 1, "requests": 18_204,
            "problems": 0, "memory_bytes": 1_288_490_188, "memory_saved_bytes": 6_871_947_673_u64,
            "wakes_today": 12, "wake_p50_ms": 1430,
        }),
        "Health" => json!({
            "status": "degraded",
            "checks": [
                { "name": "config", "status": "ok", "detail": null, "since": null },
                { "name": "engine", "status": "degraded", "since": "2026-11-23T06:00:00.000Z",
                  "detail": "Docker does not answer: what is awake goes on, nothing is woken or stopped." },
            ],
        }),
        "Info" => json!({
            "version": "0.1.0", "started_at": "2026-11-20T04:00:00.000Z", "uptime_ms": 266_400_000, "host": "harbour",
            "engine": { "connected": true, "since": "2026-11-20T04:00:00.200Z", "version": "29.1 (API 1.52)" },
            "caddy": "managed",
        }),
        "Container" => json!({
            "name": "nextcloud-app", "image": "nextcloud:32", "state": "exited",
            "created_at": "2026-10-01T09:30:00.000Z", "ports": [80], "health": true, "managed_by": "cloud",
        }),
        "CaddyVerdict" => json!({
            "valid": false, "message": "Caddyfile:14: unrecognized directive: reverse_proxi",
            "caddyfile": "cloud.example.com {\n\treverse_proxy unix//run/wakedock/proxy.sock\n}\n",
        }),
        "Publish" => json!({
            "outcome": "published", "at": "2026-11-23T06:00:00.000Z", "message": null, "foreign": false,
            "hosts": 12, "notes": [],
        }),
        "Metrics" => json!({
            "step": "hour", "from": "2026-11-23T05:00:00.000Z", "to": "2026-11-23T07:00:00.000Z",
            "items": [{
                "start": "2026-11-23T06:00:00.000Z", "requests": 214, "wakes": 1, "failed_wakes": 0,
                "awake_seconds": 2712.0, "asleep_seconds": 888.0, "memory_byte_seconds": 813_309_100_000.0,
                "cpu_seconds": 41.2, "saved_byte_seconds": 266_304_750_000.0,
            }],
        }),
        "TokenPair" => json!({
            "access_token": "eyJhbGciOiJIUzI1NiJ9…", "token_type": "Bearer", "expires_in": 600,
            "refresh_token": "wdr_5f0c…",
        }),
        "Me" => json!({
            "username": "anna", "role": "admin", "via": "token", "expires_at": "2026-11-23T06:10:00.000Z",
            "services": null, "csrf_token": null,
        }),
        "Problem" => json!({
            "type": "/problems/invalid", "title": "A part of the body cannot be used", "status": 422,
            "errors": [{
                "pointer": "/idle/stop_after",
                "detail": "idle.stop_after is a bare number, and a duration carries its unit",
                "mend": "write `5s` for seconds, `5m` for minutes or `5ms` for milliseconds",
            }],
        }),
        _ => {
            let item = of(schema.strip_prefix("Page_")?)?;
            json!({ "items": [item], "next": null })
        }
    })
}

fn asked() -> Value {
    json!({
        "request_id": "9f2c41d07a", "host": "cloud.example.com", "method": "GET", "path": "/apps/files",
        "client": "192.0.2.7", "user": null,
    })
}

fn service() -> Value {
    json!({
        "name": "cloud", "phase": "ready", "since": "2026-11-23T06:00:01.840Z", "hosts": ["cloud.example.com"],
        "path": null, "container": "nextcloud-app", "group": "Office", "icon": "☁️", "paused": false,
        "sources": ["file", "api"], "problems": [], "held": 0, "leases": 2, "requests": 1840,
        "memory_bytes": 299_892_736, "cpu": 0.04, "sleeps_at": null, "kept_awake_until": null,
        "awake_because": "in-use",
        "last_wake": {
            "at": "2026-11-23T06:00:00.000Z", "cause": "request", "outcome": "ready", "took_ms": 1840,
            "engine_ms": 310, "client": "192.0.2.7", "path": "/apps/files", "user": null,
        },
        "last_stop": null, "wakes_today": 1, "usual_wake_ms": 1700, "failure": null, "revision": 3,
    })
}
