//! The source loop: hands batches to the workers, and partitions from one holder to the next.

use std::sync::Arc;
use std::time::Duration;

use pulse_core::ports::{EventSource, Polled, Restored};
use pulse_features::Featurizer;
use pulse_pipeline::{PartitionPipeline, Plan, Restoration};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::commit::{Assignment, Order, Turn};
use crate::holdings::Holdings;
use crate::metrics::Metrics;
use crate::progress::Progress;
use crate::retry::{Next, Retry};
use crate::run::{Options, ProcessorError};
use crate::trouble::{Obstacle, Trouble};
use crate::worker::ToWorker;

/// How often it is looked whether somebody else has taken what is leaving us. A partition without news shows it by a commit
/// alone.
const LOOK: Duration = Duration::from_millis(250);
/// How long somebody else may need to take over what the group has given them. We work on until then.
const HANDING_OVER: Duration = Duration::from_secs(60);
/// How long the brokers may take to say who else is there, when told to stop.
const ASKING: Duration = Duration::from_secs(1);

/// Reads, and knows which partitions are ours.
pub(crate) struct Reader<S> {
    pub(crate) source: S,
    pub(crate) workers: Vec<mpsc::Sender<ToWorker>>,
    pub(crate) order: mpsc::UnboundedSender<Order>,
    /// What the commit task says of partitions.
    pub(crate) turns: mpsc::UnboundedReceiver<Turn>,
    /// Tells, dropped, that nothing is read any more.
    pub(crate) reading: DropGuard,
    /// Fires when all is committed that ever will be.
    pub(crate) committed: CancellationToken,
    pub(crate) plan: Arc<Plan>,
    pub(crate) featurizer: Featurizer,
    pub(crate) metrics: Metrics,
    pub(crate) progress: Arc<Progress>,
    pub(crate) trouble: Trouble,
    /// Until the group lets us in.
    pub(crate) outside: Option<Obstacle>,
    pub(crate) holdings: Holdings,
    /// When it is looked next for who takes what is leaving us.
    pub(crate) look_at: Option<Instant>,
    pub(crate) stop: Stop,
}

/// Whether we were told to stop, and how that goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stop {
    No,
    /// The rest of the log is read, until then at the latest.
    Draining(Instant),
    /// Others are taking over, and have time until then.
    Leaving(Instant),
}

impl Stop {
    fn at(self) -> Option<Instant> {
        match self {
            Self::No => None,
            Self::Draining(until) | Self::Leaving(until) => Some(until),
        }
    }
}

/// What there is to do.
enum Event {
    Stop,
    TakeBack,
    Look,
    Turn(Turn),
    Polled(Polled),
}

impl<S: EventSource> Reader<S> {
    pub(crate) async fn run(mut self, options: Options, stop: CancellationToken) -> Result<(), ProcessorError> {
        let result = self.read(options, stop).await;
        let Self { source, workers, order, reading, committed, .. } = self;
        // What was read is judged and committed while the partitions are still ours.
        drop((workers, order, reading));
        committed.cancelled().await;
        // To leave a group may take a while.
        tokio::task::spawn_blocking(|| drop(source)).await.map_err(ProcessorError::Panic)?;
        result
    }

    async fn read(&mut self, options: Options, stop: CancellationToken) -> Result<(), ProcessorError> {
        while let Some(event) = self.event(&options, &stop).await? {
            let open = match event {
                Event::Stop => self.begin_to_stop(&options).await,
                Event::TakeBack => self.take_back().await?,
                Event::Look => self.look().await,
                Event::Turn(turn) => self.turn(turn, &options).await?,
                // What is not read for now may have more.
                Event::Polled(Polled::Idle) => !matches!(self.stop, Stop::Draining(_)) || self.holdings.is_any_full(),
                Event::Polled(Polled::Records(batch)) => {
                    self.holdings.read_to(batch.partition, batch.next_offset);
                    self.tell(batch.partition, ToWorker::Batch(batch)).await
                }
                Event::Polled(Polled::Assigned(partitions)) => self.assign(partitions).await?,
                Event::Polled(Polled::Revoked(partitions)) => self.revoke(partitions).await,
            };
            if !open {
                break;
            }
        }
        Ok(())
    }

