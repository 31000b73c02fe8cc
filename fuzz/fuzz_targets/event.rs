//! Payloads of events: a row of numbers and an entity that can be stored, or faults.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use pulse_features::{Featurizer, Need, UseCaseDir, is_storable};

const CONFIG: &str = "\
name: devices
entity: { field: site.device }
timestamp: { field: at }
features:
  - { name: value, minimum: -50, exclusiveMaximum: 1000 }
  - { name: count, type: integer, multipleOf: 5, required: false }
  - { name: mode, enum: [auto, manual], required: false }
  - { name: site.serial, minLength: 2, pattern: '^[A-Z]+[0-9]*$', required: false }
  - { name: site.on, type: boolean, required: false }
rules: [value * 2 >= count, ratio != 7]
";
const PROGRAM: &str = ".ratio = .value / (to_int(.count) + 1) ?? 0.0\n.named = exists(.site.serial)";

thread_local! {
    static FEATURIZER: RefCell<Featurizer> = RefCell::new({
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("devices")).expect("a folder");
        std::fs::write(folder.path().join("devices/config.yaml"), CONFIG).expect("a file");
        std::fs::write(folder.path().join("devices/features.vrl"), PROGRAM).expect("a file");
        let dir = UseCaseDir::load(folder.path(), "devices").expect("a sound use case");
        Featurizer::new(&dir).expect("a featurizer")
    });
}

fuzz_target!(|payload: &[u8]| {
    FEATURIZER.with_borrow_mut(|featurizer| {
        let columns = featurizer.columns().len();
        let mut row = Vec::new();
        match featurizer.decode(payload, Need::Event, &mut row) {
            Ok(decoded) => {
                assert_eq!(row.len(), columns);
                assert!(row.iter().all(|value| !value.is_infinite()));
                assert!(decoded.entity.is_some_and(|entity| (1..=256).contains(&entity.len())));
                assert!(decoded.event_time.is_some_and(is_storable));
            }
            Err(faults) => assert!(!faults.is_empty()),
        }
    });
});
