//! Things are killed, frozen and cut off at random, and at the end all is as if nothing had happened.
//!
//! Three brokers, of which each partition has three copies; processors, anomaly writers and ML services, at least two of each
//! at the beginning. What happens is drawn from a seed (`plan`); when exactly each thing sees it is not, so that a seed repeats
//! the plan of a failure and not the failure itself. [`failover`] measures for how long partitions stand still.

mod check;
mod door;
mod failover;
mod fleet;
mod noise;
mod offset_commit;
mod plan;
mod settle;
mod watch;
mod world;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use pulse_core::names::processor_group;
use pulse_kafka::Onlooker;

use crate::process::Process;
use crate::stack::until;
use noise::Noise;
use settle::Verdict;
use world::World;

pub use failover::{Failover, failover};

/// A run.
#[derive(Debug, Clone)]
pub struct Chaos {
    /// From which everything is drawn that happens.
    pub seed: u64,
    /// For how long.
    pub length: Duration,
    /// Which use case.
    pub use_case: String,
    /// Events per second.
    pub rate: u32,
    /// What all services are told besides, as variables of their environment.
    pub settings: Vec<(String, String)>,
    /// Where the logs of a run that failed go.
    pub logs: PathBuf,
}

/// Runs it, and tells by `say` what happens. Says what came of it in one line.
///
/// # Errors
/// When anything is missing, doubled or different at the end, when a service ended that should not have, or when the run cannot
/// be done. The text says which, and where the logs are.
pub async fn chaos(chaos: &Chaos, say: &(dyn Fn(&str) + Sync)) -> anyhow::Result<String> {
    let mut world = World::start(&chaos.use_case, &chaos.settings, |role| role.count().0).await?;
    let mut simulator = simulator(&world, chaos.rate)?;
    let ended = match run(chaos, &mut world, &mut simulator, say).await {
        Ok(verdict) => judge(&mut world, verdict).await,
        Err(error) => Err(error),
    };
    if ended.is_err() {
        world.write_logs(&chaos.logs)?;
        std::fs::write(chaos.logs.join("simulator.log"), simulator.said().join("\n"))?;
        simulator.kill().await?;
        world.fleet.kill().await?;
    }
    ended.with_context(|| format!("seed {}; logs are in {}", chaos.seed, chaos.logs.display()))
}

fn simulator(world: &World, rate: u32) -> anyhow::Result<Process> {
    let rate = rate.to_string();
    world.fleet.process("simulator", &[("PULSE__SIMULATOR__RATE", &rate), ("PULSE__SIMULATOR__ANOMALY_RATE", "0.03")])
}

/// Waits until a second's events were judged, so that all that happens happens to processors that are at work.
async fn at_work(world: &World, rate: u32) -> anyhow::Result<()> {
    let use_case = &world.dir.use_case;
    let onlooker = Onlooker::new(&world.kafka(), &processor_group(&use_case.name), &use_case.topic).await?;
    until("processors to be at work", async || Ok(onlooker.committed().await?.values().sum::<u64>() >= u64::from(rate)))
        .await
}

async fn run(
    chaos: &Chaos,
    world: &mut World,
    simulator: &mut Process,
    say: &(dyn Fn(&str) + Sync),
) -> anyhow::Result<Verdict> {
    simulator.ready().await?;
    let noise = Noise::start(&world.kafka(), &world.dir.use_case.topic)?;
    at_work(world, chaos.rate).await?;
    let steps = plan::plan(chaos.seed, chaos.length);
    say(&format!("seed {}, {} s, {} steps", chaos.seed, chaos.length.as_secs(), steps.len()));
    let begun = Instant::now();
    for step in &steps {
        tokio::time::sleep(step.at.saturating_sub(begun.elapsed())).await;
        say(&step.to_string());
        world.fleet.look_after().await?;
        world.act(step).await.with_context(|| step.to_string())?;
    }
    tokio::time::sleep(chaos.length.saturating_sub(begun.elapsed())).await;
    world.brokers_are_back().await?;
    noise.stop().await.context("records that are no events")?;
    simulator.signal("TERM")?;
    let status = simulator.end().await?;
    ensure!(status.success(), "the simulator ended badly ({status}); it said:\n{}", simulator.said().join("\n"));
    settle::settle(world, say).await
}

/// Whether all is as it has to be, also with the services themselves.
async fn judge(world: &mut World, verdict: Verdict) -> anyhow::Result<String> {
    let stopped = world.fleet.stop().await;
    let Verdict { events, anomalies, dead_letters, switches, mut differences } = verdict;
    differences.extend(world.fleet.faults().iter().cloned());
    differences.extend(stopped.err().map(|error| format!("{error:#}")));
    if !differences.is_empty() {
        bail!("{events} events, {anomalies} anomalies, {dead_letters} dead letters:\n{}", differences.join("\n"));
    }
    ensure!(anomalies > 0 && dead_letters > 0, "a run without anomalies and dead letters shows nothing");
    Ok(format!(
        "{events} events, {anomalies} anomalies, {dead_letters} dead letters, {switches} switches of versions: each is there, \
         once, as it has to be"
    ))
}
