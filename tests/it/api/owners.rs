//! What owners of a service may do, by the API and by the pages: both doors say the same.

use serde_json::json;
use wakedock::domain::words::Role;

use super::house::{Answer, House};

struct Shop {
    house: House,
    authorization: String,
}

impl Shop {
    /// `shop`, made by an admin, and owned by ann.
    async fn new() -> Self {
        let house = House::new(&[]).await;
        house.token("root", Role::Admin).await;
        let authorization = format!("Bearer {}", house.token("ann", Role::User).await);
        let keys = json!({ "container": "shop", "hosts": ["shop.test"], "owners": ["ann"], "port": 80 });
        assert_eq!(house.put("PUT /api/v1/services/shop", &[], &keys).await.status, 201);
        Self { house, authorization }
    }

    fn fields(&self) -> [(&str, &str); 2] {
        [("authorization", &self.authorization), ("if-match", "*")]
    }

    async fn patch(&self, keys: &serde_json::Value) -> Answer {
        let kind = "application/merge-patch+json";
        self.house.tell("PATCH /api/v1/services/shop", &self.fields(), kind, &keys.to_string()).await
    }

    async fn send(&self, path: &str, form: &str) -> Answer {
        self.house
            .tell(&format!("POST {path}"), &self.fields(), "application/x-www-form-urlencoded", form)
            .await
    }
}

/// The story: on the host's network another port is another program of the machine, and an owner chose
/// which one strangers see.
#[tokio::test]
async fn where_a_service_is_reached_is_for_admins() {
    let shop = Shop::new().await;
    assert_eq!(shop.patch(&json!({ "idle": { "stop_after": "1h" } })).await.status, 200);
    for keys in [
        json!({ "port": 2375 }),
        json!({ "port": null }),
        json!({ "address": "published" }),
        json!({ "protocol": "h2c" }),
        json!({ "container": "other" }),
        json!({ "hosts": [] }),
        json!({ "owners": [] }),
    ] {
        let answer = shop.patch(&keys).await;
        assert_eq!(answer.status, 403, "{keys}: {answer:?}");
    }
    let revision = shop.house.ask("GET /api/v1/services/shop").await.field("etag").replace('"', "");
    let form = format!("revision={revision}&port=2375&address=published&idle.stop_after=2h");
    assert_eq!(shop.send("/services/shop/edit", &form).await.status, 303);
    let keys =
        shop.house.catalog.current().entries.values().next().unwrap().api.as_ref().unwrap().keys.nested();
    assert_eq!(keys["port"], 80, "{keys}");
    assert_eq!(keys.get("address"), None, "{keys}");
    assert_eq!(keys["idle"]["stop_after"], "2h", "{keys}");
}

/// The story: the API refused it, and the button beside it did it.
#[tokio::test]
async fn an_owner_takes_back_nothing_that_an_admin_said() {
    let shop = Shop::new().await;
    let answer = shop.house.ask_with("DELETE /api/v1/services/shop", &shop.fields()).await;
    assert_eq!(answer.status, 403);
    assert_eq!(shop.send("/services/shop/delete", "").await.status, 403);
    assert_eq!(shop.house.ask("GET /api/v1/services/shop").await.status, 200);
}
