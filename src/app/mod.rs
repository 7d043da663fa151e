//! Composition: builds everything from a configuration, runs it, and takes it down again.

mod inherit;
mod limits;
mod reload;
mod start_error;
mod watchdog;

pub use start_error::StartError;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::admin::auth::Auth;
use crate::admin::{self, AdminState, ConfigStatus, HandOver, Listeners, LocalSocket, Server, Stage};
use crate::caddy::admin::Client;
use crate::caddy::sites::OwnAddresses;
use crate::clock;
use crate::config::{
    ADMIN_SOCKET, AdminConfig, Config, ConfigWatcher, Listen, Loaded, LogFormat, ReloadHandle, Running,
    process_env,
};
use crate::domain::host::Hostname;
use crate::domain::words::StopCause;
use crate::engine::{Docker, Metered};
use crate::metrics::ProcessMetrics;
use crate::ports::{CaddyAdmin, ContainerEngine};
use crate::probe::NetProber;
use crate::proxy::{self, Dashboard, DataPlane, DrainOutcome, ProxySettings};
use crate::store::Store;
use crate::supervisor::catalog::{self, CatalogHandle};
use crate::supervisor::fleet::{Fleet, Parts};
use crate::supervisor::journal::What;
use crate::supervisor::publish::{Publisher, PublisherHandle};
use crate::telemetry::{self, Lines, LogHandle};

/// The name of the store's file in the data directory.
const STORE_FILE: &str = "wakedock.redb";
/// How long the start waits for a first look at every container; requests wait with it.
const FIRST_LOOK: Duration = Duration::from_secs(5);
/// The control plane has a runtime of its own; this many threads are plenty.
const CONTROL_THREADS: usize = 2;

/// Connections of the data plane that wait for the control plane to take them.
const HANDED_OVER: usize = 64;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Everything was finished.
    Clean,
    /// The grace period of the drain was over before every connection was.
    DrainTimedOut,
}

/// Runs WakeDock until it is told to stop.
///
/// # Errors
/// Where it could not start.
pub fn serve(loaded: Loaded) -> Result<Ended, StartError> {
    limits::tune_allocator();
    let logs = telemetry::init(loaded.config.log.level, lines(loaded.config.log.format))?;
    let descriptors = limits::raise_descriptors();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(StartError::Runtime)?;
    runtime.block_on(async {
        if let Some(descriptors) = descriptors {
            let connections = u64::try_from(loaded.config.proxy.limits.connections).unwrap_or(u64::MAX);
            tracing::info!(descriptors, "limit of open descriptors");
            if descriptors < connections {
                tracing::warn!(
                    descriptors,
                    connections,
                    "fewer descriptors than `proxy.limits.connections`: raise the hard limit (systemd: LimitNOFILE, Docker: --ulimit nofile)"
                );
            }
        }
        let (app, bound) = App::build(&loaded, logs).await?;
        app.run(loaded, bound).await
    })
}

fn lines(format: LogFormat) -> Lines {
    match format {
        LogFormat::Text => Lines::Text,
        LogFormat::Json => Lines::Json,
    }
}

/// Everything, bound and built.
struct App {
    config: Config,
    watcher: ConfigWatcher,
    reload_now: ReloadHandle,
    logs: LogHandle,
    process: ProcessMetrics,
    fleet: Arc<Fleet>,
    catalog: CatalogHandle,
    settings: Arc<ArcSwap<ProxySettings>>,
    admin: Server,
    hand_over: HandOver,
    admin_settings: Arc<ArcSwap<AdminConfig>>,
    stage: watch::Sender<Stage>,
    config_status: watch::Sender<ConfigStatus>,
    running: Arc<ArcSwap<Running>>,
    publisher: PublisherHandle,
}

