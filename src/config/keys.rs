//! The table of all keys but those of services.

use crate::config::kind::{
    Bytes, CaddyAdmin, Callback, Count, DockerApi, Domain, FieldName, FileMode, FilePath, Flag, Glob, Group,
    Hidden, Issuer, Line, ListenAt, Many, Maybe, Name, Network, Patience, SocketAddress, SocketFile, Span,
    Text, Token, WebOrigin, Word, Words,
};
use crate::config::table::{self, Key, Table, key};
use crate::config::{CaddyMode, CaddyTls, Config, LogFormat};

impl Word for CaddyMode {
    const ALL: &'static [(&'static str, Self)] =
        &[("managed", Self::Managed), ("file", Self::File), ("off", Self::Off)];
}

impl Word for CaddyTls {
    const ALL: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("internal", Self::Internal), ("off", Self::Off)];
}

impl Word for LogFormat {
    const ALL: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}

impl Word for tracing::Level {
    const ALL: &'static [(&'static str, Self)] = &[
        ("error", Self::ERROR),
        ("warn", Self::WARN),
        ("info", Self::INFO),
        ("debug", Self::DEBUG),
        ("trace", Self::TRACE),
    ];
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const DAY: u64 = 86_400_000;
const YEAR: u64 = 365 * DAY;

type Port = Count<u16, 1, 65_535>;

/// All keys outside `services` and `defaults`, in the order of the documentation.
pub(super) static CONFIG: Table<Config> = Table {
    keys: &[KEYS],
    groups: &[
        group("proxy", "The data plane: what Caddy forwards to."),
        group(
            "proxy.timeouts",
            "Each is time without progress, not time in all; none counts while a service wakes. `never` is a value.",
        ),
        group("proxy.limits", "Over them: 431, 431, 414, 503, 503, refused stream."),
        group("admin", "The control plane."),
        group("admin.forward_auth", "Log-in by a proxy in front."),
        group("admin.forward_auth.roles", "The groups that have each role; a user of none gets nothing."),
        group("admin.oidc", "Log-in by an OpenID Connect provider, where issuer and client are named."),
        group(
            "admin.oidc.roles",
            "The groups that have each role; whoever is in none of them is not let in.",
        ),
        group("caddy", "The Caddy in front."),
        group("docker", "The container engine."),
        group("history", "How much of the past is kept: sessions, events and the audit."),
        group("log", "What is written to standard error."),
        group("shutdown", "How WakeDock ends."),
    ],
    refused: &[],
    elsewhere: &["defaults", "services"],
};

const fn group(path: &'static str, doc: &'static str) -> table::Group {
    table::Group { path, doc, short: None }
}

