//! The `simulator` binary: produces the events of the use case into Kafka.

use std::process::ExitCode;
use std::sync::Arc;

use pulse_backends::Kafka;
use pulse_features::UseCaseDir;
use pulse_kafka::KafkaProducer;
use pulse_runtime::{Service, SimulatorPace, SimulatorSettings, Stage, Starting, Uses};
use pulse_simulator::{Links, Metrics, Pace, SimulatorOptions};

const SERVICE: Service = Service {
    name: "simulator",
    about: "Produces the events of the use case into Kafka, labelled anomalies among them.",
    listen: |listen| listen.simulator,
    port: "simulator.port",
    uses: &[Uses::Kafka],
};

fn main() -> ExitCode {
    SERVICE.main(start)
}

async fn start(starting: &mut Starting) -> anyhow::Result<()> {
    let dir = UseCaseDir::load(starting.settings.usecases(), starting.settings.use_case())?;
    let options = options(starting.settings.simulator());
    let kafka = Kafka::connect(starting).await?;
    kafka.input(&dir.use_case.topic).await?;
    let producer = KafkaProducer::new(kafka.settings())?;
    let link = producer.link();
    let links = Links {
        clock: Arc::clone(&starting.clock),
        metrics: Metrics::new(&starting.registry)?,
        progress: Arc::default(),
        // Nobody tells how far the processors are: Kafka keeps what they have not read.
        backpressure: None,
    };
    starting.health.set_ready();
    tokio::spawn(kafka.watch(link, starting.group.token(Stage::Source)));
    starting.group.spawn(Stage::Source, SERVICE.name, |stop| async move {
        pulse_simulator::run(producer, &dir, options, links, stop).await.map(drop)
    });
    Ok(())
}

fn options(settings: &SimulatorSettings) -> SimulatorOptions {
    SimulatorOptions {
        rate: match settings.pace {
            SimulatorPace::Max => Pace::Max,
            SimulatorPace::Rate(rate) => Pace::PerSecond(rate),
            SimulatorPace::Speed(speed) => Pace::Speed(speed),
        },
        events: settings.events,
        anomaly_rate: settings.anomaly_rate,
        seed: settings.seed,
        start: settings.start,
    }
}
