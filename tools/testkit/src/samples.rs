//! Sample records and anomalies.

use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use pulse_core::names::{HEADER_LABEL, HEADER_TIME_OFFSET, TOPIC_ANOMALIES};
use pulse_core::{Anomaly, AnomalyId, DetectorVerdict, Headers, NewRecord, Record, Severity};
use serde_json::value::RawValue;

/// The first instant of the samples, in milliseconds since the Unix epoch.
const BEGIN: i64 = 1_780_000_000_000;

/// A record for a fixed partition, with `payload`.
#[must_use]
pub fn record(topic: &str, partition: u32, payload: &str) -> NewRecord {
    NewRecord {
        topic: Arc::from(topic),
        partition: Some(partition),
        timestamp: BEGIN,
        key: None,
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        headers: Headers::default(),
    }
}

/// A record that its key sends to a partition.
#[must_use]
pub fn keyed(topic: &str, key: &str, payload: &str) -> NewRecord {
    NewRecord { partition: None, key: Some(Bytes::copy_from_slice(key.as_bytes())), ..record(topic, 0, payload) }
}

/// The `n`-th of an endless row of events shaped like taxi trips: about 300 bytes of JSON, 260 zones, some labelled.
#[must_use]
pub fn taxi_trip(topic: &Arc<str>, n: u64) -> NewRecord {
    // A step of a linear congruential generator spreads the digits as real fares do.
    let noise = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 33;
    let zone = format!("Zone {}", noise % 260);
    let distance = 0.3 + (noise % 2_000) as f64 / 100.0;
    let (fare, tip) = (3.0 + distance * 2.5, (noise % 500) as f64 / 100.0);
    let timestamp = BEGIN + i64::try_from(n / 100).unwrap_or(0);
    let payload = format!(
        "{{\"pickup_datetime\":\"2026-05-28T{:02}:{:02}:{:02}.{:03}Z\",\"dropoff_datetime\":\"2026-05-28T{:02}:{:02}:07Z\",\
         \"pickup_zone\":\"{zone}\",\"dropoff_zone\":\"Zone {}\",\"trip_duration\":{}.0,\"trip_distance\":{distance:.2},\
         \"fare_amount\":{fare:.2},\"tip_amount\":{tip:.2},\"tolls_amount\":0.0,\"total_amount\":{:.2}}}",
        noise % 24,
        noise % 60,
        n % 60,
        n % 1000,
        noise % 24,
        (noise + 11) % 60,
        (noise / 7) % 260,
        120 + noise % 2_400,
        fare + tip,
    );
    let mut headers = vec![(HEADER_TIME_OFFSET, b"41234567890".as_slice())];
    if n.is_multiple_of(100) {
        headers.push((HEADER_LABEL, b"fare_spike"));
    }
    NewRecord {
        topic: topic.clone(),
        partition: None,
        timestamp,
        key: Some(Bytes::from(zone)),
        payload: Bytes::from(payload),
        headers: Headers::new(headers),
    }
}

/// The `n`-th of an endless row of anomalies: a second apart, in 10 entities of 2 use cases; every third is also found
/// by the rolling rule, and all severities occur.
#[must_use]
pub fn anomaly(n: u64) -> Anomaly {
    let payload = format!("{{\"fare_amount\":{n}.5,\"text\":\"ä \\\"quoted\\\"\"}}");
    let record = Record {
        offset: n,
        timestamp: BEGIN,
        key: None,
        payload: Bytes::from(payload.clone()),
        headers: Headers::default(),
    };
    let seconds = SignedDuration::from_secs(i64::try_from(n).unwrap_or(0));
    let event_time = Timestamp::from_millisecond(BEGIN).unwrap_or_default() + seconds;
    let score = 0.6 + (n % 40) as f64 / 100.0;
    let verdict = |name: &str, feature: Option<&str>, score, threshold| DetectorVerdict {
        name: name.to_owned(),
        feature: feature.map(str::to_owned),
        score,
        threshold,
        value: None,
        expected: None,
        model_version: None,
    };
    let mut detectors = vec![verdict("isolation_forest", None, score, 0.6)];
    if n.is_multiple_of(3) {
        detectors.push(verdict("rolling_zscore", Some("fare_amount"), 4.5, 3.0));
        detectors.push(verdict("rolling_zscore", Some("tip_amount"), 3.5, 3.0));
    }
    Anomaly {
        id: AnomalyId::of("nyc_taxi", "raw_events", 0, &record),
        topic: "raw_events".to_owned(),
        partition: 0,
        offset: n,
        use_case: if n.is_multiple_of(2) { "nyc_taxi" } else { "server_logs" }.to_owned(),
        entity: format!("Zone {}", n % 10),
        event_time,
        detected_at: event_time + SignedDuration::from_millis(7),
        severity: Severity::of_excess((score - 0.6) / 0.4),
        score,
        threshold: 0.6,
        detectors,
        features: [("fare_amount".to_owned(), 186.2)].into(),
        contributions: [("fare_amount".to_owned(), 0.75), ("tip_amount".to_owned(), 0.25)].into(),
        event: RawValue::from_string(payload).unwrap_or_else(|_| RawValue::NULL.to_owned()),
        config_version: "00c0ffee00c0ffee".to_owned(),
    }
}

