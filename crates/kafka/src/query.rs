//! Questions about partitions: where they begin, where they end, where a group stands.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::{Offset, TopicPartitionList};

use crate::error::{is_leaderless, is_unknown_topic};

/// How long an answer is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// How long those who can do nothing else meanwhile wait for brokers to learn of a new topic, or of a new leader.
const SETTLING: Duration = Duration::from_secs(3);
/// Pause before brokers that do not know yet are asked again.
pub(crate) const MOMENT: Duration = Duration::from_millis(100);

/// The number that librdkafka has for a partition.
pub(crate) fn native(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

/// A list of partitions of one topic, each with an offset.
pub(crate) fn list(
    topic: &str,
    partitions: impl IntoIterator<Item = (u32, Offset)>,
) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in partitions {
        list.add_partition_offset(topic, native(partition), offset)?;
    }
    Ok(list)
}

/// An offset as librdkafka has it.
pub(crate) fn at(offset: u64) -> Offset {
    Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX))
}

/// Those of the list that have an offset.
fn offsets(list: &TopicPartitionList) -> KafkaResult<BTreeMap<u32, u64>> {
    let mut found = BTreeMap::new();
    for element in list.elements() {
        element.error()?;
        if let (Ok(partition), Offset::Offset(offset)) = (u32::try_from(element.partition()), element.offset())
            && let Ok(offset) = u64::try_from(offset)
        {
            found.insert(partition, offset);
        }
    }
    Ok(found)
}

/// Where the consumer stands in those of its partitions of which it has read anything.
pub(crate) fn positions<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> KafkaResult<BTreeMap<u32, u64>> {
    offsets(&consumer.position()?)
}

/// The offset of `place`, which is the beginning or the end, of each of `partitions`.
pub(crate) fn bounds<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partitions: &[u32],
    place: Offset,
) -> KafkaResult<BTreeMap<u32, u64>> {
    bounds_within(PATIENCE, consumer, topic, partitions, place)
}

/// As [`bounds`], where the answer is waited for no longer than `patience`.
pub(crate) fn bounds_within<C: ConsumerContext>(
    patience: Duration,
    consumer: &BaseConsumer<C>,
    topic: &str,
    partitions: &[u32],
    place: Offset,
) -> KafkaResult<BTreeMap<u32, u64>> {
    let asked = list(topic, partitions.iter().map(|&partition| (partition, place)))?;
    offsets(&consumer.offsets_for_times(asked, patience)?)
}

/// As [`bounds`], of a topic that was seen: brokers that do not know it yet, or not its leader, are asked again for a while.
pub(crate) fn settled_bounds<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partitions: &[u32],
    place: Offset,
) -> KafkaResult<BTreeMap<u32, u64>> {
    let begun = Instant::now();
    loop {
        let asked = bounds(consumer, topic, partitions, place);
        if !asked.as_ref().is_err_and(is_unsettled) || begun.elapsed() > SETTLING {
            return asked;
        }
        std::thread::sleep(MOMENT);
    }
}

/// A broker may be the last to learn of a new topic, or of a new leader.
pub(crate) fn is_unsettled(error: &KafkaError) -> bool {
    let is_passing = |code| is_leaderless(code) || is_unknown_topic(code) || code == Code::UnknownPartition;
    error.rdkafka_error_code().is_some_and(is_passing)
}

/// The first offset of each of `partitions` whose record is not older than `time`; none where there is none.
pub(crate) fn not_older<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partitions: &[u32],
    time: u64,
) -> KafkaResult<BTreeMap<u32, u64>> {
    let asked = list(topic, partitions.iter().map(|&partition| (partition, at(time))))?;
    offsets(&consumer.offsets_for_times(asked, PATIENCE)?)
}

/// Where the consumer's group stands in those of `partitions` where it stands anywhere.
pub(crate) fn committed<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partitions: &[u32],
) -> KafkaResult<BTreeMap<u32, u64>> {
    let asked = list(topic, partitions.iter().map(|&partition| (partition, Offset::Invalid)))?;
    offsets(&consumer.committed_offsets(asked, PATIENCE)?)
}
