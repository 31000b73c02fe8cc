//! What the Kafka client counts.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, Registry};
use pulse_kafka::LostRecords;

/// Shows `lost` in `registry`.
///
/// # Errors
/// When `registry` holds such a metric already.
pub fn show_lost_records(registry: &Registry, lost: LostRecords) -> prometheus::Result<()> {
    let help = "Records that the topic's retention had removed before they were read.";
    let counter = IntCounter::new("pulse_kafka_lost_records_total", help)?;
    registry.register(Box::new(Lost { lost, counter }))
}

/// Brings the counter up to date whenever it is asked for.
struct Lost {
    lost: LostRecords,
    counter: IntCounter,
}

impl Collector for Lost {
    fn desc(&self) -> Vec<&Desc> {
        self.counter.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.counter.inc_by(self.lost.get().saturating_sub(self.counter.get()));
        self.counter.collect()
    }
}
