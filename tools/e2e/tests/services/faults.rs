//! What cannot be mended by waiting ends a service at once, with what is wrong and what to do.

use pulse_e2e::{Process, Stack};
use pulse_kafka::{TopicSpec, ensure_topics};

/// Starts a service that must end with code 1 and give the reason; gives back what it said.
async fn refuses(mut process: Process, reasons: &[&str]) -> anyhow::Result<String> {
    let status = process.end().await?;
    let said = process.said().join("\n");
    assert_eq!(status.code(), Some(1), "{said}");
    for reason in reasons {
        assert!(said.contains(reason), "no {reason:?} in:\n{said}");
    }
    assert!(!said.contains("panicked"), "{said}");
    Ok(said)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waiting_cannot_mend() -> anyhow::Result<()> {
    let stack = Stack::start().await?;
    let wrong = [("PULSE__POSTGRES__PASSWORD", "not-the-password")];
    let reasons = ["does not let \\\"anomaly_user\\\" in: check user and password"];
    let said = refuses(stack.service("anomaly-writer", "nyc_taxi", &wrong)?, &reasons).await?;
    assert!(!said.contains("not-the-password"), "{said}");
    let stranger = [("PULSE__POSTGRES__USER", "nobody_knows"), ("PULSE__POSTGRES__PASSWORD", "a-secret-word")];
    let said = refuses(stack.service("anomaly-writer", "nyc_taxi", &stranger)?, &["nobody_knows"]).await?;
    assert!(!said.contains("a-secret-word"), "{said}");
    let nowhere = [("PULSE__POSTGRES__DATABASE", "no_such_database")];
    refuses(stack.service("dashboard", "nyc_taxi", &nowhere)?, &["no_such_database"]).await?;

    refuses(stack.service("stream-processor", "no_such_case", &[])?, &["no_such_case", "nyc_taxi"]).await?;
    refuses(
        stack.service("simulator", "nyc_taxi", &[("PULSE__SIMULATOR__RATE", "fast")])?,
        &["simulator.rate", "fast"],
    )
    .await?;
    let mut holder = stack.service("ml-service", "nyc_taxi", &[])?;
    let url = holder.url().await?;
    let port = url.rsplit(':').next().unwrap_or_default();
    refuses(stack.service("ml-service", "nyc_taxi", &[("PULSE__ML_SERVICE__PORT", port)])?, &["ml_service.port", port])
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_with_other_settings() -> anyhow::Result<()> {
    let stack = Stack::start().await?;
    let mut spec = TopicSpec::input("pulse.device_metrics.state", 3, None);
    spec.configs.clear();
    ensure_topics(&stack.kafka_settings(), &[spec], true).await?;
    let processor = stack.service("stream-processor", "device_metrics", &[])?;
    refuses(processor, &["pulse.device_metrics.state"]).await?;
    Ok(())
}
