//! Where the services can be reached.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use prometheus::Registry;
use pulse_core::ports::Clock;
use pulse_dashboard::DashboardOptions;
use pulse_features::UseCaseDir;
use pulse_ml_service::{Limits, Management, MlService, ModelSlot, ServedUseCase};
use pulse_runtime::{Health, ServiceGroup, Settings, Stage, admin, http};
use pulse_store::EmbeddedStore;
use tokio::net::TcpListener;

/// Listening sockets of all services, bound before anything else starts: a busy port costs nothing then.
pub(super) struct Endpoints {
    dashboard: TcpListener,
    ml_service: TcpListener,
    simulator: TcpListener,
    processor: TcpListener,
    writer: TcpListener,
    /// What requests to the ML service may cost.
    limits: Limits,
}

/// What a service is seen by from outside.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) registry: Registry,
    pub(super) health: Health,
}

/// The services that are being served.
#[derive(Clone)]
pub(super) struct Services {
    pub(super) simulator: Service,
    pub(super) processor: Service,
    pub(super) writer: Service,
    addresses: Vec<(&'static str, SocketAddr, &'static str)>,
}

impl Service {
    fn starting() -> anyhow::Result<Self> {
        Ok(Self { registry: pulse_runtime::registry()?, health: Health::starting("starting") })
    }
}

impl Endpoints {
    pub(super) async fn bind(settings: &Settings) -> anyhow::Result<Self> {
        let listen = settings.listen();
        Ok(Self {
            dashboard: http::bind("dashboard", listen.dashboard, "dashboard.port").await?,
            ml_service: http::bind("ml-service", listen.ml_service, "ml_service.port").await?,
            simulator: http::bind("simulator", listen.simulator, "simulator.port").await?,
            processor: http::bind("stream-processor", listen.processor, "processor.port").await?,
            writer: http::bind("anomaly-writer", listen.writer, "writer.port").await?,
            limits: settings.ml_service().into(),
        })
    }

    /// Serves all of them, so that what is still starting can be watched.
    pub(super) fn serve(
        self,
        group: &mut ServiceGroup,
        dir: &Arc<UseCaseDir>,
        slot: &ModelSlot,
        store: &EmbeddedStore,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Services> {
        let mut services = Services {
            simulator: Service::starting()?,
            processor: Service::starting()?,
            writer: Service::starting()?,
            addresses: Vec::new(),
        };
        let mut address = |what, listener: &TcpListener, path| {
            services.addresses.push((what, listener.local_addr().context("a listener has no address")?, path));
            anyhow::Ok(())
        };
        address("dashboard", &self.dashboard, "/")?;
        address("API docs", &self.ml_service, "/docs")?;
        address("metrics of the processor", &self.processor, "/metrics")?;
        address("metrics of the writer", &self.writer, "/metrics")?;
        address("metrics of the simulator", &self.simulator, "/metrics")?;
        for (name, listener, service) in [
            ("simulator endpoint", self.simulator, &services.simulator),
            ("processor endpoint", self.processor, &services.processor),
            ("writer endpoint", self.writer, &services.writer),
        ] {
            let router = admin::router(service.registry.clone(), service.health.clone());
            group.spawn(Stage::Admin, name, |stop| http::serve(listener, router, stop));
        }
        serve_ml_service(group, self.ml_service, self.limits, dir, slot)?;
        let (query, clock, registry) = (store.query(), Arc::clone(clock), pulse_runtime::registry()?);
        group.spawn(Stage::Admin, "dashboard", |stop| {
            let (options, health) = (DashboardOptions::default(), Health::starting("opening the store"));
            pulse_dashboard::run(self.dashboard, query, options, registry, health, clock, stop)
        });
        Ok(services)
    }
}

impl Services {
    /// Everything runs: says so to whoever asks, and gives the words for the person who started it.
    pub(super) fn ready(&self, ready: Duration, settings: &Settings) -> String {
        // The others say for themselves when they are.
        self.simulator.health.set_ready();
        let mut lines = vec![format!("{} is running, ready after {:.1} s", settings.use_case(), ready.as_secs_f64())];
        for (what, address, path) in &self.addresses {
            lines.push(format!("  {what:<26} http://{}{path}", reachable(*address)));
        }
        lines.push(format!("  {:<26} {}", "log and store", settings.data_dir().display()));
        lines.push("Ctrl-C stops it cleanly; started again, it goes on where it stopped.\n\n".to_owned());
        lines.join("\n")
    }
}

/// An address that a browser can open: one that listens everywhere is reached here.
fn reachable(address: SocketAddr) -> String {
    if address.ip().is_unspecified() || address.ip().is_loopback() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    }
}

fn serve_ml_service(
    group: &mut ServiceGroup,
    listener: TcpListener,
    limits: Limits,
    dir: &UseCaseDir,
    slot: &ModelSlot,
) -> anyhow::Result<()> {
    let sample = dir.sample()?;
    let served = ServedUseCase::new(dir, sample.as_ref(), slot.clone())?;
    let health = Health::starting("training the model");
    let service = MlService::new(vec![served], limits, Management::Fixed, pulse_runtime::registry()?, health)?;
    group.spawn(Stage::Admin, "ml-service", |stop| pulse_ml_service::run(listener, service, stop));
    Ok(())
}
