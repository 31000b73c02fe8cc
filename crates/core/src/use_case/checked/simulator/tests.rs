//! Which profiles and kinds of anomalies are accepted, and what stands in for what is left out.

use serde_json::{Value, json};

use super::*;
use crate::UseCase;
use crate::use_case::Constant;
use crate::use_case::raw::RawUseCase;

fn check(config: Value) -> Result<UseCase, Vec<String>> {
    let raw: RawUseCase = serde_json::from_value(config).map_err(|error| vec![error.to_string()])?;
    UseCase::try_from(raw).map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

fn with_simulator(simulator: Value) -> Result<UseCase, Vec<String>> {
    check(json!({
        "name": "shop", "entity": {"field": "till"}, "timestamp": {"field": "at"},
        "features": [
            {"name": "price", "minimum": 0, "maximum": 500}, {"name": "items", "type": "integer", "minimum": 1}, "total",
            {"name": "paid", "enum": ["cash", "card"]}, {"name": "member", "type": "boolean"}, {"name": "till", "type": "integer"},
        ],
        "simulator": simulator,
    }))
}

fn paths(faults: &[String]) -> Vec<&str> {
    faults.iter().map(|fault| fault.split(": ").next().unwrap_or_default()).collect()
}

#[test]
fn the_smallest_config_draws_numbers_and_spikes() {
    let use_case = check(json!({
        "name": "custom_use_case", "features": ["feature_1", "feature_2"],
        "kafka": {"topic": "custom-topic"}, "metrics": {"prefix": "custom"},
    }));
    let simulator = use_case.unwrap().simulator;
    assert!(simulator.profile_is_default && simulator.anomalies_are_default);
    let Profile { entities, interval_ms, features } = simulator.profile;
    assert_eq!((entities.count(), entities.name(6).as_ref(), interval_ms), (100, "entity-007", 60_000));
    let Draw::Number(number) = &features[0].draw else { panic!("{features:?}") };
    assert_eq!((number.mean, number.deviation, number.spread), (100.0, 5.0, 10.0));
    let spike = &simulator.anomalies[0];
    assert_eq!(
        (spike.name.as_str(), &spike.lasts, spike.changes[0].feature.as_str()),
        ("spike", &(1..=1), "feature_1")
    );
    assert_eq!(spike.changes[0].add.unwrap().bounds(), (40.0, 80.0));
}

#[test]
fn what_is_left_out_lies_within_the_limits() {
    let profile = with_simulator(json!({"profile": {}})).unwrap().simulator.profile;
    let names: Vec<&str> = profile.features.iter().map(|feature| feature.name.as_str()).collect();
    assert_eq!(names, ["price", "items", "total", "paid", "member"], "the entity is not drawn");
    assert_eq!(profile.entities.name(6), "7", "a number, as its field is one");
    for feature in &profile.features {
        match &feature.draw {
            Draw::Number(number) => assert!(number.limits.contain(number.mean - 3.0 * number.spread), "{feature:?}"),
            Draw::Choice(values) => assert_eq!(values.len(), 2, "{feature:?}"),
        }
    }
}

#[test]
fn features_stand_behind_those_that_they_depend_on() {
    let profile = with_simulator(json!({"profile": {"features": {
        "price": {"depends_on": {"total": 0.5, "items": 1}},
        "total": {"mean": 20, "depends_on": {"items": 3}},
    }}}));
    let features = profile.unwrap().simulator.profile.features;
    let names: Vec<&str> = features.iter().map(|feature| feature.name.as_str()).collect();
    assert_eq!(names, ["items", "total", "price", "paid", "member"]);
    let Draw::Number(price) = &features[2].draw else { panic!("{features:?}") };
    assert_eq!((price.mean, price.deviation, price.depends_on.as_slice()), (0.0, 0.0, &[(0, 1.0), (1, 0.5)][..]));
}

#[test]
fn every_fault_of_a_profile_is_reported_at_once() {
    let faults = with_simulator(json!({"eligible": [{"feature": "price"}], "profile": {
        "entities": {"names": ["1", "two", "1"], "count": 3}, "interval_seconds": 0,
        "features": {
            "price": {"mean": 600, "deviation": -1, "decimals": 12},
            "items": {"distribution": "lognormal", "mean": 5, "daily": 4, "weekly": -2},
            "total": {"distribution": "uniform", "depends_on": {"total": 1, "paid": 2}},
            "paid": {"values": ["cash", "gold"]}, "member": {"mean": 1}, "till": {"mean": 3}, "colour": {},
        },
    }}));
    assert_eq!(
        paths(&faults.unwrap_err()),
        [
            "simulator.eligible",
            "simulator.profile.entities",
            "simulator.profile.entities.names[1]",
            "simulator.profile.entities.names[2]",
            "simulator.profile.interval_seconds",
            "simulator.profile.features.price.deviation",
            "simulator.profile.features.price.decimals",
            "simulator.profile.features.price.mean",
            "simulator.profile.features.items.mean",
            "simulator.profile.features.total.distribution",
            "simulator.profile.features.paid.values",
            "simulator.profile.features.member",
            "simulator.profile.features.till",
            "simulator.profile.features.colour",
            "simulator.profile.features.total.depends_on",
            "simulator.profile.features.total.depends_on",
        ]
    );
}

#[test]
fn anomalies_that_last_are_checked() {
    let add = json!([{"feature": "price", "add": 1}]);
    let simulator = with_simulator(json!({"anomalies": [
        {"name": "burst", "lasts": [5, 20], "changes": add}, {"name": "drift", "lasts": 9, "grows": true, "changes": add},
        {"name": "stuck", "lasts": 9, "changes": [{"feature": "price", "also": ["total"], "hold": true}]},
    ]}));
    let anomalies = simulator.unwrap().simulator.anomalies;
    assert_eq!([&anomalies[0].lasts, &anomalies[1].lasts], [&(5..=20), &(9..=9)]);
    let faults = with_simulator(json!({"anomalies": [
        {"name": "a", "lasts": [5, 2], "changes": add}, {"name": "b", "lasts": 2.5, "changes": add},
        {"name": "c", "grows": true, "changes": add},
        {"name": "d", "lasts": 3, "grows": true, "changes": [{"feature": "price", "hold": true}]},
        {"name": "e", "changes": [{"feature": "member", "set": 1}, {"feature": "price", "also": ["paid"], "hold": true, "set": 1}]},
    ]}));
    assert_eq!(
        paths(&faults.unwrap_err()),
        [
            "simulator.anomalies[0].lasts",
            "simulator.anomalies[1].lasts",
            "simulator.anomalies[2]",
            "simulator.anomalies[3]",
            "simulator.anomalies[4].changes[0]",
            "simulator.anomalies[4].changes[1]",
            "simulator.anomalies[4].changes[1]",
            "simulator.anomalies[4]",
        ]
    );
}

#[test]
fn entities_and_texts_that_are_left_out_obey_their_schema() {
    let made_up = |device: Value| {
        let features =
            json!([device, {"name": "note", "minLength": 3, "maxLength": 5}, {"name": "mark", "maxLength": 0}]);
        let simulator =
            check(json!({"name": "a", "entity": {"field": "device"}, "features": features})).unwrap().simulator;
        let Draw::Choice(notes) = &simulator.profile.features[0].draw else { panic!("{simulator:?}") };
        assert_eq!(notes[0], Constant::Text("aaa".to_owned()));
        let Draw::Choice(marks) = &simulator.profile.features[1].draw else { panic!("{simulator:?}") };
        assert_eq!(*marks, [Constant::Text(String::new())]);
        let entities = simulator.profile.entities;
        (0..entities.count()).map(|index| entities.name(index).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(made_up(json!({"name": "device", "enum": ["north", "south"]})), ["north", "south"]);
    assert_eq!(made_up(json!({"name": "device", "enum": [7, 2.5]})), ["7", "2.5"]);
    assert_eq!(made_up(json!({"name": "device", "type": "string", "maxLength": 20}))[1], "entity-002");
    let short = made_up(json!({"name": "device", "maxLength": 2}));
    assert_eq!((short.len(), short[0].as_str(), short[98].as_str()), (99, "01", "99"));
    assert_eq!(made_up(json!({"name": "device", "minLength": 12}))[0], "000000000001");
    assert_eq!(made_up(json!({"name": "device", "type": "integer"}))[0], "1");
    let high =
        made_up(json!({"name": "device", "type": "integer", "minimum": 1000, "maximum": 1019, "multipleOf": 10}));
    assert_eq!(high, ["1000", "1010"]);
    assert_eq!(made_up(json!({"name": "device", "maximum": -5}))[99], "-5");
}

#[test]
fn ranges_that_no_row_lies_in_are_refused() {
    let eligible = |minimum: f64, maximum: f64| {
        with_simulator(json!({"eligible": [{"feature": "price", "minimum": minimum, "maximum": maximum}]}))
    };
    assert!(eligible(5.0, 5.0).is_ok());
    assert_eq!(
        eligible(10.0, 5.0).unwrap_err(),
        ["simulator.eligible[0]: no value lies between 10 and 5, so that no row could be changed: swap them"]
    );
}
