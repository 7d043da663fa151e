//! What services did, added up by the hour and by the day, for charts.
//!
//! Counters live in memory and begin at zero with the process. What they grew by is added to the
//! record of the hour each minute, so that a process that is killed takes a minute with it at most.
//! Days are added up from their hours when they are over. Hours and days are those of UTC.

mod record;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock;
use crate::domain::name::ServiceName;
use crate::domain::time::Timestamp;
use crate::metrics::{ServiceMetrics, Totals};
use crate::store::{ChangeError, Interrupted, Order, Reading, StorageFault, Store, Writing};
use record::{DAYS, HOURS, MARKS, RollupRecord, TODAY, TodayRecord};

/// How often the counters are written down, while there is something to write.
const EVERY: Duration = Duration::from_secs(60);
/// How often, while everything sleeps and nobody asks: a disk may sleep as well.
const QUIET: Duration = Duration::from_secs(600);
/// How long hours and days are kept.
const HOURS_KEPT: i64 = 14 * DAY;
const DAYS_KEPT: i64 = 400 * DAY;
/// The durations of wakes that count towards the median of a day.
const TIMED_WAKES: usize = 500;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// All services together have records of their own, under a name that no service has.
const ALL: &str = "";

/// The key, in [`MARKS`], of the first day that has no record of its own yet.
const OPEN_DAY: &str = "open_day";

/// What a service, or all of them, did in an hour or a day.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rollup {
    /// When the hour or the day began.
    pub start: Timestamp,
    /// Answered requests.
    pub requests: u64,
    /// Wakes that ended well.
    pub wakes: u64,
    /// Wakes that failed or took too long.
    pub failed_wakes: u64,
    pub awake_seconds: f64,
    pub asleep_seconds: f64,
    /// Bytes in use while awake, times seconds.
    pub memory_byte_seconds: f64,
    /// Seconds of processors.
    pub cpu_seconds: f64,
    /// Bytes that were free while it was off, times seconds.
    pub saved_byte_seconds: f64,
}

impl Rollup {
    fn grown(from: &Totals, to: &Totals) -> Self {
        Self {
            start: Timestamp::default(),
            requests: to.requests.saturating_sub(from.requests),
            wakes: to.wakes.saturating_sub(from.wakes),
            failed_wakes: to.failed_wakes.saturating_sub(from.failed_wakes),
            awake_seconds: to.awake.saturating_sub(from.awake).as_secs_f64(),
            asleep_seconds: to.asleep.saturating_sub(from.asleep).as_secs_f64(),
            memory_byte_seconds: to.memory_byte_seconds - from.memory_byte_seconds,
            cpu_seconds: to.cpu.saturating_sub(from.cpu).as_secs_f64(),
            saved_byte_seconds: to.saved_byte_seconds - from.saved_byte_seconds,
        }
    }

    fn add(&mut self, more: &Self) {
        self.requests += more.requests;
        self.wakes += more.wakes;
        self.failed_wakes += more.failed_wakes;
        self.awake_seconds += more.awake_seconds;
        self.asleep_seconds += more.asleep_seconds;
        self.memory_byte_seconds += more.memory_byte_seconds;
        self.cpu_seconds += more.cpu_seconds;
        self.saved_byte_seconds += more.saved_byte_seconds;
    }

    /// Whether nothing happened at all.
    fn is_nothing(&self) -> bool {
        Self { start: Timestamp::default(), ..*self } == Self::default()
    }

    /// Whether nothing happened but sleep.
    fn is_quiet(&self) -> bool {
        self.requests == 0 && self.wakes == 0 && self.failed_wakes == 0 && self.awake_seconds == 0.0
    }
}

/// The day so far, by UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Today {
    /// Wakes that ended well.
    pub wakes: u64,
    /// The median of their durations, from demand to ready.
    pub median: Option<Duration>,
}

/// The counters of all services, also of those that were let go.
pub(super) type Counters = Arc<Mutex<BTreeMap<ServiceName, Arc<ServiceMetrics>>>>;

/// The way to the roll-ups. Cheap to clone.
#[derive(Clone)]
pub struct Rollups(Arc<Inner>);

struct Inner {
    store: Store,
    counters: Counters,
    book: Mutex<Book>,
    /// One writer at a time: what is being written must not be counted twice.
    writing: tokio::sync::Mutex<()>,
}