/// The `n`-th of a million anomalies in a day, in 260 entities.
#[must_use]
pub fn spread_anomaly(n: u64) -> Anomaly {
    let (payload, headers) = (Bytes::new(), Headers::default());
    let micros = i64::try_from(n * 86_400).unwrap_or(0);
    Anomaly {
        id: AnomalyId::of("nyc_taxi", "events", 0, &Record { offset: n, timestamp: 0, key: None, payload, headers }),
        offset: n,
        entity: format!("Zone {}", n.wrapping_mul(2_654_435_761) % 260),
        event_time: anomaly(0).event_time + SignedDuration::from_micros(micros),
        ..anomaly(n % 10_000)
    }
}

/// [`anomaly`] as a record of the topic `anomalies`, keyed by its entity.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn anomaly_record(n: u64) -> serde_json::Result<NewRecord> {
    let anomaly = anomaly(n);
    let payload = Bytes::from(serde_json::to_vec(&anomaly)?);
    Ok(NewRecord { payload, ..keyed(TOPIC_ANOMALIES, &anomaly.entity, "") })
}

/// Anomalies that a store may have trouble with, and what is odd about each.
///
/// # Errors
/// When one of them is no valid JSON after all.
pub fn odd_anomalies() -> anyhow::Result<Vec<(&'static str, Anomaly)>> {
    let raw = |json: &str| RawValue::from_string(json.to_owned());
    let named = |name: &str| DetectorVerdict { name: name.to_owned(), ..anomaly(0).detectors[0].clone() };
    let quotes = "a \"quote\", a \\, {braces}, a\ttab, NULL and \u{1f}";
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let mut odd = vec![
        ("NUL in the entity", Anomaly { entity: "Zone\0 1".to_owned(), ..anomaly(0) }),
        ("NUL in a detector", Anomaly { detectors: vec![named("a\0b")], ..anomaly(0) }),
        ("NUL in a feature", Anomaly { features: [("a\0b".to_owned(), 1.0)].into(), ..anomaly(0) }),
        ("an escaped NUL in the event", Anomaly { event: raw("{\"a\": \"\\u0000\"}")?, ..anomaly(0) }),
        ("spaces and repeated names in the event", Anomaly { event: raw("{ \"a\" :1,\n\"a\":2.50 }")?, ..anomaly(0) }),
        ("a deep event", Anomaly { event: raw(&deep)?, ..anomaly(0) }),
        ("a large event", Anomaly { event: raw(&format!("\"{}\"", "x".repeat(9 << 20)))?, ..anomaly(0) }),
        ("quotes", Anomaly { entity: quotes.to_owned(), detectors: vec![named(quotes)], ..anomaly(0) }),
        ("empty texts", Anomaly { entity: String::new(), detectors: vec![named("")], ..anomaly(0) }),
        ("no detector", Anomaly { detectors: Vec::new(), ..anomaly(0) }),
        ("an offset beyond 63 bits", Anomaly { offset: u64::MAX, ..anomaly(0) }),
        ("the largest score", Anomaly { score: f64::MAX, threshold: f64::MIN_POSITIVE, ..anomaly(0) }),
    ];
    // Such that it cannot be made short.
    let digits = |n: u64| format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    odd.push(("a long entity", Anomaly { entity: (0..1000).map(digits).collect(), ..anomaly(0) }));
    let numbers = [f64::MAX, f64::MIN_POSITIVE, 5e-324, -0.0, 0.1 + 0.2, 1e15, -1.5e-7, 123_456_789.123_456_79];
    let features = numbers.into_iter().enumerate().map(|(n, number)| (format!("f{n}"), number)).collect();
    odd.push(("numbers", Anomaly { features, ..anomaly(0) }));
    for time in
        ["-009999-01-02T01:59:59Z", "-004000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z"]
    {
        odd.push(("a time long ago", Anomaly { event_time: time.parse()?, ..anomaly(0) }));
    }
    for time in ["9999-12-30T22:00:00Z", "2262-04-11T23:47:16.854775Z"] {
        odd.push(("a time far ahead", Anomaly { event_time: time.parse()?, ..anomaly(0) }));
    }
    for (n, (_, anomaly)) in odd.iter_mut().enumerate() {
        anomaly.id = crate::anomaly(1_000_000 + n as u64).id;
    }
    Ok(odd)
}
