//! The families of the process as a whole, through `metrics` and its Prometheus exporter.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Unit};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};

use crate::domain::words::{PublishOutcome, words};
use crate::metrics::cuts::Cuts;

words! {
    /// How a reload of the configuration ended.
    ConfigReload {
        Applied => "applied",
        Rejected => "rejected",
    }
}

words! {
    /// What Docker was asked.
    EngineOperation {
        Inspect => "inspect",
        List => "list",
        Start => "start",
        Stop => "stop",
        Pause => "pause",
        Unpause => "unpause",
        Logs => "logs",
        HealthCommand => "health_command",
        Usage => "usage",
        Events => "events",
        Version => "version",
    }
}

/// Handles to every family, registered once so that they stand at zero from the start.
#[derive(Clone)]
pub struct ProcessMetrics {
    prometheus: PrometheusHandle,
    engine_durations: Vec<Histogram>,
    engine_errors: Vec<Counter>,
    engine_connected: Gauge,
    source_problems: Gauge,
    publishes: Vec<Counter>,
    reloads: Vec<Counter>,
    cuts: Cuts,
}

impl std::fmt::Debug for ProcessMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProcessMetrics")
    }
}

impl ProcessMetrics {
    /// Registers the families with a recorder of their own.
    ///
    /// # Errors
    /// Fails where the buckets are refused.
    pub fn new() -> Result<Self, BuildError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets(&[
                0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
            ])?
            .build_recorder();
        let prometheus = recorder.handle();
        Ok(metrics::with_local_recorder(&recorder, || Self::register(prometheus)))
    }

    fn register(prometheus: PrometheusHandle) -> Self {
        metrics::describe_histogram!(
            "wakedock_engine_request_duration_seconds",
            Unit::Seconds,
            "Calls to Docker."
        );
        metrics::describe_counter!("wakedock_engine_errors_total", "Calls to Docker that failed.");
        metrics::describe_gauge!("wakedock_engine_connected", "1 while Docker answers.");
        metrics::describe_gauge!(
            "wakedock_source_problems",
            "How much of what labels and API say about services cannot be used."
        );
        metrics::describe_counter!("wakedock_publish_total", "Publishes to Caddy, by outcome.");
        metrics::describe_counter!(
            "wakedock_config_reloads_total",
            "Reloads of the configuration, by outcome."
        );
        metrics::describe_gauge!("wakedock_build_info", "1, with the version.");
        metrics::gauge!("wakedock_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        let operations = || EngineOperation::ALL.iter().map(|operation| operation.as_str());
        Self {
            prometheus,
            engine_durations: operations()
                .map(|word| metrics::histogram!("wakedock_engine_request_duration_seconds", "operation" => word))
                .collect(),
            engine_errors: operations()
                .map(|word| metrics::counter!("wakedock_engine_errors_total", "operation" => word))
                .collect(),
            engine_connected: metrics::gauge!("wakedock_engine_connected"),
            source_problems: metrics::gauge!("wakedock_source_problems"),
            publishes: PublishOutcome::ALL
                .iter()
                .map(|outcome| metrics::counter!("wakedock_publish_total", "outcome" => outcome.as_str()))
                .collect(),
            reloads: ConfigReload::ALL
                .iter()
                .map(|outcome| metrics::counter!("wakedock_config_reloads_total", "outcome" => outcome.as_str()))
                .collect(),
            cuts: Cuts::default(),
        }
    }

    /// Where the data plane counts what it closes for a limit.
    #[must_use]
    pub fn cuts(&self) -> Cuts {
        self.cuts.clone()
    }

    /// A call to Docker ended.
    pub fn engine_call(&self, operation: EngineOperation, took: Duration, failed: bool) {
        self.engine_durations[operation as usize].record(took.as_secs_f64());
        if failed {
            self.engine_errors[operation as usize].increment(1);
        }
    }

    /// How much of what labels and API say cannot be used.
    pub fn source_problems(&self, count: usize) {
        // Counts far above what a float holds exactly do not occur.
        self.source_problems.set(count as f64);
    }

    /// Docker answers, or does not.
    pub fn engine_connected(&self, connected: bool) {
        self.engine_connected.set(f64::from(u8::from(connected)));
    }

    /// A publish to Caddy ended.
    pub fn published(&self, outcome: PublishOutcome) {
        self.publishes[outcome as usize].increment(1);
    }

    /// A reload of the configuration ended.
    pub fn reloaded(&self, outcome: ConfigReload) {
        self.reloads[outcome as usize].increment(1);
    }

    /// The text of these families and of the process itself.
    #[must_use]
    pub fn render(&self) -> String {
        // Moves what was observed into the buckets; nothing else does so between two scrapes.
        self.prometheus.run_upkeep();
        let mut text = self.prometheus.render();
        text.push_str(&self.cuts.render());
        text.push_str(&process_family());
        text
    }

    /// To be called now and then where nobody scrapes, so that observations don't pile up.
    pub fn tidy(&self) {
        self.prometheus.run_upkeep();
    }
}

/// The `process_*` family of the Prometheus client libraries, from `/proc/self`.
fn process_family() -> String {
    use std::fmt::Write;
    let mut text = String::new();
    let mut put = |name: &str, kind: &str, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
        }
    };
    let stat = Stat::read();
    put(
        "process_cpu_seconds_total",
        "counter",
        "User and system CPU time.",
        stat.as_ref().map(|stat| stat.cpu),
    );
    put(
        "process_resident_memory_bytes",
        "gauge",
        "Resident memory.",
        stat.as_ref().map(|stat| stat.resident),
    );
    put("process_virtual_memory_bytes", "gauge", "Virtual memory.", stat.as_ref().map(|stat| stat.virtual_));
    put(
        "process_start_time_seconds",
        "gauge",
        "Start of the process, since the epoch.",
        stat.as_ref().and_then(Stat::started),
    );
    put("process_threads", "gauge", "Threads.", stat.as_ref().map(|stat| stat.threads));
    put("process_open_fds", "gauge", "Open file descriptors.", open_fds());
    put("process_max_fds", "gauge", "How many there may be.", max_fds());
    text
}

struct Stat {
    cpu: f64,
    virtual_: f64,
    resident: f64,
    threads: f64,
    /// Seconds after boot.
    start: f64,
}

impl Stat {
    /// proc(5), `/proc/pid/stat`: fields are counted from the one after the command's name.
    fn read() -> Option<Self> {
        let text = std::fs::read_to_string("/proc/self/stat").ok()?;
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).and_then(|field| field.parse::<f64>().ok());
        #[allow(clippy::cast_precision_loss, reason = "both are small")]
        let (tick, page) =
            (rustix::param::clock_ticks_per_second() as f64, rustix::param::page_size() as f64);
        Some(Self {
            cpu: (field(14)? + field(15)?) / tick,
            threads: field(20)?,
            start: field(22)? / tick,
            virtual_: field(23)?,
            resident: field(24)? * page,
        })
    }

    fn started(&self) -> Option<f64> {
        let text = std::fs::read_to_string("/proc/stat").ok()?;
        let boot = text.lines().find_map(|line| line.strip_prefix("btime "))?;
        Some(boot.trim().parse::<f64>().ok()? + self.start)
    }
}

fn open_fds() -> Option<f64> {
    let count = std::fs::read_dir("/proc/self/fd").ok()?.count();
    u32::try_from(count).ok().map(f64::from)
}

#[allow(clippy::cast_precision_loss, reason = "a limit above 2^52 is no limit")]
fn max_fds() -> Option<f64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current.map(|limit| limit as f64)
}
