//! A process that is one service: its arguments, its settings, its endpoint, its start and its end.

mod args;
mod probe;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use pulse_core::ports::Clock;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::chain::chain;
use crate::clock::SystemClock;
use crate::health::Health;
use crate::http::Switch;
use crate::service_group::{BoxError, ServiceGroup, Stage};
use crate::settings::{Listen, Settings, SettingsSources, Uses};
use crate::signal::stop_on_signal;
use crate::telemetry::LogFormat;
use crate::{admin, http, metrics, telemetry, version};
use args::Args;

/// What still runs this long after a stop was asked for is aborted: more than all drains together.
const STOP_DEADLINE: Duration = Duration::from_secs(45);

/// What tells one service from another.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// The name of its binary.
    pub name: &'static str,
    /// What it does, for `--help`.
    pub about: &'static str,
    /// Where it listens.
    pub listen: fn(&Listen) -> SocketAddr,
    /// The setting that moves its port, as in `dashboard.port`.
    pub port: &'static str,
    /// What it uses: in production, it refuses to start with anything of it that is not fit for that.
    pub uses: &'static [Uses],
}

/// A service that is being started. `/live` and `/ready` answer already.
pub struct Starting {
    /// What it was told.
    pub settings: Settings,
    /// Its readiness: `starting` until it is set.
    pub health: Health,
    /// Where its metrics go.
    pub registry: Registry,
    /// What it serves: `/live`, `/ready` and `/metrics`, until more is set.
    pub routes: Switch,
    /// Its tasks. When one of them fails, all end, and with them the process.
    pub group: ServiceGroup,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Starting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Starting").field("health", &self.health).field("group", &self.group).finish_non_exhaustive()
    }
}

impl Service {
    /// The `main` of a service: `start` builds it and spawns its tasks. Then it runs until SIGINT or SIGTERM, and stops
    /// stage by stage.
    ///
    /// The process ends with 0 after a stop, with 1 after a failure, which is told in one line, with 2 for arguments that
    /// it does not know, and with 130 at a second signal.
    pub fn main<E: Into<BoxError>>(self, start: impl AsyncFnOnce(&mut Starting) -> Result<(), E>) -> ExitCode {
        let args = Args::of(&self);
        let settings = match SettingsSources::from_env().file(args.config).uses(self.uses).load() {
            Ok(settings) => settings,
            Err(error) => return fail(&error, LogFormat::Text),
        };
        let format = if args.health { LogFormat::Text } else { settings.log().format };
        let runtime = match Runtime::new() {
            Ok(runtime) => runtime,
            Err(error) => return fail(&error, format),
        };
        let ended = runtime.block_on(async {
            if args.health {
                probe::check((self.listen)(settings.listen())).await
            } else {
                self.run(settings, start).await
            }
        });
        // Whatever had to end in order has; a blocking call that a stop has overtaken need not be waited for.
        runtime.shutdown_background();
        ended.map_or_else(|error| fail(error.as_ref(), format), |()| ExitCode::SUCCESS)
    }

    async fn run<E: Into<BoxError>>(
        self,
        settings: Settings,
        start: impl AsyncFnOnce(&mut Starting) -> Result<(), E>,
    ) -> Result<(), BoxError> {
        telemetry::init(settings.log().format, settings.log().level)?;
        let listener = http::bind(self.name, (self.listen)(settings.listen()), self.port).await?;
        let address = listener.local_addr()?;
        let environment = settings.environment().name();
        tracing::info!(version = version(), use_case = settings.use_case(), environment, %address, "{} starts", self.name);
        let stop = CancellationToken::new();
        tokio::spawn(stop_on_signal(stop.clone()));
        let (health, registry) = (Health::starting("starting"), metrics::registry()?);
        let routes = Switch::new(admin::router(registry.clone(), health.clone()));
        let mut group = ServiceGroup::new(stop.clone());
        group.spawn(Stage::Admin, "endpoint", |stop| http::serve(listener, routes.router(), stop));
        let mut starting = Starting { settings, health, registry, routes, group, clock: Arc::new(SystemClock) };
        tokio::select! {
            started = start(&mut starting) => started.map_err(Into::into)?,
            // Nothing is under way yet that would have to end in order.
            () = stop.cancelled() => {}
        }
        starting.group.join(STOP_DEADLINE).await?;
        tracing::info!("{} has stopped", self.name);
        Ok(())
    }
}

/// Says why the process ends, in one line of the form that whoever reads it expects.
#[expect(clippy::print_stderr, reason = "the last word of a process that failed")]
fn fail(error: &(dyn std::error::Error + 'static), format: LogFormat) -> ExitCode {
    match format {
        LogFormat::Text => eprintln!("error: {}", chain(error)),
        LogFormat::Json => eprintln!(
            "{}",
            serde_json::json!({"timestamp": SystemClock.now().to_string(), "level": "ERROR", "message": chain(error)})
        ),
    }
    ExitCode::FAILURE
}
