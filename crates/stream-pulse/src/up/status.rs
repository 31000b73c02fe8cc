//! The live line at the bottom of a terminal.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pulse_stream_processor::Progress;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::summary::{rate, thousands};

const EVERY: Duration = Duration::from_millis(500);
const SPINNER: &str = "{spinner} {elapsed_precise}  {msg}";
const BAR: &str = "{elapsed_precise} {bar:24} {percent:>3}%  {msg}";

/// Keeps the line current until `stop` fires; with `events` known, as a progress bar. Off a terminal it does nothing.
pub(super) async fn show(progress: Arc<Progress>, events: Option<u64>, stop: CancellationToken) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let bar = match events {
        Some(events) => styled(ProgressBar::with_draw_target(Some(events), ProgressDrawTarget::stderr()), BAR),
        None => styled(ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()), SPINNER),
    };
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = Glance { at: Instant::now(), events: 0, latency: progress.glance().1 };
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = ticks.tick() => {}
        }
        let (counts, latency) = progress.glance();
        let now = Glance { at: Instant::now(), events: counts.read, latency };
        bar.set_position(counts.read);
        bar.set_message(format!(
            "{} events/s · {} events · {} anomalies · {} dead letters · lag {} · p99 {}",
            rate(now.events_per_second(&before)),
            thousands(counts.read),
            thousands(counts.all_anomalies()),
            thousands(counts.dead_letters),
            thousands(progress.lag()),
            now.p99_since(&before),
        ));
        bar.tick();
        before = now;
    }
    bar.finish_and_clear();
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style.progress_chars("━╸─")),
        Err(_) => bar,
    }
}

struct Glance {
    at: Instant,
    events: u64,
    latency: Histogram<u64>,
}

impl Glance {
    #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
    fn events_per_second(&self, before: &Self) -> f64 {
        let seconds = (self.at - before.at).as_secs_f64().max(1e-3);
        self.events.saturating_sub(before.events) as f64 / seconds
    }

    fn p99_since(&self, before: &Self) -> String {
        let mut recent = self.latency.clone();
        match recent.subtract(&before.latency) {
            Ok(()) if !recent.is_empty() => format!("{} ms", recent.value_at_quantile(0.99)),
            _ => "–".to_owned(),
        }
    }
}
