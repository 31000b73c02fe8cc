//! The side of a reader that waits for librdkafka.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pulse_core::RecordBatch;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError as Native, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::{Message as _, Offset};

use crate::aside::Aside;
use crate::catalog;
use crate::context::{Absence, Context};
use crate::error::{KafkaError, is_away, is_unknown_topic};
use crate::query;
use crate::settings::{KafkaSettings, Role};

use super::place::Place;

/// How long records are waited for.
const WAIT: Duration = Duration::from_millis(100);
/// How long more is waited for after some: what librdkafka fetches at once of several partitions does not come at once.
const LINGER: Duration = Duration::from_millis(10);
/// Bytes of records from which no more are taken.
const BYTES: usize = 16 << 20;
/// What a record takes besides.
const RECORD: usize = 64;
/// Pause before brokers are asked again for a topic that does not exist yet.
const PAUSE: Duration = Duration::from_secs(1);

/// Owns the consumer. Its calls wait.
pub(super) struct Fetcher {
    consumer: Aside<BaseConsumer<Context>>,
    brokers: String,
    topic: Arc<str>,
    /// Whether the topic is waited for where there is none.
    pub(super) is_patient: bool,
    absence: Absence,
    /// Not before this time brokers are asked for the topic again.
    ask_at: Option<Instant>,
    /// The partitions; none before the topic was found.
    places: BTreeMap<u32, Place>,
    /// Those that lack something that was there when reading began.
    behind: usize,
}

impl Fetcher {
    pub(super) fn new(settings: &KafkaSettings, topic: &Arc<str>) -> Result<Self, KafkaError> {
        let context = Context::new();
        let absence = Absence::of(context.link().clone());
        let consumer = settings.client(&Role::Bystander)?.create_with_context(context).map_err(KafkaError::of_setup)?;
        Ok(Self {
            consumer: Aside::new(consumer),
            brokers: settings.brokers.clone(),
            topic: Arc::clone(topic),
            is_patient: false,
            absence,
            ask_at: None,
            places: BTreeMap::new(),
            behind: 0,
        })
    }

    /// Where each partition began and ended when reading began; none before.
    pub(super) fn spans(&self) -> impl Iterator<Item = (u32, (u64, u64))> {
        self.places.iter().map(|(&partition, place)| (partition, place.span()))
    }

    /// What comes within a short while, a batch for each partition at the most.
    pub(super) fn fetch(&mut self) -> Result<Vec<RecordBatch>, KafkaError> {
        self.open()?;
        self.gather()?;
        let topic = &self.topic;
        let batches: Vec<RecordBatch> =
            self.places.iter_mut().filter_map(|(&partition, place)| place.batch(topic, partition)).collect();
        if !batches.is_empty() {
            self.absence.ends();
        } else if self.absence.is_long() {
            return Err(KafkaError::Unreachable { brokers: self.brokers.clone() });
        }
        Ok(batches)
    }

    /// Begins to read, unless it did, or there is nothing to be read yet.
    fn open(&mut self) -> Result<(), KafkaError> {
        if !self.places.is_empty() || self.ask_at.is_some_and(|at| Instant::now() < at) {
            return Ok(());
        }
        let places = match self.look() {
            Ok(places) => places,
            Err(KafkaError::UnknownTopic { .. }) if self.is_patient => {
                self.ask_at = Some(Instant::now() + PAUSE);
                return Ok(());
            }
            Err(error) => return Err(self.refusal().unwrap_or(error)),
        };
        let all: Vec<u32> = places.keys().copied().collect();
        self.behind = places.values().filter(|place| place.is_behind()).count();
        self.places = places;
        self.assign(&all).inspect_err(|_| self.places.clear()).map_err(|error| self.explain(error))
    }

    /// Asks where the partitions begin and end.
    fn look(&self) -> Result<BTreeMap<u32, Place>, KafkaError> {
        let count = catalog::partitions(&self.consumer, &self.brokers, &self.topic)?;
        let all: Vec<u32> = (0..count).collect();
        let [begins, ends] = self.bounds(&all)?;
        let bound = |bounds: &BTreeMap<u32, u64>, partition| bounds.get(&partition).copied().unwrap_or_default();
        let place = |partition| (partition, Place::new(bound(&begins, partition), bound(&ends, partition)));
        Ok(all.into_iter().map(place).collect())
    }

    /// Where `partitions` begin and end now.
    fn bounds(&self, partitions: &[u32]) -> Result<[BTreeMap<u32, u64>; 2], KafkaError> {
        let bounds = |place| query::settled_bounds(&self.consumer, &self.topic, partitions, place);
        let both = bounds(Offset::Beginning).and_then(|begins| Ok([begins, bounds(Offset::End)?]));
        both.map_err(|error| self.explain(error))
    }

    /// Why we were not let in, if that is why nobody answered: only errors that are served tell.
    fn refusal(&self) -> Option<KafkaError> {
        while self.consumer.poll(LINGER).is_some() {}
        let reason = self.consumer.context().take_refusal()?;
        Some(KafkaError::Authentication { brokers: self.brokers.clone(), reason })
    }

