//! Every dashboard query is answered by an index alone, or by one that finds the rows wanted and no others.

use std::sync::Arc;

use pulse_core::Severity;
use pulse_core::ports::{AnomalyQuery as _, AnomalyStore as _, OffsetSpan};
use pulse_testkit::{FixedClock, TempStore, anomaly};

use super::*;
use crate::EmbeddedStore;

async fn plan(
    store: &EmbeddedStore,
    select: &str,
    filter: &AnomalyFilter,
    tail: &'static str,
) -> anyhow::Result<String> {
    let mut query = QueryBuilder::<Sqlite>::new(format!("EXPLAIN QUERY PLAN {select}"));
    restrict(&mut query, filter);
    query.push(tail);
    let rows = query.build().fetch_all(store.0.db.readers()).await?;
    let steps: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
    Ok(steps.join("; "))
}

#[tokio::test]
async fn windows_are_ranges_of_a_covering_index() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let store = EmbeddedStore::open(place.file(), Arc::new(FixedClock::default())).await?;
    let window = AnomalyFilter {
        use_case: Some("nyc_taxi".into()),
        severity: Some(Severity::High),
        from: Some(anomaly(0).event_time),
        to: Some(anomaly(900).event_time),
        ..AnomalyFilter::default()
    };
    let of_entity = AnomalyFilter { entity: Some("Zone 1".into()), ..window.clone() };
    let of_detector = AnomalyFilter { detector: Some("isolation_forest".into()), ..window.clone() };
    let by_time = "COVERING INDEX anomalies_time (event_time>? AND event_time<?)";
    let by_entity = "COVERING INDEX anomalies_entity (entity=? AND event_time>? AND event_time<?)";
    for (filter, index) in [(&window, by_time), (&of_detector, by_time), (&of_entity, by_entity)] {
        for (select, tail) in [
            ("SELECT event_time / 1000, count(*), avg(score), max(score) FROM anomalies", " GROUP BY 1"),
            ("SELECT entity, count(*) FROM anomalies", " GROUP BY entity"),
            ("SELECT detector_set, count(*) FROM anomalies", " GROUP BY detector_set"),
            ("SELECT severity, count(*) FROM anomalies", " GROUP BY severity"),
        ] {
            let plan = plan(&store, select, filter, tail).await?;
            assert!(plan.contains(index), "{select}{tail}: {plan}");
        }
        let latest = plan(
            &store,
            &format!("{COLUMNS} FROM anomalies"),
            filter,
            " ORDER BY event_time DESC, sequence DESC LIMIT 50",
        )
        .await?;
        assert!(latest.contains(&index["COVERING ".len()..]), "{latest}");
        assert!(!latest.contains("USE TEMP B-TREE FOR ORDER BY"), "{latest}");
    }
    Ok(())
}

#[tokio::test]
async fn an_id_is_looked_up_in_the_index_of_ids() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let store = EmbeddedStore::open(place.file(), Arc::new(FixedClock::default())).await?;
    let steps = by_id("EXPLAIN QUERY PLAN ", &anomaly(0).id).build().fetch_all(store.0.db.readers()).await?;
    let plan: Vec<String> = steps.iter().map(|row| row.get("detail")).collect();
    assert!(plan.iter().any(|step| step.contains("INDEX anomalies_id (<expr>=? AND <expr>=?)")), "{plan:?}");
    // More than one block of arrival.
    let mut writer = store.anomaly_store();
    for from in (0..40_000).step_by(10_000) {
        let rows: Vec<_> = (from..from + 10_000).map(anomaly).collect();
        let span = OffsetSpan { topic: "anomalies".into(), partition: 0, from, to: from + 10_000 };
        writer.store(&rows, &span).await?;
    }
    for n in [0, 16_382, 16_383, 16_384, 39_999] {
        let found = store.query().get(&anomaly(n).id).await?;
        assert_eq!(found.map(|stored| stored.sequence), Some(n + 1));
    }
    assert!(store.query().get(&anomaly(40_000).id).await?.is_none());
    Ok(())
}

#[tokio::test]
async fn times_before_1970_are_rounded_down() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let store = EmbeddedStore::open(place.file(), Arc::new(FixedClock::default())).await?;
    let mut early = anomaly(0);
    early.event_time = "1969-12-31T23:59:59.500Z".parse()?;
    let span = OffsetSpan { topic: "anomalies".into(), partition: 0, from: 0, to: 1 };
    store.anomaly_store().store(&[early], &span).await?;
    let series = store.query().series(&AnomalyFilter::default(), 1000).await?;
    assert_eq!(series.iter().map(|bucket| bucket.start).collect::<Vec<_>>(), [-1000]);
    Ok(())
}
