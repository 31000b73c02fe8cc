//! A use case resolved against its columns: what every partition's pipeline shares.

use std::sync::Arc;

use pulse_core::names::{LABEL_GENUINE, LABEL_OTHER, TOPIC_ANOMALIES, dead_letter_topic};
use pulse_core::use_case::{Entity, Feature, ForestSettings, RollingSettings, Rule, UseCase};
use pulse_detect::{RollingError, RollingZScore};
use pulse_features::{Column, Featurizer, UseCaseDir};

use crate::columns::ColumnBuckets;

/// Name of the isolation forest in verdicts and metrics.
pub const DETECTOR_FOREST: &str = "isolation_forest";
/// Name of the rolling z-score in verdicts and metrics.
pub const DETECTOR_ROLLING: &str = "rolling_zscore";

/// Why a use case cannot be run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A detector names a column that does not exist.
    #[error("detectors.{detector}.features: {column:?} is neither a numeric feature nor derived; there are {known}")]
    UnknownColumn {
        /// The detector.
        detector: &'static str,
        /// The column.
        column: String,
        /// The columns there are.
        known: String,
    },
    /// The model wants columns that the use case does not have.
    #[error("the model wants the column {column:?}, which the use case does not have; there are {known}")]
    ModelColumn {
        /// The column.
        column: String,
        /// The columns there are.
        known: String,
    },
    /// The rolling rule's settings are off.
    #[error("detectors.rolling_zscore is not valid")]
    Rolling(#[source] RollingError),
}

/// The rolling rule and the columns that it watches.
#[derive(Debug)]
pub(crate) struct RollingPlan {
    pub(crate) rule: RollingZScore,
    pub(crate) window: usize,
    pub(crate) max_entities: usize,
    pub(crate) columns: Vec<(usize, String)>,
    pub(crate) decides: bool,
}

/// The columns that the model wants.
#[derive(Debug)]
pub(crate) struct ForestPlan {
    pub(crate) columns: Vec<usize>,
    pub(crate) names: Vec<String>,
    pub(crate) decides: bool,
}

/// A use case, ready to run.
#[derive(Debug)]
pub struct Plan {
    pub(crate) use_case: String,
    pub(crate) config_version: String,
    pub(crate) dead_letters: Arc<str>,
    pub(crate) anomalies: Arc<str>,
    pub(crate) entity: Entity,
    pub(crate) rolling: Option<RollingPlan>,
    pub(crate) forest: Option<ForestPlan>,
    pub(crate) buckets: Option<ColumnBuckets>,
    labels: Vec<String>,
    state_layout: u64,
}

impl Plan {
    /// Resolves the use case in `dir` against the columns of `featurizer` and those of the model in force, if there is one.
    ///
    /// # Errors
    /// When a detector or the model names a column that does not exist.
    pub fn new(dir: &UseCaseDir, featurizer: &Featurizer, model_columns: Option<&[String]>) -> Result<Self, PlanError> {
        let use_case = &dir.use_case;
        let columns = featurizer.columns();
        let rolling =
            use_case.detectors.rolling.as_ref().map(|settings| RollingPlan::new(settings, columns)).transpose()?;
        let forest = match (&use_case.detectors.forest, model_columns) {
            (Some(settings), Some(names)) => Some(ForestPlan::new(settings, names, columns)?),
            _ => None,
        };
        let state_layout = rolling.as_ref().map_or(0, |rolling| rolling.layout(dir));
        let kinds = use_case.simulator.anomalies.iter().map(|anomaly| anomaly.name.clone());
        let labels = [String::new(), LABEL_GENUINE.to_owned()].into_iter().chain(kinds).chain([LABEL_OTHER.to_owned()]);
        Ok(Self {
            use_case: use_case.name.clone(),
            config_version: dir.config_version.clone(),
            dead_letters: dead_letter_topic(&use_case.topic).into(),
            anomalies: TOPIC_ANOMALIES.into(),
            entity: use_case.entity.clone(),
            rolling,
            forest,
            buckets: None,
            labels: labels.collect(),
            state_layout,
        })
    }

    /// The plan, with the values of all columns counted in `buckets`.
    #[must_use]
    pub fn counting(self, buckets: ColumnBuckets) -> Self {
        Self { buckets: Some(buckets), ..self }
    }

