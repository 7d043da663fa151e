//! The table of the keys of a service, and what becomes of them.

use std::num::NonZeroU16;
use std::ops::RangeInclusive;
use std::time::Duration;

use figment::value::Value;
use serde_json::{Value as Json, json};

use crate::config::kind::{
    Address, AsciiPath, Container, Count, Flag, Host, Icon, Kind, Line, Many, Maybe, Patience, Service, Span,
    StatusRange, Text, UrlPath, UserName, Word, Words,
};
use crate::config::paths::join;
use crate::config::problem::{Fault, Faults};
use crate::config::report::Report;
use crate::config::table::{Group, Key, Refused, Table, key, later};
use crate::domain::host::HostPattern;
use crate::domain::name::{ContainerName, ServiceName};
use crate::domain::service::{
    AddressPolicy, IdlePolicy, Readiness, ServiceSpec, Theme, UpstreamProtocol, WaitMode, WaitingPage,
};

/// What was written of one service, defaults filled in, before its parts are held together.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) name: Option<ServiceName>,
    /// `None`: NAME.domain.
    pub(super) hosts: Option<Vec<HostPattern>>,
    pub(super) path: Option<String>,
    pub(super) container: Option<ContainerName>,
    port: Option<NonZeroU16>,
    address: AddressPolicy,
    protocol: UpstreamProtocol,
    wait: WaitMode,
    page_after: Duration,
    wake_timeout: Duration,
    hold_timeout: Duration,
    max_held: usize,
    readiness: ReadinessDraft,
    pub(super) idle: IdlePolicy,
    waiting_page: WaitingPage,
    group: Option<String>,
    icon: Option<String>,
    owners: Vec<String>,
}

#[derive(Debug, Clone, Default)]
struct ReadinessDraft {
    kind: Option<ReadinessKind>,
    path: Option<String>,
    status: Option<RangeInclusive<u16>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadinessKind {
    Http,
    Tcp,
    Docker,
    None,
}

impl Word for ReadinessKind {
    const ALL: &'static [(&'static str, Self)] =
        &[("http", Self::Http), ("tcp", Self::Tcp), ("docker", Self::Docker), ("none", Self::None)];
}

impl Word for UpstreamProtocol {
    const ALL: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("http1", Self::Http1), ("h2c", Self::H2c)];
}

impl Word for WaitMode {
    const ALL: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("hold", Self::Hold), ("page", Self::Page)];
}

impl Word for Theme {
    const ALL: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("light", Self::Light), ("dark", Self::Dark)];
}

/// A port of a container.
struct PortKind;

impl Kind for PortKind {
    type Value = NonZeroU16;

    fn read(value: &Value) -> Result<NonZeroU16, Faults> {
        let port = Count::<u16, 1, 65_535>::read(value)?;
        Ok(NonZeroU16::new(port).ok_or_else(|| Fault::new("is zero", "write a port from 1 to 65535"))?)
    }

    fn show(value: &NonZeroU16) -> Json {
        json!(value.get())
    }

    fn schema() -> Json {
        Count::<u16, 1, 65_535>::schema()
    }

    fn describe() -> String {
        Count::<u16, 1, 65_535>::describe()
    }
}

/// The kinds of readiness, one of them known by name only.
struct ReadinessWords;

impl Kind for ReadinessWords {
    type Value = ReadinessKind;

    fn read(value: &Value) -> Result<ReadinessKind, Faults> {
        if value.as_str() == Some("log") {
            let refused = later("log");
            return Err(Fault::new(refused.reason, "write `http`, `tcp`, `docker` or `none`").into());
        }
        Words::<ReadinessKind>::read(value)
    }

    fn show(value: &ReadinessKind) -> Json {
        Words::show(value)
    }

    fn schema() -> Json {
        Words::<ReadinessKind>::schema()
    }

    fn describe() -> String {
        Words::<ReadinessKind>::describe()
    }
}

