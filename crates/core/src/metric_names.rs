//! Names of the metrics that a use case exports under its own prefix.
//!
//! `<prefix>` stands for the prefix, as in `docs/specs/telemetry.md`.

use std::fmt;

/// Events judged.
pub const EVENTS: &str = "<prefix>_events_total";
/// Anomalies by severity.
pub const ANOMALIES: &str = "<prefix>_anomalies_total";
/// Share of anomalies among recent events.
pub const ANOMALY_RATE: &str = "<prefix>_anomaly_rate";
/// Share of labelled events among the anomalies.
pub const PRECISION: &str = "<prefix>_precision";
/// Share of anomalies among the labelled events.
pub const RECALL: &str = "<prefix>_recall";
/// [`RECALL`] of each kind of label.
pub const RECALL_BY_KIND: &str = "<prefix>_recall_by_kind";
/// Values of a column.
const COLUMN: &str = "<prefix>_<feature>";

const FIXED: [&str; 6] = [EVENTS, ANOMALIES, ANOMALY_RATE, PRECISION, RECALL, RECALL_BY_KIND];
/// What a histogram appends to its name.
const SERIES: [&str; 3] = ["_bucket", "_sum", "_count"];

/// Labels that these metrics have anyway, so that no use case can give them another meaning.
pub const RESERVED_LABELS: [&str; 4] = ["use_case", "severity", "kind", "le"];

/// The name that `template` stands for.
#[must_use]
pub fn with_prefix(template: &str, prefix: &str) -> String {
    template.replace("<prefix>", prefix)
}

/// The metric of the column `column`: what Prometheus does not take becomes `_`.
#[must_use]
pub fn of_column(prefix: &str, column: &str) -> String {
    let feature: String = column.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    with_prefix(COLUMN, prefix).replace("<feature>", &feature)
}

/// A column whose metric would be mistaken for another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameClash {
    /// The column.
    pub column: String,
    /// The column that has the name already; none where it is a metric of every use case.
    pub other: Option<String>,
    /// The name.
    pub metric: String,
}

impl fmt::Display for NameClash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { column, other, metric } = self;
        match other {
            Some(other) => {
                write!(f, "the columns {other:?} and {column:?} would share the metric {metric}: rename one")
            }
            None => {
                write!(f, "the column {column:?} would share the metric {metric}, which every use case has: rename it")
            }
        }
    }
}

/// All columns whose metrics would be mistaken for others.
#[must_use]
pub fn clashes<'a>(prefix: &str, columns: impl IntoIterator<Item = &'a str>) -> Vec<NameClash> {
    let mut taken: Vec<(Option<&str>, String)> = FIXED.map(|fixed| (None, with_prefix(fixed, prefix))).into();
    let mut clashes = Vec::new();
    for column in columns {
        let name = of_column(prefix, column);
        if let Some((other, metric)) = taken.iter().find_map(|(other, known)| Some((other, shared(known, &name)?))) {
            clashes.push(NameClash { column: column.to_owned(), other: other.map(str::to_owned), metric });
        }
        taken.push((Some(column), name));
    }
    clashes
}

/// The name that both metrics would export.
fn shared(one: &str, other: &str) -> Option<String> {
    let exports = |metric: &str, name: &str| name.strip_prefix(metric).is_some_and(|rest| SERIES.contains(&rest));
    if one == other || exports(one, other) {
        return Some(other.to_owned());
    }
    exports(other, one).then(|| one.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_becomes_a_name_that_prometheus_takes() {
        assert_eq!(of_column("taxi", "trip.fare"), "taxi_trip_fare");
        assert_eq!(of_column("taxi", "Größe:1"), "taxi_Gr__e_1");
        assert_eq!(with_prefix(EVENTS, "taxi"), "taxi_events_total");
    }

    #[test]
    fn whatever_would_be_mistaken_is_named() {
        assert!(clashes("x", ["fare", "fare_2", "events"]).is_empty());
        let found: Vec<String> =
            clashes("x", ["a.b", "a_b", "c_sum", "c", "recall"]).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "the columns \"a.b\" and \"a_b\" would share the metric x_a_b: rename one",
                "the columns \"c_sum\" and \"c\" would share the metric x_c_sum: rename one",
                "the column \"recall\" would share the metric x_recall, which every use case has: rename it",
            ]
        );
    }
}
