//! A use case as it is served.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pulse_core::ports::Scores;
use pulse_core::use_case::ForestSettings;
use pulse_core::{Matrix, UseCase};
use pulse_features::{Featurizer, Need, Sample, UseCaseDir, UseCaseError};
use pulse_scoring::Model;
use pulse_scoring::oip::Absence;
use serde_json::{Map, Value};

use crate::featurizers::Featurizers;
use crate::model_slot::{ModelSlot, ModelState};
use crate::problem::Problem;
use crate::registry::Registry;
use crate::schema;
use crate::shadow::Shadow;

/// A use case with its featurizer, its model, and its documents.
#[derive(Debug, Clone)]
pub struct ServedUseCase(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    use_case: UseCase,
    featurizers: Featurizers,
    slot: ModelSlot,
    shadow: Shadow,
    changes: Mutex<()>,
    registry: Registry,
    schema: Value,
    /// The columns of the example, as a model has them that is trained with the settings as they are.
    example_row: Option<Vec<f64>>,
}

impl ServedUseCase {
    /// The use case in `dir`, with the model in `slot`. Examples come from `sample`; without one they are made up from the
    /// limits of the features, as far as that gives an event that is accepted.
    ///
    /// # Errors
    /// When the use case cannot be used.
    pub fn new(dir: &UseCaseDir, sample: Option<&Sample>, slot: ModelSlot) -> Result<Self, UseCaseError> {
        let featurizer = Featurizer::new(dir)?;
        let is_accepted = |event: &Map<String, Value>| {
            let event = Value::Object(event.clone()).to_string();
            featurizer.clone().decode(event.as_bytes(), Need::Features, &mut Vec::new()).is_ok()
        };
        let example = sample.and_then(usual_event).or_else(|| schema::made_up_event(&dir.use_case));
        // An example that would be refused is worse than none.
        let example = example.filter(is_accepted);
        Ok(Self(Arc::new(Inner {
            use_case: dir.use_case.clone(),
            slot,
            shadow: Shadow::new(&dir.use_case.name),
            changes: Mutex::new(()),
            registry: Registry::new(dir)?,
            example_row: example
                .as_ref()
                .and_then(|event| row_of(event, &featurizer, dir.use_case.detectors.forest.as_ref())),
            schema: schema::event_schema(&dir.use_case, example),
            featurizers: Featurizers::new(featurizer),
        })))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.use_case.name
    }

    /// The place of its model.
    #[must_use]
    pub fn slot(&self) -> &ModelSlot {
        &self.0.slot
    }

    /// The versions of its model that are stored.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// The place of its candidate.
    pub(crate) fn shadow(&self) -> &Shadow {
        &self.0.shadow
    }

    /// Held by whoever changes which models are used here, so that nobody goes by what was so before. Blocks.
    pub(crate) fn changing(&self) -> MutexGuard<'_, ()> {
        self.0.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Scores `rows`, whose columns are those of `model`, and takes note of them: for drift, and for the candidate.
    pub(crate) fn score(&self, model: &Model, rows: &Matrix) -> Scores {
        let scores = model.score(rows);
        self.observe(model, rows, &scores.scores);
        scores
    }

    /// As [`score`](Self::score), with an explanation of every row.
    pub(crate) fn explain(&self, model: &Model, rows: &Matrix) -> (Vec<f64>, Vec<Vec<f64>>) {
        let explained = model.explain(rows);
        self.observe(model, rows, &explained.0);
        explained
    }

    fn observe(&self, model: &Model, rows: &Matrix, scores: &[f64]) {
        model.drift().observe(rows, scores);
        self.shadow().observe(model, rows, scores);
    }

    pub(crate) fn featurizers(&self) -> &Featurizers {
        &self.0.featurizers
    }

    /// A row of columns to show, where there is an event to derive it from.
    pub(crate) fn example_row(&self) -> Option<Vec<f64>> {
        self.0.example_row.clone()
    }

    /// JSON Schema of its events.
    pub(crate) fn schema(&self) -> &Value {
        &self.0.schema
    }

    /// The model in force.
    pub(crate) fn in_force(&self) -> Result<Arc<Model>, Problem> {
        match self.slot().state() {
            ModelState::Ready(model) => Ok(model),
            ModelState::WarmingUp(warm_up) => {
                let absence = if self.slot().is_optional() { Absence::NoModel } else { Absence::WarmingUp };
                Err(Problem::no_model(warm_up, absence))
            }
            ModelState::Failed(warm_up) => Err(Problem::no_model(warm_up, Absence::NoModel)),
        }
    }

    /// The model in force, and where its columns stand among the featurizer's.
    pub(crate) fn model(&self) -> Result<ModelInForce, Problem> {
        let model = self.in_force()?;
        let columns = self.featurizers().columns();
        let place = |name: &String| {
            let found = columns.iter().position(|column| column.name == *name);
            found.ok_or_else(|| Problem::internal(format!("the model wants column {name}, which is not derived")))
        };
        let places = model.columns().iter().map(place).collect::<Result<_, _>>()?;
        Ok(ModelInForce { model, places })
    }
}

/// A model and where its columns stand.
#[derive(Debug)]
pub(crate) struct ModelInForce {
    pub(crate) model: Arc<Model>,
    pub(crate) places: Vec<usize>,
}

/// The columns of `event` that the forest sees.
fn row_of(event: &Map<String, Value>, featurizer: &Featurizer, forest: Option<&ForestSettings>) -> Option<Vec<f64>> {
    let (mut row, event) = (Vec::new(), Value::Object(event.clone()).to_string());
    featurizer.clone().decode(event.as_bytes(), Need::Features, &mut row).ok()?;
    let Some(names) = forest?.features.as_ref() else { return Some(row) };
    let place = |name: &String| featurizer.columns().iter().position(|column| column.name == *name);
    names.iter().map(|name| row.get(place(name)?).copied()).collect()
}

/// The first event of the sample that is not out of the ordinary.
fn usual_event(sample: &Sample) -> Option<Map<String, Value>> {
    sample.training().iter().find(|row| !row.genuine_outlier).map(|row| row.event.clone())
}
