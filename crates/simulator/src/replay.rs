//! The events: the replayed part of the sample, prepared so that making one costs little more than a copy.

mod inject;
mod random;
mod template;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use pulse_core::use_case::{Entity, UseCase};
use pulse_core::{Headers, NewRecord, TimestampMs, names};
use pulse_features::{SampleRow, UseCaseDir};
use rand::Rng;
use serde_json::Value;

use self::inject::Injector;
use self::template::Template;
use crate::error::SimulatorError;

/// The events of a use case, each a pure function of its sequence number.
#[derive(Debug)]
pub struct Replay {
    use_case: String,
    topic: Arc<str>,
    rows: Vec<Row>,
    injector: Injector,
    seed: u64,
    /// Probability that an eligible event becomes an anomaly, so that the share among all events is the rate asked for.
    injection: f64,
    /// Time from the first row of one pass to that of the next.
    cycle_ms: u64,
}

/// One row of the sample, ready to be sent.
#[derive(Debug)]
struct Row {
    template: Template,
    key: Option<Bytes>,
    genuine_outlier: bool,
    eligible: bool,
}

/// What an event truly is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truth {
    Ordinary,
    GenuineOutlier,
    /// An injected anomaly, by its place among the kinds.
    Injected(usize),
}

impl Replay {
    /// Prepares the events of a use case.
    ///
    /// # Errors
    /// When there is no sample, it has a fault, or `anomaly_rate` is out of reach.
    pub fn new(dir: &UseCaseDir, anomaly_rate: f64, seed: u64) -> Result<Self, SimulatorError> {
        let use_case = &dir.use_case;
        let sample = dir.sample()?.ok_or_else(|| SimulatorError::NoSample(use_case.name.clone()))?;
        Self::of_rows(use_case, sample.replay(), anomaly_rate, seed)
    }

    fn of_rows(use_case: &UseCase, rows: &[SampleRow], anomaly_rate: f64, seed: u64) -> Result<Self, SimulatorError> {
        if !(0.0..=1.0).contains(&anomaly_rate) {
            let range = "between 0 and 1";
            return Err(SimulatorError::Option { what: "the anomaly rate", value: anomaly_rate, range });
        }
        let injector = Injector::new(&use_case.simulator);
        let prepare = |(index, row)| Row::new(index, row, use_case, &injector);
        let rows: Vec<Row> = rows.iter().enumerate().map(prepare).collect::<Result<_, _>>()?;
        let injection = injection(&rows, &injector, anomaly_rate)?;
        let cycle_ms = cycle_ms(&rows);
        let (name, topic) = (use_case.name.clone(), use_case.topic.as_str().into());
        Ok(Self { use_case: name, topic, rows, injector, seed, injection, cycle_ms })
    }

