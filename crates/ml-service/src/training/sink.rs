//! Training rows, from events one after another.

use pulse_core::Matrix;
use pulse_features::{Fault, Featurizer, Need, UseCaseDir};
use rand::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::{Map, Value};

use super::topic::Reached;

/// What was read.
#[derive(Debug)]
pub(crate) struct Gathered {
    /// The names of the columns.
    pub(super) columns: Vec<String>,
    pub(super) rows: Matrix,
    /// The label of each row, where labels are wanted and it has one.
    pub(super) labels: Vec<Option<bool>>,
    pub(super) read: u64,
    pub(super) left_out: u64,
    pub(super) first_fault: Option<Fault>,
}

/// Takes events, one after another, and derives their columns.
pub(super) struct Sink<'a> {
    featurizer: &'a mut Featurizer,
    pub(super) label: Option<&'a str>,
    reservoir: Reservoir,
    row: Vec<f64>,
    read: u64,
    left_out: u64,
    first_fault: Option<Fault>,
}

impl<'a> Sink<'a> {
    /// Takes events of the use case in `dir`, and keeps `max_rows` of them at the most.
    pub(super) fn new(
        dir: &UseCaseDir,
        featurizer: &'a mut Featurizer,
        label: Option<&'a str>,
        max_rows: usize,
    ) -> Self {
        let seed = dir.use_case.detectors.forest.as_ref().map_or(0, |settings| settings.seed);
        let reservoir = Reservoir::new(max_rows, seed);
        Self { featurizer, label, reservoir, row: Vec::new(), read: 0, left_out: 0, first_fault: None }
    }

    /// Rows that are kept.
    pub(super) fn kept(&self) -> usize {
        self.reservoir.kept.len()
    }

    /// Whether there are rows, and none of them has a label.
    pub(super) fn has_no_label(&self) -> bool {
        !self.reservoir.kept.is_empty() && self.reservoir.kept.iter().all(|(_, label)| label.is_none())
    }

    /// Whether there was no event, valid or not.
    pub(super) fn is_empty(&self) -> bool {
        self.read == 0
    }

    /// How far it is, where so much is `done` of `total`.
    pub(super) fn reached(&self, done: u64, total: u64) -> Reached<'_> {
        Reached { done, total, left_out: self.left_out, first_fault: self.first_fault.as_ref() }
    }

    /// What was taken.
    pub(super) fn finish(self) -> Gathered {
        let Self { featurizer, reservoir, read, left_out, first_fault, .. } = self;
        let mut rows = Matrix::with_capacity(featurizer.columns().len(), reservoir.kept.len());
        reservoir.kept.iter().for_each(|(row, _)| rows.push(row));
        let labels = reservoir.kept.into_iter().map(|(_, label)| label).collect();
        let columns = featurizer.columns().iter().map(|column| column.name.clone()).collect();
        Gathered { columns, rows, labels, read, left_out, first_fault }
    }

    /// Takes an event of JSON, which may say itself whether it is an anomaly.
    pub(super) fn take_json(&mut self, payload: &[u8]) {
        let label = self.label.and_then(|label| truth(&serde_json::from_slice(payload).ok()?, label));
        self.take(payload, label);
    }

    pub(super) fn take(&mut self, payload: &[u8], label: Option<bool>) {
        self.read += 1;
        match self.featurizer.decode(payload, Need::Features, &mut self.row) {
            Ok(_) => self.reservoir.take(&self.row, label),
            Err(faults) => {
                self.left_out += 1;
                if self.first_fault.is_none() {
                    self.first_fault = faults.into_iter().next();
                }
            }
        }
    }

    /// Counts what cannot even be read as an event.
    pub(super) fn leave_out(&mut self, fault: Fault) {
        self.read += 1;
        self.left_out += 1;
        self.first_fault.get_or_insert(fault);
    }
}

/// Some of the rows, each as likely as any other (algorithm R, Vitter 1985); the same ones for the same rows and seed.
struct Reservoir {
    kept: Vec<(Box<[f64]>, Option<bool>)>,
    limit: usize,
    seen: u64,
    rng: Xoshiro256PlusPlus,
}

impl Reservoir {
    fn new(limit: usize, seed: u64) -> Self {
        Self { kept: Vec::new(), limit, seen: 0, rng: Xoshiro256PlusPlus::seed_from_u64(seed) }
    }

    fn take(&mut self, row: &[f64], label: Option<bool>) {
        self.seen += 1;
        if self.kept.len() < self.limit {
            self.kept.push((row.into(), label));
            return;
        }
        let place = usize::try_from(self.rng.random_range(0..self.seen)).unwrap_or(usize::MAX);
        if let Some(kept) = self.kept.get_mut(place) {
            *kept = (row.into(), label);
        }
    }
}

/// What the field `label` of an event says.
pub(super) fn truth(event: &Map<String, Value>, label: &str) -> Option<bool> {
    let mut names = label.split('.');
    let first = event.get(names.next()?)?;
    match names.try_fold(first, |value, name| value.get(name))? {
        Value::Bool(truth) => Some(*truth),
        Value::Number(number) => match number.as_f64()? {
            0.0 => Some(false),
            1.0 => Some(true),
            _ => None,
        },
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "1" | "true" => Some(true),
            "0" | "false" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_as_likely_to_be_kept() {
        let mut times = [0_u32; 50];
        for seed in 0..2000 {
            let mut reservoir = Reservoir::new(10, seed);
            (0..50_u32).for_each(|row| reservoir.take(&[f64::from(row)], None));
            assert_eq!(reservoir.kept.len(), 10);
            reservoir.kept.iter().for_each(|(row, _)| times[row[0] as usize] += 1);
        }
        // 400 each, with a standard deviation of 18.
        assert!(times.iter().all(|&times| (290..510).contains(&times)), "{times:?}");
    }
}
