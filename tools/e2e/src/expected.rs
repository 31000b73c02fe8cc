//! What must come of a log.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use jiff::Timestamp;
use pulse_core::ports::{Restored, Scores, StateRecord};
use pulse_core::use_case::RollingSettings;
use pulse_core::{Matrix, NewRecord, Record, RecordBatch};
use pulse_features::{Featurizer, Need, UseCaseDir};
use pulse_ml_service::{ModelSlot, TrainingError, load_or_train};
use pulse_pipeline::{PartitionPipeline, Plan, Versions};
use pulse_scoring::Model;
use serde_json::Value;

/// What the pipeline makes of a log.
#[derive(Debug, Default)]
pub struct Expected {
    /// The anomalies by id, without the one field that may differ between two runs.
    pub anomalies: Vec<Value>,
    /// The dead letters: where each stood, as `topic/partition/offset`, and its reasons.
    pub dead_letters: BTreeMap<String, Value>,
}

/// The model that stands in the folder, or that the ML service trains from the sample; none where there is no forest, or nothing to
/// learn from.
fn model(dir: &UseCaseDir) -> anyhow::Result<Option<Arc<Model>>> {
    if dir.use_case.detectors.forest.is_none() {
        return Ok(None);
    }
    match load_or_train(dir, &ModelSlot::warming_up("training")) {
        Err(TrainingError::NoSample(_)) => Ok(None),
        model => Ok(Some(model?)),
    }
}

/// By which versions each partition was judged, from which offset on, in rising order.
pub type Told = BTreeMap<u32, Vec<Versions>>;

/// What the records of a topic of states tell of versions.
#[must_use]
pub fn told(topic: &[RecordBatch]) -> Told {
    let mut told: BTreeMap<u32, BTreeMap<u64, Versions>> = BTreeMap::new();
    for batch in topic {
        for record in &batch.records {
            let key = record.key.clone().unwrap_or_default();
            // Tombstones are of those that tell nothing new.
            let versions = Versions::of(&StateRecord { key, value: Some(record.payload.clone()) });
            if let Some(versions) = versions {
                told.entry(batch.partition).or_default().insert(versions.offset, versions);
            }
        }
    }
    let changes = |told: BTreeMap<u64, Versions>| {
        let mut changes: Vec<Versions> = told.into_values().collect();
        changes.dedup_by(|next, before| before.judges_as(&next.model_version, &next.config_version));
        changes
    };
    told.into_iter().map(|(partition, told)| (partition, changes(told))).collect()
}

/// A version of a use case.
struct Version {
    dir: UseCaseDir,
    featurizer: Featurizer,
    plan: Arc<Plan>,
    model: Option<Arc<Model>>,
}

impl Version {
    fn new(dir: &UseCaseDir) -> anyhow::Result<Self> {
        let (model, featurizer) = (model(dir)?, Featurizer::new(dir)?);
        // As a processor has it that still waits for its first model.
        let all = || featurizer.columns().iter().map(|column| &*column.name);
        let columns = dir.use_case.detectors.forest.as_ref().map(|forest| forest.columns(all()));
        let plan = Arc::new(Plan::new(dir, &featurizer, columns.as_deref())?);
        Ok(Self { dir: dir.clone(), featurizer, plan, model })
    }

    fn pipeline(&self, restored: &Restored) -> anyhow::Result<PartitionPipeline> {
        let found = PartitionPipeline::restore(Arc::clone(&self.plan), self.featurizer.clone(), restored);
        ensure!(found.rebuilt.is_none(), "the state does not go on: {:?}", found.rebuilt);
        Ok(found.pipeline)
    }
}

/// A partition that is judged.
struct Partition {
    pipeline: PartitionPipeline,
    /// Index of the version of the configuration.
    config: usize,
    /// What its snapshots left.
    state: BTreeMap<Bytes, StateRecord>,
}