/// What is not written yet.
struct Book {
    /// The counters as they were written.
    seen: BTreeMap<ServiceName, Totals>,
    seen_at: Timestamp,
    today: TodayRecord,
    /// The record of the day has changed since it was written.
    today_changed: bool,
    /// What an earlier process wrote of this day has been read.
    today_loaded: bool,
    /// The hour in which old records were looked after last.
    tidied: i64,
}

impl std::fmt::Debug for Rollups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rollups")
    }
}

impl Rollups {
    pub(super) fn new(store: Store, counters: Counters) -> Self {
        let now = clock::wall();
        let book = Book {
            seen: BTreeMap::new(),
            seen_at: now,
            today: TodayRecord::new(day(now)),
            today_changed: false,
            today_loaded: false,
            tidied: 0,
        };
        Self(Arc::new(Inner {
            store,
            counters,
            book: Mutex::new(book),
            writing: tokio::sync::Mutex::default(),
        }))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Whole at every step.
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the counters down each minute, for ever.
    pub(super) async fn keep(self) {
        self.load_today().await;
        let mut written_at = clock::now();
        loop {
            // At the full minute, so that an hour gets what belongs to it.
            let into = clock::wall().as_millis().rem_euclid(60_000);
            let rest = EVERY.saturating_sub(Duration::from_millis(u64::try_from(into).unwrap_or(0)));
            tokio::time::sleep(rest.max(Duration::from_millis(1))).await;
            let quiet = self.growth().1.values().all(Rollup::is_quiet) && !self.book().today_changed;
            if quiet && clock::now().since(written_at) < QUIET {
                continue;
            }
            written_at = clock::now();
            self.save().await;
        }
    }

    /// A service was woken, and it took so long.
    pub(super) fn woke(&self, service: &ServiceName, took: Option<Duration>) {
        let mut book = self.book();
        book.turn_the_page();
        *book.today.wakes.entry(service.as_str().to_owned()).or_default() += 1;
        if let Some(took) = took {
            if book.today.took_ms.len() == TIMED_WAKES {
                book.today.took_ms.remove(0);
            }
            book.today.took_ms.push(u32::try_from(took.as_millis()).unwrap_or(u32::MAX));
        }
        book.today_changed = true;
    }

    /// Of all services.
    #[must_use]
    pub fn today(&self) -> Today {
        let mut book = self.book();
        book.turn_the_page();
        let mut took = book.today.took_ms.clone();
        took.sort_unstable();
        let median = took.get(took.len() / 2).map(|millis| Duration::from_millis(u64::from(*millis)));
        Today { wakes: book.today.wakes.values().sum(), median }
    }

    /// How often a service was woken today.
    #[must_use]
    pub fn wakes_today(&self, service: &ServiceName) -> u64 {
        let mut book = self.book();
        book.turn_the_page();
        book.today.wakes.get(service.as_str()).copied().unwrap_or(0)
    }

    /// What the counters grew by since they were written, when that was on average, and how they
    /// stand.
    fn growth(&self) -> (Timestamp, BTreeMap<ServiceName, Rollup>, BTreeMap<ServiceName, Totals>) {
        let (now, wall) = (clock::now(), clock::wall());
        let totals: BTreeMap<ServiceName, Totals> = {
            let counters = self.0.counters.lock().unwrap_or_else(PoisonError::into_inner);
            counters.iter().map(|(name, metrics)| (name.clone(), metrics.totals(now))).collect()
        };
        let book = self.book();
        let nothing = Totals::default();
        let grown = totals.iter().map(|(name, totals)| {
            (name.clone(), Rollup::grown(book.seen.get(name).unwrap_or(&nothing), totals))
        });
        let middle = (book.seen_at.as_millis() + wall.as_millis()) / 2;
        (Timestamp::from_millis(middle), grown.collect(), totals)
    }

    /// Writes the counters down. What the disk does not take stays counted, and is written later.
    pub async fn save(&self) {
        let _one = self.0.writing.lock().await;
        self.load_today().await;
        let (at, grown, totals) = self.growth();
        let (today, tidy) = {
            let mut book = self.book();
            book.turn_the_page();
            let tidy = book.tidied != hour(at);
            book.today_changed &= !book.today_loaded;
            (book.today_loaded.then(|| book.today.clone()), tidy)
        };
        let mut all = Rollup::default();
        grown.values().for_each(|grown| all.add(grown));
        let written = self.0.store.change(move |tables| {
            // Of who was let go there is nothing to say.
            let each = grown.iter().filter(|(_, grown)| !grown.is_nothing());
            let each = each.map(|(name, grown)| (name.as_str(), grown));
            for (name, grown) in each.chain([(ALL, &all)]) {
                let key = record::key(hour(at), name);
                let mut sum: Rollup =
                    tables.get(&HOURS, &key)?.map(|record: RollupRecord| record.into()).unwrap_or_default();
                sum.add(grown);
                tables.put(&HOURS, &key, &RollupRecord::from(&sum))?;
            }
            // Not over what could not be read: that would be added to itself when it can.
            if let Some(today) = &today {
                tables.put(&TODAY, "today", today)?;
            }
            if tidy {
                fold_days(tables, at)?;
            }
            Ok::<_, Interrupted<Infallible>>(())
        });
        match written.await {
            Ok(()) => {
                let mut book = self.book();
                book.seen = totals;
                book.seen_at = clock::wall();
                book.tidied = hour(at);
            }
            Err(error) => {
                self.book().today_changed = true;
                tracing::debug!(%error, "the counters were not written down");
            }
        }
    }

    /// Reads what an earlier process counted today.
    async fn load_today(&self) {
        if self.book().today_loaded {
            return;
        }
        let read = self.0.store.read(|tables| Ok::<_, Interrupted<Infallible>>(tables.get(&TODAY, "today")?));
        match read.await {
            Ok(earlier) => {
                let mut book = self.book();
                book.today_loaded = true;
                if let Some(earlier) = earlier.filter(|earlier: &TodayRecord| earlier.day == book.today.day) {
                    book.today.add(earlier);
                }
            }
            Err(error) => tracing::debug!(%error, "what was counted today is not known"),
        }
    }

    /// The hours that begin from `from` on and before `to`, of one service or of all together, the
    /// oldest first. Hours of which nothing is known are left out.
    ///
    /// # Errors
    /// While the store is away.
    pub async fn hours(
        &self,
        service: Option<&ServiceName>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Rollup>, ChangeError<Infallible>> {
        self.read(service, (from, to), HOURS_KEPT, sum_hours, hour).await
    }

    /// The days that begin from `from` on and before `to`; as [`Rollups::hours`].
    ///
    /// # Errors
    /// While the store is away.
    pub async fn days(
        &self,
        service: Option<&ServiceName>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Rollup>, ChangeError<Infallible>> {
        self.read(service, (from, to), DAYS_KEPT, sum_days, day).await
    }

    /// What is written down, and what is counted since.
    async fn read(
        &self,
        service: Option<&ServiceName>,
        (from, to): (Timestamp, Timestamp),
        kept: i64,
        sum: SumUp,
        start_of: fn(Timestamp) -> i64,
    ) -> Result<Vec<Rollup>, ChangeError<Infallible>> {
        let wanted = service.cloned();
        let range = clamp(from, to, kept);
        let read = self.0.store.read(move |tables| Ok(sum(tables, wanted.as_ref(), range)?));
        let mut sums = read.await?;
        self.add_growth(&mut sums, service, from, to, start_of);
        Ok(sums.into_values().collect())
    }

    /// What is counted and not written yet belongs to the last of them.
    fn add_growth(
        &self,
        sums: &mut Sums,
        service: Option<&ServiceName>,
        from: Timestamp,
        to: Timestamp,
        start_of: fn(Timestamp) -> i64,
    ) {
        let (at, grown, _) = self.growth();
        let start = start_of(at);
        if start < from.as_millis() || start >= to.as_millis() {
            return;
        }
        for (name, grown) in grown {
            if service.is_none_or(|service| *service == name) {
                add(sums, start, &grown);
            }
        }
    }
}

impl Book {
    /// Begins a new day where one has begun.
    fn turn_the_page(&mut self) {
        let day = day(clock::wall());
        if self.today.day != day {
            self.today = TodayRecord::new(day);
            self.today_changed = true;
        }
    }
}

fn hour(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(HOUR) * HOUR
}

fn day(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(DAY) * DAY
}

/// Adds up the records of a service, or of all, that begin in a range.
type SumUp = fn(&Reading<'_>, Option<&ServiceName>, (i64, i64)) -> Result<Sums, StorageFault>;

/// Roll-ups by their start.
type Sums = BTreeMap<i64, Rollup>;

fn add(sums: &mut Sums, start: i64, more: &Rollup) {
    let empty = Rollup { start: Timestamp::from_millis(start), ..Rollup::default() };
    sums.entry(start).or_insert(empty).add(more);
}

/// Starts of hours or days, `step` apart, that lie in a range.
fn starts(from: i64, to: i64, step: i64) -> impl Iterator<Item = i64> {
    let first = from.div_euclid(step) * step;
    let first = if first < from { first + step } else { first };
    (0..).map(move |number| first + number * step).take_while(move |start| *start < to)
}

/// Adds up the records that begin in a range, each under `bucket` of its start.
fn sum(
    tables: &Reading<'_>,
    table: &'static crate::store::Table<RollupRecord>,
    service: Option<&ServiceName>,
    (from, to, step): (i64, i64, i64),
    bucket: fn(Timestamp) -> i64,
    sums: &mut Sums,
) -> Result<(), StorageFault> {
    let name = service.map_or(ALL, ServiceName::as_str);
    for start in starts(from, to, step) {
        if let Some(record) = tables.get(table, &record::key(start, name))? {
            add(sums, bucket(Timestamp::from_millis(start)), &record.into());
        }
    }
    Ok(())
}

/// Nothing older than this is there, nor is the future.
fn clamp(from: Timestamp, to: Timestamp, kept: i64) -> (i64, i64) {
    let now = clock::wall().as_millis();
    (from.as_millis().max(now - kept - DAY), to.as_millis().min(now + DAY))
}

fn sum_hours(
    tables: &Reading<'_>,
    service: Option<&ServiceName>,
    (from, to): (i64, i64),
) -> Result<Sums, StorageFault> {
    let mut sums = Sums::new();
    sum(tables, &HOURS, service, (from, to, HOUR), hour, &mut sums)?;
    Ok(sums)
}

fn sum_days(
    tables: &Reading<'_>,
    service: Option<&ServiceName>,
    (from, to): (i64, i64),
) -> Result<Sums, StorageFault> {
    let mut sums = Sums::new();
    let open = tables.get(&MARKS, OPEN_DAY)?.unwrap_or(i64::MIN);
    sum(tables, &DAYS, service, (from, to.min(open), DAY), day, &mut sums)?;
    // Of the days that are not over, and of those that nobody had time to add up yet.
    let from = starts(from, i64::MAX, DAY).next().unwrap_or(from).max(open);
    sum(
        tables,
        &HOURS,
        service,
        (from, starts(to, i64::MAX, DAY).next().unwrap_or(to), HOUR),
        day,
        &mut sums,
    )?;
    Ok(sums)
}

/// Adds up the days that are over, and lets go of what is too old.
fn fold_days(tables: &Writing<'_>, now: Timestamp) -> Result<(), StorageFault> {
    let today = day(now);
    let open = tables.get(&MARKS, OPEN_DAY)?.unwrap_or(0);
    if open < today {
        let mut days: BTreeMap<(i64, String), Rollup> = BTreeMap::new();
        let (first, end) = (record::key(open, ""), record::key(today, ""));
        for (key, record) in
            tables.scan(&HOURS, first.as_str()..end.as_str(), Order::Ascending, usize::MAX)?
        {
            if let Some((start, service)) = record::parts(&key) {
                let day = day(Timestamp::from_millis(start));
                days.entry((day, service.to_owned())).or_default().add(&record.into());
            }
        }
        for ((day, service), sum) in days {
            tables.put(&DAYS, &record::key(day, &service), &RollupRecord::from(&sum))?;
        }
        tables.put(&MARKS, OPEN_DAY, &today)?;
    }
    tables.remove_range(&HOURS, ..record::key(now.as_millis() - HOURS_KEPT, "").as_str(), usize::MAX)?;
    tables.remove_range(&DAYS, ..record::key(now.as_millis() - DAYS_KEPT, "").as_str(), usize::MAX)?;
    Ok(())
}