    /// How the values of the columns are counted; none where they are not.
    #[must_use]
    pub fn buckets(&self) -> Option<&ColumnBuckets> {
        self.buckets.as_ref()
    }

    /// The labels that are counted, by their index in [`Judged::label`](crate::Judged::label): none, genuine outliers, the
    /// simulator's kinds in the order of the configuration, any other.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The detectors in force.
    pub fn detectors(&self) -> impl Iterator<Item = &'static str> {
        let forest = self.forest.is_some().then_some(DETECTOR_FOREST);
        forest.into_iter().chain(self.rolling.is_some().then_some(DETECTOR_ROLLING))
    }

    /// The topic of dead letters.
    #[must_use]
    pub fn dead_letters(&self) -> &Arc<str> {
        &self.dead_letters
    }

    pub(crate) fn label_index(&self, label: Option<&str>) -> u16 {
        let Some(label) = label.filter(|label| !label.is_empty()) else { return 0 };
        let index = self.labels.iter().position(|known| known == label).unwrap_or(self.labels.len() - 1);
        u16::try_from(index).unwrap_or(u16::MAX)
    }

    /// A hash of what the state depends on besides the events; 0 where there is no state.
    pub(crate) fn state_layout(&self) -> u64 {
        self.state_layout
    }
}

impl RollingPlan {
    fn new(settings: &RollingSettings, columns: &[Column]) -> Result<Self, PlanError> {
        let names: Vec<String> = match &settings.features {
            Some(names) => names.clone(),
            None => columns.iter().map(|column| column.name.clone()).collect(),
        };
        let resolve = |name: String| match position(columns, &name) {
            Some(index) => Ok((index, name)),
            None => Err(PlanError::UnknownColumn { detector: DETECTOR_ROLLING, column: name, known: known(columns) }),
        };
        let window = settings.window as usize;
        Ok(Self {
            rule: RollingZScore::new(window, settings.min_values as usize, settings.threshold)
                .map_err(PlanError::Rolling)?,
            window,
            max_entities: settings.max_entities as usize,
            columns: names.into_iter().map(resolve).collect::<Result<_, _>>()?,
            decides: settings.decides,
        })
    }

    /// A hash of all that decides what events leave behind: what is remembered, of whom, and which events are admitted. A
    /// state of another layout must not go on: the events since its snapshot would be admitted otherwise than those before,
    /// and what it holds in the end would depend on when that was made. What only judges is no part of it.
    fn layout(&self, dir: &UseCaseDir) -> u64 {
        let names: Vec<&str> = self.columns.iter().map(|(_, name)| name.as_str()).collect();
        let Self { window, max_entities, .. } = self;
        let text = format!("{window} {max_entities} {names:?}\n{}\n{:?}", admission(&dir.use_case), dir.program);
        xxhash_rust::xxh3::xxh3_64(text.as_bytes())
    }
}

/// What decides, besides the program, which events are admitted, and of which entity they are. It is taken apart in full, so
/// that nobody adds a setting without deciding whether it belongs here.
fn admission(use_case: &UseCase) -> String {
    let UseCase {
        name,
        description: _,
        entity,
        timestamp,
        features,
        rules,
        payload,
        topic: _,
        metrics_prefix: _,
        metrics_labels: _,
        detectors: _,
        simulator: _,
    } = use_case;
    let features = features.iter().map(|feature| {
        let Feature { name, kind, unit: _, description: _, required, bounds, text, allowed } = feature;
        format!("{name:?} {kind:?} {required} {bounds:?} {text:?} {allowed:?}\n")
    });
    let features: String = features.collect();
    let rules: Vec<&str> = rules.iter().map(|Rule { text, message: _ }| text.as_str()).collect();
    format!("{name} {entity:?} {timestamp:?} {payload:?} {rules:?}\n{features}")
}

impl ForestPlan {
    fn new(settings: &ForestSettings, names: &[String], columns: &[Column]) -> Result<Self, PlanError> {
        let resolve = |name: &String| {
            position(columns, name)
                .ok_or_else(|| PlanError::ModelColumn { column: name.clone(), known: known(columns) })
        };
        Ok(Self {
            columns: names.iter().map(resolve).collect::<Result<_, _>>()?,
            names: names.to_vec(),
            decides: settings.decides,
        })
    }
}

fn position(columns: &[Column], name: &str) -> Option<usize> {
    columns.iter().position(|column| column.name == name)
}

fn known(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
}
