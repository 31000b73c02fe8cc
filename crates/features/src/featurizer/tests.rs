//! Tests of decoding events.

use std::fs;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::*;

const CONFIG: &str = "\
name: trips
entity: { field: zone.name }
timestamp: { field: at, max_ahead_seconds: 10 }
features:
  - { name: distance, minimum: 0, exclusiveMaximum: 1000 }
  - { name: tip, required: false, exclusiveMinimum: -5, maximum: 100 }
  - { name: zone.stops, type: integer, required: false }
  - { name: paid, type: boolean, required: false }
  - { name: note, type: string, required: false }
";

static PLAIN: LazyLock<Featurizer> = LazyLock::new(|| load(None));

fn load(program: Option<&str>) -> Featurizer {
    let root = TempDir::new().unwrap();
    fs::create_dir(root.path().join("trips")).unwrap();
    fs::write(root.path().join("trips/config.yaml"), CONFIG).unwrap();
    if let Some(program) = program {
        fs::write(root.path().join("trips/features.vrl"), program).unwrap();
    }
    Featurizer::new(&UseCaseDir::load(root.path(), "trips").unwrap()).unwrap()
}

/// Row, entity and time.
type Found = (Vec<f64>, Option<String>, Option<i64>);

fn decode(event: &str) -> Result<Found, Vec<Fault>> {
    let mut row = vec![1.0];
    let decoded = PLAIN.clone().decode(event.as_bytes(), Need::Event, &mut row)?;
    Ok((row, decoded.entity.map(Cow::into_owned), decoded.event_time))
}

/// The faults, as text, of an event that is right but for `change`.
fn faults(change: impl FnOnce(&mut Map<String, Value>)) -> Vec<String> {
    let mut event = json!({"distance": 1, "at": 0, "zone": {"name": "Queens"}});
    change(event.as_object_mut().unwrap());
    let faults = decode(&event.to_string()).map(drop).unwrap_err();
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn columns_are_the_numeric_features_and_then_the_derived_ones() {
    let featurizer = load(Some("# [mi] twice\n.twice = .distance * 2.0\n.is_noted = exists(.note)"));
    let names: Vec<&str> = featurizer.columns().iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["distance", "tip", "zone.stops", "paid", "twice", "is_noted"]);
    assert_eq!(featurizer.column("twice"), Some(4));
    assert_eq!(featurizer.column("note"), None);
    assert_eq!(featurizer.columns()[4].unit.as_deref(), Some("mi"));
    let mut row = Vec::new();
    let event = br#"{"distance":1.5,"note":"\u00fc"}"#;
    featurizer.clone().decode(event, Need::Features, &mut row).unwrap();
    assert_eq!((row[0], row[4], row[5]), (1.5, 3.0, 1.0));
    assert!(row[1].is_nan() && row[2].is_nan() && row[3].is_nan());
}

#[test]
fn an_event_is_decoded() {
    let event = r#"{"x":[{"distance":9}],"distance":2,"zone":{"stops":3.0,"name":"J\u0046K"},"paid":true,
        "at":"2021-01-04T08:00:00.5Z","tip":null,"y":1e999}"#;
    let (row, entity, time) = decode(event).unwrap();
    assert_eq!((row[0], row[2], row[3]), (2.0, 3.0, 1.0));
    assert!(row[1].is_nan());
    assert_eq!((entity.as_deref(), time), (Some("JFK"), Some(1_609_747_200_500)));
}

#[test]
fn of_a_key_that_comes_twice_the_last_one_counts() {
    let event = r#"{"distance":1,"at":1,"zone":{"name":"a","stops":1},"distance":2,"zone":{"name":7}}"#;
    let (row, entity, _) = decode(event).unwrap();
    assert_eq!((row[0], entity.as_deref()), (2.0, Some("7")));
    assert!(row[2].is_nan());
}

