//! The live line at the bottom of a terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pulse_stream_processor::Progress;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::fmt::MakeWriter;

use crate::summary::{rate, thousands};

const EVERY: Duration = Duration::from_millis(500);
const SPINNER: &str = "{spinner} {elapsed_precise}  {msg}";
const BAR: &str = "{elapsed_precise} {bar:24} {percent:>3}%  {msg}";

/// The line, which log lines keep clear of. Off a terminal it is never drawn.
#[derive(Clone)]
pub(super) struct StatusLine(ProgressBar);

impl StatusLine {
    /// A line that is not drawn yet; with `events` known, a progress bar.
    pub(super) fn new(events: Option<u64>) -> Self {
        let (template, bar) = match events {
            Some(events) => (BAR, ProgressBar::new(events)),
            None => (SPINNER, ProgressBar::new_spinner()),
        };
        bar.set_draw_target(ProgressDrawTarget::hidden());
        Self(styled(bar, template))
    }

    /// Writes on standard error, above the line.
    pub(super) fn above(&self, text: &[u8]) -> io::Result<()> {
        self.0.suspend(|| io::stderr().write_all(text))
    }
}

/// Log lines, written above the line.
impl<'a> MakeWriter<'a> for StatusLine {
    type Writer = LogLine;

    fn make_writer(&'a self) -> LogLine {
        LogLine(self.clone())
    }
}

pub(super) struct LogLine(StatusLine);

impl io::Write for LogLine {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.above(text).map(|()| text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps the line current until `stop` fires.
pub(super) async fn show(StatusLine(bar): StatusLine, progress: Arc<Progress>, stop: CancellationToken) {
    if !io::stderr().is_terminal() {
        return;
    }
    bar.set_draw_target(ProgressDrawTarget::stderr());
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
