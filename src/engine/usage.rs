//! One reading of a container's counters.

use bollard::models::ContainerStatsResponse;
use bollard::query_parameters::StatsOptions;
use futures_util::StreamExt;

use crate::domain::usage::UsageSample;
use crate::engine::api::{Api, QUESTION};
use crate::engine::failure::{Failure, within};
use crate::ports::ContainerId;

/// Reads once, without the second sample that would take a second. The engine itself collects at
/// 1 Hz: a reading within a second of the last one of the same container waits for the next.
pub(super) async fn read(api: &Api, id: &ContainerId) -> Result<UsageSample, Failure> {
    within(QUESTION, async {
        let once = StatsOptions { stream: false, one_shot: true };
        let stats = match Box::pin(api.bollard.stats(&id.0, Some(once))).next().await {
            Some(stats) => stats?,
            None => return Err(Failure::refused(200, "an answer without figures")),
        };
        sample(&stats).ok_or_else(|| Failure::refused(409, "the container is not running"))
    })
    .await
}

/// `None` for a container that is off: the engine then answers with figures that are all missing.
fn sample(stats: &ContainerStatsResponse) -> Option<UsageSample> {
    let cpu = stats.cpu_stats.as_ref()?;
    let memory = stats.memory_stats.as_ref();
    let files = memory.and_then(|memory| memory.stats.as_ref());
    // cgroup v2 and v1. Page cache in use (`active_file`) counts as memory, as in `docker stats`.
    let inactive_file =
        files.and_then(|files| files.get("total_inactive_file").or_else(|| files.get("inactive_file")));
    let network = stats.networks.iter().flatten().map(|(_, network)| {
        network.rx_bytes.unwrap_or_default().saturating_add(network.tx_bytes.unwrap_or_default())
    });
    Some(UsageSample {
        cpu_total: cpu.cpu_usage.as_ref()?.total_usage?,
        system_total: cpu.system_cpu_usage?,
        online_cpus: cpu.online_cpus?,
        memory: memory.and_then(|memory| memory.usage).unwrap_or_default(),
        inactive_file: inactive_file.copied().unwrap_or_default(),
        network: network.fold(0, u64::saturating_add),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<UsageSample> {
        sample(&serde_json::from_str(text).unwrap())
    }

    /// Trap 14: no `percpu_usage` on cgroup v2, and memory without the page cache.
    #[test]
    fn trap_14_reads_the_fields_of_cgroup_v2() {
        let sample = read(
            r#"{"cpu_stats":{"cpu_usage":{"total_usage":50},"system_cpu_usage":1000,"online_cpus":2},
            "memory_stats":{"usage":4096,"stats":{"inactive_file":1024,"active_file":512}},
            "networks":{"eth0":{"rx_bytes":1,"tx_bytes":2},"eth1":{"rx_bytes":3,"tx_bytes":4}}}"#,
        )
        .unwrap();
        let expected = UsageSample {
            cpu_total: 50,
            system_total: 1000,
            online_cpus: 2,
            memory: 4096,
            inactive_file: 1024,
            network: 10,
        };
        assert_eq!(sample, expected);
        assert_eq!(sample.memory_in_use(), 3072);
    }

    #[test]
    fn trap_14_reads_the_fields_of_cgroup_v1() {
        let sample = read(
            r#"{"cpu_stats":{"cpu_usage":{"total_usage":50,"percpu_usage":[20,30]},"system_cpu_usage":1000,
            "online_cpus":2},"memory_stats":{"usage":4096,"stats":{"inactive_file":1,"total_inactive_file":96}}}"#,
        )
        .unwrap();
        assert_eq!(sample.memory_in_use(), 4000);
        assert_eq!(sample.network, 0, "the host's network is not counted by the engine");
    }

    #[test]
    fn a_container_that_is_off_has_no_figures() {
        let off = r#"{"read":"0001-01-01T00:00:00Z","cpu_stats":{"cpu_usage":{"total_usage":0}},"memory_stats":{}}"#;
        assert_eq!(read(off), None);
    }
}