const PAUSE_AFTER: &str = "idle.pause_after";
const STOP_AFTER: &str = "idle.stop_after";
const READINESS_OF_HTTP: [&str; 2] = ["readiness.path", "readiness.status"];

const MILLI: u64 = 1;
const HOUR: u64 = 3_600_000;
const YEAR: u64 = 365 * 24 * HOUR;

/// What may stand in an entry of `services`.
pub(super) static SERVICE: Table<Draft> =
    Table { keys: &[IDENTITY, OPTIONS], groups: GROUPS, refused: &[LATER], elsewhere: &[] };

/// What may stand in `defaults`.
pub(super) static DEFAULTS: Table<Draft> =
    Table { keys: &[OPTIONS], groups: GROUPS, refused: &[NOT_SHARED, LATER], elsewhere: &[] };

static IDENTITY: &[Key<Draft>] = &[
    key!(name, Maybe<Service>, "What the service is called: in the log, in metrics, on the command line."),
    key!(
        hosts,
        Maybe<Many<Host, 0>>,
        "Hosts it answers at; `*.` stands for one label. Without it NAME.domain; `[]`: no route.",
        example "[cloud.example.com]"
    ),
    key!(
        path,
        UrlPath,
        "Only requests below this path, by whole segments; it is not stripped.",
        example "/app"
    ),
    key!(container, Maybe<Container>, "The container, by name: one made anew under it is the same service."),
    key!(
        owners,
        Many<UserName, 0>,
        "Users who may edit it without being admins. No label gives it.",
        example "[ada]"
    ),
];

static OPTIONS: &[Key<Draft>] = &[
    key!(
        port,
        Maybe<PortKind>,
        "Port inside the container. Optional where the image exposes one.",
        example "8080"
    ),
    key!(
        address,
        Address,
        "`auto`: the container's address on a network WakeDock reaches; `published`: its published port; `network:NAME`: its address on that network."
    ),
    key!(protocol, Words<UpstreamProtocol>, "Spoken to the upstream. `auto`: h2c for gRPC, else HTTP/1.1."),
    key!(
        wait,
        Words<WaitMode>,
        "What a caller gets during a wake. `auto`: navigations are held for `page_after`, then get the page, the rest is held; `hold`: all are held; `page`: navigations get the page at once."
    ),
    key!(page_after, Span<0, YEAR>, "A wake faster than this never shows a page."),
    key!(wake_timeout, Span<MILLI, YEAR>, "From the order to start until ready."),
    key!(hold_timeout, Span<MILLI, YEAR>, "How long one request is held at most."),
    key!(max_held, Count<usize, 0, 1_000_000>, "How many requests may be held at once; 0: none is held."),
    key!(
        "readiness.type" => readiness.kind,
        Maybe<ReadinessWords>,
        "How it is found out that the application answers. Without it: Docker health where the container has one, else any HTTP answer but 502, 503 and 504, else TCP.",
        example "http"
    ),
    key!(
        readiness.path,
        Maybe<AsciiPath>,
        "For `http`: what is asked for. Default `/`.",
        example "/health"
    ),
    key!(
        readiness.status,
        Maybe<StatusRange>,
        "For `http`: which answers mean ready. Default `200-399`.",
        example "\"200-399\""
    ),
    key!(
        idle.pause_after,
        Patience,
        "No activity for this long: pause (memory kept, wakes in milliseconds)."
    ),
    key!(idle.stop_after, Patience, "No activity for this long: stop."),
    key!(idle.min_awake, Span<0, YEAR>, "Not put to sleep sooner than this after ready."),
    key!(idle.silent_stream, Patience, "An upgraded stream without bytes stops counting as use after this."),
    key!(idle.stop_timeout, Span<0, HOUR>, "What the container gets between SIGTERM and SIGKILL."),
    key!(
        waiting_page.title,
        Maybe<Text<200>>,
        "By default the host that was asked for.",
        example "Cloud"
    ),
    key!(
        waiting_page.message,
        Maybe<Text<2000>>,
        "A few words to those who wait.",
        example "\"Good morning: this takes a few seconds.\""
    ),
    key!(waiting_page.theme, Words<Theme>, "`auto`: as the browser prefers."),
    key!(
        waiting_page.show_logs,
        Flag,
        "Shows the container's last log lines to everybody when a wake failed."
    ),
    key!(group, Maybe<Line<64>>, "The heading it is shown under.", example "Media"),
    key!(icon, Maybe<Icon>, "What is shown beside its name: an emoji, or a few letters.", example "🎬"),
];

