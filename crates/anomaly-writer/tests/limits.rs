//! What the writer takes at once, whatever comes, and what it does about records that are too large for any topic.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use prometheus::Registry;
use pulse_anomaly_writer::{Metrics, WriterError, WriterOptions, WriterReport, run};
use pulse_core::names::{HEADER_ORIGIN, HEADER_REASONS, TOPIC_ANOMALIES};
use pulse_core::ports::{AnomalyStore, Applied, EventProducer, EventSource, OffsetSpan, Polled};
use pulse_core::{Anomaly, Classify, ErrorClass, Headers, NewRecord, Record, RecordBatch};
use pulse_runtime::Health;
use pulse_testkit::{anomaly, anomaly_record};
use tokio_util::sync::CancellationToken;

#[derive(Debug, thiserror::Error)]
#[error("a fake says no")]
struct No(ErrorClass, #[source] std::io::Error);

impl No {
    fn new(class: ErrorClass) -> Self {
        Self(class, std::io::Error::other("because of this"))
    }
}

impl Classify for No {
    fn class(&self) -> ErrorClass {
        self.0
    }
}

/// A source that has `payloads` at once, each a record, and takes `each` for every one; then it is stopped.
struct Ready {
    payloads: std::vec::IntoIter<Bytes>,
    headers: Headers,
    offset: u64,
    each: Duration,
    stop: CancellationToken,
}

impl EventSource for Ready {
    type Error = No;

    async fn poll(&mut self, _: usize) -> Result<Polled, No> {
        let Some(payload) = self.payloads.next() else {
            self.stop.cancel();
            return Ok(Polled::Idle);
        };
        let begin = Instant::now();
        // Without a pause in which anybody else could look at the clock.
        while begin.elapsed() < self.each {}
        let record = Record { offset: self.offset, timestamp: 0, key: None, payload, headers: self.headers.clone() };
        self.offset += 1;
        Ok(Polled::Records(RecordBatch {
            topic: Arc::from(TOPIC_ANOMALIES),
            partition: 0,
            records: vec![record],
            next_offset: self.offset,
            high_watermark: self.offset,
        }))
    }

    async fn seek(&mut self, _: u32, _: u64) -> Result<(), No> {
        Ok(())
    }

    async fn seek_to_beginning(&mut self, _: u32) -> Result<(), No> {
        Ok(())
    }

    fn pause(&mut self, _: &[u32]) {}

    async fn leave(&mut self) -> bool {
        false
    }
}

/// Where everything goes: a store that notes its spans, and a topic that takes records up to a size.
#[derive(Clone, Default)]
struct Sink {
    spans: Arc<Mutex<Vec<u64>>>,
    letters: Arc<Mutex<Vec<NewRecord>>>,
    largest: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AnomalyStore for Sink {
    type Error = No;

    async fn positions(&mut self, _: &str) -> Result<Vec<(u32, u64)>, No> {
        Ok(Vec::new())
    }

    async fn store(&mut self, _: &[Anomaly], span: &OffsetSpan) -> Result<Applied, No> {
        lock(&self.spans).push(span.to - span.from);
        Ok(Applied::Stored)
    }
}

impl EventProducer for Sink {
    type Error = No;

    async fn append(&mut self, records: Vec<NewRecord>) -> Result<(), No> {
        let size = |record: &NewRecord| record.payload.len() + record.headers.encoded().len();
        if records.iter().any(|record| size(record) > self.largest) {
            return Err(No::new(ErrorClass::DeadLetter));
        }
        lock(&self.letters).extend(records);
        Ok(())
    }

    async fn partitions(&mut self, _: &str) -> Result<u32, No> {
        Ok(1)
    }

    async fn last_records(&mut self, _: &str) -> Result<Vec<Record>, No> {
        Ok(Vec::new())
    }
}

/// Runs a writer on `payloads`, and gives back what came of it, with its metrics.
async fn written(
    payloads: Vec<Bytes>,
    headers: Headers,
    each: Duration,
    options: WriterOptions,
    sink: &Sink,
) -> (Result<WriterReport, WriterError>, String) {
    let (registry, stop, health) = (Registry::new(), CancellationToken::new(), Health::starting("test"));
    let source = Ready { payloads: payloads.into_iter(), headers, offset: 0, each, stop: stop.clone() };
    let metrics = Metrics::new(&registry).unwrap();
    let report = run(source, sink.clone(), sink.clone(), options, metrics, health, stop).await;
    (report, prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap())
}

fn anomalies(count: u64) -> Vec<Bytes> {
    (0..count).map(|n| anomaly_record(n).unwrap().payload).collect()
}

#[tokio::test]
async fn a_source_that_always_has_more_does_not_put_off_the_end_of_a_batch() {
    let options =
        WriterOptions { batch_records: 1_000_000, linger: Duration::from_millis(5), ..WriterOptions::default() };
    let sink = Sink::default();
    let (report, _) = written(anomalies(60), Headers::default(), Duration::from_millis(1), options, &sink).await;
    assert_eq!(report.unwrap().anomalies, 60);
    let spans = lock(&sink.spans).clone();
    assert!(spans.len() >= 5, "{spans:?}");
}

#[tokio::test]
async fn large_anomalies_are_stored_before_they_fill_the_memory() {
    let options =
        WriterOptions { batch_records: 1_000_000, linger: Duration::from_secs(600), ..WriterOptions::default() };
    let large = |n| {
        let padding = serde_json::json!({ "padding": "x".repeat(1 << 20) }).to_string();
        let event = serde_json::value::RawValue::from_string(padding).unwrap();
        Bytes::from(serde_json::to_vec(&Anomaly { event, ..anomaly(n) }).unwrap())
    };
    let sink = Sink::default();
    let (report, _) = written((0..40).map(large).collect(), Headers::default(), Duration::ZERO, options, &sink).await;
    assert_eq!(report.unwrap().anomalies, 40);
    assert_eq!(*lock(&sink.spans), [16, 16, 8]);
}

#[tokio::test]
async fn a_record_too_large_for_its_dead_letter_topic_is_cut() {
    let mut payloads = anomalies(3);
    payloads.insert(1, Bytes::from(vec![b'x'; 3 << 20]));
    payloads.insert(3, Bytes::from("not one either"));
    // A parser repeats the text that it does not want.
    payloads.push(Bytes::from(format!("{:?}", "y".repeat(100_000))));
    let sink = Sink { largest: 1 << 20, ..Sink::default() };
    let headers = Headers::new([("pulse-original-bytes", b"1".as_slice())]);
    let (report, metrics) = written(payloads, headers, Duration::ZERO, WriterOptions::default(), &sink).await;
    assert_eq!(report.unwrap(), WriterReport { anomalies: 3, dead_letters: 3, drained: true });
    assert!(metrics.contains("pulse_writer_cut_dead_letters_total 1\n"), "{metrics}");
    let letters = lock(&sink.letters).clone();
    assert_eq!(letters.iter().map(|letter| letter.payload.len()).collect::<Vec<_>>(), [64 << 10, 14, 100_002]);
    let header = |n: usize, name| letters[n].headers.get_str(name).unwrap_or_default();
    assert_eq!(header(0, HEADER_ORIGIN), "anomalies/0/1");
    assert_eq!(header(0, "pulse-original-bytes"), (3 << 20).to_string());
    let reasons: Vec<serde_json::Value> = serde_json::from_str(header(0, HEADER_REASONS)).unwrap();
    assert!(reasons[0]["message"].as_str().unwrap().starts_with("not an anomaly record: "), "{reasons:?}");
    assert_eq!(reasons[1]["message"], "cut, as it cannot be set aside whole: a fake says no: because of this");
    assert!(header(2, HEADER_REASONS).len() < 3000, "the reason is shorter than what it is about");
}

#[tokio::test]
async fn headers_and_the_rest_of_the_payload_are_left_out_where_they_must_be() {
    let long = Headers::new([("trace", vec![b'h'; 2 << 20].as_slice())]);
    let sink = Sink { largest: 4096, ..Sink::default() };
    let payload = vec![Bytes::from("x".repeat(100_000))];
    let (report, metrics) = written(payload, long, Duration::ZERO, WriterOptions::default(), &sink).await;
    assert_eq!(report.unwrap().dead_letters, 1);
    assert!(metrics.contains("pulse_writer_cut_dead_letters_total 2\n"), "{metrics}");
    assert!(lock(&sink.letters)[0].payload.is_empty());

    let sink = Sink { largest: 10, ..Sink::default() };
    let payload = vec![Bytes::from("x".repeat(100_000))];
    let (report, _) = written(payload, Headers::default(), Duration::ZERO, WriterOptions::default(), &sink).await;
    assert!(matches!(report, Err(WriterError::DeadLetters(_))), "a topic that takes nothing ends the writer");
}
