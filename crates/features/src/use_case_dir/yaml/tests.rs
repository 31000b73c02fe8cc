//! Tests of reading `config.yaml`.

use proptest::prelude::*;

use super::*;

fn read(yaml: &str) -> (Option<RawUseCase>, Vec<String>) {
    let mut document = Document::parse(yaml).unwrap();
    let (raw, faults) = document.read();
    let shown = |fault: YamlFault| format!("{}: {}: {}", fault.line.unwrap_or(0), fault.path, fault.message);
    (raw, faults.into_iter().map(shown).collect())
}

#[test]
fn paths_lead_to_lines() {
    let yaml = "name: a\nfeatures:\n  - x\n  - name: y\n    minimum: 1\nsimulator:\n  anomalies: [{name: z}]\n";
    let document = Document::parse(yaml).unwrap();
    for (path, line) in [
        ("name", Some(1)),
        ("features[1].minimum", Some(5)),
        ("features[0]", Some(3)),
        ("features[1].maximum", Some(4)),
        ("simulator.anomalies[0].changes[3]", Some(7)),
        ("kafka.topic", None),
    ] {
        assert_eq!(document.locate(path), (path.to_owned(), line));
    }
}

#[test]
fn every_key_that_is_unknown_or_of_another_form_is_named() {
    let (raw, faults) = read(
        "name: a\nfeatures:\n  - b\n  - {minimun: 1}\n  - 3\n  - {name: c, maximum: far}\n  - d\nkafka:\n  topik: t\n\
         detectors:\n  isolation_forest: {trees: -1, decides: 1}\n  rolling: {}\nrules: a > b\nmetrics:\nsimulator: [1]\n",
    );
    assert_eq!(
        faults,
        [
            "4: features[1].minimun: is no key that is known here: did you mean `minimum`?",
            "4: features[1]: has no `name`: add it",
            "5: features[2]: must be the name of a feature, or its schema, not 3",
            "6: features[3].maximum: must be a number, not \"far\"",
            "9: kafka.topik: is no key that is known here: did you mean `topic`?",
            "11: detectors.isolation_forest.trees: must be a whole number of at least 0, not -1",
            "11: detectors.isolation_forest.decides: must be true or false, not 1",
            "12: detectors.rolling: is no key that is known here: there are isolation_forest, rolling_zscore",
            "13: rules: must be a list, not \"a > b\"",
            "15: simulator: must be keys and values, not a list",
        ]
    );
    assert_eq!(raw.unwrap().features.len(), 3);
}

#[test]
fn what_was_taken_out_moves_no_path_and_explains_what_follows() {
    let mut document = Document::parse("name: a\nfeatures:\n  - 1\n  - b\nentity: 3\n").unwrap();
    document.read();
    assert_eq!(document.locate("features[0].name"), ("features[1].name".to_owned(), Some(4)));
    assert!(document.is_consequence("entity") && document.is_consequence("features"));
    assert!(!document.is_consequence("feature") && !document.is_consequence("entity.field"));
}

#[test]
fn what_is_no_configuration_at_all_is_one_fault() {
    for yaml in ["- a\n", "3\n"] {
        let (raw, faults) = read(yaml);
        assert!(raw.is_none() && faults.len() == 1, "{faults:?}");
    }
    assert!(read("").0.is_some_and(|raw| raw.name.is_empty()));
    let fault = Document::parse("name: a\nname: b\n").unwrap_err();
    assert!(fault.message.contains("name"), "{fault:?}");
    assert_eq!(Document::parse("name: a\nfeatures: [a\n").unwrap_err().path, "");
}

proptest! {
    #[test]
    fn no_text_panics(text in "[ a-z:,&*!|>'\"{}\\[\\]#%@`\n-]{0,80}|\\PC{0,80}") {
        if let Ok(mut document) = Document::parse(&text) {
            document.read();
        }
    }
}
