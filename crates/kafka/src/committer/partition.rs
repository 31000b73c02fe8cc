//! A partition that we hold: its producer, and the thread that works it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use pulse_core::NewRecord;
use pulse_core::ports::{Commit, Restored, StateRecord};
use rdkafka::consumer::{BaseConsumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError as Native, RDKafkaErrorCode as Code};
use rdkafka::producer::{BaseProducer, Producer as _};
use tokio::sync::oneshot;

use crate::aside::Aside;
use crate::context::Context;
use crate::error::KafkaError;
use crate::query;
use crate::settings::Role;

use super::Shared;
use super::restore::{self, Position};
use super::transaction::{self, End, Place};

/// How often librdkafka is served while nothing is committed.
const SERVE: Duration = Duration::from_secs(1);
/// How long a call of librdkafka may take at first, and at most, before it is made again. It returns no sooner where brokers refuse;
/// and whenever it is made anew, librdkafka asks at once what it would else ask again after half a second.
const TURN: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(50)];
/// Pause after such a turn while a transaction before us is being ended, at first and at most.
const UNDER_WAY: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(100)];
/// How long brokers may take to tell a new producer who leads the partitions that it will write to. It can do without.
const WARMING_UP: Duration = Duration::from_millis(100);
/// How long a partition is tried to be taken over, so that one whose coordinator is away does not hold up the others.
const TAKING: Duration = Duration::from_secs(4);

/// What comes of a commit.
pub(super) type Answer = oneshot::Receiver<Result<(), KafkaError>>;

/// What a partition's thread is to commit, and who wants to know what comes of it.
type Job = (Commit, oneshot::Sender<Result<(), KafkaError>>);

/// Tells a partition's thread what to do. Dropped, it lets go of the partition.
#[derive(Debug)]
pub(super) struct Holder {
    jobs: mpsc::Sender<Job>,
    stop: Arc<AtomicBool>,
    /// Whether somebody else may take the partition over, so that we must not.
    leaving: Arc<AtomicBool>,
}

/// A partition that is about to be taken over. Dropped, it has disturbed nobody.
#[derive(Debug)]
pub(super) struct Candidate {
    holder: Holder,
    state: mpsc::Sender<restore::State>,
    taken: oneshot::Receiver<Result<Restored, KafkaError>>,
}

impl Candidate {
    /// Makes the producer of `partition`, on the thread that will work it. Once `stop` is set, nobody is disturbed any more.
    pub(super) fn new(
        shared: Arc<Shared>,
        group: Arc<ConsumerGroupMetadata>,
        speaker: Arc<Mutex<Aside<BaseConsumer<Context>>>>,
        stop: Arc<AtomicBool>,
        partition: u32,
    ) -> Result<Self, KafkaError> {
        let (jobs, inbox) = mpsc::channel();
        let (state, prepared) = mpsc::channel();
        let (ready, taken) = oneshot::channel();
        let leaving = Arc::new(AtomicBool::new(false));
        let holder = Holder { jobs, stop: Arc::clone(&stop), leaving: Arc::clone(&leaving) };
        let run = move || {
            let mut worker =
                Worker { shared, group, partition, stop, leaving, position: 0, state: State::Broken { wanted: None } };
            let producer = worker.approach();
            let Ok(state) = prepared.recv() else { return };
            let result = producer.and_then(|producer| worker.begin(producer, &speaker, state));
            drop(speaker);
            let is_held = result.is_ok();
            if ready.send(result).is_ok() && is_held {
                worker.run(&inbox);
            }
        };
        let thread = std::thread::Builder::new().name(format!("kafka-commit-{partition}")).spawn(run);
        thread.map_err(|error| KafkaError::Client { reason: error.to_string() })?;
        Ok(Self { holder, state, taken })
    }

    /// Takes the partition over from whoever holds it: once nobody else can commit to it, it is asked where it stands, and
    /// `state` is completed.
    pub(super) async fn take_over(self, state: restore::State) -> Result<(Holder, Restored), KafkaError> {
        self.state.send(state).map_err(|_| KafkaError::Closed)?;
        let restored = self.taken.await.map_err(|_| KafkaError::Closed)??;
        Ok((self.holder, restored))
    }
}