#[test]
fn large_numbers_name_entities_with_all_their_digits() {
    let largest = u64::MAX.to_string();
    for digits in ["9223372036854775808", &largest, "18446744073709551616", "-9223372036854775809"] {
        let (row, entity, _) = decode(&format!(r#"{{"at":1,"distance":1,"zone":{{"name":{digits}}}}}"#)).unwrap();
        assert_eq!((entity.as_deref(), row[0]), (Some(digits), 1.0));
    }
    let (row, entity, _) =
        decode(&format!(r#"{{"at":1,"distance":1,"zone":{{"name":1.5e19,"stops":{largest}}}}}"#)).unwrap();
    assert_eq!((entity.as_deref(), row[2]), (Some("1.5e+19"), 18_446_744_073_709_551_615.0));
    let mut doubling = load(Some(".double = (.zone.stops * 2) ?? 0"));
    let mut row = Vec::new();
    let event = format!(r#"{{"distance":1,"zone":{{"stops":{largest}}}}}"#);
    doubling.decode(event.as_bytes(), Need::Features, &mut row).unwrap();
    assert_eq!(row.last(), Some(&(2.0 * 18_446_744_073_709_551_615.0)));
}

#[test]
fn every_fault_comes_at_once() {
    let found = decode(r#"{"tip":-5,"zone":{"stops":1.5,"name":""},"paid":1,"note":[],"at":"noon"}"#).unwrap_err();
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "distance is required: send a number",
            "tip must be more than -5 (it is -5)",
            "zone.stops must be a whole number (it is 1.5)",
            "paid must be a boolean, not a number (it is 1)",
            "note must be a string, not an array (it is [])",
            "zone.name is empty: send the entity's name (it is \"\")",
            "at is no instant of the years 1 to 9999: send RFC 3339 text such as \"2021-01-04T08:00:00Z\", or milliseconds since 1970 (it is \"noon\")",
        ]
    );
}

#[test]
fn single_values_are_checked() {
    for (field, value, message) in [
        ("distance", json!(-0.5), "must be at least 0"),
        ("distance", json!(1000), "must be less than 1000"),
        ("distance", json!("12"), "must be a number, not a string: send it without quotes"),
        ("distance", json!(null), "is required"),
        ("distance", json!({"a": 1}), "must be a number, not an object"),
        ("tip", json!(100.5), "must be at most 100"),
        ("at", json!(1e300), "is no instant"),
        ("at", json!(true), "not a boolean"),
        ("at", json!(null), "is required"),
        ("zone", json!({"name": "x".repeat(257)}), "has 257 bytes"),
        ("zone", json!({"name": false}), "must be a string or a number, not a boolean"),
        ("zone", json!({"name": "a", "stops": 1e20}), "must fit in 64 bits"),
    ] {
        let found = faults(|event| drop(event.insert(field.to_owned(), value.clone())));
        assert!(found.len() == 1 && found[0].contains(message), "{field} {value}: {found:?}");
    }
}

#[test]
fn what_stands_where_an_object_belongs_is_said_of_each_field_in_it() {
    let found = faults(|event| drop(event.insert("zone".to_owned(), json!("Queens"))));
    let message = "must stand in an object, not in a string: send the object around it";
    assert_eq!(found, [format!("zone.stops {message}"), format!("zone.name {message}")]);
    let found = faults(|event| drop(event.insert("zone".to_owned(), json!(null))));
    assert_eq!(found, ["zone.name is required: send the entity as a string or a number"]);
}

#[test]
fn entity_and_time_may_be_missing_but_not_wrong_for_a_prediction() {
    let mut featurizer = PLAIN.clone();
    let mut row = Vec::new();
    let decoded = featurizer.decode(br#"{"distance":1}"#, Need::Features, &mut row).unwrap();
    assert_eq!(decoded, Decoded { entity: None, event_time: None });
    assert_eq!(featurizer.decode(br#"{"distance":1,"at":""}"#, Need::Features, &mut row).unwrap_err().len(), 1);
    assert_eq!(featurizer.decode(br#"{"distance":1}"#, Need::Event, &mut row).unwrap_err().len(), 2);
}

#[test]
fn payloads_as_a_whole_are_checked() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(40), "]".repeat(40));
    let long = " ".repeat((1 << 20) + 1);
    for (payload, message) in [
        ("".as_bytes(), "is empty"),
        (b"{\"a\":\xff}", "is not UTF-8 from byte 5 on"),
        (b"{\"distance\":1", "is not valid JSON: EOF"),
        (b"{\"distance\":1} x", "at line 1 column 16"),
        (b"{\"distance\":1,}", "is not valid JSON"),
        (b"[1]", "is no JSON object"),
        (b"null", "is no JSON object"),
        (b"\"text\"", "is no JSON object"),
        (deep.as_bytes(), "is nested deeper than 32 levels"),
        (long.as_bytes(), "has 1048577 bytes"),
    ] {
        let found = PLAIN.clone().decode(payload, Need::Features, &mut Vec::new()).unwrap_err();
        assert_eq!(found.len(), 1);
        assert!(found[0].field.is_empty() && found[0].message.contains(message), "{found:?}");
    }
    let found = decode(r#"{"distance":1e400}"#).unwrap_err();
    assert_eq!((found.len(), found[0].field.as_str()), (1, "distance"), "{found:?}");
}

#[test]
fn a_time_too_far_ahead_is_a_fault() {
    let featurizer = PLAIN.clone();
    assert_eq!(featurizer.check_time(10_000, 0), None);
    assert_eq!(featurizer.check_time(i64::MIN, i64::MAX), None);
    let fault = featurizer.check_time(10_001, 0).unwrap();
    assert_eq!(fault.field, "at");
    assert!(fault.message.contains("10001 ms ahead"), "{fault}");
}

fn any_event() -> impl Strategy<Value = (Value, [Option<f64>; 4])> {
    let number = || prop_oneof![-1e3..1e3_f64, Just(-0.0), proptest::num::f64::NORMAL];
    let parts = (
        proptest::option::of(number()),
        proptest::option::of(number()),
        proptest::option::of(-(1_i64 << 53)..1 << 53),
        proptest::option::of(any::<bool>()),
        proptest::option::of("\\PC{0,12}"),
        "[a-zäöü\"\\\\ ]{1,20}",
        any::<u32>(),
    );
    parts.prop_map(|(distance, tip, stops, paid, note, zone, at)| {
        let event = json!({
            "at": at, "distance": distance, "unknown": {"distance": [1, {"tip": 2}]}, "tip": tip, "paid": paid,
            "note": note, "zone": {"stops": stops, "name": zone},
        });
        #[expect(clippy::cast_precision_loss)]
        let values = [distance, tip, stops.map(|stops| stops as f64), paid.map(|paid| f64::from(u8::from(paid)))];
        (event, values)
    })
}

proptest! {
    #[test]
    fn decoding_gives_back_what_was_serialised((event, values) in any_event()) {
        let inside = |value: Option<f64>, low: f64, high: f64| value.is_none_or(|value| value > low && value < high);
        let text = event.to_string();
        match decode(&text) {
            Ok((row, entity, time)) => {
                for (found, given) in row.iter().zip(values) {
                    prop_assert_eq!(given.map(f64::to_bits), (!found.is_nan()).then(|| found.to_bits()));
                }
                prop_assert_eq!(entity.as_deref(), event["zone"]["name"].as_str());
                prop_assert_eq!(time, event["at"].as_i64());
            }
            Err(faults) => {
                let valid = values[0].is_some_and(|value| (0.0..1000.0).contains(&value)) && inside(values[1], -5.0, 100.0);
                prop_assert!(!valid, "{text} {faults:?}");
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(PLAIN.clone().decode(&bytes, Need::Event, &mut Vec::new()));
    }

    #[test]
    fn no_near_json_panics(text in r#"[\[\]{}:,"\\0-9eE.+tn -]{0,60}"#, cut in 0_usize..200) {
        let whole = format!(r#"{{"distance":1,"zone":{{"name":{text}}},"at":{text},"note":"{text}"}}"#);
        for bytes in [text.as_bytes(), whole.as_bytes(), &whole.as_bytes()[..cut.min(whole.len())]] {
            drop(PLAIN.clone().decode(bytes, Need::Event, &mut Vec::new()));
        }
    }
}
