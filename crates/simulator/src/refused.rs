//! Looks for simulated events that the use case itself would refuse.

use std::collections::HashSet;

use bytes::BytesMut;
use pulse_features::{Fault, Featurizer, Need, UseCaseDir};

use crate::error::SimulatorError;
use crate::events::Events;

/// How many events are looked at: some passes of a small sample, and thousands of anomalies.
const EVENTS: u64 = 20_000;
/// Share of anomalies among them, where so many rows may be changed.
const ANOMALY_RATE: f64 = 0.2;

/// A simulated event that would end as a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its sequence number.
    pub event: u64,
    /// The kind of anomaly that it is.
    pub label: Option<String>,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What simulated events are to their own use case.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// The first event, of every kind, with each fault that the use case finds in them.
    pub refused: Vec<Refused>,
    /// The largest share of all events that can be anomalies. The simulator refuses to start where more are asked for.
    pub highest_rate: f64,
}

/// Makes events of the use case in `dir`, and looks at them as the use case does.
///
/// # Errors
/// When the sample has a fault, or the use case cannot be run.
pub fn try_out(dir: &UseCaseDir, seed: u64) -> Result<Trial, SimulatorError> {
    let events = match Events::new(dir, ANOMALY_RATE, seed) {
        Err(SimulatorError::AnomalyRate { share, .. }) => Events::new(dir, share, seed)?,
        made => made?,
    };
    let mut featurizer = Featurizer::new(dir)?;
    let (mut row, mut buffer) = (Vec::new(), BytesMut::new());
    let (mut seen, mut refused) = (HashSet::new(), Vec::new());
    for event in 0..EVENTS {
        let (record, truth) = events.event(event, TIME, &mut buffer);
        let Err(faults) = featurizer.decode(&record.payload, Need::Event, &mut row) else { continue };
        for fault in faults {
            let label = events.label(truth).map(str::to_owned);
            if seen.insert((label.clone(), fault.field.clone(), fault.message.clone())) {
                refused.push(Refused { event, label, fault });
            }
        }
    }
    Ok(Trial { refused, highest_rate: events.highest_rate() })
}

/// Any time will do.
const TIME: i64 = 1_700_000_000_000;
