//! `/api/v1/system`: how WakeDock itself does.

pub mod containers;
pub mod health;
pub mod info;
pub mod overview;
pub mod problems;

pub(super) use info::mode_word;

use crate::admin::api::router::{ApiRouter, Use, at};

pub(super) fn routes<U: Use>() -> ApiRouter<U> {
    ApiRouter::new()
        .json(at!("/api/v1/system/overview": get overview::get_overview))
        .json(at!("/api/v1/system/health": get health::get_health))
        .json(at!("/api/v1/system/containers": get containers::list_containers))
        .json(at!("/api/v1/system/info": get info::get_info))
        .json(at!("/api/v1/system/problems": get problems::list_problems))
}
