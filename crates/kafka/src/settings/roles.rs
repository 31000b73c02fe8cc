//! What clients are made for, and the properties that each kind needs.

use rdkafka::ClientConfig;

/// Bytes of a record that no topic of ours takes, and no client of ours sends.
pub(crate) const TOO_LARGE_FOR_ANY: usize = 8 << 20;

/// What a client is made for.
///
/// Figures of `examples/throughput.rs` (150 bytes of JSON, 12 partitions, Kafka 4.1 on the same two cores, which were busy
/// with other work besides; librdkafka's defaults in the same hour):
///
/// | | defaults | these |
/// |---|---|---|
/// | produce, 20,000 an append | 230 k events/s | 220 to 420 k events/s |
/// | consume, batches out of the source | 190 to 210 k events/s | 650 to 1,000 k events/s |
/// | commit of 12 partitions at once, offsets only | 210/s, p50 20 ms, p99 154 ms | 1,170/s, p50 10 ms, p99 14 ms |
/// | the same with 1,000 outputs each | 82 k outputs/s, p50 120 ms, p99 486 ms | 99 k outputs/s, p50 103 ms, p99 259 ms |
/// | restore of 12 partitions without state | 1,180 ms | 620 ms |
#[derive(Debug, Clone, Copy)]
pub(crate) enum Role<'a> {
    /// Asks for metadata and watermarks.
    Lookup,
    /// Reads given partitions in the name of a group, without being a member of it.
    Reader(&'a str),
    /// As a reader; but a transaction that is still open does not keep it from seeing the offset before.
    Onlooker(&'a str),
    /// Reads all of a topic without being a member of any group.
    Bystander,
    /// Reads as a member of a group.
    Member(&'a str),
    /// Writes.
    Producer,
    /// Writes in transactions under an id.
    Transactional(&'a str),
}

impl Role<'_> {
    /// What may be set otherwise.
    pub(super) fn tune(&self, config: &mut ClientConfig) {
        match self {
            Self::Lookup => {}
            Self::Reader(_) | Self::Onlooker(_) => {
                tune_fetching(config);
                // It reads to an end that is there: to wait for more there would only delay it.
                config.set("fetch.wait.max.ms", "10");
            }
            Self::Bystander => {
                tune_fetching(config);
                config
                    // Of each partition in turn: the less at once, the more evenly they are read.
                    .set("max.partition.fetch.bytes", "262144")
                    .set("fetch.wait.max.ms", "100")
                    .set("statistics.interval.ms", "1000");
            }
            Self::Member(_) => {
                tune_fetching(config);
                config
                    // A dead member's partitions go on after this; brokers allow no less.
                    .set("session.timeout.ms", "6000")
                    // A group whose coordinator died, too, may wait as long as this for members that are no more; five minutes
                    // by default. Whoever polls does so all the time.
                    .set("max.poll.interval.ms", "20000")
                    // By heartbeats members learn that partitions are to move.
                    .set("heartbeat.interval.ms", "200")
                    // A partition that is new to us waits for the answer to the question before it, which may be about
                    // partitions without news.
                    .set("fetch.wait.max.ms", "100")
                    // New partitions of the input are found after this time, not after five minutes.
                    .set("topic.metadata.refresh.interval.ms", "30000")
                    .set("statistics.interval.ms", "1000");
            }
            Self::Producer => {
                tune_sending(config);
                config.set("linger.ms", "5").set("statistics.interval.ms", "1000");
            }
            Self::Transactional(_) => {
                tune_sending(config);
                // A transaction's records are handed over at once, so that waiting for more only delays it.
                config.set("linger.ms", "1").set("transaction.timeout.ms", "60000");
                // A transaction that follows another at once is put off until the markers of that are written, which takes
                // milliseconds.
                config.set("retry.backoff.ms", "5").set("retry.backoff.max.ms", "1000");
            }
        }
    }

    /// What must not be set otherwise.
    pub(super) fn guarantee(&self, config: &mut ClientConfig) {
        match self {
            Self::Lookup => guarantee_reading(config),
            Self::Bystander => {
                guarantee_reading(config);
                // Without the name of a group librdkafka reads nothing. Nobody joins that group, nor commits for it.
                config.set("group.id", "pulse-bystander").set("group.protocol", "classic");
                read_from_leaders(config);
            }
            Self::Reader(group) | Self::Onlooker(group) | Self::Member(group) => {
                guarantee_reading(config);
                config
                    .set("group.id", *group)
                    .set("group.protocol", "classic")
                    .set("partition.assignment.strategy", "cooperative-sticky");
                match self {
                    Self::Reader(_) => read_from_leaders(config),
                    Self::Onlooker(_) => _ = config.set("isolation.level", "read_uncommitted"),
                    Self::Member(_) => poll_as_rarely_as_heartbeats(config),
                    _ => {}
                }
            }
            Self::Producer => {
                guarantee_writing(config);
                // For ever: a broker that is away is waited for.
                config.set("message.timeout.ms", "0");
            }
            Self::Transactional(id) => {
                guarantee_writing(config);
                config.set("transactional.id", *id);
            }
        }
    }
}

/// A user may let members be silent for longer than ours are by default: librdkafka wants polls to be as rare, at the least.
fn poll_as_rarely_as_heartbeats(config: &mut ClientConfig) {
    let number = |name: &str| config.get(name).and_then(|value| value.parse::<u64>().ok());
    if let (Some(session), Some(poll)) = (number("session.timeout.ms"), number("max.poll.interval.ms"))
        && poll < session
    {
        config.set("max.poll.interval.ms", session.to_string());
    }
}

fn tune_fetching(config: &mut ClientConfig) {
    config
        // A full queue is looked at again after this time, not after a second.
        .set("fetch.queue.backoff.ms", "10")
        // What librdkafka holds for us at the most, and what may be on its way to it.
        .set("queued.max.messages.kbytes", "32768")
        .set("fetch.max.bytes", "16777216");
}

fn tune_sending(config: &mut ClientConfig) {
    config.set("compression.type", "lz4").set("message.max.bytes", TOO_LARGE_FOR_ANY.to_string());
}

fn guarantee_reading(config: &mut ClientConfig) {
    config
        .set("isolation.level", "read_committed")
        // What a broker's disk or the network damaged is no event, and no state.
        .set("check.crcs", "true")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .set("allow.auto.create.topics", "false");
}

/// A copy of a partition may end before its leader does: whoever stops at the end must not ask a copy that is nearer.
fn read_from_leaders(config: &mut ClientConfig) {
    config.set("client.rack", "");
}

fn guarantee_writing(config: &mut ClientConfig) {
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("partitioner", "murmur2_random")
        .set("allow.auto.create.topics", "false");
}

/// Why a user may not set the property `name`, if so.
pub(super) fn reserved(name: &str) -> Option<&'static str> {
    const GUARANTEES: [&str; 20] = [
        "acks",
        "allow.auto.create.topics",
        "auto.offset.reset",
        "check.crcs",
        "delivery.timeout.ms",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.idempotence",
        "enable.partition.eof",
        "group.id",
        "group.instance.id",
        "group.protocol",
        "isolation.level",
        "message.max.bytes",
        "message.timeout.ms",
        "partition.assignment.strategy",
        "partitioner",
        "request.required.acks",
        "statistics.interval.ms",
        "transactional.id",
    ];
    const SETTINGS: [&str; 8] = [
        "bootstrap.servers",
        "metadata.broker.list",
        "security.protocol",
        "sasl.mechanism",
        "sasl.mechanisms",
        "sasl.username",
        "sasl.password",
        "ssl.key.password",
    ];
    if GUARANTEES.contains(&name) {
        return Some("belongs to what Stream Pulse guarantees, and cannot be set: remove it");
    }
    SETTINGS.contains(&name).then_some("has a setting of its own in the section kafka: use that")
}
