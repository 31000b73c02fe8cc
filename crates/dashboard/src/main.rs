//! The `dashboard` binary: the live web page over the anomalies in Postgres.

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;

use pulse_backends::postgres;
use pulse_dashboard::{Dashboard, DashboardOptions};
use pulse_runtime::{Service, Stage, Starting, Uses};

const SERVICE: Service = Service {
    name: "dashboard",
    about: "Shows the stored anomalies on a live web page.",
    listen: |listen| listen.dashboard,
    port: "dashboard.port",
    uses: &[Uses::Postgres],
};

fn main() -> ExitCode {
    SERVICE.main(start)
}

async fn start(starting: &mut Starting) -> anyhow::Result<()> {
    let store = postgres::open(starting, SERVICE.name).await?;
    let (registry, health, clock) = (starting.registry.clone(), starting.health.clone(), Arc::clone(&starting.clock));
    let stop = starting.group.token(Stage::Sink);
    let dashboard = Dashboard::new(store.query(), DashboardOptions::default(), registry, health, clock, stop)?;
    starting.routes.set(dashboard.router());
    starting.group.spawn(Stage::Sink, SERVICE.name, |_| async move {
        dashboard.follow().await;
        Ok::<_, Infallible>(())
    });
    Ok(())
}
