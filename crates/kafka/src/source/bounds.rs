//! Asking where partitions begin and end, while others are being read.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError as Native, KafkaResult};

use super::context::SourceContext;
use crate::error::is_away;
use crate::query;

/// How long brokers may take to answer about all at once, and about one: none is read meanwhile.
const TOGETHER: Duration = Duration::from_secs(2);
const ALONE: Duration = Duration::from_millis(500);

/// Where `partitions` begin and end. One without a leader keeps the answer about all away: then each is asked for by itself, and
/// those of which nothing is known are left out.
pub(super) fn bounds(
    consumer: &BaseConsumer<SourceContext>,
    topic: &str,
    partitions: &[u32],
) -> KafkaResult<BTreeMap<u32, (u64, u64)>> {
    let ask = |partitions: &[u32], patience| {
        let bound = |place| query::bounds_within(patience, consumer, topic, partitions, place);
        let (begins, ends) = (bound(Offset::Beginning)?, bound(Offset::End)?);
        let both =
            begins.into_iter().filter_map(|(partition, begin)| Some((partition, (begin, *ends.get(&partition)?))));
        KafkaResult::Ok(both.collect::<BTreeMap<_, _>>())
    };
    let error = match ask(partitions, TOGETHER) {
        Err(error) if partitions.len() > 1 && is_passing(&error) => error,
        result => return result,
    };
    let until = Instant::now() + query::PATIENCE;
    let mut found = BTreeMap::new();
    for (asked, &partition) in partitions.iter().enumerate() {
        // Each has its part of the time that is left, so that those behind many without a leader are asked for, too.
        let left =
            until.saturating_duration_since(Instant::now()) / u32::try_from(partitions.len() - asked).unwrap_or(1);
        found.extend(ask(&[partition], ALONE.min(left)).unwrap_or_default());
    }
    if found.is_empty() { Err(error) } else { Ok(found) }
}

/// Whether brokers that are asked later may know, or others.
fn is_passing(error: &Native) -> bool {
    query::is_unsettled(error) || error.rdkafka_error_code().is_some_and(is_away)
}