    /// Has `partitions` fetched from where they stand.
    fn assign(&self, partitions: &[u32]) -> KafkaResult<()> {
        let position = |partition: &u32| Some((*partition, query::at(self.places.get(partition)?.position())));
        self.consumer.incremental_assign(&query::list(&self.topic, partitions.iter().filter_map(position))?)
    }

    /// Has `partitions` not fetched any more.
    fn unassign(&self, partitions: &[u32]) -> KafkaResult<()> {
        let any = partitions.iter().map(|&partition| (partition, Offset::Invalid));
        self.consumer.incremental_unassign(&query::list(&self.topic, any)?)
    }

    /// Takes what librdkafka has, or gets within a short while.
    fn gather(&mut self) -> Result<(), KafkaError> {
        let until = Instant::now() + WAIT;
        let (mut patience, mut bytes) = (WAIT, 0);
        while bytes < BYTES {
            let behind = self.behind;
            let mut later = None;
            match self.consumer.poll(patience.min(until.saturating_duration_since(Instant::now()))) {
                Some(Ok(message)) => {
                    let partition = message.partition().unsigned_abs();
                    let Some(place) = self.places.get_mut(&partition) else { continue };
                    let was_behind = place.is_behind();
                    if behind > 0 && place.is_later(&message) {
                        place.reach_end();
                        later = Some(partition);
                    } else {
                        bytes += place.push(&message) + RECORD;
                        patience = LINGER;
                    }
                    self.behind -= usize::from(was_behind && !place.is_behind());
                }
                Some(Err(Native::PartitionEOF(partition))) => self.reach_end(partition.unsigned_abs()),
                Some(Err(error)) => self.fail(error)?,
                None => break,
            }
            if let Some(partition) = later {
                self.hold(partition).map_err(|error| self.explain(error))?;
            }
            if behind > 0 && self.behind == 0 {
                // What comes later belongs into batches of its own.
                return self.go_on().map_err(|error| self.explain(error));
            }
        }
        Ok(())
    }

    fn reach_end(&mut self, partition: u32) {
        if let Some(place) = self.places.get_mut(&partition) {
            self.behind -= usize::from(place.is_behind());
            place.reach_end();
        }
    }

    /// What comes in `partition` waits until no partition is behind any more.
    fn hold(&mut self, partition: u32) -> KafkaResult<()> {
        match self.places.get_mut(&partition) {
            Some(place) if !place.is_held() => place.set_held(true),
            _ => return Ok(()),
        }
        self.unassign(&[partition])
    }

    /// Nothing is behind any more: what was appended later is next.
    fn go_on(&mut self) -> KafkaResult<()> {
        let held: Vec<u32> = self.fetched(false);
        if held.is_empty() {
            return Ok(());
        }
        self.places.values_mut().for_each(|place| place.set_held(false));
        self.assign(&held)
    }

    /// The partitions that are fetched, or those that are not.
    fn fetched(&self, are: bool) -> Vec<u32> {
        self.places.iter().filter(|(_, place)| place.is_held() != are).map(|(&partition, _)| partition).collect()
    }

    fn fail(&mut self, error: Native) -> Result<(), KafkaError> {
        match error.rdkafka_error_code() {
            // It goes on trying by itself, and the link says so.
            Some(code) if is_away(code) => Ok(()),
            // We are in no group, and need not be allowed to be in one.
            Some(Code::GroupAuthorizationFailed) => Ok(()),
            Some(Code::AutoOffsetReset) => self.look_again(),
            Some(code) if is_unknown_topic(code) && self.topic_exists() => Ok(()),
            _ => Err(self.explain(error)),
        }
    }

    /// An offset is out of range, and librdkafka does not say of which partition: retention was faster than we are.
    fn look_again(&mut self) -> Result<(), KafkaError> {
        let fetched = self.fetched(true);
        let [begins, ends] = self.bounds(&fetched)?;
        for &partition in &fetched {
            let Some(place) = self.places.get_mut(&partition) else { continue };
            let (position, was_behind) = (place.position(), place.is_behind());
            if let Some(&end) = ends.get(&partition).filter(|&&end| end < position) {
                return Err(KafkaError::Shrunk { topic: self.topic.to_string(), partition, end, position });
            }
            let begin = begins.get(&partition).copied().unwrap_or_default();
            if begin > position {
                tracing::warn!(topic = %self.topic, partition, position, begin, "retention has dropped records before they were read");
            }
            place.skip_to(begin);
            self.behind -= usize::from(was_behind && !place.is_behind());
        }
        let again = self.unassign(&fetched).and_then(|()| self.assign(&fetched));
        again.map_err(|error| self.explain(error))
    }

    fn topic_exists(&self) -> bool {
        // When nobody knows, the question comes again.
        !matches!(catalog::partitions(&self.consumer, &self.brokers, &self.topic), Err(KafkaError::UnknownTopic { .. }))
    }

    fn explain(&self, error: Native) -> KafkaError {
        let what = format!("read topic {:?}", self.topic);
        self.consumer.context().explain(&self.brokers, what, &self.topic, error)
    }
}
