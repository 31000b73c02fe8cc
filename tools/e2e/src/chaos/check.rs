//! Whether what is there is what must come of the log: nothing missing, nothing twice, nothing different.

use std::collections::{BTreeMap, HashMap};

use anyhow::Context as _;
use pulse_core::names::{HEADER_ORIGIN, HEADER_REASONS};
use pulse_core::{Record, RecordBatch};
use serde_json::{Value, json};

use crate::expected::Expected;

/// Faults of one kind that are shown.
const SHOWN: usize = 10;
/// Characters that are shown of a value.
const VALUE: usize = 160;

/// Partition and offset in the input topic.
pub(super) type Place = (u32, u64);

/// The place that an anomaly names.
pub(super) fn place_of(anomaly: &Value) -> anyhow::Result<Place> {
    let number = |field: &str| anomaly[field].as_u64().with_context(|| format!("an anomaly without {field}"));
    Ok((u32::try_from(number("partition")?)?, number("offset")?))
}

/// Anomalies with their places.
pub(super) fn placed(anomalies: Vec<Value>) -> anyhow::Result<Vec<(Place, Value)>> {
    anomalies.into_iter().map(|anomaly| Ok((place_of(&anomaly)?, anomaly))).collect()
}

/// The anomalies of `use_case` in their topic, without the one field that may differ.
pub(super) fn anomalies_in(topic: &[RecordBatch], use_case: &str) -> anyhow::Result<Vec<(Place, Value)>> {
    let mut anomalies = Vec::new();
    for record in topic.iter().flat_map(|batch| &batch.records) {
        let mut anomaly: Value = serde_json::from_slice(&record.payload)?;
        anomaly.as_object_mut().and_then(|fields| fields.remove("detected_at")).context("no detected_at")?;
        if anomaly["use_case"] == use_case {
            anomalies.push(anomaly);
        }
    }
    placed(anomalies)
}

/// The dead letters of `log` as they have to be.
pub(super) fn letters_of(log: &[RecordBatch], expected: &Expected) -> anyhow::Result<BTreeMap<Place, Value>> {
    let records = log.iter().flat_map(|batch| batch.records.iter().map(|record| (batch.partition, record)));
    let records: HashMap<Place, &Record> =
        records.map(|(partition, record)| ((partition, record.offset), record)).collect();
    let letter = |(origin, reasons): (&String, &Value)| {
        let place = place_in(origin)?;
        let record = records.get(&place).with_context(|| format!("{origin} is not in the log"))?;
        Ok((place, content(record, reasons)))
    };
    expected.dead_letters.iter().map(letter).collect()
}

/// The dead letters in their topic.
pub(super) fn letters_in(topic: &[RecordBatch]) -> anyhow::Result<Vec<(Place, Value)>> {
    let letter = |record: &Record| {
        let header = |name| record.headers.get_str(name).with_context(|| format!("a dead letter without {name}"));
        Ok((place_in(header(HEADER_ORIGIN)?)?, content(record, &serde_json::from_str(header(HEADER_REASONS)?)?)))
    };
    topic.iter().flat_map(|batch| &batch.records).map(letter).collect()
}

fn place_in(origin: &str) -> anyhow::Result<Place> {
    let mut parts = origin.rsplit('/');
    let (offset, partition) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    Ok((partition.parse().with_context(|| origin.to_owned())?, offset.parse().with_context(|| origin.to_owned())?))
}

fn content(record: &Record, reasons: &Value) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    json!({ "key": record.key.as_deref().map(text), "payload": text(&record.payload), "reasons": reasons })
}

/// How `found` differs from `expected`, in words; nothing where it does not.
pub(super) fn differences(
    what: &str,
    topic: &str,
    expected: &BTreeMap<Place, Value>,
    found: &[(Place, Value)],
) -> Vec<String> {
    let mut by_place: BTreeMap<Place, Vec<&Value>> = BTreeMap::new();
    for (place, value) in found {
        by_place.entry(*place).or_default().push(value);
    }
    let missing = expected.keys().filter(|place| !by_place.contains_key(place));
    let missing = missing.map(|place| (*place, String::new())).collect();
    let unwanted = by_place.keys().filter(|place| !expected.contains_key(place));
    let unwanted = unwanted.map(|place| (*place, String::new())).collect();
    let doubled = by_place.iter().filter(|(_, values)| values.len() > 1);
    let doubled = doubled.map(|(place, values)| (*place, format!("{} times", values.len()))).collect();
    let pairs = expected.iter().filter_map(|(place, wanted)| Some((place, wanted, *by_place.get(place)?.first()?)));
    let different = pairs.filter(|(_, wanted, found)| wanted != found);
    let different = different.map(|(place, wanted, found)| (*place, fields(wanted, found))).collect();
    let kinds = [("missing", missing), ("not expected", unwanted), ("doubled", doubled), ("different", different)];
    let told = kinds.into_iter().filter(|(_, places): &(_, Vec<(Place, String)>)| !places.is_empty());
    told.map(|(kind, places)| tell(what, topic, kind, &places)).collect()
}

fn tell(what: &str, topic: &str, kind: &str, places: &[(Place, String)]) -> String {
    let mut text = format!("{what}: {} {kind}", places.len());
    for ((partition, offset), more) in places.iter().take(SHOWN) {
        text.push_str(&format!("\n    {topic}/{partition}/{offset} {more}"));
    }
    if places.len() > SHOWN {
        text.push_str("\n    …");
    }
    text
}

/// The fields in which two values differ.
fn fields(wanted: &Value, found: &Value) -> String {
    let names = |value: &Value| value.as_object().map(|fields| fields.keys().cloned().collect()).unwrap_or_default();
    let mut all: Vec<String> = names(wanted);
    all.extend(names(found));
    all.sort_unstable();
    all.dedup();
    let show = |value: &Value| value.to_string().chars().take(VALUE).collect::<String>();
    let differ = all.iter().filter(|name| wanted.get(name.as_str()) != found.get(name.as_str()));
    let told = differ.map(|name| format!("{name}: {} expected, {} found", show(&wanted[name]), show(&found[name])));
    told.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_difference_is_told() {
        let expected = BTreeMap::from([
            ((0, 5), json!({"score": 1})),
            ((0, 6), json!({"score": 1, "severity": "low"})),
            ((1, 7), json!({"score": 1})),
        ]);
        let same: Vec<(Place, Value)> = expected.clone().into_iter().collect();
        assert_eq!(differences("database", "t", &expected, &same), Vec::<String>::new());
        let found = [
            ((0, 6), json!({"score": 2, "severity": "low"})),
            ((1, 7), json!({"score": 1})),
            ((1, 7), json!({"score": 1})),
            ((2, 8), json!({})),
        ];
        let told = differences("database", "t", &expected, &found).join("\n");
        assert_eq!(
            told,
            "database: 1 missing\n    t/0/5 \ndatabase: 1 not expected\n    t/2/8 \n\
             database: 1 doubled\n    t/1/7 2 times\n\
             database: 1 different\n    t/0/6 score: 1 expected, 2 found"
        );
    }

    #[test]
    fn a_long_list_is_cut() {
        let expected = (0..30).map(|offset| ((0, offset), json!({}))).collect();
        let told = differences("topic", "t", &expected, &[]);
        assert!(told[0].starts_with("topic: 30 missing") && told[0].ends_with('…'), "{told:?}");
        assert_eq!(told[0].lines().count(), 2 + SHOWN);
    }

    #[test]
    fn places_are_read() {
        assert_eq!(place_in("a/b/3/44").unwrap(), (3, 44));
        assert!(place_in("nowhere").is_err());
    }
}
