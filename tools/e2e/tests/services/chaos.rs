//! The short form of `cargo xtask chaos`.

use std::path::Path;
use std::time::Duration;

use pulse_e2e::chaos::{Chaos, chaos};

#[tokio::test(flavor = "multi_thread")]
async fn whatever_dies_all_is_there_once() -> anyhow::Result<()> {
    let run = Chaos {
        // One in which processors, writers, ML services and brokers are killed, processors frozen for long, Postgres cut off, and
        // models and configurations switched.
        seed: 20,
        length: Duration::from_secs(40),
        use_case: "nyc_taxi".to_owned(),
        rate: 500,
        settings: Vec::new(),
        logs: Path::new(env!("CARGO_TARGET_TMPDIR")).join("chaos"),
    };
    let told = chaos(&run, &|text| println!("{text}")).await?;
    println!("{told}");
    assert!(!told.contains(" 0 switches"), "{told}");
    Ok(())
}
