//! How what was counted is shown to Prometheus.

use std::collections::HashMap;

use prometheus::core::Desc;
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use pulse_core::metric_names::{
    ANOMALIES, ANOMALY_RATE, EVENTS, PRECISION, RECALL, RECALL_BY_KIND, of_column, with_prefix,
};
use pulse_core::{Severity, UseCase};
use pulse_features::Column;
use pulse_pipeline::{ColumnBuckets, ColumnCounts};

use super::Totals;

const SEVERITIES: [Severity; 3] = [Severity::Warning, Severity::High, Severity::Critical];

/// Names, texts and labels of all families.
#[derive(Debug)]
pub(super) struct Families {
    events: Desc,
    anomalies: Desc,
    rate: Desc,
    precision: Desc,
    recall: Desc,
    recall_by_kind: Desc,
    columns: Vec<Desc>,
    buckets: Option<ColumnBuckets>,
}

impl Families {
    pub(super) fn new(use_case: &UseCase, buckets: Option<&ColumnBuckets>) -> prometheus::Result<Self> {
        let prefix = &use_case.metrics_prefix;
        let columns = buckets.map_or(&[][..], ColumnBuckets::columns);
        let mut labels: HashMap<String, String> = use_case.metrics_labels.clone().into_iter().collect();
        labels.insert("use_case".to_owned(), use_case.name.clone());
        let desc = |name: String, help: &str, variable: &[&str]| {
            let variable = variable.iter().map(|&label| label.to_owned()).collect();
            Desc::new(name, help.to_owned(), variable, labels.clone())
        };
        let fixed = |name: &str, help: &str, variable: &[&str]| desc(with_prefix(name, prefix), help, variable);
        Ok(Self {
            events: fixed(EVENTS, "Events judged.", &[])?,
            anomalies: fixed(ANOMALIES, "Anomalies found, by severity.", &["severity"])?,
            rate: fixed(
                ANOMALY_RATE,
                "Share of anomalies among the events of the five minutes up to the last commit.",
                &[],
            )?,
            precision: fixed(PRECISION, "Share of labelled events among the anomalies, since the start.", &[])?,
            recall: fixed(RECALL, "Share of anomalies among the labelled events, since the start.", &[])?,
            recall_by_kind: fixed(
                RECALL_BY_KIND,
                "Share of anomalies among the labelled events of a kind, since the start.",
                &["kind"],
            )?,
            columns: columns
                .iter()
                .map(|column| desc(of_column(prefix, &column.name), &help(column), &[]))
                .collect::<Result<_, _>>()?,
            buckets: buckets.cloned(),
        })
    }

    pub(super) fn descs(&self) -> Vec<&Desc> {
        let fixed = [&self.events, &self.anomalies, &self.rate, &self.precision, &self.recall, &self.recall_by_kind];
        fixed.into_iter().chain(&self.columns).collect()
    }

    /// All that there is something to say about.
    pub(super) fn collect(&self, totals: &Totals) -> Vec<MetricFamily> {
        let severities = SEVERITIES.iter().zip(totals.anomalies);
        let kinds = totals.tallies.recall_by_kind();
        let mut families = vec![
            family(&self.events, MetricType::COUNTER, vec![counter(labels(&self.events, None), totals.events)]),
            family(
                &self.anomalies,
                MetricType::COUNTER,
                severities
                    .map(|(severity, count)| {
                        counter(labels(&self.anomalies, Some(("severity", severity.as_str()))), count)
                    })
                    .collect(),
            ),
            family(
                &self.recall_by_kind,
                MetricType::GAUGE,
                kinds.map(|(kind, share)| gauge(labels(&self.recall_by_kind, Some(("kind", kind))), share)).collect(),
            ),
        ];
        let shares = [
            (&self.rate, totals.recent.rate()),
            (&self.precision, totals.tallies.precision()),
            (&self.recall, totals.tallies.recall()),
        ];
        families.extend(shares.into_iter().map(|(desc, share)| {
            family(desc, MetricType::GAUGE, share.map(|share| gauge(labels(desc, None), share)).into_iter().collect())
        }));
        if let Some(buckets) = &self.buckets {
            let columns = self.columns.iter().enumerate();
            families.extend(columns.map(|(index, desc)| {
                family(desc, MetricType::HISTOGRAM, vec![histogram(desc, buckets, &totals.columns, index)])
            }));
        }
        families.retain(|family| !family.get_metric().is_empty());
        families
    }
}

fn help(column: &Column) -> String {
    let description = match column.description.trim() {
        "" => format!("Values of {}.", column.name),
        text => text.replace('\n', " "),
    };
    match &column.unit {
        Some(unit) => format!("{description} Unit: {unit}."),
        None => description,
    }
}

fn family(desc: &Desc, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(desc.fq_name.clone());
    family.set_help(desc.help.clone());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn labels(desc: &Desc, variable: Option<(&str, &str)>) -> Vec<LabelPair> {
    let variable = variable.map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    });
    desc.const_label_pairs.iter().cloned().chain(variable).collect()
}

fn counter(labels: Vec<LabelPair>, count: u64) -> Metric {
    let (mut counter, mut metric) = (Counter::default(), Metric::from_label(labels));
    counter.set_value(count as f64);
    metric.set_counter(counter);
    metric
}

fn gauge(labels: Vec<LabelPair>, value: f64) -> Metric {
    let (mut gauge, mut metric) = (Gauge::default(), Metric::from_label(labels));
    gauge.set_value(value);
    metric.set_gauge(gauge);
    metric
}

fn histogram(desc: &Desc, buckets: &ColumnBuckets, counts: &ColumnCounts, index: usize) -> Metric {
    let mut total = 0;
    let ranges = counts.ranges(buckets, index);
    let below = buckets.bounds(index).iter().zip(ranges).map(|(&bound, count)| {
        total += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(bound);
        bucket.set_cumulative_count(total);
        bucket
    });
    let (mut histogram, mut metric) = (Histogram::default(), Metric::from_label(labels(desc, None)));
    histogram.set_bucket(below.collect());
    histogram.set_sample_count(ranges.iter().sum());
    histogram.set_sample_sum(counts.sum(index));
    metric.set_histogram(histogram);
    metric
}
