//! Anomalies as JSON: those that can be read are written back the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pulse_core::Anomaly;

fuzz_target!(|json: &[u8]| {
    let Ok(anomaly) = serde_json::from_slice::<Anomaly>(json) else { return };
    let written = serde_json::to_string(&anomaly).expect("what was JSON can be JSON");
    let again: Anomaly = serde_json::from_str(&written).expect("what was written can be read");
    assert_eq!(written, serde_json::to_string(&again).expect("the same"));
});
