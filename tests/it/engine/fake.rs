//! The fake engine keeps the contract, so that what is tested against it holds for Docker.

use wakedock::domain::usage::UsageSample;
use wakedock::ports::{BoxFuture, ContainerEngine, ContainerId};

use super::contract::{self, Bench, IMAGE_LABEL, Recipe};
use crate::support::fake_engine::FakeEngine;

impl Bench for FakeEngine {
    fn engine(&self) -> &dyn ContainerEngine {
        self
    }

    fn name(&self, name: &str) -> String {
        name.to_owned()
    }

    fn create<'a>(&'a self, name: &'a str, recipe: Recipe) -> BoxFuture<'a, ContainerId> {
        Box::pin(async move {
            self.create_as(name, |container| {
                container.exits = recipe.exits.map(|code| (std::time::Duration::ZERO, code));
                container.label(&recipe.labels);
                container.image_labels =
                    [IMAGE_LABEL].map(|(label, value)| (label.into(), value.into())).into();
                container.ignores_term = recipe.ignores_term;
                container.logs = recipe.prints.iter().map(ToString::to_string).collect();
                container.usage = UsageSample {
                    cpu_total: 1,
                    system_total: 2,
                    online_cpus: 1,
                    memory: 4096,
                    inactive_file: 1024,
                    network: 0,
                };
                if let Some(healthy) = recipe.healthy {
                    container.health_check(healthy.then_some(std::time::Duration::ZERO));
                }
            })
        })
    }

    fn remove<'a>(&'a self, name: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move { FakeEngine::remove(self, name) })
    }

    fn rename<'a>(&'a self, from: &'a str, to: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move { FakeEngine::rename(self, from, to) })
    }
}

#[tokio::test]
async fn the_fake_engine_keeps_the_contract() {
    let failed = contract::run(&FakeEngine::new()).await;
    assert!(failed.is_empty(), "{failed:?}");
}
