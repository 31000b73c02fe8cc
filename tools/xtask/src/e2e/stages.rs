//! What is proven, one after the other.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use serde_json::Value;

use super::World;
use super::causes::{Aftermath, CAUSES, NOT_CAUSED};
use super::containers::restarts;
use super::dashboards::{Query, queries};
use super::wait::{self, PATIENCE};

/// Until then the first anomaly is to be on the dashboard.
const FIRST: Duration = Duration::from_secs(30);
/// Until then everything is to have stopped when it is told to, whatever is under way.
const STOPPED: Duration = Duration::from_secs(10);
/// Two of it are more than one, and there are partitions and cores enough for that.
const SCALED: [(&str, u32); 2] = [("processor", 3), ("ml-service", 2)];
const PARTITIONS: u32 = 12;
const USE_CASE: &str = "nyc_taxi";
const EVENT: &str = r#"{"trip_duration":1800.0,"trip_distance":5.2,"fare_amount":15.50,"total_amount":18.50}"#;

/// A stage. They run in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Stage {
    /// Replicas are all found and all used.
    Scale,
    /// What people do with it: ask for predictions, train, choose models, look at pages.
    Use,
    /// Alerts come of their causes, and end with them.
    Alerts,
    /// Every query of every dashboard is answered with data.
    Dashboards,
    /// Every container dies at once, and everything comes back by itself.
    Crash,
    /// Stopped, removed and started again, nothing is lost and nothing is there twice.
    Again,
}

impl Stage {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Scale => "replicas are all found and used",
            Self::Use => "used as people use it",
            Self::Alerts => "alerts",
            Self::Dashboards => "dashboards",
            Self::Crash => "every container dies",
            Self::Again => "down and up again",
        }
    }

    /// # Errors
    /// When what it proves is not so.
    pub(super) fn run(self, world: &World) -> anyhow::Result<()> {
        match self {
            Self::Scale => scale(world),
            Self::Use => used(world),
            Self::Alerts => alerts(world),
            Self::Dashboards => dashboards(world),
            Self::Crash => crash(world),
            Self::Again => again(world),
        }
    }
}

/// Everything comes up; says how long that took, and when the dashboard had its first anomaly.
///
/// # Errors
/// When it does not.
pub(super) fn start(world: &World) -> anyhow::Result<()> {
    println!("\n── up");
    // Images that are not there yet have nothing to do with how long it takes.
    world.stack.compose(&["pull", "--quiet", "--ignore-buildable", "--policy", "missing"])?;
    let started = Instant::now();
    let mut up = world.stack.command(&["up", "--detach", "--wait", "--no-build"]).spawn()?;
    let shown = wait::until("the dashboard shows an anomaly", PATIENCE, || {
        if up.try_wait()?.is_some_and(|ended| !ended.success()) {
            return Ok(Some(None));
        }
        Ok(first_anomaly(world)?.map(|_| Some(started.elapsed())))
    });
    ensure!(up.wait()?.success(), "docker compose up has failed");
    let shown = shown?.context("docker compose up has failed")?;
    println!("── all healthy after {:.1} s", started.elapsed().as_secs_f64());
    let goal = if shown < FIRST { "met" } else { "MISSED" };
    let (shown, wanted) = (shown.as_secs_f64(), FIRST.as_secs());
    println!("── the first anomaly was on the dashboard {shown:.1} s after `up` (goal: less than {wanted} s: {goal})");
    Ok(())
}

fn first_anomaly(world: &World) -> anyhow::Result<Option<Value>> {
    let page = get(&format!("http://127.0.0.1:{}/api/anomalies?limit=1", world.stack.ports().dashboard))?;
    let page: Value = serde_json::from_str(&page)?;
    Ok(page["anomalies"].get(0).cloned())
}

fn scale(world: &World) -> anyhow::Result<()> {
    let scales = SCALED.map(|(service, count)| format!("--scale={service}={count}"));
    let mut up = vec!["up", "--detach", "--wait", "--no-build"];
    up.extend(scales.iter().map(String::as_str));
    world.stack.compose(&up)?;
    for (service, count) in SCALED {
        equals(world, &format!("sum(up{{job=\"{service}\"}})"), count)?;
    }
    equals(world, "sum(pulse_processor_partitions)", PARTITIONS)?;
    equals(world, "count(pulse_processor_partitions > 0)", SCALED[0].1)?;
    let asked = |route: &str| {
        format!(
            "count(sum by (instance) (increase(pulse_ml_requests_total{{route=~\"{route}\", status=\"2xx\"}}[1m])) > 0)"
        )
    };
    equals(world, &asked("/v2/.*/infer"), SCALED[1].1)?;
    // Each on a connection of its own: these are what is spread.
    (0..20).try_for_each(|_| predict(world).map(drop))?;
    equals(world, &asked("/predict"), SCALED[1].1)
}

