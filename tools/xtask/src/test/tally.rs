//! Counting tests in what cargo prints.

/// The outcome of all test programs so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    passed: u64,
    pub(super) failed: u64,
    skipped: u64,
    failed_tests: Vec<String>,
}

impl Tally {
    /// Reads one line of the output.
    pub(super) fn read(&mut self, line: &str) {
        let line = line.trim();
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.passed += count(counts, "passed");
            self.failed += count(counts, "failed");
            self.skipped += count(counts, "ignored");
        } else if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
            self.failed_tests.push(name.to_owned());
        }
    }

    /// Counts tests that were left out.
    pub(super) fn skip(&mut self, tests: u64) {
        self.skipped += tests;
    }

    /// The names of the tests that failed.
    pub(super) fn failed_tests(&self) -> &[String] {
        &self.failed_tests
    }

    /// The last line. `broken` stands for a failure outside of any test.
    pub(super) fn summary(&self, broken: bool) -> String {
        let failed = self.failed + u64::from(broken);
        let skipped = match self.skipped {
            0 => String::new(),
            skipped => format!(", {skipped} skipped"),
        };
        format!("{} passed, {failed} failed{skipped}", self.passed)
    }
}

/// The number before `what` in `ok. 3 passed; 0 failed; …`.
fn count(counts: &str, what: &str) -> u64 {
    counts
        .split([';', '.'])
        .filter_map(|part| part.trim().strip_suffix(what)?.trim().parse().ok())
        .next()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_programs_add_up() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test settings::tests::good ... ok",
            "test settings::tests::bad - should panic ... FAILED",
            "test result: FAILED. 27 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 5.01s",
            "test src/lib.rs - forest (line 3) ... ok",
            "test result: ok. 4 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        ] {
            tally.read(line);
        }
        assert_eq!(tally.summary(false), "31 passed, 1 failed, 2 skipped");
        assert_eq!(tally.failed_tests(), ["settings::tests::bad - should panic"]);
    }

    #[test]
    fn a_failure_outside_of_tests_counts() {
        assert_eq!(Tally::default().summary(true), "0 passed, 1 failed");
        assert_eq!(Tally::default().summary(false), "0 passed, 0 failed");
    }

    #[test]
    fn what_a_test_prints_is_not_counted() {
        let mut tally = Tally::default();
        tally.read("the last test result: ok. 9 passed");
        tally.read("9 passed; 9 failed");
        assert_eq!(tally, Tally::default());
    }
}
