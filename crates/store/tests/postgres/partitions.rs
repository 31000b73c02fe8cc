//! Which partition a row goes to, and when partitions are made.

use jiff::SignedDuration;
use pulse_core::Anomaly;
use pulse_core::ports::{AnomalyQuery as _, AnomalyStore as _};
use pulse_testkit::anomaly;

use crate::fixture::{Fixture, span};

const PLACES: &str = "SELECT string_agg(tableoid::regclass::text, ' ' ORDER BY sequence) FROM anomalies";

/// The `n`-th anomaly, whose event is `days` later.
fn moved(n: u64, days: i64) -> Anomaly {
    let row = anomaly(n);
    Anomaly { event_time: row.event_time + SignedDuration::from_hours(24 * days), ..row }
}

#[tokio::test]
async fn days_near_today_have_their_own() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let days = [0, -1, -92, -93, 2, 3];
    let mut rows: Vec<_> = (0..).zip(days).map(|(n, days)| moved(n, days)).collect();
    rows.push(Anomaly { event_time: "0001-01-01T00:00:00Z".parse()?, ..anomaly(10) });
    rows.push(Anomaly { event_time: "9999-12-30T00:00:00Z".parse()?, ..anomaly(11) });
    fixture.add(&rows).await?;
    let others = "anomalies_other";
    let expected = [
        "anomalies_20260528",
        "anomalies_20260527",
        "anomalies_20260225",
        others,
        "anomalies_20260530",
        others,
        others,
        others,
    ];
    assert_eq!(fixture.ask(PLACES)?, expected.join(" "));
    assert_eq!(fixture.ask("SELECT count(*) FROM pg_inherits WHERE inhparent = 'anomalies'::regclass")?, "5");
    Ok(())
}

#[tokio::test]
async fn rows_move_when_their_day_comes() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    fixture.add(&[moved(0, 10), moved(1, 11)]).await?;
    assert_eq!(fixture.ask(PLACES)?, "anomalies_other anomalies_other");
    fixture.clock.advance(10 * 86_400_000);
    fixture.add(&[moved(2, 10)]).await?;
    assert_eq!(fixture.ask(PLACES)?, "anomalies_20260607 anomalies_other anomalies_20260607");
    let rows = fixture.store.query().since(0, 10).await?;
    assert_eq!(rows.iter().map(|row| row.anomaly.offset).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(fixture.store.query().get(&anomaly(0).id).await?.is_some());
    Ok(())
}

#[tokio::test]
async fn several_writers_may_make_one_at_once() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let writers = (0..6).map(|partition| {
        let mut store = fixture.store.anomaly_store();
        let n = u64::from(partition);
        tokio::spawn(async move { store.store(&[anomaly(n)], &span(partition, 0, 1)).await })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await??;
    }
    assert_eq!(fixture.ask(PLACES)?, ["anomalies_20260528"; 6].join(" "));
    Ok(())
}

#[tokio::test]
async fn a_table_that_is_being_read_holds_up_no_writer() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let reader = fixture.reader("anomalies_other").await?;
    fixture.add(&[anomaly(0)]).await?;
    assert_eq!(fixture.ask(PLACES)?, "anomalies_other");
    drop(reader);
    fixture.add(&[anomaly(1)]).await?;
    assert_eq!(fixture.ask(PLACES)?, "anomalies_20260528 anomalies_20260528");
    Ok(())
}

/// As long as a statement works that attaches a partition, Postgres reads the one for all others. Rather than by many rows,
/// that time is made by a trigger, which fails where a statement of five minutes would be cut short.
#[tokio::test]
async fn a_large_partition_for_all_others_does_not_keep_new_ones_from_being_made() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    fixture.database.psql_as_superuser(
        "CREATE FUNCTION takes_five_minutes() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF current_setting('statement_timeout')::interval < interval '5 minutes' THEN \
         RAISE query_canceled USING MESSAGE = 'canceling statement due to statement timeout'; END IF; END $$; \
         CREATE EVENT TRIGGER slow ON ddl_command_start WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION takes_five_minutes()",
    )?;
    fixture.add(&[anomaly(0)]).await?;
    assert_eq!(fixture.ask(PLACES)?, "anomalies_20260528");
    Ok(())
}
