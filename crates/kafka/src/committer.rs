//! The [`Committer`]: one transactional producer for each partition of the input.
//!
//! The transactional id belongs to the partition. Whoever initialises it fences the one before, at once, and has its open
//! transaction aborted, which would otherwise hide the committed offset until it times out. So the committed offset is read
//! after that. Most of the state is read before, while whoever holds the partition works on.

mod partition;
mod restore;
mod transaction;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use pulse_core::ports::{Commit, Committer, Restored, StateRecord};
use rdkafka::Offset;
use rdkafka::consumer::BaseConsumer;

use crate::aside::Aside;
use crate::catalog::{Catalog, Topic};
use crate::context::Context;
use crate::error::KafkaError;
use crate::query;
use crate::settings::{KafkaSettings, Role};

use partition::Holder;

/// A commit that takes longer is told of, and again and again.
const WAIT: Duration = Duration::from_secs(2);

/// Where a group without a committed offset begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// At the first record there is.
    Earliest,
    /// After the last record there is.
    Latest,
    /// At the first record that is not older.
    Time(Timestamp),
}

/// Commits for one group what came of reading one topic.
pub struct KafkaCommitter {
    shared: Arc<Shared>,
    holders: Mutex<HashMap<u32, Holder>>,
    /// Those that are, or were, being taken over, and what keeps them from it.
    coming: Mutex<HashMap<u32, Arc<AtomicBool>>>,
    /// Asks where partitions end; made when it is needed first.
    asking: Mutex<Option<Aside<BaseConsumer<Context>>>>,
    /// Whether the state topic may get more partitions.
    may_grow: bool,
}

/// What all partitions share.
pub(crate) struct Shared {
    settings: KafkaSettings,
    catalog: Catalog,
    group: Arc<str>,
    topic: Arc<str>,
    state_topic: Arc<str>,
    /// Topics that commits write to besides.
    outputs: Vec<Arc<str>>,
    start: StartAt,
    /// Called again and again while brokers let a commit wait.
    tell_wait: Box<dyn Fn() + Send + Sync>,
}

impl KafkaCommitter {
    /// A committer of `group` for what it reads from `topic`. State stands in `state_topic`, which has the same partitions.
    /// A group without a position is to begin at `start`.
    ///
    /// # Errors
    /// When librdkafka does not take the settings.
    pub fn new(
        settings: &KafkaSettings,
        group: &str,
        topic: &str,
        state_topic: &str,
        start: StartAt,
    ) -> Result<Self, KafkaError> {
        settings.client(&Role::Reader(group))?.create_native_config().map_err(KafkaError::of_setup)?;
        let shared = Shared {
            settings: settings.clone(),
            catalog: Catalog::new(settings),
            group: Arc::from(group),
            topic: Arc::from(topic),
            state_topic: Arc::from(state_topic),
            outputs: Vec::new(),
            start,
            tell_wait: Box::new(|| {}),
        };
        Ok(Self {
            shared: Arc::new(shared),
            holders: Mutex::default(),
            coming: Mutex::default(),
            asking: Mutex::default(),
            may_grow: false,
        })
    }

    /// Whether the state topic gets more partitions when the input has got more. Otherwise they cannot be taken over.
    #[must_use]
    pub fn growing(mut self, may_grow: bool) -> Self {
        self.may_grow = may_grow;
        self
    }

    /// Where outputs of commits go, as far as is known: who takes a partition over asks for these topics before, and the first commit
    /// need not.
    #[must_use]
    pub fn writing_to<T: Into<Arc<str>>>(self, topics: impl IntoIterator<Item = T>) -> Self {
        self.with(|shared| shared.outputs = topics.into_iter().map(Into::into).collect())
    }

    /// Calls `tell` every two seconds that brokers let a commit wait: it goes on by itself when they are back, and says nothing until
    /// then.
    #[must_use]
    pub fn telling_waits(self, tell: impl Fn() + Send + Sync + 'static) -> Self {
        self.with(|shared| shared.tell_wait = Box::new(tell))
    }

    fn with(mut self, change: impl FnOnce(&mut Shared)) -> Self {
        // Nobody else has it before the first partition is taken over.
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            change(shared);
        }
        self
    }

    async fn check(&self, commit: &Commit, state_topic: Topic) -> Result<(), KafkaError> {
        self.shared.catalog.check(&commit.outputs).await?;
        match commit.state.iter().map(StateRecord::encoded_bytes).max() {
            Some(bytes) if bytes + crate::catalog::OVERHEAD > state_topic.limit => Err(KafkaError::StateTooLarge {
                topic: self.shared.state_topic.to_string(),
                bytes,
                limit: state_topic.limit,
            }),
            _ => Ok(()),
        }
    }
}

impl Committer for KafkaCommitter {
    const TOGETHER: bool = false;
    type Error = KafkaError;

