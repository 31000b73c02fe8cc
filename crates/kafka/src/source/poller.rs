//! The thread that polls librdkafka.
//!
//! It sleeps until librdkafka has something, a command comes, or there is room for what it holds. When nobody takes
//! batches for a while it stops fetching, but goes on serving the group, so that slow work loses no partition and holds up
//! no other member. Where reading starts is always said by assigning a partition at an offset: that leaves nothing from
//! before in librdkafka's queue.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc as sync_mpsc;
use std::thread;
use std::time::{Duration, Instant};

use pulse_core::RecordBatch;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError as Native, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::{Message as _, Offset, TopicPartitionList};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::catalog;
use crate::error::{KafkaError, is_away, is_damage, is_unknown_topic};
use crate::query;
use crate::topics::SPREADING;

use super::LostRecords;
use super::bounds::bounds;
use super::context::{News, SourceContext};
use super::reading::Reading;

/// Records that are taken from librdkafka in a row at the most, so that batches of slow partitions do not wait for others.
const ROUND: usize = 8192;
/// Batches that this thread holds at the most, besides those in the channel; each round may add one for each partition.
const HELD: usize = 4;
/// The longest sleep. Everything that is waited for wakes the thread, so that this is for safety alone.
const SLEEP: Duration = Duration::from_millis(500);
/// Fetching stops when nobody has taken a batch for this long.
const STALL: Duration = Duration::from_secs(1);
/// Pause before brokers that did not answer are asked again.
const PAUSE: Duration = Duration::from_secs(1);
/// How long brokers may take to say who is in the group: the partitions are not read meanwhile.
const ASKING: Duration = Duration::from_millis(300);
/// So many times as long as that took the partitions are read before brokers are asked again.
const AT_REST: u32 = 4;

/// What the poller is told.
#[derive(Debug)]
pub(super) enum Command {
    /// Read `partition` from `offset` on, or from its beginning. Items carry `opening` from then on.
    Open { partition: u32, offset: Option<u64>, opening: u64 },
    /// Read these no more, until they are opened again.
    Close(Vec<u32>),
    /// Leave the group, and say whether it has other members.
    Leave(oneshot::Sender<bool>),
}

/// What the poller has found.
#[derive(Debug)]
pub(super) enum Item {
    Records { opening: u64, batch: RecordBatch },
    Assigned(Vec<u32>),
    Revoked(Vec<u32>),
    Failed(KafkaError),
}

/// A partition that is to be opened.
#[derive(Debug)]
struct Wanted {
    offset: Option<u64>,
    opening: u64,
    /// Whether the brokers refused the offset before.
    refused: bool,
}

/// Owns the consumer.
pub(super) struct Poller {
    consumer: BaseConsumer<SourceContext>,
    brokers: String,
    group: String,
    topic: Arc<str>,
    lost: LostRecords,
    /// The partitions that are ours, or were until somebody takes them, and how far they were read, where they are open.
    owned: BTreeMap<u32, Option<Reading>>,
    /// Those of them that the group has revoked.
    revoked: BTreeSet<u32>,
    has_left: bool,
    /// Not before this time brokers are asked who is in the group.
    rest_until: Option<Instant>,
    wanted: BTreeMap<u32, Wanted>,
    /// Not before this time brokers are asked again.
    pause_until: Option<Instant>,
    /// Since when brokers do not know the topic, or its leaders.
    unknown_since: Option<Instant>,
    held: VecDeque<Item>,
    full_since: Option<Instant>,
    stalled: bool,
}

impl Poller {
    pub(super) fn new(
        consumer: BaseConsumer<SourceContext>,
        brokers: &str,
        group: &str,
        topic: Arc<str>,
        lost: LostRecords,
    ) -> Self {
        Self {
            consumer,
            brokers: brokers.to_owned(),
            group: group.to_owned(),
            topic,
            lost,
            owned: BTreeMap::new(),
            revoked: BTreeSet::new(),
            has_left: false,
            rest_until: None,
            wanted: BTreeMap::new(),
            pause_until: None,
            unknown_since: None,
            held: VecDeque::new(),
            full_since: None,
            stalled: false,
        }
    }

    pub(super) fn subscribe(&self) -> KafkaResult<()> {
        self.consumer.subscribe(&[&self.topic])
    }