/// Waits until `expr` gives `number`.
fn equals(world: &World, expr: &str, number: u32) -> anyhow::Result<()> {
    wait::until(&format!("{expr} is {number}"), PATIENCE, || {
        let found = world.prometheus.number(expr)?.context("it has no value")?;
        ensure!(found == f64::from(number), "it is {found}");
        Ok(Some(()))
    })
}

fn used(world: &World) -> anyhow::Result<()> {
    let answer: Value = serde_json::from_str(&predict(world)?)?;
    ensure!(answer["score"].is_number() && answer["contributions"].is_object(), "/predict says {answer}");
    let ports = world.stack.ports();
    for page in [
        format!("{}/docs/", ports.ml_service),
        format!("{}/openapi.json", ports.ml_service),
        format!("{}/", ports.dashboard),
    ] {
        get(&format!("http://127.0.0.1:{page}"))?;
    }
    let active = train(world, &[])?;
    // Every replica takes it over.
    equals(world, &format!("count(pulse_ml_model_info{{version=\"{active}\"}})"), SCALED[1].1)?;
    // What comes has injected anomalies in it: it is to be looked at, and not to judge what follows here.
    let candidate = train(world, &["--from", "kafka", "--max-rows", "2000", "--no-activate"])?;
    let command = ["stream-pulse", "models", "candidate", USE_CASE, &candidate];
    world.stack.exec("ml-service", &command, &[])?;
    let scores = format!("count(sum by (instance) (pulse_ml_shadow_rows_total{{version=\"{candidate}\"}}) > 0)");
    equals(world, &scores, SCALED[1].1)
}

/// A version of a model that is trained in a container of the ML service.
fn train(world: &World, options: &[&str]) -> anyhow::Result<String> {
    let command = [&["stream-pulse", "train", USE_CASE, "--json"], options].concat();
    let report: Value = serde_json::from_str(&world.stack.exec("ml-service", &command, &[])?)?;
    let version = report["version"].as_str().context("train says no version")?;
    println!("   trained {version} on {} rows", report["trained_rows"]);
    Ok(version.to_owned())
}

fn alerts(world: &World) -> anyhow::Result<()> {
    let mut failed = Vec::new();
    let mut left: Vec<Aftermath> = Vec::new();
    for cause in &CAUSES {
        if cause.is_slow() && world.quick {
            println!("   NOT RUN: {}", cause.title());
            continue;
        }
        match cause.happen(world) {
            Ok(aftermath) => left.extend(aftermath),
            Err(error) => {
                println!("   FAILED: {}: {error:#}", cause.title());
                failed.push(cause.title());
            }
        }
    }
    for aftermath in &left {
        if aftermath.is_slow() && world.quick {
            println!("   NOT WAITED FOR: that {} is over", aftermath.alert());
        } else if let Err(error) = aftermath.is_over(world) {
            println!("   FAILED: {error:#}");
            failed.push(aftermath.alert());
        }
    }
    NOT_CAUSED.iter().for_each(|(alert, reason)| println!("   NOT CAUSED: {alert}, as {reason}"));
    ensure!(failed.is_empty(), "{}", failed.join(", "));
    Ok(())
}

fn dashboards(world: &World) -> anyhow::Result<()> {
    // So that what is counted in rates has moved lately.
    predict(world)?;
    // Trained on the sample, it would be the version of the start again, and no switch.
    train(world, &["--from", "kafka", "--max-rows", "1000"])?;
    let queries = queries(&world.prometheus)?;
    let mut missing: Vec<&Query> = queries.iter().collect();
    let all = wait::until("every query has data", PATIENCE, || {
        let mut refused = Vec::new();
        missing.retain(|query| match query.has_data(world) {
            Ok(has_data) => !has_data,
            Err(error) => {
                refused.push(format!("{}: {error:#}", query.name));
                true
            }
        });
        ensure!(refused.is_empty(), "{}", refused.join("; "));
        Ok(missing.is_empty().then_some(()))
    });
    let answered = queries.len() - missing.len();
    println!("   {answered} of {} queries have data", queries.len());
    missing.iter().for_each(|query| println!("   NO DATA: {}", query.name));
    // What judges from here on was trained on what is usual.
    world.stack.exec("ml-service", &["stream-pulse", "models", "rollback", USE_CASE], &[])?;
    all
}

fn crash(world: &World) -> anyhow::Result<()> {
    let containers = world.stack.containers()?;
    let before = restarts(&containers)?;
    let started = Instant::now();
    world.stack.crash(&containers)?;
    wait::until("every container was started anew", PATIENCE, || {
        let now = restarts(&containers)?;
        Ok(now.iter().zip(&before).all(|(now, before)| now > before).then_some(()))
    })?;
    world.stack.all_healthy()?;
    println!("   {} containers healthy after {} s", containers.len(), started.elapsed().as_secs());
    let count = stored(world)?.len();
    wait::until("anomalies arrive again", PATIENCE, || Ok((stored(world)?.len() > count).then_some(())))
}