    /// What comes next; none when it is time to end.
    async fn event(&mut self, options: &Options, stop: &CancellationToken) -> Result<Option<Event>, ProcessorError> {
        let (take_back_at, stop_at) = (self.holdings.take_back_at(), self.stop.at());
        Ok(tokio::select! {
            biased;
            () = self.trouble.abort.cancelled() => None,
            () = stop.cancelled(), if stop_at.is_none() => Some(Event::Stop),
            () = at(stop_at) => None,
            Some(turn) = self.turns.recv() => Some(Event::Turn(turn)),
            () = at(take_back_at) => Some(Event::TakeBack),
            () = at(self.look_at) => Some(Event::Look),
            polled = poll(&mut self.source, options.batch_records, &self.metrics, &self.trouble) => {
                polled?.map(Event::Polled)
            }
        })
    }

    /// Hands our partitions to others, if there are any. Where something is in the way already, nobody need wait for that.
    async fn begin_to_stop(&mut self, options: &Options) -> bool {
        let now = Instant::now();
        self.stop = Stop::Draining(now + options.drain);
        let alone = !options.drain.is_zero() || options.hand_over.is_zero() || self.trouble.is_any();
        if !alone && self.leave().await {
            tracing::info!("others are taking over: working on until they have");
            self.stop = Stop::Leaving(now + options.hand_over);
            self.look_at = Some(now + LOOK);
        }
        true
    }

    /// Leaves the group; true while others are there to take what is ours.
    async fn leave(&mut self) -> bool {
        tokio::time::timeout(ASKING, self.source.leave()).await.unwrap_or_default()
    }

    /// Has partitions taken over. Nothing of them is read until that is done.
    async fn assign(&mut self, partitions: Vec<u32>) -> Result<bool, ProcessorError> {
        drop(self.outside.take());
        self.source.pause(&partitions);
        if partitions.is_empty() || matches!(self.stop, Stop::Leaving(_)) {
            return Ok(true);
        }
        let assignments: Vec<Assignment> =
            partitions.iter().map(|&partition| self.holdings.assign(partition)).collect();
        self.show_assigned();
        tracing::info!(?partitions, "partitions assigned");
        Ok(self.order.send(Order::Restore(assignments)).is_ok())
    }

    async fn turn(&mut self, turn: Turn, options: &Options) -> Result<bool, ProcessorError> {
        match turn {
            Turn::Taken(assignment, restored) => self.begin(assignment, &restored).await,
            Turn::Lost(assignment, reason) => {
                let partition = assignment.partition;
                self.source.pause(&[partition]);
                if self.holdings.lose(assignment, options.take_back_after) {
                    tracing::info!(partition, "partition handed over");
                    self.show_assigned();
                    return Ok(self.tell(partition, ToWorker::Revoke { partition }).await && !self.is_left());
                }
                tracing::warn!(partition, reason, "somebody else holds the partition: letting go of it");
                self.metrics.set_taking_over(self.holdings.coming());
                Ok(true)
            }
            Turn::Full(assignment) => {
                if self.holdings.fill(assignment) {
                    self.source.pause(&[assignment.partition]);
                }
                Ok(true)
            }
            Turn::Room(assignment) => {
                if let Some(offset) = self.holdings.resume(assignment) {
                    let sought = self.source.seek(assignment.partition, offset).await;
                    sought.map_err(|error| ProcessorError::Read(Box::new(error)))?;
                }
                Ok(true)
            }
        }
    }

    /// Reads a partition that was taken over.
    async fn begin(&mut self, assignment: Assignment, restored: &Restored) -> Result<bool, ProcessorError> {
        let partition = assignment.partition;
        if !self.holdings.take_over(assignment) {
            // Taken away meanwhile.
            return Ok(true);
        }
        let Restoration { pipeline, replay_from, judge_from, rebuilt } =
            PartitionPipeline::restore(Arc::clone(&self.plan), self.featurizer.clone(), restored);
        if let Some(reason) = rebuilt {
            tracing::warn!(partition, reason, "the snapshot cannot be used: building the state anew, by replay");
        }
        let (entities, begins) = (pipeline.entities(), restored.committed.is_none());
        tracing::info!(partition, entities, judge_from, ?replay_from, "partition taken over");
        let sought = match replay_from {
            Some(offset) => self.source.seek(partition, offset).await,
            None => self.source.seek_to_beginning(partition).await,
        };
        sought.map_err(|error| ProcessorError::Read(Box::new(error)))?;
        self.show_assigned();
        let pipeline = Box::new(pipeline);
        Ok(self.tell(partition, ToWorker::Assign { assignment, pipeline, judge_from, begins }).await)
    }