static GROUPS: &[Group] = &[
    Group {
        path: "readiness",
        doc: "What decides that it is ready; bounded by `wake_timeout`. Short form: `readiness: tcp`.",
        short: Some("readiness.type"),
    },
    Group { path: "idle", doc: "When it goes to sleep.", short: None },
    Group { path: "waiting_page", doc: "What people see while it wakes.", short: None },
];

static LATER: &[Refused] = &[
    later("image"),
    later("ports"),
    later("environment"),
    later("volumes"),
    later("networks"),
    later("command"),
    later("compose"),
    later("compose_service"),
    later("swarm"),
    later("depends_on"),
    later("keep_awake"),
    later("ignore"),
    later("idle.cpu_below"),
    later("idle.memory_below"),
    later("idle.network_below"),
];

static NOT_SHARED: &[Refused] = &[
    not_shared("name"),
    not_shared("hosts"),
    not_shared("path"),
    not_shared("container"),
    not_shared("owners"),
];

const fn not_shared(path: &'static str) -> Refused {
    Refused { path, reason: "belongs to one service", mend: "write it in the entry of the service" }
}

impl Draft {
    /// Nothing but defaults.
    pub(super) fn new() -> Self {
        Self {
            name: None,
            hosts: None,
            path: None,
            container: None,
            port: None,
            address: AddressPolicy::Auto,
            protocol: UpstreamProtocol::Auto,
            wait: WaitMode::Auto,
            page_after: Duration::from_secs(2),
            wake_timeout: Duration::from_secs(60),
            hold_timeout: Duration::from_secs(60),
            max_held: 1000,
            readiness: ReadinessDraft::default(),
            idle: IdlePolicy::default(),
            waiting_page: WaitingPage::default(),
            group: None,
            icon: None,
            owners: Vec::new(),
        }
    }

    /// A service as it would have to be written.
    pub(super) fn of(spec: &ServiceSpec) -> Self {
        let (kind, path, status) = match &spec.readiness {
            Readiness::Default => (None, None, None),
            Readiness::Http { path, status } => {
                (Some(ReadinessKind::Http), Some(path.clone()), Some(status.clone()))
            }
            Readiness::Tcp => (Some(ReadinessKind::Tcp), None, None),
            Readiness::Docker => (Some(ReadinessKind::Docker), None, None),
            Readiness::None => (Some(ReadinessKind::None), None, None),
        };
        Self {
            name: Some(spec.name.clone()),
            hosts: Some(spec.hosts.clone()),
            path: spec.path.clone(),
            container: Some(spec.container.clone()),
            port: spec.port,
            address: spec.address.clone(),
            protocol: spec.protocol,
            wait: spec.wait,
            page_after: spec.page_after,
            wake_timeout: spec.wake_timeout,
            hold_timeout: spec.hold_timeout,
            max_held: spec.max_held,
            readiness: ReadinessDraft { kind, path, status },
            idle: spec.idle.clone(),
            waiting_page: spec.waiting_page.clone(),
            group: spec.group.clone(),
            icon: spec.icon.clone(),
            owners: spec.owners.clone(),
        }
    }

    /// Reads `defaults` or one entry of `services` on top of what is there.
    pub(super) fn read(&mut self, table: &Table<Self>, base: &str, value: &Value, report: &mut Report) {
        if let Value::Dict(_, dict) = value
            && dict.contains_key("readiness")
        {
            // One way of being ready replaces another as a whole: a path left over from the
            // defaults would not fit `tcp`.
            self.readiness = ReadinessDraft::default();
        }
        table.read(base, value, self, report);
        self.check(base, report);
    }