static KEYS: &[Key<Config>] = &[
    key!(
        domain,
        Maybe<Domain>,
        "A service without `hosts` answers at NAME.domain.",
        example "example.com"
    ),
    key!(data_dir, FilePath, "Where the state is kept. A change needs a restart."),
    key!(
        proxy.listen,
        Many<ListenAt, 1>,
        "Where the proxy listens. Sockets handed over by systemd (named `proxy`) replace those of their kind; port 0 takes any free one, and the log says which. A change needs a restart."
    ),
    key!(proxy.socket_mode, FileMode, "Permissions of the proxy's unix sockets. A change needs a restart."),
    key!(
        proxy.socket_group,
        Maybe<Group>,
        "Group of the proxy's unix sockets. A change needs a restart.",
        example "caddy"
    ),
    key!(
        proxy.trusted_proxies,
        Many<Network, 0>,
        "Whose `X-Forwarded-…` fields are believed. The unix socket is always trusted."
    ),
    key!(
        proxy.max_held,
        Count<usize, 0, 1_000_000>,
        "How many requests may be held in all services together; over it 503 with Retry-After."
    ),
    key!(proxy.timeouts.head, Patience, "For the head of a request."),
    key!(proxy.timeouts.keep_alive, Patience, "Between two requests of one connection."),
    key!(
        proxy.timeouts.body,
        Patience,
        "Between two pieces of a request's body. A call of gRPC may be silent for longer."
    ),
    key!(proxy.timeouts.connect, Patience, "For a connection to the upstream."),
    key!(
        proxy.timeouts.response_head,
        Patience,
        "From the request's end to the head of the upstream's answer."
    ),
    key!(
        proxy.timeouts.write,
        Patience,
        "For a client to take something of what was written to it, or an upstream something of an upload."
    ),
    key!(proxy.limits.head, Bytes<KIB, { 16 * MIB }>, "The head of a request."),
    key!(proxy.limits.fields, Count<usize, 1, 10_000>, "Header fields of a request."),
    key!(proxy.limits.target, Bytes<128, MIB>, "The target of a request, path and query."),
    key!(proxy.limits.connections, Count<usize, 1, 10_000_000>, "Connections in all."),
    key!(
        proxy.limits.connections_per_address,
        Count<usize, 1, 10_000_000>,
        "Connections of one client address, or one /64 of IPv6. Unix sockets and `trusted_proxies` have no such limit."
    ),
    key!(proxy.limits.streams, Count<u32, 1, 1_000_000>, "Streams of one HTTP/2 connection."),
    key!(
        admin.listen,
        SocketAddress,
        "Where the dashboard, /api/v1, /metrics, /livez, /readyz and Caddy's `ask` are answered. A change needs a restart."
    ),
    key!(
        admin.host,
        Maybe<Name>,
        "The dashboard's own host: Caddy and the proxy route it there, and no service can have it.",
        example "wakedock.example.com"
    ),
    key!(
        admin.hosts,
        Many<Name, 0>,
        "Other names under which the dashboard may be reached directly. `localhost`, loopback addresses and the address that was dialled are always among them; requests for any other are refused."
    ),
    key!(
        admin.socket,
        SocketFile,
        "Socket for the local command line: root and WakeDock's own user are admin there, everybody else is refused. `off`: none. A change needs a restart."
    ),
    key!(
        admin.socket_group,
        Maybe<Group>,
        "Group of that socket. A change needs a restart.",
        example "wakedock"
    ),
    key!(
        admin.trusted_proxies,
        Many<Network, 0>,
        "Whose `X-Forwarded-…` fields are believed by the dashboard and the API."
    ),
    key!(admin.metrics_auth, Flag, "Whether /metrics wants a log-in or an API token."),
    key!(
        admin.cors_origins,
        Many<WebOrigin, 0>,
        "Other sites whose scripts may call the API with a token, like `https://home.example.com`."
    ),
    key!(
        admin.forward_auth.proxies,
        Many<Network, 0>,
        "Proxies that log people in, such as Authelia's or Authentik's: what they say below is believed. From anybody else it is ignored."
    ),
    key!(admin.forward_auth.user, FieldName, "The header field with the user's name."),
    key!(
        admin.forward_auth.groups,
        FieldName,
        "The header field with the user's groups, separated by commas or bars."
    ),
    key!(admin.forward_auth.roles.admin, Many<Text<100>, 0>, "Groups whose members may do everything."),
    key!(
        admin.forward_auth.roles.user,
        Many<Text<100>, 0>,
        "Groups whose members may wake and stop, and edit the services they own."
    ),
    key!(admin.forward_auth.roles.viewer, Many<Text<100>, 0>, "Groups whose members may look."),
    key!(
        admin.oidc.issuer,
        Maybe<Issuer>,
        "The provider, exactly as it names itself in its discovery document.",
        example "https://auth.example.com"
    ),
    key!(admin.oidc.client_id, Maybe<Token<200>>, "WakeDock's name at the provider.", example "wakedock"),
    key!(
        admin.oidc.client_secret,
        Maybe<Hidden>,
        "WakeDock's secret at the provider; without it, it is a public client. Better kept out of this file.",
        example "\"insert one\""
    ),
    key!(
        admin.oidc.scopes,
        Many<Token<100>, 1>,
        "What is asked for. Some providers want `groups` here to say the groups."
    ),
    key!(
        admin.oidc.username_claim,
        Token<100>,
        "What names people. It counts when they log in for the first time; from then on they are known by the provider's own number for them."
    ),
    key!(
        admin.oidc.groups_claim,
        Token<100>,
        "What holds their groups, by name or by path: `realm_access.roles`."
    ),
    key!(admin.oidc.roles.admin, Many<Text<100>, 0>, "Groups whose members may do everything."),
    key!(
        admin.oidc.roles.user,
        Many<Text<100>, 0>,
        "Groups whose members may wake and stop, and edit the services they own."
    ),
    key!(admin.oidc.roles.viewer, Many<Text<100>, 0>, "Groups whose members may look."),
    key!(
        admin.oidc.redirect_url,
        Maybe<Callback>,
        "Where the provider sends browsers back to; by default to the address they came by. One host only can log in then.",
        example "https://wakedock.example.com/oidc/callback"
    ),
    key!(
        admin.oidc.single_logout,
        Flag,
        "Whether a log-out here leads to the provider's own, where it has one."
    ),
    key!(
        admin.oidc.label,
        Maybe<Line<40>>,
        "What the log-in page calls the provider; by default its host.",
        example "Authelia"
    ),
    key!(
        caddy.mode,
        Words<CaddyMode>,
        "`managed`: publish by Caddy's admin API; `file`: write a file for Caddy to import; `off`: leave Caddy alone."
    ),
    key!(caddy.admin, CaddyAdmin, "Caddy's admin API."),
    key!(caddy.file, FilePath, "What mode `file` writes, atomically."),
    key!(
        caddy.extra,
        Maybe<Glob>,
        "Your own sites and global options, imported in mode `managed`.",
        example "/etc/caddy/sites/*.caddy"
    ),
    key!(
        caddy.take_over,
        Flag,
        "Whether mode `managed` may replace a configuration of Caddy's that is neither empty nor WakeDock's."
    ),
    key!(
        caddy.tls,
        Words<CaddyTls>,
        "`auto`: Caddy's automatic HTTPS, on demand for known hosts; `internal`: Caddy's own authority; `off`: plain HTTP."
    ),
    key!(caddy.http_port, Port, "Caddy's port for plain HTTP."),
    key!(caddy.https_port, Port, "Caddy's port for HTTPS."),
    key!(docker.host, DockerApi, "The engine's API. A change needs a restart."),
    key!(docker.labels, Flag, "Whether containers become services by their labels."),
    key!(
        docker.image_labels,
        Flag,
        "Whether labels that came with the image count. Without it only those given to the container itself do."
    ),
    key!(docker.wildcard_labels, Flag, "Whether a label may give a wildcard host, like `*.example.com`."),
    key!(
        docker.keep_removed,
        Span<0, YEAR>,
        "How long the hosts of a container that was removed are kept for it, so that it comes back as the same service."
    ),
    key!(history.keep, Span<DAY, { 10 * YEAR }>, "For how long. Hours of the charts are kept for 14 days, their days for 400."),
    key!(
        history.max_size,
        Bytes<{ 4 * MIB }, { 16 * GIB }>,
        "How large the state may be on disk. Over it the oldest of the past goes early; services, users and settings never do."
    ),
    key!(log.level, Words<tracing::Level>, "The least severe level that is written."),
    key!(log.format, Words<LogFormat>, "`text` for people, `json` for programs: one object a line."),
    key!(log.access, Flag, "Whether each request is logged."),
    key!(shutdown.grace, Span<0, DAY>, "How long a drain may take."),
    key!(shutdown.stop_services, Flag, "Whether services are stopped with WakeDock."),
];
