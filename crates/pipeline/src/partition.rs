//! The pipeline of one partition: validation, derived columns and per-entity detectors.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use pulse_core::names::HEADER_USE_CASE;
use pulse_core::ports::{Restored, Scores, StateRecord};
use pulse_core::use_case::Entity;
use pulse_core::{Matrix, Record, RecordBatch, TimestampMs};
use pulse_features::{Fault, Featurizer, Need, check_entity, is_storable};

use crate::columns::ColumnCounts;
use crate::judge::{Event, Fired, Prepared};
use crate::outcome::{Counts, Outcome};
use crate::plan::{Plan, RollingPlan};
use crate::state::{SnapshotError, States};
use crate::versions::Versions;

/// Judges the events of one partition, in order.
#[derive(Debug)]
pub struct PartitionPipeline {
    plan: Arc<Plan>,
    featurizer: Featurizer,
    states: States,
    position: u64,
    /// By which the last event was judged.
    versions: Option<Versions>,
    /// Keys of a snapshot that could not be used: the next snapshot removes them, or they would be met at every start.
    stale: Vec<Bytes>,
    row: Vec<f64>,
    model_row: Vec<f64>,
}

/// A pipeline with its state restored.
#[derive(Debug)]
pub struct Restoration {
    /// The pipeline.
    pub pipeline: PartitionPipeline,
    /// The first offset that its state does not know. Events from here to the committed offset have to be
    /// [replayed](PartitionPipeline::replay). None: all events that there are.
    pub replay_from: Option<u64>,
    /// The first offset that is to be judged.
    pub judge_from: u64,
    /// Why the snapshot could not be used. The state is then built by replay, as far as the events are still there.
    pub rebuilt: Option<String>,
}

enum Admission<'r> {
    Event { entity: Cow<'r, str>, time: TimestampMs },
    OtherUseCase,
    DeadLetter(Vec<Fault>),
}

impl PartitionPipeline {
    /// A pipeline with the state that stands in the log. A snapshot that is damaged, of other settings or of another topic is
    /// left aside.
    ///
    /// A group that has not begun knows nothing of the events before its start. That is so after a restart as well, so
    /// [`snapshot`](Self::snapshot) has to go into its first commit.
    #[must_use]
    pub fn restore(plan: Arc<Plan>, featurizer: Featurizer, restored: &Restored) -> Restoration {
        let judge_from = restored.committed.unwrap_or(restored.start);
        let usable = match restored.committed {
            Some(committed) => match States::restore(&plan, &restored.state) {
                Ok((_, offset)) if offset > committed => Err(SnapshotError::Ahead),
                result => result,
            },
            None if restored.state.is_empty() => Ok((States::new(&plan), restored.start)),
            None => Err(SnapshotError::Foreign),
        };
        let (states, replay_from, rebuilt) = match usable {
            Ok((states, offset)) => (states, Some(offset), None),
            Err(error) => {
                (States::new(&plan), restored.committed.map_or(Some(judge_from), |_| None), Some(error.to_string()))
            }
        };
        // By what events were judged stays true, unless it was in another log.
        let is_ours = restored.committed.is_some();
        let is_stale = |record: &&StateRecord| rebuilt.is_some() && !(is_ours && Versions::are_in(record));
        let stale = restored.state.iter().filter(is_stale).map(|record| record.key.clone()).collect();
        let versions = if is_ours { Versions::latest(&restored.state) } else { None };
        let position = replay_from.unwrap_or_default();
        let pipeline =
            Self { plan, featurizer, states, position, versions, stale, row: Vec::new(), model_row: Vec::new() };
        Restoration { pipeline, replay_from, judge_from, rebuilt }
    }

    /// The first offset that was not seen yet.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Entities with state.
    #[must_use]
    pub fn entities(&self) -> usize {
        self.states.len()
    }

