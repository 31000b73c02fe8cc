//! The figures of both sides, and whether ours are what they should be.

use std::time::Duration;

use anyhow::Context as _;
use hdrhistogram::Histogram;

use super::super::load::{Measured, histogram};

/// What we want on two cores: verdicts a second, the milliseconds that 99 of 100 of them take at the most, and rows a second in batches.
const GOALS: (f64, f64, f64) = (20_000.0, 5.0, 500_000.0);

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Ours,
    Theirs,
}

impl Side {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ml-service",
            Self::Theirs => "FastAPI + scikit-learn",
        }
    }
}

/// What one side did of one thing, over all rounds.
#[derive(Debug)]
struct Figure {
    rates: Vec<f64>,
    latencies: Histogram<u64>,
    /// What the servers used of the processors.
    used: Duration,
}

/// All figures: single verdicts and batches, of both.
#[derive(Debug)]
pub(super) struct Figures {
    ours: [Figure; 2],
    theirs: [Figure; 2],
    /// Rows of a batch.
    rows: usize,
}

impl Figures {
    pub(super) fn new(rows: usize) -> anyhow::Result<Self> {
        let figure =
            || Ok::<_, anyhow::Error>(Figure { rates: Vec::new(), latencies: histogram()?, used: Duration::ZERO });
        Ok(Self { ours: [figure()?, figure()?], theirs: [figure()?, figure()?], rows })
    }

    /// Adds a round of `what`: 0 for single verdicts, 1 for batches. The servers `used` so much of the processors.
    pub(super) fn add(&mut self, side: Side, what: usize, measured: &Measured, used: Duration) -> anyhow::Result<()> {
        let figures = match side {
            Side::Ours => &mut self.ours,
            Side::Theirs => &mut self.theirs,
        };
        let figure = figures.get_mut(what).context("there is no such thing to measure")?;
        figure.rates.push(measured.rate());
        figure.used += used;
        figure.latencies.add(&measured.latencies).context("latencies cannot be added up")
    }

    /// Prints both, the ratio, and what is missing to our goals.
    pub(super) fn print(&self, connections: [usize; 2]) {
        let titles = [
            format!("/predict, {} connections", connections[0]),
            format!("binary batches of {} rows, {} connections", self.rows, connections[1]),
        ];
        let pairs = self.ours.iter().zip(&self.theirs);
        for ((title, (ours, theirs)), (rows, unit)) in
            titles.iter().zip(pairs).zip([(1, "requests/s"), (self.rows, "rows/s")])
        {
            println!("\n{title:48} {unit:>12} {:>12} {:>12} {:>17}", "p50", "p99", "processor time");
            for (side, figure) in [(Side::Ours, ours), (Side::Theirs, theirs)] {
                let [p50, p99] = [0.5, 0.99].map(|share| milliseconds(&figure.latencies, share));
                let (rate, used) = (figure.rate() * rows as f64, figure.microseconds() / rows as f64);
                println!("{:48} {rate:>12.0} {p50:>9.2} ms {p99:>9.2} ms {used:>8.1} µs each", side.name());
            }
            println!("{:48} {:>11.0}x", "ratio", ours.rate() / theirs.rate());
        }
        let [single, batches] = &self.ours;
        let (rate, p99, rows) = GOALS;
        println!();
        println!("{}", goal("/predict, requests/s", single.rate(), rate, true));
        println!("{}", goal("/predict, p99 in ms", milliseconds(&single.latencies, 0.99), p99, false));
        println!("{}", goal("batches, rows/s", batches.rate() * self.rows as f64, rows, true));
    }
}

impl Figure {
    fn rate(&self) -> f64 {
        median(&self.rates)
    }

    /// Processor time of the servers for each answer.
    fn microseconds(&self) -> f64 {
        self.used.as_secs_f64() * 1e6 / self.latencies.len() as f64
    }
}

/// The latency that `share` of the answers do not exceed.
pub(super) fn milliseconds(latencies: &Histogram<u64>, share: f64) -> f64 {
    latencies.value_at_quantile(share) as f64 / 1e3
}

/// The value in the middle; of an even number, the mean of the two there.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.len().saturating_sub(1) / 2, sorted.len() / 2);
    let middle: Vec<f64> = [low, high].iter().filter_map(|&place| sorted.get(place)).copied().collect();
    middle.iter().sum::<f64>() / middle.len() as f64
}

/// Whether a goal is met, and else by how much it is missed.
fn goal(title: &str, found: f64, wanted: f64, more_is_better: bool) -> String {
    let (is_met, bound) = if more_is_better { (found >= wanted, "at least") } else { (found < wanted, "less than") };
    let verdict =
        if is_met { "met".to_owned() } else { format!("MISSED by {:.1} %", (found / wanted - 1.0).abs() * 100.0) };
    format!("goal {title}: {bound} {wanted}: {verdict} ({found:.2})")
}

/// What it was measured on.
pub(super) fn machine(cores: usize) -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    format!("{}, {cores} cores", processor(&info).unwrap_or("unknown processor"))
}

/// The model of the processor in what `/proc/cpuinfo` says.
fn processor(info: &str) -> Option<&str> {
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_do_not_depend_on_the_order() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_goal_that_is_missed_says_by_how_much() {
        assert_eq!(
            goal("rows/s", 15_000.0, 20_000.0, true),
            "goal rows/s: at least 20000: MISSED by 25.0 % (15000.00)"
        );
        assert_eq!(goal("p99", 4.5, 5.0, false), "goal p99: less than 5: met (4.50)");
        assert!(goal("p99", 6.0, 5.0, false).contains("MISSED by 20.0 %"));
    }

    #[test]
    fn the_processor_is_named() {
        let info = "processor\t: 0\nmodel name\t: Some CPU @ 2.10GHz\nflags\t: fpu\nmodel name\t: other\n";
        assert_eq!(processor(info), Some("Some CPU @ 2.10GHz"));
        assert_eq!(processor("processor : 0"), None);
    }
}