impl Partition {
    /// Goes on with another configuration, as who is started with it does.
    fn switch(&mut self, config: usize, version: &Version) -> anyhow::Result<()> {
        if self.config == config {
            return Ok(());
        }
        let position = self.pipeline.position();
        for record in self.pipeline.snapshot() {
            self.state.insert(record.key.clone(), record);
        }
        let state = self.state.values().filter(|record| record.value.is_some()).cloned().collect();
        self.pipeline = version.pipeline(&Restored { committed: Some(position), start: 0, state })?;
        self.config = config;
        Ok(())
    }
}

/// What the pipeline makes of `log`, in this process, partition by partition.
///
/// # Errors
/// When the use case cannot be used.
pub fn verdicts(dir: &UseCaseDir, log: &[RecordBatch]) -> anyhow::Result<Expected> {
    verdicts_as_told(std::slice::from_ref(dir), log, &Told::new())
}

/// As [`verdicts`], but each event is judged by the versions that `told` says, which are among those of `dirs`: each of them has
/// a configuration, and a model. What nothing is told of is judged by the first.
///
/// # Errors
/// When a use case cannot be used, or a version is unknown.
pub fn verdicts_as_told(dirs: &[UseCaseDir], log: &[RecordBatch], told: &Told) -> anyhow::Result<Expected> {
    let versions: Vec<Version> = dirs.iter().map(Version::new).collect::<anyhow::Result<_>>()?;
    let find = |versions: &[Version], told: &Versions| -> anyhow::Result<(usize, usize)> {
        let config = versions.iter().position(|version| version.dir.config_version == told.config_version);
        let is_model = |version: &Version| version.model.as_ref().is_some_and(|m| **m.version() == *told.model_version);
        let model = if told.model_version.is_empty() { Some(0) } else { versions.iter().position(is_model) };
        config.zip(model).with_context(|| format!("there are no such versions: {told:?}"))
    };
    let mut partitions: HashMap<u32, Partition> = HashMap::new();
    let mut expected = Expected::default();
    for batch in log {
        let partition = match partitions.entry(batch.partition) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let pipeline = versions[0].pipeline(&Restored::default())?;
                new.insert(Partition { pipeline, config: 0, state: BTreeMap::new() })
            }
        };
        let told = told.get(&batch.partition).map_or(&[][..], Vec::as_slice);
        for part in cut(batch, told) {
            let first = part.records.first().map_or(part.next_offset, |record| record.offset);
            let by = told.iter().rfind(|versions| versions.offset <= first);
            let (config, model) = by.map_or(Ok((0, 0)), |by| find(&versions, by))?;
            partition.switch(config, &versions[config])?;
            let prepared = partition.pipeline.prepare(part);
            let model = versions[model].model.as_ref();
            let scores = model.map_or_else(Scores::default, |model| model.score(prepared.rows()));
            expected.add(partition.pipeline.judge(prepared, &scores, Timestamp::UNIX_EPOCH).outputs)?;
        }
    }
    expected.anomalies.sort_by(|a, b| a["id"].as_str().cmp(&b["id"].as_str()));
    Ok(expected)
}

/// Cuts `batch` where versions change.
fn cut(batch: &RecordBatch, told: &[Versions]) -> Vec<RecordBatch> {
    let mut borders: Vec<usize> =
        told.iter().map(|versions| batch.records.partition_point(|record| record.offset < versions.offset)).collect();
    borders.extend([0, batch.records.len()]);
    borders.sort_unstable();
    borders.dedup();
    let parts = borders.array_windows().map(|&[from, to]| {
        let next_offset = batch.records.get(to).map_or(batch.next_offset, |record| record.offset);
        RecordBatch { records: batch.records[from..to].to_vec(), next_offset, ..batch.clone() }
    });
    parts.collect()
}

impl Expected {
    fn add(&mut self, outputs: Vec<NewRecord>) -> anyhow::Result<()> {
        for output in outputs {
            if output.topic.ends_with(".dlq") {
                let header = |name| output.headers.get_str(name).context("a dead letter without its headers");
                let reasons = serde_json::from_str(header("pulse-reasons")?)?;
                self.dead_letters.insert(header("pulse-origin")?.to_owned(), reasons);
            } else {
                let mut anomaly: Value = serde_json::from_slice(&output.payload)?;
                anomaly.as_object_mut().and_then(|fields| fields.remove("detected_at")).context("no detected_at")?;
                self.anomalies.push(anomaly);
            }
        }
        Ok(())
    }
}

