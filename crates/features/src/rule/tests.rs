//! Tests of rules.

use proptest::prelude::*;

use super::*;

fn columns() -> Vec<Column> {
    let column = |name: &str| Column { name: name.to_owned(), unit: None, description: String::new(), derived: false };
    ["fare", "tip", "total", "trip.miles", "odd-name"].map(column).to_vec()
}

fn compile(text: &str) -> Result<Rule, Vec<(usize, String)>> {
    let rule = use_case::Rule { text: text.to_owned(), message: None };
    Rule::compile(&rule, &columns()).map_err(|faults| faults.into_iter().map(|f| (f.at, f.message)).collect())
}

fn holds(text: &str, row: [f64; 5]) -> bool {
    !compile(text).unwrap().is_broken(&row, &mut Vec::new())
}

#[test]
fn arithmetic_binds_as_usual() {
    let row = [10.0, 2.0, 12.0, 4.0, -1.0];
    for (text, expected) in [
        ("total >= fare", true),
        ("fare > total", false),
        ("fare + tip == total", true),
        ("fare+tip!=total", false),
        ("fare - tip - tip == 6", true),
        ("fare / tip / tip == 2.5", true),
        ("2 + 3 * tip == 8", true),
        ("(2 + 3) * tip == 1e1", true),
        ("-fare < -tip * -`odd-name`", true),
        ("--fare == fare", true),
        ("trip.miles * 2.5 <= fare", true),
        ("trip.miles * 2.5 < fare", false),
    ] {
        assert_eq!(holds(text, row), expected, "{text}");
    }
}

#[test]
fn what_is_missing_leaves_a_rule_unchecked() {
    let row = [f64::NAN, 0.0, 5.0, 0.0, 1.0];
    for text in ["fare == 1", "total < fare", "total == total + fare * 0", "tip / trip.miles > 1"] {
        assert!(holds(text, row), "{text}");
    }
    // Divided by 0 is more than any number, and as such it is compared.
    assert!(!holds("total / tip < 10", row));
    assert!(holds("total / tip > 10", row));
}

#[test]
fn faults_say_where_and_what() {
    for (text, at, message) in [
        ("", 1, "wants a field, a number or `(` here"),
        ("fare", 5, "wants a comparison"),
        ("fare = tip", 6, "write `==`"),
        ("fare < tip < total", 12, "make a rule of its own"),
        ("fare <", 7, "wants a field"),
        ("(fare < tip", 7, "wants `)`"),
        ("fare < tip)", 11, "wants the end"),
        ("fare & tip < 1", 6, "'&' means nothing here"),
        ("fare < 1..2", 8, "`1..2` is no number"),
        ("fare < 1e999", 8, "is no number"),
        ("`fare < 1", 1, "has no end"),
        ("1 < 2", 1, "names no field"),
        ("fare < ü", 8, "`ü` is no numeric column: there are fare, tip, total, trip.miles, odd-name"),
        ("fare <= totl", 9, "did you mean `total`?"),
    ] {
        let faults = compile(text).unwrap_err();
        assert!(faults.len() == 1 && faults[0].0 == at && faults[0].1.contains(message), "{text}: {faults:?}");
    }
    assert_eq!(compile("a < b + fare").unwrap_err().len(), 2);
    assert!(compile(&format!("{}fare{} > 1", "(".repeat(40), ")".repeat(40))).unwrap_err()[0].1.contains("flatter"));
    assert!(compile(&"1".repeat(2000)).unwrap_err()[0].1.contains("several rules"));
}

#[test]
fn a_fault_names_the_rule_and_the_values() {
    let raw = use_case::Rule { text: "total >= fare".to_owned(), message: Some("a meter at fault".to_owned()) };
    let rule = Rule::compile(&raw, &columns()).unwrap();
    let fault = rule.fault(2, &[10.0, 0.0, 9.5, 0.0, 0.0], &columns());
    assert_eq!(
        fault.to_string(),
        "rules[2] is broken: `total >= fare`: a meter at fault (it is {\"fare\":10.0,\"total\":9.5})"
    );
}

proptest! {
    /// Sums of decimal amounts hold as they do on paper, whatever binary makes of them, and a cent is still a difference.
    #[test]
    fn rounding_breaks_no_rule(fare in -1_000_000..1_000_000_i32, tip in -1_000_000..1_000_000_i32) {
        let amount = |cents: i32| f64::from(cents) / 100.0;
        let row = |total| [amount(fare), amount(tip), amount(total), 0.0, 0.0];
        let sum = fare + tip;
        for text in ["fare + tip == total", "fare == total - tip", "fare + tip - total == 0", "fare + tip >= total"] {
            prop_assert!(holds(text, row(sum)), "{text}");
        }
        prop_assert!(!holds("fare + tip < total", row(sum)));
        prop_assert!(!holds("fare + tip == total", row(sum + 1)));
        prop_assert!(holds("fare + tip < total", row(sum + 1)));
    }

    #[test]
    fn no_text_panics(text in "[a-z0-9.`+*/()<>=! -]{0,60}|\\PC{0,40}") {
        if let Ok(rule) = compile(&text) {
            rule.is_broken(&[1.0, f64::INFINITY, f64::NAN, 0.0, -0.0], &mut Vec::new());
        }
    }
}
