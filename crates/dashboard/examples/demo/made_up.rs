//! Anomalies that look like those of taxi trips.

use jiff::{SignedDuration, Timestamp};
use pulse_core::Anomaly;
use serde_json::{Value, json};

const ZONES: [&str; 14] = [
    "JFK Airport",
    "LaGuardia Airport",
    "East Harlem North",
    "Central Harlem",
    "Astoria",
    "Jamaica",
    "Forest Hills",
    "Elmhurst",
    "Washington Heights South",
    "Morningside Heights",
    "Fort Greene",
    "Downtown Brooklyn/MetroTech",
    "Williamsbridge/Olinville",
    "Saint Michaels Cemetery/Woodside",
];

/// Makes anomalies, the same ones in each run.
pub(crate) struct Maker {
    state: u64,
    made: u64,
}

impl Maker {
    pub(crate) fn new() -> Self {
        Self { state: 0x9e37_79b9_7f4a_7c15, made: 0 }
    }

    /// A number in `[0, 1)`, by xorshift64*: good enough to look at.
    pub(crate) fn fraction(&mut self) -> f64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        ((low + (high - low) * self.fraction()) * 100.0).round() / 100.0
    }

    pub(crate) fn anomaly(&mut self, event_time: Timestamp) -> Anomaly {
        self.made += 1;
        let zone = ZONES[(self.fraction().powf(1.8) * ZONES.len() as f64) as usize];
        let (distance, minutes) = (self.between(0.6, 11.0), self.between(4.0, 48.0));
        let usual = 3.0 + 2.6 * distance;
        let excess = 1.02 + self.fraction().powi(5) * 9.0;
        let fare = (usual * (1.0 + 0.55 * excess) * 100.0).round() / 100.0;
        let tip = self.between(0.0, 6.0);
        let severity = if excess > 5.5 {
            "critical"
        } else if excess > 2.4 {
            "high"
        } else {
            "warning"
        };
        let (detectors, shares) = self.reasons(usual, excess);
        let (score, threshold) = (detectors[0]["score"].clone(), detectors[0]["threshold"].clone());
        let event = json!({
            "trip_id": 7_400_000 + self.made, "pickup_zone": zone, "dropoff_zone": ZONES[self.made as usize % 14],
            "pickup_time": event_time - SignedDuration::from_secs_f64(minutes * 60.0), "dropoff_time": event_time,
            "trip_duration": (minutes * 60.0).round(), "trip_distance": distance, "fare_amount": fare,
            "tip_amount": tip, "tolls_amount": 0, "total_amount": ((fare + tip) * 100.0).round() / 100.0,
        });
        let record = json!({
            "id": format!("{:032x}", u128::from(self.made) * 0x9e37_79b9_7f4a_7c15_f39c_c060), "topic": "raw_events",
            "partition": self.made % 12, "offset": 18_000 + self.made, "use_case": "nyc_taxi", "entity": zone,
            "event_time": event_time, "detected_at": event_time + SignedDuration::from_millis(38), "severity": severity,
            "score": score, "threshold": threshold, "detectors": detectors, "contributions": shares,
            "event": null, "config_version": "4f0c2a9be1d07735",
        });
        let text = record.to_string().replace("\"event\":null", &format!("\"event\":{event}"));
        serde_json::from_str(&text).expect("a record of ours can be read")
    }

    /// Detectors, the deciding one first, and the shares of the model's score.
    fn reasons(&mut self, usual: f64, excess: f64) -> (Vec<Value>, Value) {
        let rolling = json!({
            "name": "rolling_zscore", "feature": "fare_amount", "score": 3.0 * excess, "threshold": 3.0,
            "expected": {"value": usual, "low": usual * 0.45, "high": usual * 1.55},
        });
        let derived = json!({
            "name": "rolling_zscore", "feature": "fare_per_mile", "score": 3.0 + excess, "threshold": 3.0,
            "expected": {"value": 4.1, "low": 1.3, "high": 6.9},
        });
        let forest = json!({
            "name": "isolation_forest", "score": (0.62 + 0.03 * excess).min(0.96), "threshold": 0.62,
            "model_version": "nyc_taxi-20260131T080000Z-4f0c2a9b",
        });
        let shares = json!({
            "fare_amount": 0.48, "fare_per_mile": 0.27, "trip_distance": 0.11, "speed_mph": 0.08, "tip_share": 0.06,
        });
        match self.fraction() {
            kind if kind < 0.45 => (vec![rolling], json!({})),
            kind if kind < 0.65 => (vec![forest], shares),
            kind if kind < 0.75 => (vec![derived], json!({})),
            _ => (vec![forest, rolling, derived], shares),
        }
    }
}
