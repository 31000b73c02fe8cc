//! What every [`AnomalyQuery`] answers.

use anyhow::Context as _;
use pulse_core::ports::{AnomalyFilter, AnomalyQuery, AnomalyStore as _, GroupBy, StoredAnomaly};
use pulse_core::{Anomaly, Severity};

use super::AnomalyBackend;
use super::anomaly_store::{sample, span};
use crate::samples::anomaly;

/// Anomalies in store; a minute holds 60 of them.
const COUNT: u64 = 600;

async fn filled<B: AnomalyBackend>(backend: &B) -> anyhow::Result<B::Query> {
    backend.store().store(&sample(0, COUNT), &span(0, 0, COUNT)).await?;
    Ok(backend.query())
}

fn offsets(found: &[StoredAnomaly]) -> Vec<u64> {
    found.iter().map(|stored| stored.anomaly.offset).collect()
}

/// What [`anomaly`] makes for which `wanted` holds, newest first.
fn expected(wanted: impl Fn(&Anomaly) -> bool) -> Vec<u64> {
    (0..COUNT).rev().filter(|&n| wanted(&anomaly(n))).collect()
}

/// An anomaly comes back as it was stored.
///
/// # Errors
/// When the backend fails.
pub async fn what_was_stored_is_found_whole<B: AnomalyBackend>(backend: B) -> anyhow::Result<()> {
    let query = filled(&backend).await?;
    for n in [0, 1, 3, COUNT - 1] {
        let sent = anomaly(n);
        let found = query.get(&sent.id).await?.with_context(|| format!("anomaly {n} is missing"))?;
        assert_eq!(serde_json::to_string(&found.anomaly)?, serde_json::to_string(&sent)?);
    }
    assert!(query.get(&anomaly(COUNT).id).await?.is_none());
    Ok(())
}

/// Each part of a filter narrows what is found, alone and with the others.
///
/// # Errors
/// When the backend fails.
pub async fn filters_narrow<B: AnomalyBackend>(backend: B) -> anyhow::Result<()> {
    let query = filled(&backend).await?;
    let all = AnomalyFilter::default();
    assert_eq!(offsets(&query.latest(&all, 5).await?), [599, 598, 597, 596, 595]);
    assert_eq!(query.latest(&all, 10_000).await?.len(), 600);

    let by_use_case = AnomalyFilter { use_case: Some("nyc_taxi".into()), ..all.clone() };
    assert_eq!(offsets(&query.latest(&by_use_case, 1000).await?), expected(|a| a.use_case == "nyc_taxi"));
    let by_entity = AnomalyFilter { entity: Some("Zone 7".into()), ..all.clone() };
    assert_eq!(offsets(&query.latest(&by_entity, 1000).await?), expected(|a| a.entity == "Zone 7"));
    let by_detector = AnomalyFilter { detector: Some("rolling_zscore".into()), ..all.clone() };
    assert_eq!(offsets(&query.latest(&by_detector, 1000).await?), expected(|a| a.detectors.len() > 1));
    let by_severity = AnomalyFilter { severity: Some(Severity::High), ..all.clone() };
    assert_eq!(offsets(&query.latest(&by_severity, 1000).await?), expected(|a| a.severity >= Severity::High));

    let (from, to) = (anomaly(100).event_time, anomaly(200).event_time);
    let by_time = AnomalyFilter { from: Some(from), to: Some(to), ..all.clone() };
    assert_eq!(offsets(&query.latest(&by_time, 1000).await?), expected(|a| (100..200).contains(&a.offset)));
    let every = AnomalyFilter {
        use_case: Some("nyc_taxi".into()),
        entity: Some("Zone 4".into()),
        detector: Some("rolling_zscore".into()),
        severity: Some(Severity::High),
        from: Some(from),
        to: Some(to),
    };
    let wanted = |a: &Anomaly| {
        (100..200).contains(&a.offset) && a.offset % 10 == 4 && a.detectors.len() > 1 && a.severity >= Severity::High
    };
    assert!(!expected(wanted).is_empty());
    assert_eq!(offsets(&query.latest(&every, 1000).await?), expected(wanted));
    let nobody = AnomalyFilter { detector: Some("unheard_of".into()), ..all };
    assert!(query.latest(&nobody, 10).await?.is_empty());
    Ok(())
}