    /// Names of the kinds of anomalies.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &str> {
        self.injector.kinds()
    }

    /// The topic to which the events go.
    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// Name of the use case.
    pub(crate) fn use_case(&self) -> &str {
        &self.use_case
    }

    /// Whether the rows have times.
    pub(crate) fn has_times(&self) -> bool {
        self.rows.iter().all(|row| row.template.time().is_some())
    }

    /// Milliseconds of the sample's own time from event `from` to event `to`, passes included.
    pub(crate) fn elapsed_ms(&self, from: u64, to: u64) -> u64 {
        self.own_time_ms(to).saturating_sub(self.own_time_ms(from))
    }

    /// Milliseconds of the sample's own time since event 0.
    fn own_time_ms(&self, i: u64) -> u64 {
        let count = self.rows.len() as u64;
        let time = |row: &Row| row.template.time().unwrap_or(0);
        let (Some(first), Some(row)) = (self.rows.first(), self.row(i)) else { return 0 };
        let within = u64::try_from(time(row) - time(first)).unwrap_or(0);
        (i / count).saturating_mul(self.cycle_ms).saturating_add(within)
    }

    fn row(&self, i: u64) -> Option<&Row> {
        let index = i.checked_rem(self.rows.len() as u64)?;
        self.rows.get(usize::try_from(index).ok()?)
    }

    /// The record of event `i` at `time`; none where there are no rows. `buffer` is where payloads are written; keep it
    /// from event to event, so that one allocation serves many.
    pub fn record(&self, i: u64, time: TimestampMs, buffer: &mut BytesMut) -> Option<NewRecord> {
        self.event(i, time, buffer).map(|(record, _)| record)
    }

    /// The record of event `i`, and what it truly is.
    pub(crate) fn event(&self, i: u64, time: TimestampMs, buffer: &mut BytesMut) -> Option<(NewRecord, Truth)> {
        let row = self.row(i)?;
        let mut random = random::of_event(self.seed, i);
        let offset = row.template.time().map_or(0, |original| time.saturating_sub(original));
        let truth = if row.genuine_outlier {
            Truth::GenuineOutlier
        } else if row.eligible && random.random::<f64>() < self.injection {
            Truth::Injected(self.injector.pick(&mut random))
        } else {
            Truth::Ordinary
        };
        row.template.render(offset, buffer);
        if let Truth::Injected(kind) = truth {
            let ordinary = buffer.split();
            self.injector.inject(kind, &ordinary, &mut random, buffer);
        }
        let record = NewRecord {
            topic: Arc::clone(&self.topic),
            partition: None,
            timestamp: time,
            key: row.key.clone(),
            payload: buffer.split().freeze(),
            headers: self.headers(i, row.template.time().map(|_| offset), truth),
        };
        Some((record, truth))
    }

    /// The name of `truth` as a label; none for an ordinary event.
    pub(crate) fn label(&self, truth: Truth) -> Option<&str> {
        match truth {
            Truth::Ordinary => None,
            Truth::GenuineOutlier => Some(names::LABEL_GENUINE),
            Truth::Injected(kind) => self.injector.kind(kind),
        }
    }

    fn headers(&self, i: u64, offset: Option<i64>, truth: Truth) -> Headers {
        let (sequence, offset) = (i.to_string(), offset.map(|offset| offset.to_string()));
        let pairs = [
            Some((names::HEADER_USE_CASE, self.use_case.as_bytes())),
            Some((names::HEADER_SEQUENCE, sequence.as_bytes())),
            offset.as_ref().map(|offset| (names::HEADER_TIME_OFFSET, offset.as_bytes())),
            self.label(truth).map(|label| (names::HEADER_LABEL, label.as_bytes())),
        ];
        Headers::new(pairs.into_iter().flatten())
    }
}

impl Row {
    fn new(index: usize, row: &SampleRow, use_case: &UseCase, injector: &Injector) -> Result<Self, SimulatorError> {
        let time = use_case.timestamp.field.as_deref();
        let template = Template::new(row.event.clone(), time, &use_case.simulator.also_move)
            .map_err(|(field, value)| SimulatorError::Time { row: index, field, value })?;
        let key = match &use_case.entity {
            Entity::Key => None,
            Entity::Field(field) => inject::get(&row.event, field).and_then(key),
        };
        let eligible = !row.genuine_outlier && injector.is_eligible(&row.event);
        Ok(Self { template, key, genuine_outlier: row.genuine_outlier, eligible })
    }
}

/// The entity as a record's key.
fn key(value: &Value) -> Option<Bytes> {
    match value {
        Value::String(text) => Some(Bytes::from(text.clone())),
        Value::Number(number) => Some(Bytes::from(number.to_string())),
        _ => None,
    }
}

fn injection(rows: &[Row], injector: &Injector, rate: f64) -> Result<f64, SimulatorError> {
    if injector.kinds().next().is_none() || rate == 0.0 {
        return Ok(0.0);
    }
    let eligible = rows.iter().filter(|row| row.eligible).count();
    #[expect(clippy::cast_precision_loss, reason = "numbers of rows are far below 2^53")]
    let share = eligible as f64 / rows.len().max(1) as f64;
    if rate > share {
        return Err(SimulatorError::AnomalyRate { rate, share });
    }
    Ok(rate / share)
}

/// The span of the rows and one mean gap, so that the last row of a pass and the first of the next do not coincide.
fn cycle_ms(rows: &[Row]) -> u64 {
    let time = |row: Option<&Row>| row.and_then(|row| row.template.time()).unwrap_or(0);
    let span = u64::try_from(time(rows.last()) - time(rows.first())).unwrap_or(0);
    let gaps = rows.len().saturating_sub(1).max(1) as u64;
    span.saturating_add((span / gaps).max(1))
}

#[cfg(test)]
mod tests;
