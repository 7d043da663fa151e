//! What the process uses, looked at again and again.

use std::time::Duration;

use crate::harness::metric_value;

#[derive(Debug, Clone, Default)]
pub struct Sample {
    pub at: Duration,
    /// Resident memory, its private part, and its proportional share, in kB.
    pub rss: u64,
    pub anon: u64,
    pub pss: u64,
    pub descriptors: u64,
    pub threads: u64,
    pub leases: u64,
    pub held: u64,
    pub wakes: u64,
    /// CPU time so far.
    pub cpu: f64,
}

impl Sample {
    pub fn take(at: Duration, pid: u32, metrics: &str) -> Self {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            std::fs::read_to_string(&path).unwrap_or_else(|problem| panic!("{path}: {problem}"))
        };
        let (status, rollup) = (read("status"), read("smaps_rollup"));
        let metric = |name: &str| metric_value(metrics, name, &[]).unwrap_or_else(|| panic!("no {name}"));
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors").count();
        Self {
            at,
            rss: field(&status, "VmRSS:"),
            anon: field(&status, "RssAnon:"),
            pss: field(&rollup, "Pss:"),
            descriptors: descriptors as u64,
            threads: field(&status, "Threads:"),
            leases: metric("wakedock_leases") as u64,
            held: metric("wakedock_held_requests") as u64,
            wakes: metric("wakedock_wakes_total") as u64,
            cpu: metric("process_cpu_seconds_total"),
        }
    }

    pub fn line(&self) -> String {
        let Self { rss, anon, pss, descriptors, threads, leases, held, wakes, cpu, .. } = self;
        format!(
            "rss {rss} kB, anon {anon}, pss {pss}, fds {descriptors}, threads {threads}, \
             leases {leases}, held {held}, wakes {wakes}, cpu {cpu:.1} s"
        )
    }
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no {name}"))
}

/// The medians of a part of the samples: each figure on its own.
pub fn median(samples: &[Sample]) -> Sample {
    let middle = |of: fn(&Sample) -> u64| {
        let mut values: Vec<_> = samples.iter().map(of).collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    Sample {
        rss: middle(|sample| sample.rss),
        anon: middle(|sample| sample.anon),
        pss: middle(|sample| sample.pss),
        descriptors: middle(|sample| sample.descriptors),
        threads: middle(|sample| sample.threads),
        leases: middle(|sample| sample.leases),
        held: middle(|sample| sample.held),
        wakes: middle(|sample| sample.wakes),
        ..samples.last().cloned().unwrap_or_default()
    }
}
