//! The contract suites, run on the embedded store.

use std::sync::Arc;

use pulse_store::{
    EmbeddedAnomalyStore, EmbeddedCommitter, EmbeddedProducer, EmbeddedQuery, EmbeddedReader, EmbeddedSource,
    EmbeddedStore,
};
use pulse_testkit::{AnomalyBackend, FixedClock, LogBackend, TempStore, anomaly_contract, log_contract};

struct Embedded {
    place: TempStore,
    store: EmbeddedStore,
}

impl Embedded {
    async fn fresh() -> anyhow::Result<Self> {
        Self::at(TempStore::new()?).await
    }

    async fn at(place: TempStore) -> anyhow::Result<Self> {
        let store = EmbeddedStore::open(place.file(), Arc::new(FixedClock::default())).await?;
        Ok(Self { place, store })
    }

    async fn again(self) -> anyhow::Result<Self> {
        self.store.close().await;
        Self::at(self.place).await
    }
}

impl LogBackend for Embedded {
    type Producer = EmbeddedProducer;
    type Source = EmbeddedSource;
    type Committer = EmbeddedCommitter;
    type Reader = EmbeddedReader;

    async fn create_topic(&self, topic: &str, partitions: u32) -> anyhow::Result<()> {
        Ok(self.store.create_topic(topic, partitions).await?)
    }

    fn producer(&self) -> EmbeddedProducer {
        self.store.producer()
    }

    fn source(&self, group: &str, topic: &str) -> EmbeddedSource {
        self.store.source(group, topic)
    }

    fn committer(&self, group: &str, topic: &str, state_topic: &str) -> EmbeddedCommitter {
        self.store.committer(group, topic, state_topic)
    }

    fn reader(&self, topic: &str) -> EmbeddedReader {
        self.store.reader(topic)
    }

    fn patient_reader(&self, topic: &str) -> EmbeddedReader {
        self.store.reader(topic).patient()
    }

    async fn reopen(self) -> anyhow::Result<Self> {
        self.again().await
    }
}

impl AnomalyBackend for Embedded {
    type Store = EmbeddedAnomalyStore;
    type Query = EmbeddedQuery;

    fn store(&self) -> EmbeddedAnomalyStore {
        self.store.anomaly_store()
    }

    fn query(&self) -> EmbeddedQuery {
        self.store.query()
    }

    async fn reopen(self) -> anyhow::Result<Self> {
        self.again().await
    }
}

log_contract!(Embedded::fresh());
anomaly_contract!(Embedded::fresh());
