//! What the services of `up` are told: the command line first, then the settings.

use std::time::Duration;

use pulse_anomaly_writer::WriterOptions;
use pulse_runtime::{ProcessorSettings, SimulatorPace, SimulatorSettings, WriterSettings};
use pulse_simulator::{Pace, SimulatorOptions};
use pulse_stream_processor as processor;

use crate::cli::UpArgs;

/// Reading the rest of the log takes at most this long at a stop; what is left waits for the next start.
const DRAIN: Duration = Duration::from_secs(15);

pub(super) fn simulator(args: &UpArgs, settings: &SimulatorSettings) -> SimulatorOptions {
    let pace = match settings.pace {
        SimulatorPace::Max => Pace::Max,
        SimulatorPace::Rate(rate) => Pace::PerSecond(rate),
        SimulatorPace::Speed(speed) => Pace::Speed(speed),
    };
    SimulatorOptions {
        rate: args.pace().unwrap_or(pace),
        events: args.events.or(settings.events),
        anomaly_rate: args.anomaly_rate.unwrap_or(settings.anomaly_rate),
        seed: args.seed.unwrap_or(settings.seed),
        start: args.start.or(settings.start),
    }
}

pub(super) fn processor(settings: &ProcessorSettings) -> processor::Options {
    let defaults = processor::Options::default();
    processor::Options {
        workers: settings.workers.unwrap_or(defaults.workers),
        batch_records: settings.batch_records,
        snapshot_every: settings.snapshot_every,
        drain: DRAIN,
        ..defaults
    }
}

pub(super) fn writer(settings: &WriterSettings) -> WriterOptions {
    WriterOptions { batch_records: settings.batch_records, linger: settings.linger, ..WriterOptions::default() }
}