impl App {
    /// Binds every socket and opens the store: what can fail, fails here. Ports come first: one that
    /// is taken leaves no folder and no file behind.
    async fn build(loaded: &Loaded, logs: LogHandle) -> Result<(Self, proxy::Bound), StartError> {
        let config = loaded.config.clone();
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let inherited = inherit::sockets()?;
        let process = ProcessMetrics::new().map_err(StartError::Metrics)?;
        let admin = match inherited.admin {
            Some(listener) => listener,
            None => TcpListener::bind(config.admin.listen)
                .await
                .map_err(|source| StartError::Admin { address: config.admin.listen, source })?,
        };
        let admin_address = admin
            .local_addr()
            .map_err(|source| StartError::Admin { address: config.admin.listen, source })?;
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let bound = proxy::bind(&config.proxy, inherited.proxy, workers)?;
        let (store, remembered) = Store::open(&config.data_dir.join(STORE_FILE))?;
        for address in bound.addresses() {
            tracing::info!(listener = "proxy", address = %address, "listening");
        }
        tracing::info!(listener = "admin", address = %admin_address, "listening");
        let local = bind_local(&config.admin)?;

        let engine = Metered::new(Docker::connect(&config.docker.host), process.clone());
        let engine: Arc<dyn ContainerEngine> = Arc::new(engine);
        let fleet = Fleet::start(Parts {
            engine,
            prober: Arc::new(NetProber),
            store: store.clone(),
            remembered,
            workers,
            max_held: config.proxy.max_held,
        });
        let listens: Vec<Listen> = bound.addresses().iter().map(|address| address.0.clone()).collect();
        let publisher = start_publisher(&config, &listens, admin_address, &process);
        let catalog = CatalogHandle::open(catalog::Parts {
            fleet: Arc::clone(&fleet),
            publisher: publisher.clone(),
            store: store.clone(),
        })
        .await;
        let (stage, stage_seen) = watch::channel(Stage::Starting);
        let (config_status, config_seen) = watch::channel(ConfigStatus::Current);
        let auth = Arc::new(Auth::load(store.clone(), Some(config.data_dir.clone())).await?);
        say_set_up(&auth, &config.admin, admin_address);
        let admin_settings = Arc::new(ArcSwap::from_pointee(config.admin.clone()));
        let running = Arc::new(ArcSwap::from_pointee(Running::new(loaded, clock::wall())));
        let proxy_address = listens.iter().find_map(|listen| match listen {
            Listen::Tcp(address) => Some(*address),
            Listen::Unix(_) => None,
        });
        let state = AdminState {
            fleet: Arc::clone(&fleet),
            catalog: catalog.clone(),
            process: process.clone(),
            store,
            stage: stage_seen,
            config: config_seen,
            running: Arc::clone(&running),
            proxy_address,
            publish: publisher.watch(),
            publisher: publisher.clone(),
            settings: Arc::clone(&admin_settings),
            auth,
            streams: Arc::default(),
            oidc: Arc::default(),
        };
        let (hand_over, handed_over) = tokio::sync::mpsc::channel(HANDED_OVER);
        let listeners = Listeners { tcp: admin, local, handed_over };
        let admin = admin::serve(listeners, admin::router(state), Arc::clone(&admin_settings));
        fleet.set_history(reload::history(&config));
        reload::watch_engine(&fleet, &process);
        reload::watch_sources(&catalog, &process);
        let settings = Arc::new(ArcSwap::from_pointee(proxy_settings(&config, &hand_over)));
        publisher.set_dashboard(config.admin.host.clone());
        tokio::spawn(fleet.journal().clone().follow_publish(publisher.watch()));
        let (watcher, reload_now) = ConfigWatcher::new(loaded, process_env().collect());
        let app = Self {
            config,
            watcher,
            reload_now,
            logs,
            process,
            fleet,
            catalog,
            settings,
            admin,
            hand_over,
            admin_settings,
            stage,
            config_status,
            running,
            publisher,
        };
        Ok((app, bound))
    }

    async fn run(mut self, loaded: Loaded, bound: proxy::Bound) -> Result<Ended, StartError> {
        let signals = |kind| signal(kind).map_err(StartError::Signals);
        let (mut term, mut interrupt, mut hangup) = (
            signals(SignalKind::terminate())?,
            signals(SignalKind::interrupt())?,
            signals(SignalKind::hangup())?,
        );
        self.catalog.configure(&loaded);
        drop(loaded);
        self.catalog.look(FIRST_LOOK).await;
        self.catalog.follow();
        self.fleet.reconcile(FIRST_LOOK).await;
        let plane = DataPlane::start(
            bound,
            self.fleet.routes(),
            Arc::clone(&self.settings),
            self.fleet.unknown(),
            self.process.cuts(),
        )
        .map_err(StartError::Workers)?;
        self.catalog.begin_to_publish();
        self.stage.send_replace(Stage::Serving);
        let version = env!("CARGO_PKG_VERSION").to_owned();
        self.fleet.journal().publish(None, What::Started { version });
        watchdog::ready();
        tracing::info!(services = self.fleet.services().len(), "serving");
        tokio::spawn(limits::keep_memory_small(plane.parkings()));
        loop {
            tokio::select! {
                _ = term.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => self.reload_now.reload(),
                edit = self.watcher.next() => self.reload(edit),
            }
        }
        Ok(self
            .drain(plane, async move {
                tokio::select! {
                    _ = term.recv() => {}
                    _ = interrupt.recv() => {}
                }
            })
            .await)
    }