    /// Nothing is said of how it is found out that it is ready.
    pub(super) fn forget_readiness(&mut self) {
        self.readiness = ReadinessDraft::default();
    }

    /// Holds the options against each other.
    fn check(&self, base: &str, report: &mut Report) {
        if let Some(fault) = self.idle_misfit() {
            let (pause, stop) = (join(base, PAUSE_AFTER), join(base, STOP_AFTER));
            // A conflict that the defaults have already is told once, where it stands.
            let own = report.was_given(&pause) || report.was_given(&stop);
            if own && !report.has_failed(&[&pause, &stop]) {
                let key = if report.was_given(&pause) { pause } else { stop };
                report.problem(&key, None, fault);
            }
        }
        for key in READINESS_OF_HTTP.map(|key| join(base, key)) {
            if let Some(fault) = self.readiness_misfit().filter(|_| report.was_given(&key)) {
                report.problem(&key, None, fault);
            }
        }
    }

    /// Options that do not fit each other, each with its reason.
    pub(super) fn misfits(&self) -> Vec<(&'static [&'static str], Fault)> {
        let idle = self.idle_misfit().map(|fault| (&[PAUSE_AFTER, STOP_AFTER] as &[_], fault));
        let readiness = self.readiness_misfit().map(|fault| (&READINESS_OF_HTTP as &[_], fault));
        [idle, readiness].into_iter().flatten().collect()
    }

    fn idle_misfit(&self) -> Option<Fault> {
        let (pause_after, stop_after) = (self.idle.pause_after?, self.idle.stop_after?);
        if pause_after < stop_after {
            return None;
        }
        let pause_after = Patience::show(&Some(pause_after));
        let stop_after = Patience::show(&Some(stop_after));
        Some(Fault::new(
            format!("does not fit: pause_after ({pause_after}) is not below stop_after ({stop_after})"),
            "pause earlier, stop later, or write `never` for one of them",
        ))
    }

    fn readiness_misfit(&self) -> Option<Fault> {
        let kind = self.readiness.kind.filter(|kind| *kind != ReadinessKind::Http)?;
        let word = Words::show(&kind);
        Some(Fault::new(
            format!("goes with type http, and the type is {word}"),
            "write `type: http`, or take it out",
        ))
    }

    /// The service, once its name and container are known.
    pub(super) fn into_spec(
        self,
        name: ServiceName,
        hosts: Vec<HostPattern>,
        container: ContainerName,
    ) -> ServiceSpec {
        ServiceSpec {
            name,
            hosts,
            path: self.path,
            container,
            port: self.port,
            address: self.address,
            protocol: self.protocol,
            wait: self.wait,
            page_after: self.page_after,
            wake_timeout: self.wake_timeout,
            hold_timeout: self.hold_timeout,
            max_held: self.max_held,
            readiness: self.readiness.into_readiness(),
            idle: self.idle,
            waiting_page: self.waiting_page,
            group: self.group,
            icon: self.icon,
            owners: self.owners,
        }
    }
}

impl ReadinessDraft {
    fn into_readiness(self) -> Readiness {
        let asks_http = self.path.is_some() || self.status.is_some();
        match self.kind {
            None if !asks_http => Readiness::Default,
            None | Some(ReadinessKind::Http) => Readiness::Http {
                path: self.path.unwrap_or_else(|| "/".to_owned()),
                status: self.status.unwrap_or(200..=399),
            },
            Some(ReadinessKind::Tcp) => Readiness::Tcp,
            Some(ReadinessKind::Docker) => Readiness::Docker,
            Some(ReadinessKind::None) => Readiness::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The defaults of the documentation are those of the domain.
    #[test]
    fn defaults_are_those_of_the_domain() {
        let name = ServiceName::parse("a").unwrap();
        let container = ContainerName::parse("a").unwrap();
        let spec = Draft::new().into_spec(name.clone(), Vec::new(), container.clone());
        assert_eq!(spec, ServiceSpec::new(name, container));
    }
}
