//! The server goes away and comes back in the middle of the work.

use std::time::Duration;

use pulse_core::ports::{AnomalyQuery as _, AnomalyStore as _};
use pulse_core::{Anomaly, Classify as _, ErrorClass};
use pulse_store::PostgresStore;
use pulse_testkit::anomaly;
use pulse_testkit::servers::postgres::{PostgresServer, TestDatabase};
use tokio::sync::watch;

use crate::fixture::{Fixture, span};

const STEP: u64 = 25;

/// Stores one span after another until `stop`, as the writer does; says how far it is.
async fn write(store: PostgresStore, progress: watch::Sender<u64>, stop: watch::Receiver<bool>) -> anyhow::Result<u32> {
    let (mut writer, mut end, mut failures) = (store.anomaly_store(), 0, 0);
    while !*stop.borrow() {
        let rows: Vec<Anomaly> = (end..end + STEP).map(anomaly).collect();
        match writer.store(&rows, &span(0, end, end + STEP)).await {
            Ok(_) => {
                end += STEP;
                progress.send_replace(end);
            }
            Err(error) => {
                assert_eq!(error.class(), ErrorClass::Retry, "{error:?}");
                failures += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
    Ok(failures)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_row_is_there_once() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = PostgresServer::start(folder.path())?;
    let fixture = Fixture::at(TestDatabase::on(&server)?).await?;
    let (progress, mut seen) = watch::channel(0);
    let (stop, stopped) = watch::channel(false);
    let writer = tokio::spawn(write(fixture.store.clone(), progress, stopped));
    for n in 0..4 {
        let before = *seen.borrow_and_update();
        seen.wait_for(|end| *end >= before + 10 * STEP).await?;
        server = tokio::task::spawn_blocking(move || {
            if n % 2 == 0 {
                server.kill()?
            } else {
                server.stop()?
            }
            server.restart()?;
            anyhow::Ok(server)
        })
        .await??;
    }
    let before = *seen.borrow_and_update();
    seen.wait_for(|end| *end >= before + 10 * STEP).await?;
    stop.send_replace(true);
    let failures = writer.await??;
    assert!(failures > 0, "the server was never missed");
    let end = *seen.borrow();
    assert_eq!(
        fixture.ask("SELECT count(*), count(DISTINCT \"offset\"), max(\"offset\") + 1 FROM anomalies")?,
        format!("{end}|{end}|{end}")
    );
    assert_eq!(fixture.store.query().last_sequence().await?, end);
    Ok(())
}