    /// Polls until `out` is closed; then leaves the group.
    pub(super) fn run(mut self, inbox: &sync_mpsc::Receiver<Command>, out: &mpsc::Sender<Item>) {
        let this = thread::current();
        self.consumer.set_nonempty_callback(move || this.unpark());
        while !out.is_closed() {
            let obeyed = inbox.try_iter().try_for_each(|command| self.obey(command));
            let mut done = obeyed.and_then(|()| self.open()).map_err(|source| self.explain("read", source));
            self.hand_over(out);
            let idle = if self.held.is_empty() {
                done = done.and_then(|()| self.go_on().map_err(|source| self.explain("read", source)));
                let idle = self.fill();
                self.hand_over(out);
                idle
            } else {
                true
            };
            if let Err(error) = done {
                self.held.push_back(Item::Failed(error));
            }
            if !self.held.is_empty() {
                self.stall();
                thread::park_timeout(Duration::from_millis(100));
            } else if idle {
                thread::park_timeout(SLEEP);
            }
        }
        // A member that leaves while it reads waits for what it reads.
        let all: Vec<u32> = self.owned.keys().copied().collect();
        if let Err(error) = self.close(&all) {
            tracing::warn!(%error, topic = %self.topic, "cannot stop fetching");
        }
    }

    fn obey(&mut self, command: Command) -> KafkaResult<()> {
        match command {
            Command::Open { partition, offset, opening } => {
                self.want(partition, Wanted { offset, opening, refused: false });
                Ok(())
            }
            Command::Close(partitions) => {
                for &partition in &partitions {
                    self.wanted.remove(&partition);
                    if self.revoked.remove(&partition) {
                        self.owned.remove(&partition);
                    } else if let Some(reading) = self.owned.get_mut(&partition) {
                        *reading = None;
                    }
                }
                self.close(&partitions)
            }
            Command::Leave(others) => {
                if !std::mem::replace(&mut self.has_left, true) {
                    self.consumer.unsubscribe();
                }
                // Nobody may wait for it any more.
                others.send(self.has_others()).unwrap_or_default();
                Ok(())
            }
        }
    }

    /// Whether the group has members besides us; where nobody knows, it may have.
    fn has_others(&mut self) -> bool {
        let begun = Instant::now();
        if self.owned.keys().any(|partition| !self.revoked.contains(partition)) {
            // We are one still.
            return true;
        }
        if self.rest_until.is_some_and(|until| begun < until) {
            return true;
        }
        let others = match self.consumer.fetch_group_list(Some(&self.group), ASKING) {
            Ok(list) => list.groups().iter().any(|group| !group.members().is_empty()),
            Err(_) => true,
        };
        self.rest_until = Some(Instant::now() + AT_REST * begun.elapsed());
        others
    }

    /// Closes a partition, if it is ours, and keeps in mind to open it.
    fn want(&mut self, partition: u32, wanted: Wanted) {
        if let Some(reading) = self.owned.get_mut(&partition) {
            *reading = None;
            self.wanted.insert(partition, wanted);
            self.pause_until = None;
        }
    }

