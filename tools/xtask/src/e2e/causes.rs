//! What goes wrong, and the alerts that have to come of it.

use std::time::{Duration, Instant};

use super::World;
use super::containers::restarts;
use super::wait;

const MINUTE: Duration = Duration::from_secs(60);
/// A service that was started anew has been seen by Prometheus.
const SEEN: Duration = Duration::from_secs(60);
/// As often as `PulseServiceRestarting` wants it.
const DEATHS: usize = 3;
/// More than a twentieth of the events of five minutes, which is where `PulseValidationErrors` begins.
const GARBAGE: usize = 5000;
/// What another simulator is told, beside the one that runs.
const BURST: [&str; 2] = ["PULSE__SIMULATOR__RATE=500", "PULSE__SIMULATOR__ANOMALY_RATE=0.5"];
const MANY: [&str; 2] = ["PULSE__SIMULATOR__RATE=10000", "PULSE__SIMULATOR__ANOMALY_RATE=0.01"];
/// Of a processor, for each container: with that they fall behind many events.
const TOO_LITTLE: &str = "0.02";

/// Something that goes wrong, is noticed, and is mended.
#[derive(Debug)]
pub(super) struct Cause {
    title: &'static str,
    make: fn(&World) -> anyhow::Result<()>,
    /// Alerts that have to come.
    fires: &'static [&'static str],
    /// Alerts that come, too, once Prometheus has a quarter of an hour to judge by.
    burns: &'static [&'static str],
    /// The same, but nobody is to be told of them while those come.
    silenced: &'static [&'static str],
    mend: fn(&World) -> anyhow::Result<()>,
    /// Of those that come and of those that are silenced until it is mended: how long they go on then, by the windows of their rules.
    lasts: Duration,
    /// Whether it takes more than five minutes to be noticed.
    is_slow: bool,
}

/// What a cause leaves behind: alerts that have to be taken back.
#[derive(Debug)]
pub(super) struct Aftermath {
    alert: &'static str,
    mended: Instant,
    lasts: Duration,
}

/// What most causes have in common.
const USUAL: Cause = Cause {
    title: "",
    make: |_| Ok(()),
    fires: &[],
    burns: &[],
    silenced: &[],
    mend: |_| Ok(()),
    lasts: Duration::from_secs(6 * 60),
    is_slow: false,
};

/// In this order: what lasts longest comes first, and what takes a history comes last.
pub(super) const CAUSES: [Cause; 10] = [
    Cause {
        title: "a service that dies again and again",
        make: |world| (0..DEATHS).try_for_each(|_| die(world, "dashboard")),
        fires: &["PulseServiceRestarting"],
        lasts: Duration::from_secs(15 * 60),
        ..USUAL
    },
    Cause {
        title: "a record among the anomalies that is none",
        make: |world| produce(world, "anomalies", "no anomaly\n"),
        fires: &["PulseDeadLetters"],
        lasts: Duration::from_secs(10 * 60),
        ..USUAL
    },
    Cause {
        title: "records that are no events",
        make: |world| produce(world, "raw_events", &"{\"trip_distance\": \"far\"}\n".repeat(GARBAGE)),
        fires: &["PulseValidationErrors"],
        lasts: Duration::from_secs(5 * 60),
        ..USUAL
    },
    Cause {
        title: "a writer that is away",
        make: |world| compose(world, &["stop", "anomaly-writer"]),
        fires: &["PulseServiceDown"],
        mend: |world| compose(world, &["start", "anomaly-writer"]),
        lasts: MINUTE,
        ..USUAL
    },
    Cause {
        title: "a burst of anomalies, and a database that stands still",
        make: |world| world.stack.simulate_more(&BURST).and_then(|()| compose(world, &["pause", "postgres"])),
        fires: &["PulseAnomalyRateHigh", "PulseWriterBehind"],
        mend: |world| both(compose(world, &["unpause", "postgres"]), world.stack.simulate_no_more()),
        ..USUAL
    },
    Cause {
        title: "events unlike those of the training",
        make: |world| world.stack.simulate_more(&BURST),
        fires: &["PulseModelDrift"],
        mend: |world| world.stack.simulate_no_more(),
        is_slow: true,
        ..USUAL
    },
    Cause {
        title: "a broker that stands still",
        make: |world| compose(world, &["pause", "kafka"]),
        fires: &["PulseProcessorStuck"],
        mend: |world| compose(world, &["unpause", "kafka"]),
        lasts: Duration::from_secs(3 * 60),
        is_slow: true,
        ..USUAL
    },
    Cause {
        title: "producers that are silent",
        make: |world| compose(world, &["stop", "simulator"]),
        fires: &["PulseNoEvents"],
        mend: |world| compose(world, &["start", "simulator"]),
        lasts: MINUTE,
        is_slow: true,
        ..USUAL
    },
    Cause {
        title: "ML services that are away",
        make: |world| compose(world, &["stop", "ml-service"]),
        fires: &["PulseMlServiceDown"],
        silenced: &["PulseAvailabilityBudgetBurn"],
        mend: |world| compose(world, &["start", "ml-service"]),
        ..USUAL
    },
    Cause {
        title: "processors that are too small for what comes",
        make: |world| {
            world.stack.simulate_more(&MANY).and_then(|()| world.stack.limit_processors("processor", TOO_LITTLE))
        },
        fires: &["PulseConsumerLagGrowing", "PulseLatencyHigh"],
        burns: &["PulseLatencyBudgetBurn"],
        mend: |world| both(world.stack.free_processors("processor"), world.stack.simulate_no_more()),
        ..USUAL
    },
];

