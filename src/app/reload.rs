//! A changed configuration: applied as far as it can be without a restart, or refused as a whole.

use std::sync::Arc;

use crate::admin::ConfigStatus;
use crate::app::{App, lines, proxy_settings};
use crate::clock;
use crate::config::{Config, ConfigProblems, Loaded, Running, restart_needed};
use crate::metrics::{ConfigReload, ProcessMetrics};
use crate::supervisor::catalog::CatalogHandle;
use crate::supervisor::fleet::Fleet;
use crate::supervisor::journal::What;
use crate::supervisor::retention::Limits;

impl App {
    /// Applies an edit of the file, or says why not; a refused one changes nothing.
    pub(super) fn reload(&mut self, edit: Result<Loaded, ConfigProblems>) {
        let loaded = match edit {
            Ok(loaded) => loaded,
            Err(problems) => {
                tracing::error!("the configuration was not changed:\n{problems}");
                self.process.reloaded(ConfigReload::Rejected);
                let reason = problems.to_string();
                self.fleet.journal().publish(None, What::ConfigRejected { reason });
                self.running.store(Arc::new(self.running.load().refused(problems, clock::wall())));
                self.config_status.send_replace(ConfigStatus::Stale);
                return;
            }
        };
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        self.catalog.configure(&loaded);
        let Loaded { config, written, file, .. } = loaded;
        let waiting = restart_needed(&self.config, &config);
        self.fleet.set_max_held(config.proxy.max_held);
        self.fleet.set_history(history(&config));
        self.settings.store(Arc::new(proxy_settings(&config, &self.hand_over)));
        self.publisher.set_dashboard(config.admin.host.clone());
        self.admin_settings.store(Arc::new(config.admin.clone()));
        self.publisher.set_config(config.caddy.clone());
        self.logs.set_level(config.log.level);
        self.logs.set_lines(lines(config.log.format));
        self.process.reloaded(ConfigReload::Applied);
        let applied = What::ConfigApplied {
            services: config.services.len(),
            waiting: waiting.iter().map(ToString::to_string).collect(),
        };
        self.fleet.journal().publish(None, applied);
        let status = if waiting.is_empty() {
            tracing::info!(services = config.services.len(), "configuration applied");
            ConfigStatus::Current
        } else {
            tracing::warn!(keys = waiting.join(", "), "configuration applied; these keys wait for a restart");
            ConfigStatus::WaitsForRestart
        };
        // What waits for the restart is compared with what runs, not with the last edit.
        let running = std::mem::replace(&mut self.config, config);
        self.config.data_dir = running.data_dir;
        self.config.docker.host = running.docker.host;
        self.config.admin.listen = running.admin.listen;
        self.config.admin.socket = running.admin.socket;
        self.config.admin.socket_group = running.admin.socket_group;
        self.config.proxy.listen = running.proxy.listen;
        self.config.proxy.socket_mode = running.proxy.socket_mode;
        self.config.proxy.socket_group = running.proxy.socket_group;
        let now = Running::applied(written, file, &self.config, waiting, clock::wall());
        self.running.store(Arc::new(now));
        self.config_status.send_replace(status);
    }
}

/// How much of the past is kept.
pub(super) fn history(config: &Config) -> Limits {
    Limits { keep: config.history.keep, max_size: config.history.max_size as u64 }
}

/// Keeps the gauge in step with what is wrong with labels and API.
pub(super) fn watch_sources(catalog: &CatalogHandle, process: &ProcessMetrics) {
    let (mut catalogs, process) = (catalog.watch(), process.clone());
    tokio::spawn(async move {
        loop {
            process.source_problems(catalogs.borrow_and_update().count_problems());
            if catalogs.changed().await.is_err() {
                return;
            }
        }
    });
}

/// Keeps the gauge in step with Docker's connection.
pub(super) fn watch_engine(fleet: &Arc<Fleet>, process: &ProcessMetrics) {
    let (mut status, process) = (fleet.engine_status(), process.clone());
    tokio::spawn(async move {
        loop {
            process.engine_connected(status.borrow_and_update().connected);
            if status.changed().await.is_err() {
                return;
            }
            process.tidy();
        }
    });
}
