//! What the table holds, as people see it who look into it.

use pulse_core::ports::{AnomalyFilter, AnomalyQuery as _};
use pulse_core::{Classify as _, ErrorClass};
use pulse_testkit::{anomaly, odd_anomalies};

use crate::fixture::Fixture;

#[tokio::test]
async fn columns_read_well() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    fixture.add(&[anomaly(0), anomaly(39)]).await?;
    let row = fixture.ask(
        "SELECT event_time AT TIME ZONE 'UTC', severity, entity, detector_names, detectors -> 1 ->> 'feature', \
         event ->> 'fare_amount', contributions -> 'fare_amount', \"offset\" FROM anomalies WHERE sequence = 2",
    )?;
    assert_eq!(row, "2026-05-28 20:27:19|critical|Zone 9|{isolation_forest,rolling_zscore}|fare_amount|39.5|0.75|39");
    let refused = fixture.ask("UPDATE anomalies SET severity = 'grave'");
    assert!(refused.is_err(), "a severity that nobody knows was taken");
    Ok(())
}

#[tokio::test]
async fn only_what_postgres_cannot_hold_is_refused() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let mut refused = Vec::new();
    for (what, odd) in odd_anomalies()? {
        if let Err(error) = fixture.add(std::slice::from_ref(&odd)).await {
            assert_eq!(error.class(), ErrorClass::DeadLetter, "{what}: {error:?}");
            refused.push(format!("{what}: {}", error.to_string().replace(odd.id.as_str(), "x")));
        }
    }
    let nul =
        |field| format!("cannot store anomaly x: {field} holds the character NUL, which Postgres has no room for");
    for (what, reason) in [
        ("NUL in the entity", nul("entity")),
        ("NUL in a detector", nul("detectors")),
        ("NUL in a feature", nul("features")),
        ("a deep event", "cannot store a row: stack depth limit exceeded".to_owned()),
        ("an offset beyond 63 bits", "cannot store anomaly x: offset".to_owned()),
        ("a long entity", "cannot store a row: index row".to_owned()),
        ("a time long ago", "cannot store anomaly x: event_time -009999-01-02T01:59:59Z is too long ago".to_owned()),
    ] {
        let place = refused.iter().position(|found| found.starts_with(&format!("{what}: {reason}")));
        refused.remove(place.unwrap_or_else(|| panic!("{what} is not among {refused:#?}")));
    }
    assert!(refused.is_empty(), "{refused:#?}");
    Ok(())
}

#[tokio::test]
async fn one_row_that_the_server_refuses_takes_the_others_with_it() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let deep = odd_anomalies()?.into_iter().find(|(what, _)| *what == "a deep event");
    let mut rows: Vec<_> = (0..10).map(anomaly).collect();
    rows.extend(deep.map(|(_, anomaly)| anomaly));
    let refused = fixture.add(&rows).await;
    assert_eq!(refused.map_err(|error| error.class()), Err(ErrorClass::DeadLetter));
    assert_eq!(fixture.ask("SELECT count(*) FROM anomalies, anomaly_counter WHERE last_sequence > 0")?, "0");
    Ok(())
}

#[tokio::test]
async fn a_filter_that_nothing_can_match_finds_nothing() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    fixture.add(&[anomaly(0)]).await?;
    let query = fixture.store.query();
    for filter in [
        AnomalyFilter { entity: Some("Zone\0 0".into()), ..AnomalyFilter::default() },
        AnomalyFilter { to: Some(jiff::Timestamp::MIN), ..AnomalyFilter::default() },
        AnomalyFilter { from: Some(jiff::Timestamp::MAX), ..AnomalyFilter::default() },
    ] {
        assert!(query.latest(&filter, 10).await?.is_empty(), "{filter:?}");
    }
    let all = AnomalyFilter { from: Some(jiff::Timestamp::MIN), ..AnomalyFilter::default() };
    assert_eq!(query.series(&all, u64::MAX).await?.len(), 1);
    Ok(())
}
