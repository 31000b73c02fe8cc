//! The last record of each partition.

use std::collections::BTreeMap;

use pulse_core::Record;
use rdkafka::Offset;
use rdkafka::consumer::BaseConsumer;

use crate::context::Context;
use crate::error::KafkaError;
use crate::settings::{KafkaSettings, Role};
use crate::{query, reading};

/// How far before the end reading begins. Behind the last record there may be markers of transactions and records that were
/// aborted, so that where nothing is found, reading begins further back, step by step.
const FIRST_STEP: u64 = 8;
/// How much further each step goes back than the one before it.
const GROWTH: u64 = 16;

/// The last record of each of the first `partitions` partitions of `topic` that has one.
pub(super) fn records(settings: &KafkaSettings, topic: &str, partitions: u32) -> Result<Vec<Record>, KafkaError> {
    // The name of a group is needed to be able to read at all.
    let client = settings.client(&Role::Reader("pulse-last-records"))?;
    let consumer: BaseConsumer<Context> = client.create_with_context(Context::new()).map_err(KafkaError::of_setup)?;
    let all: Vec<u32> = (0..partitions).collect();
    let failed = |source| KafkaError::of(&settings.brokers, format!("read topic {topic:?}"), Some(topic), source);
    let bounds = |place| query::settled_bounds(&consumer, topic, &all, place).map_err(failed);
    let (begins, ends) = (bounds(Offset::Beginning)?, bounds(Offset::End)?);
    let mut last: BTreeMap<u32, Record> = BTreeMap::new();
    // Where reading begins next, of those without a record yet.
    let mut open: BTreeMap<u32, u64> = ends;
    open.retain(|partition, end| *end > begins.get(partition).copied().unwrap_or_default());
    let mut step = FIRST_STEP;
    while !open.is_empty() {
        for (partition, from) in &mut open {
            *from = from.saturating_sub(step).max(begins.get(partition).copied().unwrap_or_default());
        }
        let from: Vec<(u32, Offset)> = open.iter().map(|(&partition, &from)| (partition, query::at(from))).collect();
        reading::to_the_end(&consumer, &settings.brokers, topic, &from, |partition, message| {
            last.insert(partition, reading::owned(message));
        })?;
        open.retain(|partition, from| {
            !last.contains_key(partition) && *from > begins.get(partition).copied().unwrap_or_default()
        });
        step = step.saturating_mul(GROWTH);
    }
    Ok(last.into_values().collect())
}
