//! The events of a use case: ordinary ones from its sample or its profile, some of them made into anomalies.

mod drawn;
mod episode;
mod inject;
mod json;
mod number;
mod random;
mod sample;
mod template;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use pulse_core::use_case::UseCase;
use pulse_core::{Headers, NewRecord, TimestampMs, names};
use pulse_features::{SampleRow, UseCaseDir};

use self::drawn::Drawn;
use self::episode::{Episode, Episodes};
use self::inject::{Anomaly, Injector};
use self::sample::Sample;
use crate::error::SimulatorError;

/// The events of a use case, each a pure function of its sequence number.
#[derive(Debug)]
pub struct Events {
    use_case: String,
    topic: Arc<str>,
    source: Source,
    episodes: Episodes,
    injector: Injector,
    seed: u64,
}

/// Where ordinary events come from.
#[derive(Debug)]
enum Source {
    Sample(Sample),
    Drawn(Box<Drawn>),
}

/// An entity and which of its events it is, both counted from 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Place {
    entity: u64,
    step: u64,
}

/// What an event truly is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truth {
    Ordinary,
    GenuineOutlier,
    /// An injected anomaly, by its place among the kinds.
    Injected(usize),
}

impl Events {
    /// Prepares the events of a use case: drawn ones where it states a profile or has no sample, else the sample's.
    ///
    /// # Errors
    /// When the sample has a fault, or `anomaly_rate` is out of reach.
    pub fn new(dir: &UseCaseDir, anomaly_rate: f64, seed: u64) -> Result<Self, SimulatorError> {
        let use_case = &dir.use_case;
        if !use_case.simulator.profile_is_default {
            return Self::drawn(use_case, anomaly_rate, seed);
        }
        match dir.sample()? {
            Some(sample) => Self::of_rows(use_case, sample.replay(), anomaly_rate, seed),
            None => Self::drawn(use_case, anomaly_rate, seed),
        }
    }

    fn drawn(use_case: &UseCase, anomaly_rate: f64, seed: u64) -> Result<Self, SimulatorError> {
        check_rate(anomaly_rate)?;
        let injector = Injector::new(use_case, &use_case.simulator.anomalies, true);
        let source = Source::Drawn(Box::new(Drawn::new(use_case, seed)));
        Ok(Self::from_parts(
            use_case,
            source,
            injector,
            Episodes::new(&use_case.simulator.anomalies, anomaly_rate),
            seed,
        ))
    }

    fn of_rows(use_case: &UseCase, rows: &[SampleRow], anomaly_rate: f64, seed: u64) -> Result<Self, SimulatorError> {
        check_rate(anomaly_rate)?;
        let settings = &use_case.simulator;
        // Kinds that were made up from the profile say nothing about real rows.
        let kinds = if settings.anomalies_are_default { &[][..] } else { settings.anomalies.as_slice() };
        let injector = Injector::new(use_case, kinds, false);
        let sample = Sample::new(rows, use_case, &injector)?;
        let share = sample.eligible_share();
        if anomaly_rate > share && !kinds.is_empty() {
            return Err(SimulatorError::AnomalyRate { rate: anomaly_rate, share });
        }
        // Only rows that may be changed count, so that the share among all events is the rate asked for.
        let episodes = Episodes::new(kinds, if share > 0.0 { anomaly_rate / share } else { 0.0 });
        Ok(Self::from_parts(use_case, Source::Sample(sample), injector, episodes, seed))
    }

