//! `/schema` beside what is accepted: of every shipped use case, and of one with every word in it.

use std::path::Path;
use std::sync::LazyLock;

use jsonschema::Validator;
use proptest::prelude::*;
use pulse_features::{Featurizer, Need, UseCaseDir, list_use_cases};
use pulse_ml_service::{Limits, ModelSlot, ServedUseCase};
use serde_json::{Value, json};

use crate::fixture::{get, load, post, service, trained};

const CONFIG: &str = r#"
name: nested
entity: { field: who.id }
timestamp: { field: when }
features:
  - { name: trip.fare, minimum: 0, exclusiveMaximum: 100, multipleOf: 0.25 }
  - { name: trip.stops, type: integer, exclusiveMinimum: 0, maximum: 9, required: false }
  - { name: trip.meta.kind, enum: [short, long], required: false }
  - { name: who.plate, minLength: 2, maxLength: 4, pattern: "^[A-Z]+$", required: false }
  - { name: paid, type: boolean }
  - { name: level, enum: [1, 2.5], required: false }
"#;

/// The schema that the service answers for the use case in `dir`.
async fn validator(dir: &UseCaseDir) -> (Value, Validator) {
    let sample = dir.sample().unwrap();
    let served = ServedUseCase::new(dir, sample.as_ref(), ModelSlot::warming_up("never")).unwrap();
    let schema = get(&service(vec![served], Limits::default()).router(), "/schema").await.json();
    assert!(jsonschema::meta::is_valid(&schema), "{schema}");
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    (schema, validator)
}

#[tokio::test]
async fn events_of_the_shipped_use_cases_pass_their_schemas() {
    let usecases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../usecases");
    for name in list_use_cases(&usecases) {
        let dir = load("../../usecases", &name);
        let (schema, validator) = validator(&dir).await;
        assert!(validator.is_valid(&schema["examples"][0]), "{name}: {schema}");
        for row in dir.sample().unwrap().iter().flat_map(|sample| sample.replay().iter().take(2000)) {
            let event = Value::Object(row.event.clone());
            assert!(validator.is_valid(&event), "{name}: {event}");
        }
    }
}

/// A use case whose entity and time are features too, and one whose example cannot be made up.
const ROLES: [(&str, &str); 4] = [
    ("{ name: at, type: string }, { name: who, type: string, maxLength: 3 }", "2021-01-04T08:00:00Z,a,1"),
    ("{ name: at, type: number, minimum: 0 }, { name: who, type: number }", "1000,7,1"),
    ("{ name: at, type: integer }, { name: who, enum: [a, b] }", "1000,a,1"),
    ("{ name: at, type: string, required: false }, { name: who, required: false }", "2021-01-04T08:00:00Z,7,1"),
];

#[tokio::test]
async fn the_example_is_accepted() {
    let mut cases = Vec::new();
    let usecases = tempfile::tempdir().unwrap();
    for (index, (features, row)) in ROLES.iter().enumerate() {
        let name = format!("roles_{index}");
        let folder = usecases.path().join(&name);
        std::fs::create_dir(&folder).unwrap();
        let config = format!(
            "name: {name}\nentity: {{ field: who }}\ntimestamp: {{ field: at }}\nfeatures: [{features}, load]\n"
        );
        std::fs::write(folder.join("config.yaml"), config).unwrap();
        std::fs::write(folder.join("sample.csv"), format!("at,who,load\n{row}\n{row}\n{row}\n")).unwrap();
        cases.push(UseCaseDir::load(usecases.path(), &name).unwrap());
    }
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../usecases");
    cases.extend(list_use_cases(&shipped).iter().map(|name| load("../../usecases", name)));
    let mut made_up = 0;
    for dir in &cases {
        let (name, sample) = (&dir.use_case.name, dir.sample().unwrap());
        let slot = || sample.as_ref().map(|_| trained(dir));
        for sample in [sample.as_ref(), None] {
            let slot = slot().unwrap_or_else(|| ModelSlot::warming_up("never"));
            let served = ServedUseCase::new(dir, sample, slot).unwrap();
            let router = service(vec![served], Limits::default()).router();
            let schema = get(&router, "/schema").await.json();
            let Some(example) = schema["examples"].get(0) else { continue };
            made_up += usize::from(sample.is_none() && name.starts_with("roles"));
            let validator = jsonschema::draft202012::new(&schema).unwrap();
            assert!(validator.is_valid(example), "{name}: {schema}");
            let answer = post(&router, "/predict", example.to_string()).await;
            // Without a sample there is no model to ask.
            assert!(answer.status == 200 || dir.sample().unwrap().is_none(), "{name}: {example}: {}", answer.text);
        }
    }
    assert_eq!(made_up, ROLES.len());
}

static NESTED: LazyLock<(Featurizer, Validator)> = LazyLock::new(|| {
    let usecases = tempfile::tempdir().unwrap();
    std::fs::create_dir(usecases.path().join("nested")).unwrap();
    std::fs::write(usecases.path().join("nested/config.yaml"), CONFIG).unwrap();
    let dir = UseCaseDir::load(usecases.path(), "nested").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    (Featurizer::new(&dir).unwrap(), runtime.block_on(validator(&dir)).1)
});

/// A value that some field may or may not have.
fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (-8..450_i32).prop_map(|quarters| json!(f64::from(quarters) / 4.0)),
        2 => (-1..12_i32).prop_map(|number| json!(number)),
        1 => Just(json!(0.1)),
        2 => any::<bool>().prop_map(Value::from),
        2 => "[A-Z]{1,5}|[a-z]{0,3}|short|long".prop_map(Value::from),
        1 => Just(Value::Null),
        1 => Just(json!({})),
        1 => Just(json!([1])),
    ]
}

fn event() -> impl Strategy<Value = Value> {
    let object = |names: &'static [&'static str]| {
        prop::collection::vec((prop::sample::select(names), value()), 0..4).prop_map(|fields| {
            Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
        })
    };
    let right =
        json!({"trip": {"fare": 2.5, "meta": {"kind": "long"}}, "who": {"id": "a", "plate": "AB"}, "paid": true});
    let inner =
        prop_oneof![8 => object(&["fare", "stops", "meta"]), 2 => object(&["id", "plate", "kind"]), 1 => value()];
    (
        prop::sample::select(&["trip", "who", "paid", "level", "other"][..]),
        inner,
        prop::option::of(value()),
        prop::bool::ANY,
    )
        .prop_map(move |(name, inner, other, deep)| {
            let mut event = right.clone();
            match (deep, inner) {
                // One field of an inner object changes, and the others stay right.
                (true, Value::Object(fields)) => {
                    for (field, value) in fields {
                        let outer = if matches!(field.as_str(), "id" | "plate") { "who" } else { "trip" };
                        event[outer][field] = value;
                    }
                }
                (_, inner) => event[name] = inner,
            }
            event.as_object_mut().unwrap().extend(other.map(|value| ("level".to_owned(), value)));
            event
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// The schema admits exactly what a prediction admits.
    #[test]
    fn the_schema_and_the_decoder_agree(event in event()) {
        let (featurizer, validator) = &*NESTED;
        let decoded = featurizer.clone().decode(event.to_string().as_bytes(), Need::Features, &mut Vec::new()).map(drop);
        prop_assert_eq!(validator.is_valid(&event), decoded.is_ok(), "{} {:?}", event, decoded);
    }
}