    /// The group takes partitions away. Those that are read are read on, until whoever takes them over fences us: nothing
    /// stands still meanwhile. Their state is saved, so that the next one has little to replay.
    async fn revoke(&mut self, partitions: Vec<u32>) -> bool {
        tracing::info!(?partitions, "partitions revoked");
        let until = Instant::now() + HANDING_OVER;
        let (leaving, gone): (Vec<u32>, Vec<u32>) =
            partitions.into_iter().partition(|&partition| self.holdings.revoke(partition, until));
        // Now, and not again: what comes to the state later has to be read while nobody works on the partition.
        self.save(&leaving, true);
        self.look_at = Some(Instant::now() + LOOK);
        self.order.send(Order::HandOver(leaving)).is_ok() && self.let_go(gone).await
    }

    /// Commits nothing of these any more.
    async fn let_go(&mut self, partitions: Vec<u32>) -> bool {
        if partitions.is_empty() {
            return true;
        }
        self.source.pause(&partitions);
        self.show_assigned();
        for &partition in &partitions {
            if !self.tell(partition, ToWorker::Revoke { partition }).await {
                return false;
            }
        }
        self.order.send(Order::Revoke(partitions)).is_ok()
    }

    /// Has the positions of what is leaving us committed, which shows whether somebody else has taken it.
    async fn look(&mut self) -> bool {
        let overdue = self.holdings.give_up();
        if !overdue.is_empty() {
            tracing::warn!(partitions = ?overdue, "nobody has taken over what the group took away: letting go of it");
        }
        if !self.let_go(overdue).await {
            return false;
        }
        let leaving = self.holdings.leaving();
        self.save(&leaving, false);
        let stops = matches!(self.stop, Stop::Leaving(_));
        let goes_on = !stops || self.leave().await && !self.is_left();
        // From now on, as the brokers may have taken long to answer.
        self.look_at = (stops || !leaving.is_empty()).then(|| Instant::now() + LOOK);
        goes_on
    }

    /// Has positions committed. Where there is no room for that, a commit comes anyway.
    fn save(&self, partitions: &[u32], with_state: bool) {
        for &partition in partitions {
            self.worker(partition).try_send(ToWorker::Save { partition, with_state }).unwrap_or_default();
        }
    }

    /// Whether others have taken over all that was ours, after we were told to stop.
    fn is_left(&self) -> bool {
        matches!(self.stop, Stop::Leaving(_)) && self.holdings.is_empty()
    }

    /// Takes back what was lost, as far as the group still calls it ours.
    async fn take_back(&mut self) -> Result<bool, ProcessorError> {
        let ours = self.holdings.take_back();
        if ours.is_empty() {
            return Ok(true);
        }
        tracing::warn!(partitions = ?ours, "the group still calls the lost partitions ours: taking them back");
        self.assign(ours).await
    }

    fn show_assigned(&self) {
        self.metrics.partitions.set(i64::try_from(self.holdings.len()).unwrap_or(i64::MAX));
        self.metrics.set_taking_over(self.holdings.coming());
        self.progress.set_assigned(self.holdings.read());
    }

    fn worker(&self, partition: u32) -> &mpsc::Sender<ToWorker> {
        &self.workers[partition as usize % self.workers.len()]
    }

    /// Hands a message to the partition's worker; false when it is gone, or the time to stop is over.
    async fn tell(&mut self, partition: u32, message: ToWorker) -> bool {
        tokio::select! {
            sent = self.worker(partition).send(message) => sent.is_ok(),
            () = at(self.stop.at()) => false,
        }
    }
}

async fn poll<S: EventSource>(
    source: &mut S,
    batch_records: usize,
    metrics: &Metrics,
    trouble: &Trouble,
) -> Result<Option<Polled>, ProcessorError> {
    let mut retry = Retry::new("poll", metrics, trouble);
    loop {
        let error = match source.poll(batch_records).await {
            Ok(polled) => return Ok(Some(polled)),
            Err(error) => error,
        };
        if let Next::GiveUp = retry.after(error).await.map_err(|error| ProcessorError::Read(Box::new(error)))? {
            return Ok(None);
        }
    }
}

/// Waits until `instant`, or for ever.
pub(crate) async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
