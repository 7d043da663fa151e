//! Docker keeps the contract. Without Docker this fails.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};

use bollard::models::{ContainerCreateBody, HealthConfig, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptions, CreateImageOptions, ListContainersOptions, RemoveContainerOptions,
    RemoveImageOptions, RenameContainerOptions,
};
use futures_util::StreamExt;
use tokio::process::Command;
use tokio::sync::OnceCell;
use wakedock::config::DockerHost;
use wakedock::engine::Docker;
use wakedock::ports::{BoxFuture, ContainerEngine, ContainerId};

use super::contract::{self, Bench, IMAGE_LABEL, Recipe};

pub(crate) const SOCKET: &str = "/var/run/docker.sock";
const LABEL: &str = "wakedock.test";

/// One run on Docker: every object it makes carries its label, and `sweep` removes them.
pub(crate) struct DockerBench {
    pub(crate) docker: Docker,
    raw: bollard::Docker,
    run: String,
    image: String,
}

impl DockerBench {
    pub(crate) async fn new() -> Self {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let run = format!("engine-{}-{}", std::process::id(), RUNS.fetch_add(1, Ordering::Relaxed));
        let raw = bollard::Docker::connect_with_unix(SOCKET, 120, bollard::API_DEFAULT_VERSION)
            .expect("these tests need Docker");
        let image = format!("wakedock-test:{run}");
        let bench = Self { docker: Docker::connect(&DockerHost::Unix(SOCKET.into())), raw, run, image };
        bench.import_image().await;
        bench
    }

    /// An image of one static program, without a registry.
    async fn import_image(&self) {
        let program = sleeper().await;
        let (repo, tag) = self.image.split_once(':').expect("it was just made");
        let options = CreateImageOptions {
            from_src: Some("-".to_owned()),
            repo: Some(repo.to_owned()),
            tag: Some(tag.to_owned()),
            changes: vec![
                format!("LABEL {LABEL}={}", self.run),
                format!("LABEL {}={}", IMAGE_LABEL.0, IMAGE_LABEL.1),
                "EXPOSE 8080".to_owned(),
            ],
            ..Default::default()
        };
        let archive = bollard::body_full(tar("sleeper", program).into());
        let mut progress = Box::pin(self.raw.create_image(Some(options), Some(archive), None));
        while let Some(step) = progress.next().await {
            step.expect("the image is imported");
        }
    }

    /// Removes everything of this run.
    pub(crate) async fn sweep(&self) {
        let label = HashMap::from([("label".to_owned(), vec![format!("{LABEL}={}", self.run)])]);
        let all = ListContainersOptions { all: true, filters: Some(label), ..Default::default() };
        for container in self.raw.list_containers(Some(all)).await.expect("Docker answers") {
            let force = RemoveContainerOptions { force: true, v: true, ..Default::default() };
            let id = container.id.expect("it has an id");
            self.raw.remove_container(&id, Some(force)).await.expect("it is removed");
        }
        let force = RemoveImageOptions { force: true, ..Default::default() };
        self.raw.remove_image(&self.image, Some(force), None).await.expect("the image is removed");
    }
}

impl Bench for DockerBench {
    fn engine(&self) -> &dyn ContainerEngine {
        &self.docker
    }

    fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.run)
    }

    fn create<'a>(&'a self, name: &'a str, recipe: Recipe) -> BoxFuture<'a, ContainerId> {
        Box::pin(self.create_on(name, recipe, HostConfig::default()))
    }

    fn remove<'a>(&'a self, name: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let force = RemoveContainerOptions { force: true, ..Default::default() };
            self.raw.remove_container(name, Some(force)).await.expect("it is removed");
        })
    }

    fn rename<'a>(&'a self, from: &'a str, to: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let options = RenameContainerOptions { name: to.to_owned() };
            self.raw.rename_container(from, options).await.expect("it is renamed");
        })
    }
}

impl DockerBench {
    /// Creates a container attached like this.
    pub(crate) async fn create_on(&self, name: &str, recipe: Recipe, host: HostConfig) -> ContainerId {
        let options = CreateContainerOptions { name: Some(name.to_owned()), ..Default::default() };
        let created = self.raw.create_container(Some(options), self.body(&recipe, host)).await;
        ContainerId(created.expect("it is created").id)
    }

    fn body(&self, recipe: &Recipe, host: HostConfig) -> ContainerCreateBody {
        let mut argv = vec!["/sleeper".to_owned()];
        argv.extend(recipe.prints.iter().map(|line| format!("print={line}")));
        argv.extend(recipe.exits.map(|code| format!("exit={code}")));
        let own = recipe.labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned()));
        let labels = own.chain([(LABEL.to_owned(), self.run.clone())]).collect();
        let health = recipe.healthy.map(|healthy| HealthConfig {
            test: Some(vec!["CMD".to_owned(), "/sleeper".to_owned(), format!("exit={}", u8::from(!healthy))]),
            // Docker itself is not to run it during the test.
            interval: Some(3_600_000_000_000),
            ..Default::default()
        });
        ContainerCreateBody {
            image: Some(self.image.clone()),
            cmd: Some(argv),
            tty: Some(recipe.tty),
            healthcheck: health,
            labels: Some(labels),
            host_config: Some(HostConfig {
                // Behind an init, SIGTERM ends it; as process 1 it takes no notice.
                init: Some(!recipe.ignores_term),
                ..host
            }),
            ..Default::default()
        }
    }
}

/// The program of the images, built once.
async fn sleeper() -> &'static [u8] {
    static BUILT: OnceCell<Vec<u8>> = OnceCell::const_new();
    BUILT
        .get_or_init(|| async {
            let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/sleeper.rs");
            let directory = tempfile::tempdir().expect("a temporary directory");
            let program = directory.path().join("sleeper");
            let built = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
                .args(["--edition=2024", "-Ctarget-feature=+crt-static", "-Copt-level=1", "-Cstrip=symbols"])
                .arg(source)
                .arg("-o")
                .arg(&program)
                .status()
                .await
                .expect("rustc runs");
            assert!(built.success(), "the sleeper does not build");
            tokio::fs::read(&program).await.expect("it was just built")
        })
        .await
}

/// An archive of one executable file: one header of 512 bytes, the content, padding, two empty
/// blocks.
fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut head = [0_u8; 512];
    head[..name.len()].copy_from_slice(name.as_bytes());
    head[100..108].copy_from_slice(b"0000755\0");
    head[108..116].copy_from_slice(b"0000000\0");
    head[116..124].copy_from_slice(b"0000000\0");
    head[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    head[136..148].copy_from_slice(b"00000000000\0");
    head[148..156].copy_from_slice(b"        ");
    head[156] = b'0';
    head[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = head.to_vec();
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    archive
}

#[tokio::test]
async fn docker_keeps_the_contract() {
    let bench = DockerBench::new().await;
    let failed = contract::run(&bench).await;
    bench.sweep().await;
    assert!(failed.is_empty(), "{failed:?}");
}
