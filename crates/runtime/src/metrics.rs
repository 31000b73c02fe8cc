//! What every process exports of itself.

use prometheus::{IntGauge, Opts, Registry};

use crate::version::{commit, number};

/// A registry that has already what every process exports: which build it is and, on Linux, its processor time, memory, files and start,
/// under the names that Prometheus's own client libraries give them.
///
/// # Errors
/// When the names are taken, which they are not.
pub fn registry() -> prometheus::Result<Registry> {
    let registry = Registry::new();
    let build = Opts::new("pulse_build_info", "1 for the build that runs.");
    let build = IntGauge::with_opts(build.const_label("version", number()).const_label("commit", commit()))?;
    build.set(1);
    registry.register(Box::new(build))?;
    #[cfg(target_os = "linux")]
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
    Ok(registry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(registry: &Registry) -> Vec<String> {
        registry.gather().iter().map(|family| family.name().to_owned()).collect()
    }

    #[test]
    fn a_process_tells_of_its_build_and_of_itself() {
        let names = names(&registry().unwrap());
        let mut expected = vec!["pulse_build_info"];
        if cfg!(target_os = "linux") {
            expected.extend([
                "process_cpu_seconds_total",
                "process_resident_memory_bytes",
                "process_start_time_seconds",
            ]);
        }
        for name in expected {
            assert!(names.iter().any(|known| known == name), "{name} is not among {names:?}");
        }
    }
}
