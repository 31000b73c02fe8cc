//! Writes anomalies and dead letters down as records.

use bytes::Bytes;
use jiff::Timestamp;
use pulse_core::names::HEADER_USE_CASE;
use pulse_core::ports::Scores;
use pulse_core::{Anomaly, AnomalyId, Headers, NewRecord, RecordBatch};
use pulse_features::Fault;
use serde_json::value::RawValue;

use crate::judge::{Prepared, Verdict};
use crate::plan::Plan;

/// The `type` attribute of an anomaly as a `CloudEvent`.
const EVENT_TYPE: &str = "io.streampulse.anomaly.v1";

/// The record of the anomaly that the event at `position` is. An event that passed validation is JSON and has a time, so there always is one.
pub(crate) fn anomaly(
    prepared: &Prepared,
    position: usize,
    verdict: Verdict,
    scores: &Scores,
    detected_at: Timestamp,
) -> Option<NewRecord> {
    let (plan, batch) = (&prepared.plan, &prepared.batch);
    let event = &prepared.events[position];
    let record = &batch.records[event.index];
    let names = || plan.forest.iter().flat_map(|forest| forest.names.iter().cloned());
    let shares = verdict.contributions.and_then(|index| scores.contributions.get(index));
    let seen = plan.forest.iter().flat_map(|_| prepared.rows.row(position).iter().copied());
    let decider = verdict.detectors.first()?;
    let anomaly = Anomaly {
        id: AnomalyId::of(&plan.use_case, &batch.topic, batch.partition, record),
        topic: batch.topic.to_string(),
        partition: batch.partition,
        offset: record.offset,
        use_case: plan.use_case.clone(),
        entity: prepared.entities[event.entity.clone()].to_owned(),
        event_time: Timestamp::from_millisecond(event.time).ok()?,
        detected_at,
        severity: verdict.severity,
        score: decider.score,
        threshold: decider.threshold,
        features: names().zip(seen).filter(|(_, value)| value.is_finite()).collect(),
        contributions: names().zip(shares.into_iter().flat_map(|(_, shares)| shares.iter().copied())).collect(),
        detectors: verdict.detectors,
        event: raw_json(&record.payload)?,
        config_version: plan.config_version.clone(),
    };
    Some(NewRecord {
        topic: plan.anomalies.clone(),
        partition: None,
        timestamp: record.timestamp,
        key: Some(Bytes::copy_from_slice(anomaly.entity.as_bytes())),
        headers: cloud_event_headers(plan, &anomaly),
        payload: serde_json::to_vec(&anomaly).ok()?.into(),
    })
}

fn raw_json(payload: &[u8]) -> Option<Box<RawValue>> {
    RawValue::from_string(std::str::from_utf8(payload).ok()?.to_owned()).ok()
}

/// Headers of the Kafka protocol binding of `CloudEvents` 1.0 in binary mode.
fn cloud_event_headers(plan: &Plan, anomaly: &Anomaly) -> Headers {
    let source = format!("/stream-pulse/{}", plan.use_case);
    let time = anomaly.event_time.to_string();
    let pairs = [
        ("ce_specversion", "1.0"),
        ("ce_id", anomaly.id.as_str()),
        ("ce_type", EVENT_TYPE),
        ("ce_source", &source),
        ("ce_subject", &anomaly.entity),
        ("ce_time", &time),
        ("content-type", "application/json"),
        (HEADER_USE_CASE, &plan.use_case),
    ];
    Headers::new(pairs.map(|(name, value)| (name, value.as_bytes())))
}

/// The record at `index` as a dead letter, for these reasons.
pub(crate) fn dead_letter(plan: &Plan, batch: &RecordBatch, index: usize, faults: &[Fault]) -> NewRecord {
    let reasons = serde_json::to_vec(faults).unwrap_or_default();
    batch.records[index].dead_letter(&plan.dead_letters, &batch.topic, batch.partition, &reasons)
}