/// What has no cause here that would do it within minutes.
pub(super) const NOT_CAUSED: [(&str, &str); 2] = [
    ("PulseRestoreSlow", "it takes two minutes of taking partitions over, and here that takes a second"),
    ("PulseModelStale", "it takes a model that is 30 days old"),
];

impl Cause {
    /// Whether it is left out when there is little time.
    pub(super) fn is_slow(&self) -> bool {
        self.is_slow
    }

    pub(super) fn title(&self) -> &'static str {
        self.title
    }

    /// Lets it go wrong, waits until people know, and mends it, in any case.
    ///
    /// # Errors
    /// When an alert does not come, or one comes that should be silent.
    pub(super) fn happen(&self, world: &World) -> anyhow::Result<Vec<Aftermath>> {
        println!("   {}", self.title);
        let (burns, silenced) = if world.quick { (&[][..], &[][..]) } else { (self.burns, self.silenced) };
        if world.quick {
            let left_out = self.burns.iter().chain(self.silenced);
            left_out.for_each(|alert| println!("   NOT RUN: {alert}, which takes a quarter of an hour of history"));
        }
        if !(burns.is_empty() && silenced.is_empty()) {
            let history = || world.prometheus.number("count(pulse_ml_requests_total offset 15m)");
            wait::until("Prometheus has a quarter of an hour to judge by", 16 * MINUTE, history)?;
        }
        let since = Instant::now();
        let noticed = (self.make)(world).and_then(|()| self.is_noticed(world, since, burns, silenced));
        both(noticed, (self.mend)(world))?;
        let mended = Instant::now();
        for alert in silenced {
            // What silenced it is over first.
            world.alerts.arrives(alert, mended, 2 * MINUTE)?;
        }
        let alerts = self.fires.iter().chain(burns).chain(silenced);
        Ok(alerts.map(|alert| Aftermath { alert, mended, lasts: self.lasts }).collect())
    }

    fn is_noticed(&self, world: &World, since: Instant, burns: &[&str], silenced: &[&str]) -> anyhow::Result<()> {
        for alert in self.fires.iter().chain(burns) {
            world.alerts.arrives(alert, since, if self.is_slow { 12 * MINUTE } else { 6 * MINUTE })?;
        }
        for alert in silenced {
            let fires = || Ok(world.prometheus.firing()?.iter().any(|firing| firing == alert).then_some(()));
            wait::until(&format!("{alert} fires"), 3 * MINUTE, fires)?;
            // Longer than one that is told takes to arrive.
            let told = wait::until("", MINUTE / 4, || Ok(world.alerts.was_told(alert, since).then_some(())));
            anyhow::ensure!(told.is_err(), "{alert} was told, though {} silences it", self.fires.join(", "));
            println!("   {alert} fires and nobody is told");
        }
        Ok(())
    }
}

impl Aftermath {
    /// Waits until people were told that it is over.
    ///
    /// # Errors
    /// When they are not.
    pub(super) fn is_over(&self, world: &World) -> anyhow::Result<()> {
        let left = (self.lasts + 3 * MINUTE).saturating_sub(self.mended.elapsed());
        world.alerts.resolves(self.alert, self.mended, left)
    }

    /// Whether it is left out when there is little time.
    pub(super) fn is_slow(&self) -> bool {
        self.lasts > 6 * MINUTE
    }

    pub(super) fn alert(&self) -> &'static str {
        self.alert
    }
}

/// What either has to say.
fn both(one: anyhow::Result<()>, other: anyhow::Result<()>) -> anyhow::Result<()> {
    match (one, other) {
        (Err(one), Err(other)) => Err(one.context(format!("{other:#}"))),
        (one, other) => one.and(other),
    }
}

fn compose(world: &World, args: &[&str]) -> anyhow::Result<()> {
    world.stack.compose(args).map(drop)
}

/// Sends one record for each line of `text`.
fn produce(world: &World, topic: &str, text: &str) -> anyhow::Result<()> {
    world.stack.kafka("kafka-console-producer.sh", &["--topic", topic], text.as_bytes()).map(drop)
}

/// The main process of `service` dies, and Prometheus sees the one that follows.
fn die(world: &World, service: &str) -> anyhow::Result<()> {
    let started = || world.prometheus.number(&format!("max(process_start_time_seconds{{job=\"{service}\"}})"));
    let containers = world.stack.containers_of(service)?;
    let (before, restarts_before) = (started()?, restarts(&containers)?);
    world.stack.crash(&containers)?;
    wait::until(&format!("{service} is started anew, and Prometheus knows"), SEEN, || {
        let is_new = started()?.is_some_and(|now| before.is_none_or(|before| now > before));
        Ok((is_new && restarts(&containers)? != restarts_before).then_some(()))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_alert_has_a_cause_or_a_reason() {
        let rules = std::fs::read_to_string(crate::step::workspace().join("prometheus/rules/alerts.yml")).unwrap();
        let alerts: BTreeSet<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
        let causes = CAUSES.iter().flat_map(|cause| [cause.fires, cause.burns, cause.silenced].concat());
        let known: BTreeSet<_> = causes.chain(NOT_CAUSED.map(|(name, _)| name)).collect();
        assert_eq!(known, alerts);
    }
}