    async fn restore(&self, partitions: &[u32], mut each: impl FnMut(u32, Result<Restored, KafkaError>) + Send) {
        // Their producers would be fenced by the new ones.
        self.release(partitions);
        let stops: HashMap<u32, Arc<AtomicBool>> =
            partitions.iter().map(|&partition| (partition, Arc::default())).collect();
        self.coming().extend(stops.iter().map(|(&partition, stop)| (partition, Arc::clone(stop))));
        let mut open: BTreeSet<u32> = partitions.iter().copied().collect();
        let taken = |partition, result: Result<_, KafkaError>| {
            open.remove(&partition);
            let restored = result.map(|(holder, restored)| {
                self.holders().insert(partition, holder);
                restored
            });
            each(partition, restored);
        };
        if let Err(error) = restore::restore(&self.shared, partitions, self.may_grow, stops, taken).await {
            // Whatever it was, it was in the way of all of them.
            open.into_iter().for_each(|partition| each(partition, Err(error.clone())));
        }
    }

    async fn commit(&self, commits: &[Commit]) -> Vec<Result<(), KafkaError>> {
        let mut waiting = Vec::with_capacity(commits.len());
        for commit in commits {
            // All are under way before the first is waited for.
            waiting.push(self.begin(commit).await);
        }
        let mut results = Vec::with_capacity(commits.len());
        for (commit, answer) in commits.iter().zip(waiting) {
            let result = match answer {
                Ok(answer) => self.wait_for(answer).await,
                Err(error) => Err(error),
            };
            if let Err(KafkaError::Aborted { .. } | KafkaError::TooLarge { .. }) = result {
                // Perhaps a topic is not what it was: the next attempt finds out.
                commit.outputs.iter().for_each(|output| self.shared.catalog.forget(&output.topic));
                self.shared.catalog.forget(&self.shared.state_topic);
            }
            results.push(result);
        }
        results
    }

    fn hand_over(&self, partitions: &[u32]) {
        let holders = self.holders();
        partitions.iter().filter_map(|partition| holders.get(partition)).for_each(Holder::hand_over);
    }

    fn release(&self, partitions: &[u32]) {
        for (_, stop) in self.coming().extract_if(|partition, _| partitions.contains(partition)) {
            stop.store(true, Ordering::Relaxed);
        }
        self.holders().retain(|partition, _| !partitions.contains(partition));
    }

    async fn ends(&self, partitions: &[u32]) -> BTreeMap<u32, u64> {
        let Ok(consumer) = self.asking() else { return BTreeMap::new() };
        let (shared, partitions) = (Arc::clone(&self.shared), partitions.to_vec());
        let ask = move || {
            // Serves what the client has to say.
            while consumer.poll(Duration::ZERO).is_some() {}
            query::bounds(&consumer, &shared.topic, &partitions, Offset::End)
        };
        // Brokers that are away are complained of by whoever cannot do without them.
        tokio::task::spawn_blocking(ask).await.ok().and_then(Result::ok).unwrap_or_default()
    }
}

impl KafkaCommitter {
    fn holders(&self) -> MutexGuard<'_, HashMap<u32, Holder>> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn coming(&self) -> MutexGuard<'_, HashMap<u32, Arc<AtomicBool>>> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asking(&self) -> Result<Aside<BaseConsumer<Context>>, KafkaError> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(consumer) = &*asking {
            return Ok(consumer.clone());
        }
        Ok(asking.insert(self.shared.onlooker()?).clone())
    }

    async fn wait_for(&self, mut answer: partition::Answer) -> Result<(), KafkaError> {
        loop {
            match tokio::time::timeout(WAIT, &mut answer).await {
                Ok(answered) => return answered.unwrap_or(Err(KafkaError::Closed)),
                Err(_) => (self.shared.tell_wait)(),
            }
        }
    }

    async fn begin(&self, commit: &Commit) -> Result<partition::Answer, KafkaError> {
        let state_topic = self.shared.catalog.topic(&self.shared.state_topic).await?;
        self.check(commit, state_topic).await?;
        match self.holders().get(&commit.partition) {
            Some(holder) => holder.commit(commit.clone()),
            None => {
                let (group, topic) = (self.shared.group.to_string(), self.shared.topic.to_string());
                Err(KafkaError::NotRestored { group, topic, partition: commit.partition })
            }
        }
    }
}

impl Shared {
    fn transactional_id(&self, partition: u32) -> String {
        format!("{}-{}-{partition}", self.group, self.topic)
    }

    /// Speaks for the group without being a member: asks for its offsets, and reads its state.
    fn speaker(&self) -> Result<Aside<BaseConsumer<Context>>, KafkaError> {
        self.consumer(&Role::Reader(&self.group))
    }

    fn consumer(&self, role: &Role<'_>) -> Result<Aside<BaseConsumer<Context>>, KafkaError> {
        let client = self.settings.client(role)?;
        client.create_with_context(Context::new()).map(Aside::new).map_err(KafkaError::of_setup)
    }

    /// As [`speaker`](Self::speaker), for a look at offsets while others may be committing.
    fn onlooker(&self) -> Result<Aside<BaseConsumer<Context>>, KafkaError> {
        self.consumer(&Role::Onlooker(&self.group))
    }

    fn fenced(&self, partition: u32) -> KafkaError {
        KafkaError::Fenced { group: self.group.to_string(), topic: self.topic.to_string(), partition }
    }

    fn failed(&self, what: &str, source: rdkafka::error::KafkaError) -> KafkaError {
        let what = format!("{what} for group {:?} and topic {:?}", self.group, self.topic);
        KafkaError::of(&self.settings.brokers, what, None, source)
    }
}

impl std::fmt::Debug for KafkaCommitter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaCommitter").field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("group", &self.group).field("topic", &self.topic).finish_non_exhaustive()
    }
}
