//! How much a container uses, from the figures cgroup v2 engines give.

/// One reading of a container's counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UsageSample {
    /// Nanoseconds of CPU the container has used.
    pub cpu_total: u64,
    /// Nanoseconds of CPU the whole machine has used, all processors together.
    pub system_total: u64,
    pub online_cpus: u32,
    /// Bytes, page cache included.
    pub memory: u64,
    /// Bytes of page cache that the kernel would give back (`inactive_file`).
    pub inactive_file: u64,
    /// Bytes received and sent on all networks.
    pub network: u64,
}

impl UsageSample {
    /// Memory in use without the page cache, as `docker stats` shows it.
    #[must_use]
    pub fn memory_in_use(&self) -> u64 {
        self.memory.saturating_sub(self.inactive_file)
    }

    /// Share of one CPU used between an earlier reading and this one: 1.0 is one processor busy.
    /// `None` where the readings are of different starts, or no time lies between them.
    #[must_use]
    pub fn cpu_since(&self, earlier: &Self) -> Option<f64> {
        let used = self.cpu_total.checked_sub(earlier.cpu_total)?;
        let machine = self.system_total.checked_sub(earlier.system_total)?;
        if machine == 0 || self.online_cpus == 0 {
            return None;
        }
        #[allow(clippy::cast_precision_loss, reason = "a share is not exact to 2^-52")]
        Some(used as f64 / machine as f64 * f64::from(self.online_cpus))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `percpu_usage` is absent on cgroup v2: the count of processors is `online_cpus`.
    #[test]
    fn cpu_is_a_share_of_one_processor() {
        let before =
            UsageSample { cpu_total: 1_000, system_total: 10_000, online_cpus: 4, ..Default::default() };
        let after =
            UsageSample { cpu_total: 2_000, system_total: 14_000, online_cpus: 4, ..Default::default() };
        assert_eq!(after.cpu_since(&before), Some(1.0));
        assert_eq!(before.cpu_since(&after), None, "a restarted container counts from zero");
        assert_eq!(after.cpu_since(&after), None);
    }

    #[test]
    fn memory_leaves_out_the_page_cache() {
        let sample = UsageSample { memory: 100, inactive_file: 60, ..Default::default() };
        assert_eq!(sample.memory_in_use(), 40);
        let odd = UsageSample { memory: 10, inactive_file: 60, ..Default::default() };
        assert_eq!(odd.memory_in_use(), 0);
    }
}