impl Holder {
    /// From now on a commit that fails takes nothing over anew.
    pub(super) fn hand_over(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Begins to commit; the answer comes later.
    pub(super) fn commit(&self, commit: Commit) -> Result<Answer, KafkaError> {
        let (answer, answered) = oneshot::channel();
        self.jobs.send((commit, answer)).map_err(|_| KafkaError::Closed)?;
        Ok(answered)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// What has become of a partition's producer.
enum State {
    Ready(BaseProducer<Context>),
    /// It has failed, perhaps in the middle of a commit of the offset `wanted`.
    Broken {
        wanted: Option<u64>,
    },
    /// Somebody else holds the partition.
    Fenced,
}

/// The thread of a partition.
struct Worker {
    shared: Arc<Shared>,
    /// In whose name offsets are committed: that of the group, and of no member, whose number would change all the time.
    group: Arc<ConsumerGroupMetadata>,
    partition: u32,
    stop: Arc<AtomicBool>,
    leaving: Arc<AtomicBool>,
    /// The committed offset.
    position: u64,
    state: State,
}

impl Worker {
    fn run(mut self, inbox: &mpsc::Receiver<Job>) {
        loop {
            match inbox.recv_timeout(SERVE) {
                // Whoever asked may have gone meanwhile.
                Ok((commit, answer)) => drop(answer.send(self.commit(&commit))),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    if let State::Ready(producer) = &self.state {
                        producer.poll(Duration::ZERO);
                    }
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// A producer that has fenced nobody yet. Whoever is before us works on while it gets to know the brokers.
    fn approach(&self) -> Result<BaseProducer<Context>, KafkaError> {
        let producer = self.producer()?;
        for topic in self.shared.outputs.iter().chain([&self.shared.state_topic]) {
            // Whatever the answer is: who leads the topic's partitions is known from now on, or the first commit asks.
            if producer.client().fetch_metadata(Some(&**topic), WARMING_UP).is_err() {
                break;
            }
        }
        Ok(producer)
    }

    fn producer(&self) -> Result<BaseProducer<Context>, KafkaError> {
        let id = self.shared.transactional_id(self.partition);
        let client = self.shared.settings.client(&Role::Transactional(&id))?;
        client.create_with_context(Context::new()).map_err(KafkaError::of_setup)
    }

    fn begin(
        &mut self,
        producer: BaseProducer<Context>,
        speaker: &Mutex<Aside<BaseConsumer<Context>>>,
        state: restore::State,
    ) -> Result<Restored, KafkaError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(KafkaError::Closed);
        }
        self.initialise(&producer)?;
        // It reads for one partition at a time.
        let speaker = speaker.lock().unwrap_or_else(PoisonError::into_inner);
        let position = Position::ask(&self.shared, &speaker, self.partition)?;
        let state = state.complete(&self.shared, &speaker, self.partition)?;
        drop(speaker);
        self.position = position.offset;
        self.state = State::Ready(producer);
        let committed = position.is_committed.then_some(position.offset);
        Ok(Restored { committed, start: position.offset, state })
    }

    /// Lets `producer` fence all before it.
    fn initialise(&self, producer: &BaseProducer<Context>) -> Result<(), KafkaError> {
        let ([shortest, longest], [mut pause, most]) = (TURN, UNDER_WAY);
        let mut turn = shortest;
        let initialised = transaction::insist_for(TAKING, &self.stop, "take over a partition", || {
            // Serves logs and errors, and learns whether we are let in at all.
            producer.poll(Duration::ZERO);
            if producer.client().context().take_refusal().is_some() {
                return Err(Native::Global(Code::Authentication));
            }
            let initialised = producer.init_transactions(turn);
            turn = (2 * turn).min(longest);
            if let Err(error) = &initialised
                && error.rdkafka_error_code() == Some(Code::ConcurrentTransactions)
            {
                // The transaction of whoever was before us is being aborted, which takes some milliseconds.
                std::thread::sleep(pause);
                pause = (2 * pause).min(most);
                turn = shortest;
            }
            initialised
        });
        initialised.map_err(|source| self.shared.failed(&format!("take over partition {}", self.partition), source))
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), KafkaError> {
        let (partition, wanted) = (self.partition, commit.next_offset);
        if wanted < self.position {
            let (group, topic) = (self.shared.group.to_string(), self.shared.topic.to_string());
            return Err(KafkaError::Backwards { group, topic, partition, committed: self.position, wanted });
        }
        if let State::Broken { wanted: before } = self.state
            && self.mend(before)? == Some(wanted)
            && before == Some(wanted)
        {
            return Ok(());
        }
        let State::Ready(producer) = &self.state else {
            return Err(self.shared.fenced(partition));
        };
        let place = Place { topic: &self.shared.topic, state_topic: &self.shared.state_topic, group: &self.group };
        match transaction::run(producer, &place, commit, &self.stop) {
            End::Committed => {
                self.position = wanted;
                Ok(())
            }
            End::Aborted(source) => {
                let topic = producer.client().context().take_too_large();
                // After a record that was refused the producer's sequence has a gap, for which every later one is, too.
                self.state = State::Broken { wanted: None };
                Err(match too_large(commit, topic, &self.shared.state_topic) {
                    Some(error) if source.rdkafka_error_code() == Some(Code::MessageSizeTooLarge) => error,
                    _ => KafkaError::Aborted { topic: self.shared.topic.to_string(), partition, source },
                })
            }
            End::Fenced => {
                self.state = State::Fenced;
                Err(self.shared.fenced(partition))
            }
            End::Broken(source) => {
                self.state = State::Broken { wanted: Some(wanted) };
                Err(self.shared.failed("commit", source))
            }
        }
    }

    /// Makes a new producer after one has failed. The committed offset tells what became of the last commit, which moved it
    /// to `wanted`, if it was not lost; if it is neither there nor where it was, somebody else has moved it. Gives the
    /// offset when it has moved.
    fn mend(&mut self, wanted: Option<u64>) -> Result<Option<u64>, KafkaError> {
        let is_ours = |found| found == self.position || Some(found) == wanted;
        // Whoever has moved it holds the partition, and is not to be disturbed.
        if self.leaving.load(Ordering::Relaxed) || !is_ours(self.committed(&*self.shared.onlooker()?)?) {
            self.state = State::Fenced;
            return Err(self.shared.fenced(self.partition));
        }
        // To ask may have taken long.
        if self.leaving.load(Ordering::Relaxed) || self.stop.load(Ordering::Relaxed) {
            return Err(self.shared.fenced(self.partition));
        }
        let producer = self.producer()?;
        self.initialise(&producer)?;
        let found = self.committed(&*self.shared.speaker()?)?;
        if !is_ours(found) {
            self.state = State::Fenced;
            return Err(self.shared.fenced(self.partition));
        }
        self.state = State::Ready(producer);
        let moved = found != self.position;
        self.position = found;
        Ok(moved.then_some(found))
    }

    fn committed(&self, speaker: &BaseConsumer<Context>) -> Result<u64, KafkaError> {
        let found = query::committed(speaker, &self.shared.topic, &[self.partition])
            .map_err(|source| self.shared.failed("ask for the committed offset", source))?;
        Ok(found.get(&self.partition).copied().unwrap_or(self.position))
    }
}

/// That the largest record for `topic` is too large for it, whose limit nobody told us. Where the brokers did not say for
/// which, it is the largest of all outputs.
fn too_large(commit: &Commit, topic: Option<String>, state_topic: &str) -> Option<KafkaError> {
    if let Some(topic) = topic.as_ref().filter(|topic| *topic == state_topic) {
        let bytes = commit.state.iter().map(StateRecord::encoded_bytes).max()?;
        return Some(KafkaError::StateTooLarge { topic: topic.clone(), bytes, limit: bytes });
    }
    let is_meant = |output: &&NewRecord| topic.as_ref().is_none_or(|topic| **topic == *output.topic);
    let output = commit.outputs.iter().filter(is_meant).max_by_key(|output| output.encoded_bytes())?;
    let bytes = output.encoded_bytes();
    Some(KafkaError::TooLarge { topic: output.topic.to_string(), bytes, limit: bytes })
}