    /// Entities that were forgotten so far, because there were more than may be remembered.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.states.forgotten()
    }

    /// About how many bytes the next [`snapshot`](Self::snapshot) takes, at the most.
    #[must_use]
    pub fn snapshot_bytes(&self) -> usize {
        self.states.snapshot_bytes(&self.plan)
    }

    /// The state that changed since the last snapshot; the last record of a key counts. It belongs into the commit of the last batch judged.
    pub fn snapshot(&mut self) -> Vec<StateRecord> {
        let removed = self.stale.drain(..).map(|key| StateRecord { key, value: None });
        let mut records: Vec<StateRecord> = removed.collect();
        records.extend(self.states.snapshot(&self.plan, self.position));
        records
    }

    /// Lets the detectors see events that were judged before, without judging them again.
    pub fn replay(&mut self, batch: &RecordBatch) {
        for record in &batch.records {
            let Admission::Event { entity, .. } = admit(&self.plan, &mut self.featurizer, record, &mut self.row) else {
                continue;
            };
            let Some(rolling) = &self.plan.rolling else { continue };
            let state = self.states.change(&entity, record.offset);
            for ((column, _), window) in rolling.columns.iter().zip(&mut state.windows) {
                rolling.rule.remember(window, self.row[*column]);
            }
        }
        self.position = batch.next_offset;
    }

    /// Validates the events of `batch`, derives their columns, and runs the per-entity detectors that decide. Batches are
    /// [judged](Self::judge) in the order in which they were prepared.
    #[must_use]
    pub fn prepare(&mut self, batch: RecordBatch) -> Prepared {
        let width = self.plan.forest.as_ref().map_or(0, |forest| forest.columns.len());
        let mut prepared = Prepared {
            plan: Arc::clone(&self.plan),
            events: Vec::with_capacity(batch.records.len()),
            entities: String::new(),
            fired: Vec::new(),
            watched: Vec::new(),
            dead: Vec::new(),
            rows: Matrix::with_capacity(width, batch.records.len()),
            columns: self.plan.buckets.as_ref().map_or_else(ColumnCounts::default, ColumnCounts::new),
            counts: Counts { read: batch.records.len() as u64, ..Counts::default() },
            batch,
        };
        for index in 0..prepared.batch.records.len() {
            let record = &prepared.batch.records[index];
            match admit(&self.plan, &mut self.featurizer, record, &mut self.row) {
                Admission::OtherUseCase => prepared.counts.skipped += 1,
                Admission::DeadLetter(faults) => prepared.dead.push((index, faults)),
                Admission::Event { entity, time } => {
                    let start = prepared.entities.len();
                    prepared.entities.push_str(&entity);
                    let entity = start..prepared.entities.len();
                    prepared.events.push(Event { index, entity, time, rolling_score: 0.0 });
                    self.detect(&mut prepared);
                }
            }
        }
        self.position = prepared.batch.next_offset;
        prepared
    }

    /// Decides, and writes the anomalies and dead letters. `scores` holds one score for each of [`Prepared::rows`].
    ///
    /// A rolling rule that only explains looks at the anomalies alone: what is no anomaly needs no explanation, and the
    /// deviations of all columns of an event cost about as much as its score.
    #[must_use]
    pub fn judge(&mut self, mut prepared: Prepared, scores: &Scores, detected_at: Timestamp) -> Outcome {
        if let Some(rolling) = self.plan.rolling.as_ref().filter(|rolling| !rolling.decides) {
            let watched = std::mem::take(&mut prepared.watched);
            let mut rows = watched.chunks_exact(rolling.columns.len().max(1));
            for position in 0..prepared.events.len() {
                let row = rows.next().unwrap_or_default().iter().copied();
                if scores.scores.get(position).is_some_and(|&score| score >= scores.threshold) {
                    observe(rolling, &mut self.states, &mut prepared, position, row);
                } else {
                    let (entity, offset) = prepared.event(position);
                    let state = self.states.change(entity, offset);
                    row.zip(&mut state.windows).for_each(|(value, window)| rolling.rule.remember(window, value));
                }
            }
        }
        prepared.judge(scores, detected_at)
    }

    /// Takes note of what judges the events of `prepared`; gives records for the state where that has changed. They belong into
    /// the commit of what comes of it.
    ///
    /// A configuration is in force from the first record on that it meets, whatever becomes of that; a model from the first event
    /// on that it scores. So the offsets do not depend on the borders of batches.
    pub fn note_versions(&mut self, prepared: &Prepared, scores: &Scores) -> Vec<StateRecord> {
        let records = &prepared.batch.records;
        let Some(first) = records.first() else { return Vec::new() };
        let scored = match &self.plan.forest {
            Some(_) => prepared.events.first().map(|event| records[event.index].offset),
            // Nothing is scored, which is known at once.
            None => Some(first.offset),
        };
        let known = self.versions.as_ref().map(|last| last.model_version.clone()).unwrap_or_default();
        let at_first = if scored == Some(first.offset) { &*scores.model_version } else { &*known };
        let at_first = self.switch(first.offset, at_first);
        let at_scored = scored.and_then(|offset| self.switch(offset, &scores.model_version));
        at_first.into_iter().chain(at_scored).collect()
    }

    /// Takes note that `model` and the plan's configuration judge from `offset` on, where others did.
    fn switch(&mut self, offset: u64, model: &str) -> Option<StateRecord> {
        let config = &self.plan.config_version;
        if self.versions.as_ref().is_some_and(|last| last.judges_as(model, config)) {
            return None;
        }
        let versions = Versions { offset, model_version: model.to_owned(), config_version: config.clone() };
        Some(self.versions.insert(versions).record())
    }

    /// Counts the values of the event pushed last, runs the per-entity detectors over it, and adds its row for the model.
    fn detect(&mut self, prepared: &mut Prepared) {
        if let Some(buckets) = &self.plan.buckets {
            prepared.columns.observe(buckets, &self.row);
        }
        if let Some(rolling) = &self.plan.rolling {
            let watched = rolling.columns.iter().map(|(column, _)| self.row[*column]);
            if rolling.decides {
                let position = prepared.events.len() - 1;
                observe(rolling, &mut self.states, prepared, position, watched);
            } else {
                prepared.watched.extend(watched);
            }
        }
        if let Some(forest) = &self.plan.forest {
            self.model_row.clear();
            self.model_row.extend(forest.columns.iter().map(|&column| self.row[column]));
            prepared.rows.push(&self.model_row);
        }
    }
}

