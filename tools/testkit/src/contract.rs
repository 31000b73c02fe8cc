//! The suites, and what a backend supplies to run them.

pub mod anomaly_store;
pub mod committer;
pub mod log;
pub mod query;
pub mod topic_reader;

mod reading;

use std::future::Future;

use pulse_core::ports::{AnomalyQuery, AnomalyStore, Committer, EventProducer, EventSource, TopicReader};

pub use reading::{assigned, read, read_backlog, read_on, restore};

/// A log under test. It starts without topics.
pub trait LogBackend: Sized + Send + Sync {
    /// Its producer.
    type Producer: EventProducer;
    /// Its source.
    type Source: EventSource;
    /// Its committer.
    type Committer: Committer;
    /// Its reader.
    type Reader: TopicReader;

    /// Makes a topic.
    fn create_topic(&self, topic: &str, partitions: u32) -> impl Future<Output = anyhow::Result<()>> + Send;
    /// A producer.
    fn producer(&self) -> Self::Producer;
    /// A member of `group`.
    fn source(&self, group: &str, topic: &str) -> Self::Source;
    /// A committer of `group`.
    fn committer(&self, group: &str, topic: &str, state_topic: &str) -> Self::Committer;
    /// A reader of `topic`, which has to exist.
    fn reader(&self, topic: &str) -> Self::Reader;
    /// A reader that waits for `topic` where there is none.
    fn patient_reader(&self, topic: &str) -> Self::Reader;
    /// Ends everything and comes back with what is durable.
    fn reopen(self) -> impl Future<Output = anyhow::Result<Self>> + Send;
}

/// A store of anomalies under test. It starts empty.
pub trait AnomalyBackend: Sized + Send + Sync {
    /// Its writing side.
    type Store: AnomalyStore;
    /// Its reading side.
    type Query: AnomalyQuery;

    /// The writing side.
    fn store(&self) -> Self::Store;
    /// The reading side.
    fn query(&self) -> Self::Query;
    /// Ends everything and comes back with what is durable.
    fn reopen(self) -> impl Future<Output = anyhow::Result<Self>> + Send;
}

/// Runs each named suite of a module as a test on a fresh backend.
#[doc(hidden)]
#[macro_export]
macro_rules! suites {
    ($module:ident, $make:expr, $($suite:ident),+ $(,)?) => {
        mod $module {
            use super::*;
            $(
                #[tokio::test]
                async fn $suite() -> anyhow::Result<()> {
                    $crate::contract::$module::$suite($make.await?).await
                }
            )+
        }
    };
}

/// Makes a test of every suite for logs. The argument is an expression for a future of a fresh [`LogBackend`].
#[macro_export]
macro_rules! log_contract {
    ($make:expr) => {
        $crate::suites!(
            log,
            $make,
            order_is_kept_and_offsets_rise,
            keys_choose_partitions_as_kafka_does,
            everything_of_a_record_is_kept,
            empty_and_large_payloads_pass,
            last_records_are_the_last,
            a_seek_resumes_anywhere,
            a_paused_partition_waits_for_a_seek,
            a_waiting_reader_is_woken,
            what_was_appended_outlives_a_restart,
            unknown_topics_are_named,
        );
        $crate::suites!(
            committer,
            $make,
            outputs_state_and_position_come_together,
            everything_outlives_a_restart,
            tombstones_remove_keys,
            an_older_holder_is_fenced,
            positions_never_go_back,
            nothing_of_a_refused_commit_is_seen,
            a_commit_needs_a_restore,
        );
        $crate::suites!(
            topic_reader,
            $make,
            all_of_a_topic_is_read_once_and_in_order,
            what_comes_later_is_read_later_and_does_not_count,
            an_empty_topic_is_read_at_once,
            a_full_partition_starves_no_other,
            abandoned_reads_lose_nothing,
            nobody_notices,
            a_topic_that_does_not_exist_is_named,
            a_topic_that_does_not_exist_yet_is_waited_for,
        );
    };
}

/// Makes a test of every suite for stores of anomalies. The argument is an expression for a future of a fresh
/// [`AnomalyBackend`].
#[macro_export]
macro_rules! anomaly_contract {
    ($make:expr) => {
        $crate::suites!(
            anomaly_store,
            $make,
            a_replay_is_a_no_op,
            gaps_and_partial_overlaps_are_refused,
            holes_are_part_of_a_span,
            positions_outlive_a_restart,
            the_same_anomaly_is_stored_once,
            an_anomaly_that_cannot_be_stored_is_a_dead_letter,
            of_several_writers_one_stores,
            live_views_miss_nothing_of_several_writers,
            odd_anomalies_stop_nothing,
        );
        $crate::suites!(
            query,
            $make,
            what_was_stored_is_found_whole,
            filters_narrow,
            live_views_go_on_where_they_stopped,
            series_count_by_interval,
            groups_are_counted,
        );
    };
}
