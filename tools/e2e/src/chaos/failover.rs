//! For how long partitions stand still when a processor dies, stops, comes, or when all are restarted one after the other.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use jiff::{SignedDuration, Timestamp};
use pulse_core::names::processor_group;
use pulse_core::ports::Clock as _;
use pulse_kafka::Onlooker;
use pulse_runtime::SystemClock;
use rand::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::Value;

use super::plan::{Action, Role};
use super::simulator;
use super::watch::{Pause, Watch};
use super::world::World;
use crate::stack::until;

const PROCESSORS: usize = 3;
/// Its entities take turns, so that every partition always has news.
const USE_CASE: &str = "device_metrics";
/// A pause that is longer is told of by itself.
const NOTABLE: SignedDuration = SignedDuration::from_millis(700);
/// How long nothing happens between two trials.
const CALM: Duration = Duration::from_secs(3);

/// What is measured.
#[derive(Debug, Clone)]
pub struct Failover {
    /// Which processor it is each time is drawn from this.
    pub seed: u64,
    /// How often each thing is done.
    pub trials: usize,
    /// Events per second.
    pub rate: u32,
    /// What all services are told besides, as variables of their environment.
    pub settings: Vec<(String, String)>,
    /// Where the logs go.
    pub logs: PathBuf,
}

/// What was measured of one thing, in seconds.
#[derive(Debug)]
struct Row {
    what: &'static str,
    times: Vec<f64>,
}

/// Measures with three processors, three brokers with the limits that they have by default, and nothing else in the way; gives
/// back a table.
///
/// # Errors
/// When something does not start, or never goes on.
pub async fn failover(options: &Failover, say: &(dyn Fn(&str) + Sync)) -> anyhow::Result<String> {
    let count = |role| if role == Role::Processor { PROCESSORS } else { 0 };
    let world = World::start(USE_CASE, &options.settings, count).await?;
    let mut simulator = simulator(&world, options.rate)?;
    let group = processor_group(USE_CASE);
    let topic = &world.dir.use_case.topic;
    let partitions = Onlooker::new(&world.kafka(), &group, topic).await?.partitions().to_vec();
    let watch = Watch::new(&world.kafka(), &group, topic)?;
    let random = Xoshiro256PlusPlus::seed_from_u64(options.seed);
    let mut bench = Bench { world, watch, partitions, random, notes: Vec::new() };
    let measured = bench.measure(options.trials, say).await;
    bench.world.write_logs(&options.logs)?;
    simulator.kill().await?;
    bench.world.fleet.kill().await?;
    measured.with_context(|| format!("logs are in {}", options.logs.display()))
}

struct Bench {
    world: World,
    watch: Watch,
    partitions: Vec<u32>,
    random: Xoshiro256PlusPlus,
    /// Pauses to look up.
    notes: Vec<String>,
}

impl Bench {
    async fn measure(&mut self, trials: usize, say: &(dyn Fn(&str) + Sync)) -> anyhow::Result<String> {
        let mut rows = Vec::new();
        let mut add = |row: Row, notes: &mut Vec<String>| {
            notes.drain(..).for_each(|note| say(&note));
            say(&row.to_string());
            rows.push(row.to_string());
        };
        add(
            self.repeat(trials, "nothing happens: longest pause of any partition", Self::nothing).await?,
            &mut self.notes,
        );
        let (mut killed, mut others, mut joined) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..trials {
            let (dead, alive, back) = self.kill().await?;
            killed.push(dead);
            others.push(alive);
            joined.push(back);
        }
        add(Row { what: "SIGKILL: until all its partitions go on", times: killed }, &mut self.notes);
        add(Row { what: "SIGKILL: longest pause of another partition", times: others }, &mut self.notes);
        add(Row { what: "one more: longest pause of any partition", times: joined }, &mut self.notes);
        add(self.repeat(trials, "SIGTERM: longest pause of its partitions", Self::stop).await?, &mut self.notes);
        add(self.repeat(trials, "rolling restart: longest pause of any partition", Self::roll).await?, &mut self.notes);
        Ok(rows.join("\n"))
    }

