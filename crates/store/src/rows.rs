//! How an anomaly lies in a table: the columns that people filter by, and the rest as JSON text.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pulse_core::{Anomaly, AnomalyId, DetectorVerdict, Severity};
use serde::de::IntoDeserializer as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The part of an anomaly that has no column of its own, to write.
#[derive(Serialize)]
struct RestRef<'a> {
    detectors: &'a [DetectorVerdict],
    features: &'a BTreeMap<String, f64>,
    contributions: &'a BTreeMap<String, f64>,
    event: &'a RawValue,
    config_version: &'a str,
}

/// The part of an anomaly that has no column of its own, as read.
#[derive(Deserialize)]
struct Rest {
    detectors: Vec<DetectorVerdict>,
    features: BTreeMap<String, f64>,
    contributions: BTreeMap<String, f64>,
    event: Box<RawValue>,
    config_version: String,
}

/// The columns that stand for themselves.
#[derive(Debug)]
pub(crate) struct Columns {
    pub(crate) id: String,
    pub(crate) topic: String,
    pub(crate) partition: u32,
    pub(crate) offset: i64,
    pub(crate) use_case: String,
    pub(crate) entity: String,
    pub(crate) event_time: i64,
    pub(crate) detected_at: i64,
    pub(crate) severity: i64,
    pub(crate) score: f64,
    pub(crate) threshold: f64,
    pub(crate) rest: String,
}

/// The number that stands for a severity; they rise with it.
pub(crate) fn severity_rank(severity: Severity) -> i64 {
    match severity {
        Severity::Warning => 1,
        Severity::High => 2,
        Severity::Critical => 3,
    }
}

/// The severity that a number stands for.
pub(crate) fn severity_of_rank(rank: i64) -> Option<Severity> {
    [Severity::Warning, Severity::High, Severity::Critical]
        .into_iter()
        .find(|severity| severity_rank(*severity) == rank)
}

/// The sorted names of the detectors that fired, each once.
pub(crate) fn detector_names(detectors: &[DetectorVerdict]) -> Vec<&str> {
    let mut names: Vec<&str> = detectors.iter().map(|verdict| verdict.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// What cannot be stored of an anomaly, in words.
pub(crate) type Unfit = String;

/// Numbers that are none cannot be compared, nor written as JSON.
pub(crate) fn check(anomaly: &Anomaly) -> Result<(), Unfit> {
    let Anomaly { score, threshold, .. } = anomaly;
    if !(score.is_finite() && threshold.is_finite()) {
        return Err(format!("score {score} and threshold {threshold} must be finite"));
    }
    Ok(())
}

/// The identity that stands in a table.
pub(crate) fn anomaly_id(text: String) -> Result<AnomalyId, Unfit> {
    let id: Result<AnomalyId, serde::de::value::Error> = AnomalyId::deserialize(text.into_deserializer());
    id.map_err(|error| error.to_string())
}

impl Columns {
    /// The columns of `anomaly`. Times are kept to the microsecond, as Postgres does.
    pub(crate) fn of(anomaly: &Anomaly) -> Result<Self, Unfit> {
        check(anomaly)?;
        let rest = RestRef {
            detectors: &anomaly.detectors,
            features: &anomaly.features,
            contributions: &anomaly.contributions,
            event: &anomaly.event,
            config_version: &anomaly.config_version,
        };
        Ok(Self {
            id: anomaly.id.as_str().to_owned(),
            topic: anomaly.topic.clone(),
            partition: anomaly.partition,
            offset: i64::try_from(anomaly.offset).map_err(|error| format!("offset {}: {error}", anomaly.offset))?,
            use_case: anomaly.use_case.clone(),
            entity: anomaly.entity.clone(),
            event_time: anomaly.event_time.as_microsecond(),
            detected_at: anomaly.detected_at.as_microsecond(),
            severity: severity_rank(anomaly.severity),
            score: anomaly.score,
            threshold: anomaly.threshold,
            rest: serde_json::to_string(&rest).map_err(|error| error.to_string())?,
        })
    }

    /// The anomaly again.
    pub(crate) fn anomaly(self) -> Result<Anomaly, Unfit> {
        let rest: Rest = serde_json::from_str(&self.rest).map_err(|error| error.to_string())?;
        let time = |micros| Timestamp::from_microsecond(micros).map_err(|error| error.to_string());
        Ok(Anomaly {
            id: anomaly_id(self.id)?,
            topic: self.topic,
            partition: self.partition,
            offset: self.offset.cast_unsigned(),
            use_case: self.use_case,
            entity: self.entity,
            event_time: time(self.event_time)?,
            detected_at: time(self.detected_at)?,
            severity: severity_of_rank(self.severity).ok_or_else(|| format!("no severity {}", self.severity))?,
            score: self.score,
            threshold: self.threshold,
            detectors: rest.detectors,
            features: rest.features,
            contributions: rest.contributions,
            event: rest.event,
            config_version: rest.config_version,
        })
    }
}
