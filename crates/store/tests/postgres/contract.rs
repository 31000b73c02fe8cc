//! The contract suites for stores of anomalies.

use pulse_store::{PostgresAnomalyStore, PostgresQuery};
use pulse_testkit::{AnomalyBackend, anomaly_contract};

use crate::fixture::Fixture;

impl AnomalyBackend for Fixture {
    type Store = PostgresAnomalyStore;
    type Query = PostgresQuery;

    fn store(&self) -> PostgresAnomalyStore {
        self.store.anomaly_store()
    }

    fn query(&self) -> PostgresQuery {
        self.store.query()
    }

    async fn reopen(self) -> anyhow::Result<Self> {
        self.store.close().await;
        Self::at(self.database).await
    }
}

anomaly_contract!(Fixture::new());
