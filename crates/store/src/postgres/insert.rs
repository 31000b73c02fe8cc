//! Rows on their way into the table: one array for each column.

use pulse_core::Anomaly;
use sqlx::PgConnection;

use super::db::Db;
use super::error::PostgresError;
use super::time::Micros;
use crate::rows::{self, Unfit};

/// About so many bytes go into one statement, which the server holds in memory as a whole.
const MOST_BYTES: usize = 8 << 20;

const INSERT: &str = "INSERT INTO anomalies (event_time, detected_at, sequence, score, threshold, \"offset\", partition, \
   topic, id, use_case, entity, severity, detector_names, detectors, features, contributions, event, config_version) \
 SELECT event_time, detected_at, $1 + n, score, threshold, \"offset\", partition, topic, id, use_case, entity, severity, \
   detector_names::text[], detectors::jsonb, features::jsonb, contributions::jsonb, event::json, config_version \
 FROM unnest($2::timestamptz[], $3::timestamptz[], $4::float8[], $5::float8[], $6::bigint[], $7::integer[], $8::text[], $9::text[], $10::text[], \
   $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::text[]) \
 WITH ORDINALITY AS new (event_time, detected_at, score, threshold, \"offset\", partition, topic, id, use_case, entity, \
   severity, detector_names, detectors, features, contributions, event, config_version, n) \
 ON CONFLICT (event_time, id) DO NOTHING";

/// Rows of one statement.
#[derive(Debug, Default)]
pub(super) struct Rows<'a> {
    event_time: Vec<Micros>,
    detected_at: Vec<Micros>,
    score: Vec<f64>,
    threshold: Vec<f64>,
    offset: Vec<i64>,
    partition: Vec<i32>,
    topic: Vec<&'a str>,
    id: Vec<&'a str>,
    use_case: Vec<&'a str>,
    entity: Vec<&'a str>,
    severity: Vec<&'static str>,
    detector_names: Vec<String>,
    detectors: Vec<String>,
    features: Vec<String>,
    contributions: Vec<String>,
    event: Vec<&'a str>,
    config_version: Vec<&'a str>,
    bytes: usize,
}

impl<'a> Rows<'a> {
    /// `anomalies`, in parts of bounded size.
    pub(super) fn split(anomalies: &'a [Anomaly]) -> Result<Vec<Self>, PostgresError> {
        let mut parts: Vec<Self> = Vec::new();
        for anomaly in anomalies {
            if parts.last().is_none_or(|part| part.bytes >= MOST_BYTES) {
                parts.push(Self::default());
            }
            if let Some(part) = parts.last_mut() {
                let item = || format!("anomaly {}", anomaly.id);
                part.push(anomaly).map_err(|reason| PostgresError::Unstorable { item: item(), reason })?;
            }
        }
        Ok(parts)
    }

    /// When the events happened.
    pub(super) fn times(&self) -> impl Iterator<Item = Micros> {
        self.event_time.iter().copied()
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.event_time.len()
    }

    /// Puts them into the table, numbered from behind `sequence`.
    pub(super) async fn insert(self, db: &Db, conn: &mut PgConnection, sequence: i64) -> Result<u64, PostgresError> {
        let query = sqlx::query(INSERT).bind(sequence).bind(self.event_time).bind(self.detected_at).bind(self.score);
        let query = query.bind(self.threshold).bind(self.offset).bind(self.partition).bind(self.topic).bind(self.id);
        let query = query.bind(self.use_case).bind(self.entity).bind(self.severity).bind(self.detector_names);
        let query = query.bind(self.detectors).bind(self.features).bind(self.contributions).bind(self.event);
        Ok(db.answer(query.bind(self.config_version).execute(conn)).await?.rows_affected())
    }

    fn push(&mut self, anomaly: &'a Anomaly) -> Result<(), Unfit> {
        rows::check(anomaly)?;
        check_texts(anomaly)?;
        let time =
            |name: &str, time| Micros::of(time).ok_or_else(|| format!("{name} {time} is too long ago for Postgres"));
        let json = |result: serde_json::Result<String>| result.map_err(|error| error.to_string());
        let (event_time, detected_at) =
            (time("event_time", anomaly.event_time)?, time("detected_at", anomaly.detected_at)?);
        let offset = i64::try_from(anomaly.offset).map_err(|error| format!("offset {}: {error}", anomaly.offset))?;
        let partition = i32::try_from(anomaly.partition);
        let partition = partition.map_err(|error| format!("partition {}: {error}", anomaly.partition))?;
        let detectors = json(serde_json::to_string(&anomaly.detectors))?;
        let features = json(serde_json::to_string(&anomaly.features))?;
        let contributions = json(serde_json::to_string(&anomaly.contributions))?;
        self.bytes += detectors.len() + features.len() + contributions.len() + anomaly.event.get().len() + 256;
        self.event_time.push(event_time);
        self.detected_at.push(detected_at);
        self.score.push(anomaly.score);
        self.threshold.push(anomaly.threshold);
        self.offset.push(offset);
        self.partition.push(partition);
        self.topic.push(&anomaly.topic);
        self.id.push(anomaly.id.as_str());
        self.use_case.push(&anomaly.use_case);
        self.entity.push(&anomaly.entity);
        self.severity.push(anomaly.severity.as_str());
        self.detector_names.push(array(&rows::detector_names(&anomaly.detectors)));
        self.detectors.push(detectors);
        self.features.push(features);
        self.contributions.push(contributions);
        self.event.push(anomaly.event.get());
        self.config_version.push(&anomaly.config_version);
        Ok(())
    }
}

/// Postgres has no character NUL, neither in texts nor in jsonb. The event is kept as it came, where it may stand escaped.
fn check_texts(anomaly: &Anomaly) -> Result<(), Unfit> {
    let texts = [
        ("id", anomaly.id.as_str()),
        ("topic", &anomaly.topic),
        ("use_case", &anomaly.use_case),
        ("entity", &anomaly.entity),
        ("config_version", &anomaly.config_version),
    ];
    let detectors = anomaly.detectors.iter().flat_map(|verdict| {
        let options = [&verdict.feature, &verdict.model_version].into_iter().flatten();
        options.chain([&verdict.name]).map(|text| ("detectors", text.as_str()))
    });
    let features = anomaly.features.keys().map(|name| ("features", name.as_str()));
    let contributions = anomaly.contributions.keys().map(|name| ("contributions", name.as_str()));
    let mut texts = texts.into_iter().chain(detectors).chain(features).chain(contributions);
    match texts.find(|(_, text)| text.contains('\0')) {
        Some((field, _)) => Err(format!("{field} holds the character NUL, which Postgres has no room for")),
        None => Ok(()),
    }
}

/// `names` as the server reads an array of texts.
fn array(names: &[&str]) -> String {
    let mut text = String::from("{");
    for name in names {
        if text.len() > 1 {
            text.push(',');
        }
        text.push('"');
        for c in name.chars() {
            if matches!(c, '"' | '\\') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push('"');
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_quoted() {
        assert_eq!(array(&[]), "{}");
        assert_eq!(array(&["isolation_forest", "null"]), r#"{"isolation_forest","null"}"#);
        assert_eq!(array(&[r#"a "b"\c"#, "d,e}", ""]), r#"{"a \"b\"\\c","d,e}",""}"#);
    }
}
