//! `/api/series`: anomalies over time.

use std::collections::BTreeMap;

use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use pulse_core::ports::{AnomalyFilter, AnomalyQuery, Bucket};
use pulse_core::{Severity, TimestampMs};

use crate::api::{Answer, FILTER, fresh};
use crate::params::Params;
use crate::server::Shared;
use crate::view::{BucketView, SeriesView, Severities};

const DEFAULT_PERIOD: SignedDuration = SignedDuration::from_mins(15);
const DEFAULT_BUCKET_SECONDS: u64 = 15;
/// More points than a wide screen has columns serve nobody.
const MOST_BUCKETS: u64 = 5_000;

pub(crate) async fn series<Q: AnomalyQuery>(State(app): State<Shared<Q>>, mut params: Params) -> Answer {
    let mut filter = params.filter_with_period();
    let bucket_seconds = params.take_with("bucket", bucket).unwrap_or(DEFAULT_BUCKET_SECONDS);
    let end = filter.to.unwrap_or_else(|| app.clock.now());
    let from = filter.from.unwrap_or_else(|| end.saturating_sub(DEFAULT_PERIOD).unwrap_or(Timestamp::MIN));
    filter.from = Some(from);
    let seconds = u64::try_from(end.as_second().saturating_sub(from.as_second())).unwrap_or(0);
    if seconds / bucket_seconds > MOST_BUCKETS {
        let message = format!("makes more than {MOST_BUCKETS} intervals of the period: take a longer one");
        params.refuse("bucket", &format!("{bucket_seconds}s"), message);
    }
    params.finish(&format!("{FILTER}, from, to, bucket"))?;
    let sequence = app.store.last_sequence().await?;
    let bucket_ms = bucket_seconds * 1000;
    let (all, high, critical) = tokio::try_join!(
        app.store.series(&filter, bucket_ms),
        at_least(&app, &filter, bucket_ms, Severity::High),
        at_least(&app, &filter, bucket_ms, Severity::Critical),
    )?;
    let buckets = by_severity(all, &high, &critical);
    Ok(fresh(SeriesView { sequence, from, to: filter.to, bucket_seconds, buckets }))
}

/// Counts of what is at least as bad as `severity`, by the start of their interval.
async fn at_least<Q: AnomalyQuery>(
    app: &Shared<Q>,
    filter: &AnomalyFilter,
    bucket_ms: u64,
    severity: Severity,
) -> Result<BTreeMap<TimestampMs, u64>, crate::problem::Problem> {
    let severity = filter.severity.map_or(severity, |wanted| wanted.max(severity));
    let filter = AnomalyFilter { severity: Some(severity), ..filter.clone() };
    let buckets = app.store.series(&filter, bucket_ms).await?;
    Ok(buckets.into_iter().map(|bucket| (bucket.start, bucket.count)).collect())
}

/// Splits each interval by severity. The three reads are not one snapshot, so that a later one may count a little more.
fn by_severity(
    all: Vec<Bucket>,
    high: &BTreeMap<TimestampMs, u64>,
    critical: &BTreeMap<TimestampMs, u64>,
) -> Vec<BucketView> {
    let view = |bucket: Bucket| {
        let critical = critical.get(&bucket.start).copied().unwrap_or(0).min(bucket.count);
        let high_or_worse = high.get(&bucket.start).copied().unwrap_or(0).clamp(critical, bucket.count);
        Some(BucketView {
            start: Timestamp::from_millisecond(bucket.start).ok()?,
            count: bucket.count,
            severities: Severities { warning: bucket.count - high_or_worse, high: high_or_worse - critical, critical },
            mean_score: bucket.mean_score,
            max_score: bucket.max_score,
        })
    };
    all.into_iter().filter_map(view).collect()
}

/// Reads an interval such as `15s`, `5m` or `1h`, in seconds.
fn bucket(text: &str) -> Result<u64, String> {
    const DAY: u64 = 86_400;
    let unit = match text.bytes().last() {
        Some(b's') => Some(1),
        Some(b'm') => Some(60),
        Some(b'h') => Some(3600),
        _ => None,
    };
    let number = text.get(..text.len().saturating_sub(1)).and_then(|digits| digits.parse::<u64>().ok());
    unit.zip(number)
        .and_then(|(unit, number)| number.checked_mul(unit))
        .filter(|seconds| (1..=DAY).contains(seconds))
        .ok_or_else(|| "must be an interval from 1s to 24h, such as 15s, 5m or 1h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read() {
        assert_eq!(bucket("15s"), Ok(15));
        assert_eq!(bucket("5m"), Ok(300));
        assert_eq!(bucket("24h"), Ok(86_400));
        for wrong in ["", "s", "0s", "25h", "1.5m", "-1s", "15", "15é", "99999999999999999999h"] {
            assert!(bucket(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn severities_add_up_even_when_a_later_read_saw_more() {
        let all = vec![Bucket { start: 0, count: 4, mean_score: 1.0, max_score: 2.0 }];
        let views = by_severity(all, &BTreeMap::from([(0, 6)]), &BTreeMap::from([(0, 1)]));
        assert_eq!(views[0].severities, Severities { warning: 0, high: 3, critical: 1 });
    }
}