    fn from_parts(use_case: &UseCase, source: Source, injector: Injector, episodes: Episodes, seed: u64) -> Self {
        let (name, topic) = (use_case.name.clone(), use_case.topic.as_str().into());
        Self { use_case: name, topic, source, episodes, injector, seed }
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

    /// The largest share of all events that can be anomalies.
    pub(crate) fn highest_rate(&self) -> f64 {
        match &self.source {
            Source::Sample(sample) if self.kinds().next().is_some() => sample.eligible_share(),
            _ => 1.0,
        }
    }

    /// Whether the events have times of their own.
    pub(crate) fn has_times(&self) -> bool {
        match &self.source {
            Source::Sample(sample) => sample.has_times(),
            Source::Drawn(_) => true,
        }
    }

    /// Milliseconds of the events' own time from event `from` to event `to`.
    pub(crate) fn elapsed_ms(&self, from: u64, to: u64) -> u64 {
        let own_time_ms = |i| match &self.source {
            Source::Sample(sample) => sample.own_time_ms(i),
            Source::Drawn(drawn) => drawn.own_time_ms(i),
        };
        own_time_ms(to).saturating_sub(own_time_ms(from))
    }

    /// The key of event `i`: its entity.
    pub(crate) fn key(&self, i: u64) -> Bytes {
        match &self.source {
            Source::Sample(sample) => sample.key(i),
            Source::Drawn(drawn) => drawn.key(i),
        }
    }

    /// The record of event `i` at `time`. `buffer` is where payloads are written; keep it from event to event, so that one
    /// allocation serves many.
    pub fn record(&self, i: u64, time: TimestampMs, buffer: &mut BytesMut) -> NewRecord {
        self.event(i, time, buffer).0
    }

    /// The record of event `i`, and what it truly is.
    pub(crate) fn event(&self, i: u64, time: TimestampMs, buffer: &mut BytesMut) -> (NewRecord, Truth) {
        let episode = self.episode(i);
        let truth = match &episode {
            Some(episode) => Truth::Injected(episode.kind),
            None if self.is_genuine_outlier(i) => Truth::GenuineOutlier,
            None => Truth::Ordinary,
        };
        let offset = self.render(i, time, buffer);
        if let Some(episode) = episode {
            self.inject(i, time, episode, buffer);
        }
        let record = NewRecord {
            topic: Arc::clone(&self.topic),
            partition: None,
            timestamp: time,
            key: Some(self.key(i)),
            payload: buffer.split().freeze(),
            headers: self.headers(i, offset, truth),
        };
        (record, truth)
    }

    /// The name of `truth` as a label; none for an ordinary event.
    pub(crate) fn label(&self, truth: Truth) -> Option<&str> {
        match truth {
            Truth::Ordinary => None,
            Truth::GenuineOutlier => Some(names::LABEL_GENUINE),
            Truth::Injected(kind) => self.injector.kind(kind),
        }
    }

    fn is_genuine_outlier(&self, i: u64) -> bool {
        matches!(&self.source, Source::Sample(sample) if sample.is_genuine_outlier(i))
    }

    /// The episode of which event `i` is a part. Rows that may not be changed stay as they are in the midst of one.
    fn episode(&self, i: u64) -> Option<Episode> {
        match &self.source {
            Source::Sample(sample) if !sample.is_eligible(i) => None,
            _ => self.episodes.covering(self.seed, self.place(i), |place| self.number(place)),
        }
    }

    /// Appends event `i` as it would be without anomalies; where it was moved in time, it gives back by how many milliseconds.
    fn render(&self, i: u64, time: TimestampMs, buffer: &mut BytesMut) -> Option<i64> {
        match &self.source {
            Source::Sample(sample) => sample.render(i, time, buffer),
            Source::Drawn(drawn) => {
                drawn.render(i, time, buffer);
                None
            }
        }
    }

    /// Makes the event in `buffer`, number `i`, into a part of `episode`.
    fn inject(&self, i: u64, time: TimestampMs, episode: Episode, buffer: &mut BytesMut) {
        let Episode { kind, first, length, mut random } = episode;
        let ordinary = buffer.split();
        let before = self.injector.holds(kind).then(|| {
            let step = first.step.saturating_sub(1);
            self.render(self.number(Place { step, ..first }), time, buffer);
            buffer.split()
        });
        #[expect(clippy::cast_precision_loss, reason = "an episode has at most some thousand events")]
        let progress = (self.place(i).step - first.step + 1) as f64 / length as f64;
        let anomaly = Anomaly { kind, progress, before: before.as_deref() };
        self.injector.inject(&anomaly, &ordinary, &mut random, buffer);
    }

    fn place(&self, i: u64) -> Place {
        match &self.source {
            Source::Sample(sample) => sample.place(i),
            Source::Drawn(drawn) => drawn.place(i),
        }
    }

    fn number(&self, place: Place) -> u64 {
        match &self.source {
            Source::Sample(sample) => sample.number(place),
            Source::Drawn(drawn) => drawn.number(place),
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

fn check_rate(rate: f64) -> Result<(), SimulatorError> {
    if (0.0..=1.0).contains(&rate) {
        return Ok(());
    }
    Err(SimulatorError::Option { what: "the anomaly rate", value: rate, range: "between 0 and 1" })
}

#[cfg(test)]
mod tests;