/// `since` hands out what arrived, in order, without gap or repetition.
///
/// # Errors
/// When the backend fails.
pub async fn live_views_go_on_where_they_stopped<B: AnomalyBackend>(backend: B) -> anyhow::Result<()> {
    assert_eq!(backend.query().last_sequence().await?, 0);
    let query = filled(&backend).await?;
    let (mut sequence, mut seen) = (0, Vec::new());
    loop {
        let found = query.since(sequence, 77).await?;
        let Some(last) = found.last() else { break };
        assert!(found.is_sorted_by(|a, b| a.sequence < b.sequence) && found[0].sequence > sequence);
        sequence = last.sequence;
        seen.extend(offsets(&found));
    }
    assert!(seen.into_iter().eq(0..COUNT));
    assert_eq!(query.last_sequence().await?, sequence);
    let mut store = backend.store();
    store.store(&sample(COUNT, COUNT + 1), &span(0, COUNT, COUNT + 1)).await?;
    assert_eq!(offsets(&query.since(sequence, 10).await?), [COUNT]);
    Ok(())
}

/// Intervals are aligned to their width, counted and averaged; empty ones are left out.
///
/// # Errors
/// When the backend fails.
pub async fn series_count_by_interval<B: AnomalyBackend>(backend: B) -> anyhow::Result<()> {
    let query = filled(&backend).await?;
    let begin = anomaly(0).event_time.as_millisecond();
    let series = query.series(&AnomalyFilter::default(), 60_000).await?;
    assert_eq!(series.iter().map(|bucket| bucket.count).sum::<u64>(), COUNT);
    assert!(series.iter().all(|bucket| bucket.start % 60_000 == 0));
    assert!(series.is_sorted_by(|a, b| a.start < b.start));
    assert!(series[0].start <= begin && begin < series[0].start + 60_000);
    for bucket in &series {
        let of_bucket = (0..COUNT)
            .map(anomaly)
            .filter(|a| (bucket.start..bucket.start + 60_000).contains(&a.event_time.as_millisecond()));
        let scores: Vec<f64> = of_bucket.map(|a| a.score).collect();
        assert_eq!(bucket.count, scores.len() as u64);
        assert!((bucket.mean_score - scores.iter().sum::<f64>() / scores.len() as f64).abs() < 1e-9);
        assert_eq!(bucket.max_score, scores.iter().copied().fold(0.0, f64::max));
    }
    let sparse = AnomalyFilter { entity: Some("Zone 3".into()), ..AnomalyFilter::default() };
    let series = query.series(&sparse, 1000).await?;
    assert_eq!((series.len(), series[0].count, series[0].start), (60, 1, begin + 3000));
    Ok(())
}

/// Groups are counted, the largest first, names deciding among equals.
///
/// # Errors
/// When the backend fails.
pub async fn groups_are_counted<B: AnomalyBackend>(backend: B) -> anyhow::Result<()> {
    let query = filled(&backend).await?;
    let all = AnomalyFilter::default();
    let pair = |name: &str, count| (name.to_owned(), count);
    let detectors = [pair("isolation_forest", 600), pair("rolling_zscore", 200)];
    assert_eq!(query.top(GroupBy::Detector, &all, 10).await?, detectors);
    assert_eq!(query.top(GroupBy::Detector, &all, 1).await?, detectors[..1]);
    assert_eq!(query.top(GroupBy::UseCase, &all, 10).await?, [pair("nyc_taxi", 300), pair("server_logs", 300)]);
    assert_eq!(query.top(GroupBy::Entity, &all, 2).await?, [pair("Zone 0", 60), pair("Zone 1", 60)]);
    let severities = query.top(GroupBy::Severity, &all, 10).await?;
    assert_eq!(severities.iter().map(|(_, count)| count).sum::<u64>(), COUNT);
    let critical = expected(|a| a.severity == Severity::Critical).len() as u64;
    assert!(severities.contains(&pair("critical", critical)));
    let odd = AnomalyFilter { use_case: Some("server_logs".into()), to: Some(anomaly(100).event_time), ..all };
    let zones = query.top(GroupBy::Entity, &odd, 10).await?;
    assert_eq!((zones.len(), &zones[0]), (5, &pair("Zone 1", 10)));
    Ok(())
}