/// Runs the rolling rule over the event at `position`, whose columns are `watched`.
fn observe(
    rolling: &RollingPlan,
    states: &mut States,
    prepared: &mut Prepared,
    position: usize,
    watched: impl Iterator<Item = f64>,
) {
    let (entity, offset) = prepared.event(position);
    let state = states.change(entity, offset);
    let event = &mut prepared.events[position];
    for (feature, (value, window)) in watched.zip(&mut state.windows).enumerate() {
        let Some(deviation) = rolling.rule.observe(window, value) else { continue };
        event.rolling_score = event.rolling_score.max(deviation.score);
        if rolling.rule.fires(&deviation) {
            prepared.fired.push(Fired { event: position, feature, value, deviation });
        }
    }
}

fn admit<'r>(plan: &Plan, featurizer: &mut Featurizer, record: &'r Record, row: &mut Vec<f64>) -> Admission<'r> {
    if record.headers.get(HEADER_USE_CASE).is_some_and(|name| name != plan.use_case.as_bytes()) {
        return Admission::OtherUseCase;
    }
    let decoded = match featurizer.decode(&record.payload, Need::Event, row) {
        Ok(decoded) => decoded,
        Err(faults) => return Admission::DeadLetter(faults),
    };
    let entity = match (entity_of_key(record), decoded.entity) {
        (Ok(key), Some(entity)) if key == entity => entity,
        (Ok(_), Some(entity)) => return Admission::DeadLetter(vec![wrong_key(plan, record, &entity)]),
        (Ok(key), None) => Cow::Borrowed(key),
        (Err(fault), _) => return Admission::DeadLetter(vec![fault]),
    };
    let time = decoded.event_time.unwrap_or(record.timestamp);
    if !is_storable(time) {
        return Admission::DeadLetter(vec![no_instant(time)]);
    }
    if let Some(fault) = featurizer.check_time(time, record.timestamp) {
        return Admission::DeadLetter(vec![fault]);
    }
    Admission::Event { entity, time }
}

fn entity_of_key(record: &Record) -> Result<&str, Fault> {
    let fault = |value: String, message: &str| Fault { field: "key".into(), value, message: message.into() };
    let Some(key) = &record.key else {
        return Err(fault("null".into(), "is missing: produce the record with the entity as its key"));
    };
    let Ok(key) = std::str::from_utf8(key) else {
        return Err(fault(format!("{} bytes", key.len()), "must be UTF-8 text: the entity"));
    };
    match check_entity(key) {
        Ok(()) => Ok(key),
        Err(why) => Err(fault(quoted(key), &why)),
    }
}

fn wrong_key(plan: &Plan, record: &Record, entity: &str) -> Fault {
    let key = record.key.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    let field = match &plan.entity {
        Entity::Field(field) => field,
        Entity::Key => "key",
    };
    Fault {
        field: "key".into(),
        value: quoted(&key),
        message: format!("must be the entity, which `{field}` says is {entity:?}: key the topic by it"),
    }
}

/// `text` as JSON, cut to what a fault quotes.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text.chars().take(100).collect::<String>()).to_string()
}

fn no_instant(time: TimestampMs) -> Fault {
    Fault {
        field: "timestamp".into(),
        value: time.to_string(),
        message: "is no instant of the years 1 to 9999: set the record's timestamp in milliseconds since 1970".into(),
    }
}