    async fn repeat(
        &mut self,
        trials: usize,
        what: &'static str,
        mut measure: impl AsyncFnMut(&mut Self) -> anyhow::Result<f64>,
    ) -> anyhow::Result<Row> {
        let mut times = Vec::new();
        for _ in 0..trials {
            self.calm(PROCESSORS).await?;
            times.push(measure(self).await?);
        }
        Ok(Row { what, times })
    }

    async fn nothing(&mut self) -> anyhow::Result<f64> {
        let begin = SystemClock.now();
        tokio::time::sleep(CALM).await;
        self.pause_of_any(begin).await
    }

    /// Kills one: how long its partitions stood still, how long another one, and how long any when it came back.
    async fn kill(&mut self) -> anyhow::Result<(f64, f64, f64)> {
        self.calm(PROCESSORS).await?;
        let slot = self.random.random_range(0..PROCESSORS);
        let held = self.held(slot)?;
        let begin = SystemClock.now();
        self.world.fleet.act(Role::Processor, slot, Action::Kill).await?;
        let mut moved = None;
        until("the partitions of the dead processor", async || {
            moved = self.watch.first_moves(&held, begin)?;
            Ok(moved.is_some())
        })
        .await?;
        let last = moved.into_iter().flatten().max().unwrap_or(begin);
        let others: Vec<u32> = self.partitions.iter().copied().filter(|partition| !held.contains(partition)).collect();
        let alive = self.pause(&others, begin, SystemClock.now()).await?;
        self.calm(PROCESSORS - 1).await?;
        let began = SystemClock.now();
        self.world.fleet.act(Role::Processor, slot, Action::Start).await?;
        self.at_work(slot).await?;
        let back = self.pause_of_any(began).await?;
        Ok((last.duration_since(begin).as_secs_f64(), alive, back))
    }

    async fn stop(&mut self) -> anyhow::Result<f64> {
        let slot = self.random.random_range(0..PROCESSORS);
        let (held, begin) = (self.held(slot)?, SystemClock.now());
        self.world.fleet.act(Role::Processor, slot, Action::Stop).await?;
        self.world.fleet.parted().await?;
        let pause = self.pause(&held, begin, SystemClock.now()).await?;
        self.calm(PROCESSORS - 1).await?;
        self.world.fleet.act(Role::Processor, slot, Action::Start).await?;
        self.at_work(slot).await?;
        Ok(pause)
    }

    async fn roll(&mut self) -> anyhow::Result<f64> {
        let begin = SystemClock.now();
        for slot in 0..PROCESSORS {
            self.world.fleet.act(Role::Processor, slot, Action::Stop).await?;
            self.world.fleet.parted().await?;
            self.world.fleet.act(Role::Processor, slot, Action::Start).await?;
            self.at_work(slot).await?;
        }
        self.pause_of_any(begin).await
    }

    /// Waits until all partitions move, so many processors have some, and so it has been for a while.
    async fn calm(&mut self, holders: usize) -> anyhow::Result<()> {
        let mut since = Instant::now();
        until("all partitions to be processed", async || {
            let holding = (0..PROCESSORS).filter(|&slot| self.held(slot).is_ok_and(|held| !held.is_empty())).count();
            let moves = self.watch.moved_since(SystemClock.now() - CALM / 3) == self.partitions.len();
            if !moves || holding < holders {
                since = Instant::now();
            }
            Ok(since.elapsed() > CALM)
        })
        .await?;
        self.world.fleet.look_after().await?;
        ensure!(self.world.fleet.faults().is_empty(), "{}", self.world.fleet.faults().join("\n"));
        Ok(())
    }

    /// Waits until a processor that was started has partitions.
    async fn at_work(&mut self, slot: usize) -> anyhow::Result<()> {
        until("a processor to have partitions", async || Ok(!self.held(slot)?.is_empty())).await
    }