/// The partitions and offsets of the anomalies of `log`, said as plainly as can be: event by event, a list of values for
/// each entity and column, sums over all of them. What is no valid event is known: `dead_letters`.
///
/// # Errors
/// When the use case cannot be used.
pub fn flagged(
    dir: &UseCaseDir,
    log: &[RecordBatch],
    dead_letters: &BTreeMap<String, Value>,
) -> anyhow::Result<BTreeSet<(u32, u64)>> {
    let model = model(dir)?;
    let mut featurizer = Featurizer::new(dir)?;
    let names: Vec<String> = featurizer.columns().iter().map(|column| column.name.clone()).collect();
    let place = |name: &String| names.iter().position(|known| known == name).context("an unknown column");
    let (forest, rolling) = (&dir.use_case.detectors.forest, &dir.use_case.detectors.rolling);
    let watched = rolling.as_ref().and_then(|rolling| rolling.features.as_ref()).unwrap_or(&names);
    let watched: Vec<usize> = watched.iter().map(place).collect::<Result<_, _>>()?;
    let mut history: HashMap<(u32, String, usize), Vec<f64>> = HashMap::new();
    let mut found = BTreeSet::new();
    for (partition, record) in log.iter().flat_map(|batch| batch.records.iter().map(|record| (batch.partition, record)))
    {
        if dead_letters.contains_key(&format!("{}/{partition}/{}", dir.use_case.topic, record.offset)) {
            continue;
        }
        let Some((entity, row)) = event(&mut featurizer, dir, record) else { continue };
        let mut is_anomaly = false;
        if let (Some(model), Some(settings)) = (&model, forest) {
            let wanted: Vec<usize> = model.columns().iter().map(place).collect::<Result<_, _>>()?;
            let mut rows = Matrix::with_capacity(row.len(), 1);
            rows.push(&row);
            let scores = model.score(&rows.select(&wanted));
            is_anomaly |= settings.decides && scores.scores[0] >= scores.threshold;
        }
        for &column in &watched {
            let Some(settings) = rolling else { continue };
            let before = history.entry((partition, entity.clone(), column)).or_default();
            is_anomaly |= deviates(before, row[column], settings) && settings.decides;
            if row[column].is_finite() {
                before.push(row[column]);
            }
        }
        if is_anomaly {
            found.insert((partition, record.offset));
        }
    }
    Ok(found)
}

/// The entity and the columns of an event of ours.
fn event(featurizer: &mut Featurizer, dir: &UseCaseDir, record: &Record) -> Option<(String, Vec<f64>)> {
    if record.headers.get_str("pulse-use-case").is_some_and(|name| name != dir.use_case.name) {
        return None;
    }
    let mut row = Vec::new();
    featurizer.decode(&record.payload, Need::Event, &mut row).ok()?;
    Some((String::from_utf8(record.key.as_ref()?.to_vec()).ok()?, row))
}

/// Whether `value` lies `threshold` population standard deviations from the mean of the last `window` of `before`.
#[expect(clippy::cast_precision_loss, reason = "a window is short")]
fn deviates(before: &[f64], value: f64, settings: &RollingSettings) -> bool {
    let window = &before[before.len().saturating_sub(settings.window as usize)..];
    if window.len() < settings.min_values as usize || !value.is_finite() {
        return false;
    }
    let mean = window.iter().sum::<f64>() / window.len() as f64;
    let variance = window.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / window.len() as f64;
    let (distance, tolerance) = ((value - mean).abs(), 1e-12 * mean.abs().max(value.abs()));
    if variance.sqrt() <= tolerance {
        return distance > tolerance;
    }
    distance / variance.sqrt() >= settings.threshold * (1.0 - 1e-12)
}
