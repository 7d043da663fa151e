//! How long, and how often what happens.

use std::time::Duration;

/// A run shorter than this meets everything in its seconds; its memory says nothing.
const LONG: Duration = Duration::from_secs(600);

pub struct Plan {
    pub lasts: Duration,
    /// Between two cuts of Docker's socket, and how long one lasts.
    pub cuts: (Duration, Duration),
    /// Between two edits of the configuration.
    pub edits: Duration,
    /// Between two looks at the process and its metrics.
    pub samples: Duration,
    /// Between two floods of resets.
    pub floods: Duration,
    /// Between two sudden ends of the service that crashes; it also ends by itself.
    pub kills: Duration,
    pub crashes_after: Duration,
    /// Between two backups.
    pub backups: Duration,
    /// Between two containers of the service that is one by its labels.
    pub updates: Duration,
    /// How long the visitors of sleepy services stay away at most.
    pub away: Duration,
    /// Between two lines of figures.
    pub lines: Duration,
}

impl Plan {
    pub fn from_environment() -> Self {
        let text = |name: &str| std::env::var(name).ok();
        let lasts = text("WAKEDOCK_SOAK").map_or(Duration::from_secs(16), |text| duration(&text));
        let often = match text("WAKEDOCK_SOAK_FAULTS").as_deref() {
            Some("often") => true,
            Some("rare") => false,
            None => lasts < LONG,
            Some(other) => panic!("WAKEDOCK_SOAK_FAULTS is `{other}`, expected often or rare"),
        };
        let seconds =
            |often_so: u64, else_so: u64| Duration::from_secs(if often { often_so } else { else_so });
        Self {
            lasts,
            cuts: (seconds(7, 150), seconds(2, 4)),
            edits: seconds(3, 45),
            samples: seconds(1, 5),
            floods: seconds(5, 120),
            kills: seconds(6, 100),
            crashes_after: seconds(5, 25),
            backups: seconds(5, 60),
            updates: seconds(5, 60),
            away: seconds(6, 15),
            lines: Duration::from_secs(60),
        }
    }

    /// Whether memory can be judged: the allocator's warming up is over, and a quarter of the run
    /// holds enough samples for a median.
    pub fn is_long(&self) -> bool {
        self.lasts >= LONG
    }
}

/// `90s`, `10m`, `2h`.
fn duration(text: &str) -> Duration {
    let (count, unit) = text.split_at(text.len().saturating_sub(1));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => 0,
    };
    match count.parse::<u64>() {
        Ok(count @ 1..) if seconds > 0 => Duration::from_secs(count * seconds),
        _ => panic!("WAKEDOCK_SOAK is `{text}`, expected a time like 90s, 10m or 2h"),
    }
}
