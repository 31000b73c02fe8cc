//! The dashboard over made-up anomalies, to work on the page: `cargo run -p pulse-dashboard --example demo -- [rate]`.
//!
//! Fills a store in a temporary folder with a day of anomalies, adds `rate` more a second (default 1; 0 for none; `empty`
//! for a store without any), and serves on port 8501, or on the one that `PORT` names.

mod made_up;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use made_up::Maker;
use prometheus::Registry;
use pulse_core::Anomaly;
use pulse_core::ports::{AnomalyStore, Clock, OffsetSpan};
use pulse_dashboard::DashboardOptions;
use pulse_runtime::{Health, SystemClock, http, shutdown_signal};
use pulse_store::EmbeddedStore;
use tokio_util::sync::CancellationToken;

/// Stores anomalies one span after another.
struct Writer<S> {
    store: S,
    next: u64,
}

impl<S: AnomalyStore> Writer<S> {
    async fn write(&mut self, rows: &[Anomaly]) -> Result<(), S::Error> {
        let to = self.next + rows.len() as u64;
        let span = OffsetSpan { topic: "anomalies".into(), partition: 0, from: self.next, to };
        self.store.store(rows, &span).await?;
        self.next = to;
        Ok(())
    }
}

/// A day of anomalies, denser towards now.
async fn fill<S: AnomalyStore>(writer: &mut Writer<S>, maker: &mut Maker, clock: &dyn Clock) -> Result<(), S::Error> {
    let now = clock.now();
    let mut past = Vec::new();
    for (period, count) in [(86_400.0, 900), (3_600.0, 240), (900.0, 180)] {
        past.extend((0..count).map(|_| maker.fraction() * period));
    }
    past.sort_by(|a: &f64, b| b.total_cmp(a));
    let rows: Vec<Anomaly> =
        past.into_iter().map(|ago| maker.anomaly(now - SignedDuration::from_secs_f64(ago))).collect();
    writer.write(&rows).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let argument = std::env::args().nth(1);
    let empty = argument.as_deref() == Some("empty");
    let rate: f64 = argument.filter(|_| !empty).map_or(Ok(f64::from(u8::from(!empty))), |text| text.parse())?;
    let port = std::env::var("PORT").map_or(Ok(8501), |port| port.parse())?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);

    let folder = tempfile::tempdir()?;
    let store = EmbeddedStore::open(&folder.path().join("demo.db"), Arc::clone(&clock)).await?;
    let mut writer = Writer { store: store.anomaly_store(), next: 0 };
    let mut maker = Maker::new();
    if !empty {
        fill(&mut writer, &mut maker, clock.as_ref()).await?;
    }

    let stop = CancellationToken::new();
    let listener = http::bind("dashboard", SocketAddr::from(([127, 0, 0, 1], port)), "PORT").await?;
    let (options, health) = (DashboardOptions::default(), Health::starting("waiting for the store"));
    let server = pulse_dashboard::run(
        listener,
        store.query(),
        options,
        Registry::new(),
        health,
        Arc::clone(&clock),
        stop.clone(),
    );
    let adding = async {
        if rate <= 0.0 {
            return std::future::pending().await;
        }
        let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / rate));
        loop {
            ticks.tick().await;
            if let Err(error) = writer.write(&[maker.anomaly(clock.now())]).await {
                return error;
            }
        }
    };
    tokio::select! {
        result = server => result?,
        error = adding => return Err(error.into()),
        () = shutdown_signal() => stop.cancel(),
    }
    Ok(())
}
