//! Properties of the rolling rule.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

fn rule() -> RollingZScore {
    RollingZScore::new(100, 30, 3.0).unwrap()
}

/// The definition, written down as plainly as possible.
fn naive(history: &VecDeque<f64>, value: f64) -> f64 {
    let n = history.len() as f64;
    let mean = history.iter().sum::<f64>() / n;
    let sd = (history.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
    (value - mean).abs() / sd
}

#[test]
fn settings_are_checked() {
    assert_eq!(RollingZScore::new(10, 11, 3.0), Err(RollingError::MinValues { min_values: 11, window: 10 }));
    assert_eq!(RollingZScore::new(10, 1, 3.0), Err(RollingError::MinValues { min_values: 1, window: 10 }));
    assert!(RollingZScore::new(10, 2, f64::NAN).is_err());
    assert!(RollingZScore::new(10, 2, 0.0).is_err());
}

#[test]
fn a_constant_window_tolerates_rounding_and_nothing_else() {
    for level in [0.0, 0.1, -1e9, 1e300] {
        let mut window = Window::default();
        for _ in 0..50 {
            rule().observe(&mut window, level);
        }
        let mut again = window.clone();
        assert_eq!(rule().observe(&mut again, level * (1.0 + 1e-15)).unwrap().score, 0.0, "{level}");
        let mut other = window.clone();
        assert_eq!(rule().observe(&mut other, level * 1.001 + 1e-3).unwrap().score, MAX_SCORE, "{level}");
    }
}

#[test]
fn tiny_values_do_not_vanish() {
    let mut window = Window::default();
    for i in 0..40 {
        rule().observe(&mut window, if i % 2 == 0 { 1e-200 } else { 3e-200 });
    }
    let deviation = rule().observe(&mut window, 7e-200).unwrap();
    assert!((deviation.score - 5.0).abs() < 1e-9, "{deviation:?}");
}

#[test]
fn missing_values_leave_no_trace() {
    let mut window = Window::default();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(rule().observe(&mut window, value), None);
    }
    assert!(window.is_empty());
}

#[test]
fn huge_values_do_not_overflow() {
    let mut window = Window::default();
    for i in 0..40 {
        rule().observe(&mut window, if i % 2 == 0 { f64::MAX } else { -f64::MAX });
    }
    let deviation = rule().observe(&mut window, f64::MAX).unwrap();
    assert!((deviation.score - 1.0).abs() < 1e-9, "{deviation:?}");
}

proptest! {
    #[test]
    fn agrees_with_the_definition(values in prop::collection::vec(-1e6..1e6_f64, 31..400)) {
        let mut window = Window::default();
        let mut history = VecDeque::new();
        for value in values {
            let got = rule().observe(&mut window, value);
            prop_assert_eq!(got.is_some(), history.len() >= 30);
            if let Some(got) = got {
                let want = naive(&history, value);
                prop_assert!((got.score - want).abs() <= 1e-9 * want.max(1.0), "{} is not {want}", got.score);
            }
            history.push_back(value);
            if history.len() > 100 {
                history.pop_front();
            }
        }
    }

    #[test]
    fn decoded_state_goes_on_bit_for_bit(
        values in prop::collection::vec(-1e9..1e9_f64, 0..350), cut in 0..350_usize,
    ) {
        let mut whole = Window::default();
        let mut resumed = Window::default();
        for (i, &value) in values.iter().enumerate() {
            if i == cut {
                let mut bytes = Vec::new();
                resumed.encode(&mut bytes);
                resumed = Window::decode(&mut bytes.as_slice(), 100).unwrap();
            }
            let (a, b) = (rule().observe(&mut whole, value), rule().observe(&mut resumed, value));
            prop_assert_eq!(a.map(|d| d.score.to_bits()), b.map(|d| d.score.to_bits()));
        }
        prop_assert_eq!(whole, resumed);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), capacity in 0..20_usize) {
        if let Ok(window) = Window::decode(&mut bytes.as_slice(), capacity) {
            prop_assert!(window.len() <= capacity);
        }
    }

    #[test]
    fn remembering_equals_observing(values in prop::collection::vec(-1e3..1e3_f64, 0..250)) {
        let (mut a, mut b) = (Window::default(), Window::default());
        for value in values {
            rule().observe(&mut a, value);
            rule().remember(&mut b, value);
        }
        prop_assert_eq!(a, b);
    }
}
