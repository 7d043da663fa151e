//! The closed vocabulary: one word per thing, in code, logs, metrics, API and pages.

use std::time::Duration;

/// A closed list of words: each value has one, and each word one value.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident => $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vmeta])* $variant),+ }

        impl $name {
            /// Every value, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word used in logs, metrics, API and pages.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The value that is written as `word`.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use words;

words! {
    /// Where a service stands, in WakeDock's eyes. Not to be mixed with Docker's container state.
    Phase {
        /// Off or paused; the next request wakes it.
        Asleep => "asleep",
        /// Ordered to start (or seen starting), the application does not answer yet.
        Waking => "waking",
        /// Requests go through.
        Ready => "ready",
        /// Ordered to stop or pause; requests are held.
        Stopping => "stopping",
        /// The last wake failed; backing off until the next try.
        Failed => "failed",
    }
}

words! {
    /// Why a service was woken.
    WakeCause {
        /// Somebody asked for it.
        Request => "request",
        /// By hand.
        Manual => "manual",
        /// By schedule.
        Schedule => "schedule",
        /// Found running when WakeDock started.
        Startup => "startup",
        /// Another service needs it.
        Dependency => "dependency",
        /// Somebody else started the container.
        External => "external",
        /// Ahead of the usual hour.
        Forecast => "forecast",
    }
}

words! {
    /// Why a service was stopped.
    StopCause {
        /// Nobody used it for long enough.
        Idle => "idle",
        /// By hand.
        Manual => "manual",
        /// Its wake failed, and what was started is stopped again.
        FailedWake => "failed_wake",
        /// WakeDock shuts down and was told to stop its services.
        Shutdown => "shutdown",
        /// It ended without WakeDock's doing.
        External => "external",
        /// By schedule.
        Schedule => "schedule",
        /// Memory ran short.
        Pressure => "pressure",
    }
}

words! {
    /// How a wake ended.
    WakeOutcome {
        /// The application answers.
        Ready => "ready",
        /// It could not be started, or it ended again.
        Failed => "failed",
        /// It did not answer in time.
        Timeout => "timeout",
        /// It was stopped, or let go, on the way.
        Cancelled => "cancelled",
    }
}

words! {
    /// What a person or a program may do. Each may also do what those before it may.
    Role {
        /// Reads.
        Viewer => "viewer",
        /// Wakes and stops too, and edits the services it owns.
        User => "user",
        /// Everything.
        Admin => "admin",
    }
}

words! {
    /// Where a value of a service comes from. The later of two that say the same key holds; the first
    /// claim to a host stands, from the last of these to the first.
    Origin {
        /// Nobody said anything.
        Default => "default",
        /// `defaults` in the configuration file, or the environment.
        Shared => "defaults",
        /// A label of the container.
        Label => "label",
        /// The API or the dashboard.
        Api => "api",
        /// The service's entry in the configuration file.
        File => "file",
    }
}

words! {
    /// Why WakeDock answered a request itself: the value of `X-WakeDock`.
    Reason {
        Waking => "waking",
        Failed => "failed",
        BackingOff => "backing-off",
        Overloaded => "overloaded",
        Draining => "draining",
        Disabled => "disabled",
        EngineUnavailable => "engine-unavailable",
        Prefetch => "prefetch",
        HoldTimeout => "hold-timeout",
        UpstreamTimeout => "upstream-timeout",
        UpstreamError => "upstream-error",
        UnknownHost => "unknown-host",
        /// Under `/.wakedock/`.
        NotFound => "not-found",
        BadRequest => "bad-request",
        TooLarge => "too-large",
        Internal => "internal",
        /// A rule of the operator's answered.
        Ignored => "ignored",
    }
}

words! {
    /// A limit over which a connection or a stream is closed: the last word of its key, where it
    /// has one. What is answered instead is counted as a refusal.
    Limit {
        Connections => "connections",
        ConnectionsPerAddress => "connections_per_address",
        /// Streams of one connection.
        Streams => "streams",
        /// Frames of HTTP/2 that carry nothing.
        Flood => "flood",
        /// A request's head took too long.
        Head => "head",
        /// A client whose answer is out stopped in the middle of its upload, or closed its sending
        /// half and let nothing move.
        Body => "body",
        /// The client took nothing.
        Write => "write",
    }
}

words! {
    /// How an attempt to have Caddy run what WakeDock knows ended.
    PublishOutcome {
        /// Caddy runs it now.
        Published => "published",
        /// Caddy ran it already, or runs something that is not WakeDock's to change.
        Unchanged => "unchanged",
        /// Caddy, or a file of the operator's, stands against it. The last good one goes on.
        Rejected => "rejected",
        /// Caddy does not answer.
        Unreachable => "unreachable",
    }
}

/// A domain answer "no". Not an error: nothing is broken, the request is just not served now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// No service has this host.
    UnknownHost,
    /// The wake this request waited for failed; the next one may be tried after `retry_after`.
    Failed { retry_after: Duration },
    /// A wake failed a short time ago, and the next one is not due yet.
    BackingOff { retry_after: Duration },
    /// The client's patience, `hold_timeout`, ended before the service was ready.
    HoldTimeout,
    /// More requests are held than `max_held` allows.
    Overloaded,
    /// WakeDock is shutting down.
    Draining,
    /// The operator took the service out of use.
    Disabled,
    /// Docker does not answer, so nothing can be woken.
    EngineUnavailable,
}

impl Refusal {
    /// Its place in the closed list of reasons.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::UnknownHost => Reason::UnknownHost,
            Self::Failed { .. } => Reason::Failed,
            Self::BackingOff { .. } => Reason::BackingOff,
            Self::HoldTimeout => Reason::HoldTimeout,
            Self::Overloaded => Reason::Overloaded,
            Self::Draining => Reason::Draining,
            Self::Disabled => Reason::Disabled,
            Self::EngineUnavailable => Reason::EngineUnavailable,
        }
    }

    /// The word for logs, metrics and `X-WakeDock`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.reason().as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        for phase in Phase::ALL {
            assert_eq!(Phase::parse(phase.as_str()), Some(*phase));
        }
        for cause in StopCause::ALL {
            assert_eq!(StopCause::parse(cause.as_str()), Some(*cause));
        }
        assert_eq!(Phase::parse("sleepy"), None);
    }
}