    /// Opens what is wanted: at once where it was said from where on, else once the brokers say where it begins and ends.
    fn open(&mut self) -> KafkaResult<()> {
        if self.wanted.is_empty() || self.pause_until.is_some_and(|until| Instant::now() < until) {
            return Ok(());
        }
        self.pause_until = Some(Instant::now() + PAUSE);
        let partitions: Vec<u32> = self.wanted.keys().copied().collect();
        self.close(&partitions)?;
        self.open_as_said()?;
        if self.wanted.is_empty() {
            return Ok(());
        }
        let partitions: Vec<u32> = self.wanted.keys().copied().collect();
        let found = match bounds(&self.consumer, &self.topic, &partitions) {
            Ok(found) => found,
            // The link says so.
            Err(error) if error.rdkafka_error_code().is_some_and(is_away) => return Ok(()),
            Err(error)
                if query::is_unsettled(&error)
                    && self.unknown_since.get_or_insert_with(Instant::now).elapsed() < SPREADING =>
            {
                self.pause_until = Some(Instant::now() + query::MOMENT);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.unknown_since = None;
        self.open_within(found)
    }

    /// Opens those whose offset was said. Whether there is such an offset is seen by fetching from it: nobody waits for an answer
    /// before that. Until statistics tell it, they are taken to end there.
    fn open_as_said(&mut self) -> KafkaResult<()> {
        let mut opened = Vec::new();
        for (partition, wanted) in self.wanted.extract_if(.., |_, wanted| !wanted.refused && wanted.offset.is_some()) {
            let position = wanted.offset.unwrap_or_default();
            self.owned.insert(partition, Some(Reading::new(wanted.opening, position, position)));
            opened.push((partition, query::at(position)));
        }
        self.fetch(opened)
    }

    /// Opens those that begin and end as `found`.
    fn open_within(&mut self, found: BTreeMap<u32, (u64, u64)>) -> KafkaResult<()> {
        let mut opened = Vec::new();
        for (partition, (begin, end)) in found {
            let Some(wanted) = self.wanted.remove(&partition) else { continue };
            let position = wanted.offset.unwrap_or(begin).max(begin);
            if let Some(offset) = wanted.offset.filter(|&offset| offset < begin) {
                self.lose(partition, offset, begin);
            }
            if wanted.refused && position > end {
                self.held.push_back(Item::Failed(self.beyond_end(partition, end, position)));
                self.wanted.insert(partition, wanted);
                continue;
            }
            self.owned.insert(partition, Some(Reading::new(wanted.opening, position, end)));
            opened.push((partition, query::at(position)));
        }
        self.fetch(opened)
    }

    fn fetch(&self, opened: Vec<(u32, Offset)>) -> KafkaResult<()> {
        if self.stalled || opened.is_empty() {
            return Ok(());
        }
        self.consumer.incremental_assign(&query::list(&self.topic, opened)?)
    }

    fn lose(&self, partition: u32, from: u64, to: u64) {
        self.lost.add(to - from);
        tracing::error!(
            topic = %self.topic, partition, from, to,
            "retention has dropped records before they were read: give the topic a longer retention, or read faster"
        );
    }

    fn beyond_end(&self, partition: u32, end: u64, position: u64) -> KafkaError {
        let (topic, group) = (self.topic.to_string(), self.group.clone());
        KafkaError::BeyondEnd { topic, partition, end, position, group }
    }

    /// Tells librdkafka not to read `partitions`.
    fn close(&self, partitions: &[u32]) -> KafkaResult<()> {
        // It refuses those that it does not read.
        let mut open = TopicPartitionList::new();
        for element in self.consumer.assignment()?.elements() {
            if partitions.contains(&element.partition().unsigned_abs()) {
                open.add_partition(element.topic(), element.partition());
            }
        }
        if open.count() == 0 { Ok(()) } else { self.consumer.incremental_unassign(&open) }
    }

    fn hand_over(&mut self, out: &mpsc::Sender<Item>) {
        while let Some(item) = self.held.pop_front() {
            match out.try_send(item) {
                Ok(()) => {}
                Err(TrySendError::Full(item)) => return self.held.push_front(item),
                Err(TrySendError::Closed(_)) => return,
            }
        }
    }

    /// There is no room for more: stops fetching after a while, and serves the group.
    fn stall(&mut self) {
        if self.full_since.get_or_insert_with(Instant::now).elapsed() < STALL {
            return;
        }
        if !self.stalled {
            self.stalled = true;
            self.owned.values_mut().flatten().for_each(Reading::interrupt);
            let all: Vec<u32> = self.owned.keys().copied().collect();
            if let Err(error) = self.close(&all) {
                tracing::warn!(%error, topic = %self.topic, "cannot stop fetching");
            }
        }
        self.fill();
    }

    /// There is room again.
    fn go_on(&mut self) -> KafkaResult<()> {
        self.full_since = None;
        if !self.stalled {
            return Ok(());
        }
        let open: TopicPartitionList = query::list(
            &self.topic,
            self.owned.iter().filter_map(|(&p, reading)| Some((p, query::at(reading.as_ref()?.position())))),
        )?;
        if open.count() > 0 {
            self.consumer.incremental_assign(&open)?;
        }
        self.stalled = false;
        Ok(())
    }

    /// Takes what librdkafka has; true when it had no more.
    fn fill(&mut self) -> bool {
        let mut idle = false;
        for _ in 0..ROUND {
            let served = self.consumer.context().served();
            match self.consumer.poll(Duration::ZERO) {
                Some(Ok(message)) => {
                    let partition = message.partition().unsigned_abs();
                    if let Some(Some(reading)) = self.owned.get_mut(&partition)
                        && reading.push(&message)
                    {
                        let opening = reading.opening;
                        let batch = reading.batch(&self.topic, partition);
                        self.held.extend(batch.map(|batch| Item::Records { opening, batch }));
                    }
                }
                Some(Err(Native::PartitionEOF(partition))) => {
                    if let Some(Some(reading)) = self.owned.get_mut(&partition.unsigned_abs()) {
                        reading.reach_end();
                    }
                }
                Some(Err(error)) => self.fail(error),
                // Nothing is given back for what was served, either.
                None => idle = self.consumer.context().served() == served,
            }
            if self.consumer.context().served() != served {
                self.hear();
            }
            if idle || self.held.len() >= HELD {
                break;
            }
        }
        self.flush();
        idle
    }

    /// Ends all growing batches.
    fn flush(&mut self) {
        for (&partition, reading) in &mut self.owned {
            let Some(reading) = reading else { continue };
            let opening = reading.opening;
            let batch = reading.batch(&self.topic, partition);
            self.held.extend(batch.map(|batch| Item::Records { opening, batch }));
        }
    }

    fn hear(&mut self) {
        for news in self.consumer.context().take_news() {
            match news {
                News::Assigned(partitions) => {
                    self.revoked.retain(|partition| !partitions.contains(partition));
                    self.owned.extend(partitions.iter().map(|&partition| (partition, None)));
                    self.held.push_back(Item::Assigned(partitions));
                }
                News::Revoked(partitions) => {
                    self.revoked.extend(partitions.iter().filter(|partition| self.owned.contains_key(partition)));
                    self.held.push_back(Item::Revoked(partitions));
                }
                News::Statistics(statistics) => {
                    for found in statistics.partitions(&self.topic) {
                        // There is one without a number, too.
                        if let Ok(partition) = u32::try_from(found.partition)
                            && let Some(Some(reading)) = self.owned.get_mut(&partition)
                        {
                            reading.learn(found);
                        }
                    }
                }
                News::Failed(error) => self.fail(error),
            }
        }
    }

    fn fail(&mut self, error: Native) {
        match error.rdkafka_error_code() {
            // It goes on trying by itself, and the link says so.
            Some(code) if is_away(code) => {}
            Some(Code::AutoOffsetReset) => self.look_again(),
            Some(code) if is_damage(code) => {
                // It would go on behind what is damaged, and does not say where that is.
                self.look_again();
                self.pause_until = Some(Instant::now() + PAUSE);
                let error = self.explain("read", error);
                self.held.push_back(Item::Failed(error));
            }
            Some(code) if is_unknown_topic(code) && self.topic_exists() => {}
            _ => {
                let error = self.explain("read", error);
                self.held.push_back(Item::Failed(error));
            }
        }
    }

    /// An offset is out of range, and librdkafka does not say of which partition: opens all of them again where they stand.
    fn look_again(&mut self) {
        self.flush();
        let open: Vec<(u32, Wanted)> = self
            .owned
            .iter()
            .filter_map(|(&partition, reading)| Some((partition, reading.as_ref()?)))
            .map(|(partition, reading)| {
                let wanted = Wanted { offset: Some(reading.position()), opening: reading.opening, refused: true };
                (partition, wanted)
            })
            .collect();
        for (partition, wanted) in open {
            self.want(partition, wanted);
        }
    }

    fn topic_exists(&self) -> bool {
        // When nobody knows, the question comes again.
        !matches!(catalog::partitions(&self.consumer, &self.brokers, &self.topic), Err(KafkaError::UnknownTopic { .. }))
    }

    fn explain(&self, verb: &str, error: Native) -> KafkaError {
        let what = format!("{verb} topic {:?} as a member of group {:?}", self.topic, self.group);
        self.consumer.context().common().explain(&self.brokers, what, &self.topic, error)
    }
}