    /// Ends what is going on within the grace period; a second signal ends it at once.
    async fn drain(self, plane: DataPlane, again: impl Future<Output = ()>) -> Ended {
        let grace = self.config.shutdown.grace;
        tracing::info!(grace = ?grace, connections = plane.connections(), "draining");
        self.stage.send_replace(Stage::Draining);
        self.fleet.journal().publish(None, What::Draining);
        watchdog::stopping();
        let outcome = tokio::select! {
            outcome = plane.drain(grace) => Some(outcome),
            () = again => None,
        };
        if self.config.shutdown.stop_services {
            self.fleet.stop_all(StopCause::Shutdown, grace).await;
        }
        // First those who may still order something, then what writes it down.
        self.admin.end().await;
        self.fleet.shut_down().await;
        match outcome {
            Some(DrainOutcome::Finished) => {
                tracing::info!("drained: every request was finished");
                Ended::Clean
            }
            Some(DrainOutcome::TimedOut { connections }) => {
                tracing::warn!(connections, "the grace period is over: connections were cut");
                Ended::DrainTimedOut
            }
            None => {
                tracing::warn!("told to stop again: connections were cut");
                Ended::DrainTimedOut
            }
        }
    }
}

/// What the data plane reads anew for each request.
fn proxy_settings(config: &Config, hand_over: &HandOver) -> ProxySettings {
    let mut settings = ProxySettings::new(&config.proxy, config.log.access);
    let dashboard = |host: &Hostname| Dashboard { host: host.clone(), hand_over: hand_over.clone() };
    settings.dashboard = config.admin.host.as_ref().map(dashboard);
    settings
}

/// The socket of the local command line. Where only the default place cannot be had (another
/// WakeDock has it, or this user may not write there), WakeDock does without.
fn bind_local(config: &AdminConfig) -> Result<Option<LocalSocket>, StartError> {
    let Some(path) = &config.socket else { return Ok(None) };
    match LocalSocket::bind(path, config.socket_group.as_deref()) {
        Ok(socket) => {
            tracing::info!(listener = "admin", address = %format_args!("unix:{}", path.display()), "listening");
            Ok(Some(socket))
        }
        Err(error) if path == Path::new(ADMIN_SOCKET) => {
            tracing::warn!(
                "no socket for the local command line at {}: {error}; `admin.socket` names another place, or `off`",
                path.display()
            );
            Ok(None)
        }
        Err(source) => Err(StartError::AdminSocket { path: path.clone(), source }),
    }
}

/// On an empty database: where the first user is made, by whoever reads this.
fn say_set_up(auth: &Auth, config: &AdminConfig, address: std::net::SocketAddr) {
    let Some(token) = auth.open_set_up() else { return };
    let address = crate::caddy::sites::dialable(address);
    tracing::info!("there is no user yet: make the first one at http://{address}/setup?token={token}");
    if let Some(host) = &config.host {
        tracing::info!("or, through Caddy, at https://{host}/setup?token={token}");
    }
}

fn start_publisher(
    config: &Config,
    listens: &[Listen],
    admin: std::net::SocketAddr,
    process: &ProcessMetrics,
) -> PublisherHandle {
    let own =
        OwnAddresses::choose(listens, admin).unwrap_or(OwnAddresses { proxy: Listen::Tcp(admin), admin });
    let count = process.clone();
    let (handle, publisher) = Publisher::new(
        config.caddy.clone(),
        own,
        Box::new(|address| Arc::new(Client::new(address.clone())) as Arc<dyn CaddyAdmin>),
        Box::new(move |outcome| count.published(outcome)),
    );
    tokio::spawn(publisher.run());
    handle
}

/// The Caddyfile for a configuration, as it would be published or written.
///
/// # Errors
/// Where a value cannot stand in a Caddyfile, or an `extra` file cannot be read.
pub fn caddyfile(config: &Config) -> Result<String, crate::caddy::CaddyfileError> {
    crate::caddy::caddyfile(config).map(|rendered| rendered.text)
}

/// Where the store of a configuration lies.
#[must_use]
pub fn store_path(config: &Config) -> PathBuf {
    config.data_dir.join(STORE_FILE)
}
