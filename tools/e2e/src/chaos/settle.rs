//! Waits until all that came in is worked off, and then says what is wrong with what came out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use pulse_core::RecordBatch;
use pulse_core::names::{TOPIC_ANOMALIES, dead_letter_topic, processor_group, state_topic};
use pulse_kafka::Onlooker;
use tokio::task::spawn_blocking;

use super::check;
use super::world::World;
use crate::events::all_records;
use crate::expected::{told, verdicts_as_told};
use crate::stack;

/// A backlog is worked off in this time; retries of what has failed are seconds apart.
const PATIENCE: Duration = Duration::from_secs(240);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What came of a run.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) events: usize,
    pub(super) anomalies: usize,
    pub(super) dead_letters: usize,
    /// Switches of model or configuration that partitions saw.
    pub(super) switches: usize,
    /// What is wrong; nothing where all is right.
    pub(super) differences: Vec<String>,
}

/// The offset after the last record of each partition.
type Ends = BTreeMap<u32, u64>;

/// Compares what is there with what must come of the log, once all of that is worked off.
pub(super) async fn settle(world: &mut World, say: &(dyn Fn(&str) + Sync)) -> anyhow::Result<Verdict> {
    let (kafka, topic) = (world.kafka(), world.dir.use_case.topic.to_string());
    let log = Arc::new(all_records(&kafka, &topic).await?);
    let events = log.iter().map(|batch| batch.records.len()).sum();
    say(&format!("{events} events; waiting until they are worked off"));
    processed(world, &ends(&log)).await?;
    let found = all_records(&kafka, TOPIC_ANOMALIES).await?;
    stored(world, &ends(&found)).await?;
    let told = told(&all_records(&kafka, &state_topic(&world.dir.use_case.name)).await?);
    let switches: usize = told.values().map(|told| told.len().saturating_sub(1)).sum();
    let (dirs, judged) = ([world.dir.clone(), world.other.clone()], Arc::clone(&log));
    let expected = spawn_blocking(move || verdicts_as_told(&dirs, &judged, &told)).await??;
    let letters = check::letters_of(&log, &expected)?;
    let anomalies = check::placed(expected.anomalies)?.into_iter().collect();

    let use_case = &world.dir.use_case.name;
    let in_topic = check::anomalies_in(&found, use_case)?;
    let in_database = check::placed(stack::stored(&world.database, use_case).await?)?;
    let set_aside = check::letters_in(&all_records(&kafka, &dead_letter_topic(&topic)).await?)?;
    let mut differences = check::differences("topic of anomalies", &topic, &anomalies, &in_topic);
    differences.extend(check::differences("database", &topic, &anomalies, &in_database));
    differences.extend(check::differences("dead letters", &topic, &letters, &set_aside));
    let refused: usize =
        all_records(&kafka, &dead_letter_topic(TOPIC_ANOMALIES)).await?.iter().map(|batch| batch.records.len()).sum();
    if refused > 0 {
        differences.push(format!("{refused} anomalies could not be stored"));
    }
    Ok(Verdict { events, anomalies: anomalies.len(), dead_letters: letters.len(), switches, differences })
}

fn ends(batches: &[RecordBatch]) -> Ends {
    let last = |batch: &RecordBatch| Some((batch.partition, batch.records.last()?.offset + 1));
    // Those of a partition come in order.
    batches.iter().filter_map(last).collect()
}

/// Waits until the group of the processor has committed all up to `ends`.
async fn processed(world: &mut World, ends: &Ends) -> anyhow::Result<()> {
    let group = processor_group(&world.dir.use_case.name);
    let onlooker = Onlooker::new(&world.kafka(), &group, &world.dir.use_case.topic).await?;
    let (begun, mut last) = (Instant::now(), None);
    loop {
        world.fleet.look_after().await?;
        // Brokers that were killed a moment ago may be busy with themselves.
        if let Ok(committed) = onlooker.committed().await {
            if reached(&committed, ends) {
                return Ok(());
            }
            last = Some(committed);
        }
        patient(begun, "the processors", last.as_ref(), ends)?;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits until the database has all anomalies up to `ends` of their topic.
async fn stored(world: &mut World, ends: &Ends) -> anyhow::Result<()> {
    let begun = Instant::now();
    let sql = format!("SELECT partition, next_offset FROM writer_positions WHERE topic = '{TOPIC_ANOMALIES}'");
    loop {
        world.fleet.look_after().await?;
        let mut positions = Ends::new();
        for line in world.database.psql(&sql)?.lines() {
            let (partition, next) = line.split_once('|').context("no row of two columns")?;
            positions.insert(partition.parse()?, next.parse()?);
        }
        if reached(&positions, ends) {
            return Ok(());
        }
        patient(begun, "the writers", Some(&positions), ends)?;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn reached(positions: &Ends, ends: &Ends) -> bool {
    ends.iter().all(|(partition, end)| positions.get(partition) >= Some(end))
}

fn patient(begun: Instant, who: &str, positions: Option<&Ends>, ends: &Ends) -> anyhow::Result<()> {
    if begun.elapsed() > PATIENCE {
        bail!(
            "{who} are stuck: after {} s they stand at {positions:?}, the topic ends at {ends:?}",
            PATIENCE.as_secs()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_reached_when_all_partitions_are() {
        let ends = Ends::from([(0, 5), (3, 1)]);
        assert!(reached(&Ends::from([(0, 5), (1, 0), (3, 2)]), &ends));
        assert!(!reached(&Ends::from([(0, 9)]), &ends));
        assert!(!reached(&Ends::from([(0, 4), (3, 1)]), &ends));
        assert!(reached(&Ends::new(), &Ends::new()));
    }
}
