//! Services wait for what they need, say what for, and go on when it comes.

use pulse_e2e::{Process, Stack, get, until};
use pulse_testkit::servers::free_port;

/// It says by `/ready` and by its log that it waits for `what`, which is at `address`.
async fn waits_for(process: &mut Process, what: &str, address: &str) -> anyhow::Result<()> {
    let url = process.url().await?;
    until(what, async || {
        let ready = get(&format!("{url}/ready"))?;
        Ok(ready.status == 503 && ready.body.contains(what) && ready.body.contains(address))
    })
    .await?;
    assert_eq!(get(&format!("{url}/live"))?.status, 200, "waiting is no reason to be restarted");
    process.says(address).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_may_come_later_and_go_for_a_while() -> anyhow::Result<()> {
    let mut stack = Stack::start().await?;
    stack.kafka.stop()?;
    let brokers = stack.kafka.brokers();
    let mut simulator = stack.service("simulator", "device_metrics", &[("PULSE__SIMULATOR__RATE", "500")])?;
    let mut processor = stack.service("stream-processor", "device_metrics", &[])?;
    let mut writer = stack.service("anomaly-writer", "device_metrics", &[])?;
    for process in [&mut simulator, &mut processor, &mut writer] {
        waits_for(process, "Kafka", &brokers).await?;
    }
    stack.kafka.restart()?;
    for process in [&mut simulator, &mut processor, &mut writer] {
        process.ready().await?;
    }
    let processed = |events: f64| move |found: f64| found >= events;
    let mut seen = 0.0;
    for _ in 0..2 {
        let more = processed(seen + 1000.0);
        until("events", async || {
            seen = processor.metric("pulse_processor_events_total", "judged").await?;
            Ok(more(seen))
        })
        .await?;
        stack.kafka.stop()?;
        let url = processor.url().await?;
        until("a processor that says that it cannot work", async || Ok(get(&format!("{url}/ready"))?.status == 503))
            .await?;
        stack.kafka.restart()?;
    }
    for process in [simulator, processor, writer] {
        process.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_processor_waits_for_the_model_that_it_needs() -> anyhow::Result<()> {
    let stack = Stack::start().await?;
    let port = free_port()?.to_string();
    let url = format!("http://127.0.0.1:{port}");
    let mut processor = stack.service("stream-processor", "nyc_taxi", &[("PULSE__SCORER__URL", &url)])?;
    waits_for(&mut processor, "model", &url).await?;
    let back = stack.service("ml-service", "nyc_taxi", &[("PULSE__ML_SERVICE__PORT", &port)])?;
    processor.ready().await?;
    processor.stop().await?;
    back.stop().await?;
    Ok(())
}