/// Everything is stopped and removed while events come, and made anew: what was stored before is still there, all events that came
/// are judged, and every anomaly of the topic is in the database, once; and it goes on.
fn again(world: &World) -> anyhow::Result<()> {
    // Of the topic they could not be told: it is read to its end, which moves.
    let before: BTreeSet<String> = stored(world)?.into_iter().collect();
    let started = Instant::now();
    world.stack.compose(&["down", "--timeout", "60"])?;
    let elapsed = started.elapsed();
    println!("   down after {:.1} s", elapsed.as_secs_f64());
    ensure!(elapsed < STOPPED, "something does not stop within {} s when it is told to", STOPPED.as_secs());
    world.stack.compose(&["up", "--detach", "--wait", "--no-build", "--scale", "simulator=0"])?;
    let after = all_stored(world)?;
    let (lost, new) = (before.difference(&after).count(), after.difference(&before).count());
    ensure!(lost == 0, "of {} anomalies {lost} are gone", before.len());
    println!("   {} anomalies, {new} of them of the end, each in the topic and in the database, once", after.len());
    world.stack.compose(&["up", "--detach", "--wait", "--no-build"])?;
    wait::until("anomalies arrive again", PATIENCE, || Ok((stored(world)?.len() > after.len()).then_some(())))
}

/// Waits until every event is judged, and every anomaly of the topic is in the database, and only those, each once.
fn all_stored(world: &World) -> anyhow::Result<BTreeSet<String>> {
    wait::until("every event is judged", PATIENCE, || {
        let waiting = waiting(world)?;
        ensure!(waiting == 0, "{waiting} wait");
        Ok(Some(()))
    })?;
    let found = found(world)?;
    let unique: BTreeSet<String> = found.iter().cloned().collect();
    ensure!(unique.len() == found.len(), "the topic has {} anomalies and {} ids", found.len(), unique.len());
    wait::until("the database has what the topic has", PATIENCE, || {
        let stored = stored(world)?;
        let ids: BTreeSet<String> = stored.iter().cloned().collect();
        let missing = unique.difference(&ids).count();
        let (many, strange) = (stored.len() - ids.len(), ids.difference(&unique).count());
        ensure!(missing + many + strange == 0, "{missing} are missing, {many} are there twice, {strange} nobody found");
        Ok(Some(()))
    })?;
    Ok(unique)
}

/// Events that wait, by what the processors have committed.
fn waiting(world: &World) -> anyhow::Result<u64> {
    let group = format!("pulse-{USE_CASE}");
    let table = world.stack.kafka("kafka-consumer-groups.sh", &["--describe", "--group", &group], &[])?;
    // GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG …
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let rows = rows.filter(|row| row.first() == Some(&&*group));
    let lags: Vec<u64> =
        rows.map(|row| row.get(5).context("no lag")?.parse().context("a lag")).collect::<Result<_, _>>()?;
    ensure!(lags.len() == PARTITIONS as usize, "{} of {PARTITIONS} partitions have an offset", lags.len());
    Ok(lags.iter().sum())
}

/// The ids of the anomalies that are committed to the topic.
fn found(world: &World) -> anyhow::Result<Vec<String>> {
    let all =
        ["--topic", "anomalies", "--from-beginning", "--isolation-level", "read_committed", "--timeout-ms", "10000"];
    let records = world.stack.kafka("kafka-console-consumer.sh", &all, &[])?;
    let id = |record: &str| Some(serde_json::from_str::<Value>(record).ok()?["id"].as_str()?.to_owned());
    Ok(records.lines().filter_map(id).collect())
}

/// The ids of those in the database.
fn stored(world: &World) -> anyhow::Result<Vec<String>> {
    let psql = ["psql", "-At", "-U", "anomaly_user", "-d", "anomalies_db", "-c", "SELECT id FROM anomalies"];
    Ok(world.stack.exec("postgres", &psql, &[])?.lines().map(str::to_owned).collect())
}

fn predict(world: &World) -> anyhow::Result<String> {
    let url = format!("http://127.0.0.1:{}/predict", world.stack.ports().ml_service);
    let request = ureq::post(url).header("Content-Type", "application/json").header("Connection", "close");
    Ok(request.send(EVENT)?.into_body().read_to_string()?)
}

fn get(url: &str) -> anyhow::Result<String> {
    Ok(ureq::get(url).call().with_context(|| url.to_owned())?.into_body().read_to_string()?)
}