    /// The longest pause of any partition since `from`.
    async fn pause_of_any(&mut self, from: Timestamp) -> anyhow::Result<f64> {
        let partitions = self.partitions.clone();
        self.pause(&partitions, from, SystemClock.now()).await
    }

    /// The longest pause of `partitions` from `from` to `to`, and on until all of them have moved.
    async fn pause(&mut self, partitions: &[u32], from: Timestamp, to: Timestamp) -> anyhow::Result<f64> {
        let mut longest = None;
        until("the partitions", async || {
            longest = self.watch.longest_pause(partitions, from, to);
            Ok(longest.is_some())
        })
        .await?;
        let Pause { partition, length, end } = longest.context("there is no partition")?;
        if length > NOTABLE {
            // So that it can be looked up in the logs what happened then.
            self.notes.push(format!(
                "    partition {partition} stood still for {:.2} s, until {end:.3}",
                length.as_secs_f64()
            ));
        }
        Ok(length.as_secs_f64())
    }

    /// The partitions that a processor works on, by its log.
    fn held(&mut self, slot: usize) -> anyhow::Result<Vec<u32>> {
        let said = self.world.fleet.member((Role::Processor, slot))?.process.said();
        Ok(held_by(&said).into_iter().collect())
    }
}

fn held_by(said: &[String]) -> BTreeSet<u32> {
    let mut held = BTreeSet::new();
    for line in said.iter().filter(|line| line.contains("artition")) {
        let fields: Value = serde_json::from_str(line).unwrap_or_default();
        let partition = fields["partition"].as_u64().and_then(|partition| u32::try_from(partition).ok());
        match (fields["message"].as_str().unwrap_or_default(), partition) {
            ("partition taken over", Some(partition)) => {
                held.insert(partition);
            }
            ("partitions revoked", _) => {
                let text = fields["partitions"].as_str().unwrap_or_default();
                let gone = text.trim_matches(['[', ']']).split(", ").filter_map(|number| number.parse().ok());
                let gone: BTreeSet<u32> = gone.collect();
                held.retain(|partition| !gone.contains(partition));
            }
            (message, Some(partition)) if message.contains("letting go") || message.contains("handed over") => {
                held.remove(&partition);
            }
            _ => {}
        }
    }
    held
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut times = self.times.clone();
        times.sort_by(f64::total_cmp);
        // The nearest rank.
        let quantile = |percent: usize| times.get((times.len() * percent).div_ceil(100).max(1) - 1).copied();
        let [min, median, most, max] = [0, 50, 90, 100].map(|percent| quantile(percent).unwrap_or(f64::NAN));
        write!(
            f,
            "{:<50} n={:<3} min {min:6.2}  p50 {median:6.2}  p90 {most:6.2}  max {max:6.2} s",
            self.what,
            times.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_tells_who_has_what() {
        let line = |message: &str, rest: &str| format!(r#"{{"message":"{message}",{rest}}}"#);
        let said = [
            "no json".to_owned(),
            line("partitions assigned", r#""partitions":"[0, 1, 2, 3]""#),
            line("partition taken over", r#""partition":0"#),
            line("partition taken over", r#""partition":1"#),
            line("partition taken over", r#""partition":2"#),
            line("partition taken over", r#""partition":3"#),
            line("partitions revoked", r#""partitions":"[1, 2]""#),
            line("somebody else holds the partition: letting go of it", r#""partition":0"#),
        ];
        assert_eq!(held_by(&said), BTreeSet::from([3]));
    }

    #[test]
    fn a_row_shows_quantiles() {
        let row = Row { what: "x", times: (1..=10).rev().map(f64::from).collect() };
        assert!(row.to_string().ends_with("n=10  min   1.00  p50   5.00  p90   9.00  max  10.00 s"), "{row}");
        assert!(Row { what: "x", times: Vec::new() }.to_string().contains("NaN"));
    }
}
