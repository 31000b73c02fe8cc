//! The clients in `docs/python-client.md` do what stands there.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::step;

const DOCUMENT: &str = "docs/python-client.md";

/// Whether each program prints what stands below it, when it asks the service at `url`.
///
/// # Errors
/// When the document cannot be read, or a program has no output below it.
pub(super) fn check(python: &Path, url: &str) -> anyhow::Result<bool> {
    let text = std::fs::read_to_string(step::workspace().join(DOCUMENT)).context(DOCUMENT)?;
    let (programs, outputs) = (blocks(&text, "python"), blocks(&text, "text"));
    ensure!(!programs.is_empty() && programs.len() == outputs.len(), "{DOCUMENT} must have an output for each program");
    let mut all_right = true;
    for (number, (program, expected)) in (1..).zip(programs.iter().zip(outputs)) {
        let mut command = Command::new(python);
        // Who needs nothing but Python finds nothing but Python.
        command.args((!program.contains("tritonclient")).then_some("-S")).args(["-c", program]);
        command.env("PULSE_URL", url).stdin(Stdio::null()).stderr(Stdio::inherit());
        let output = command.output().context("cannot start Python")?;
        let printed = String::from_utf8_lossy(&output.stdout);
        let right = output.status.success() && printed == expected;
        println!("── program {number} of {DOCUMENT}: {}", if right { "ok" } else { "FAILED" });
        if !right {
            println!("it must print\n{expected}but printed\n{printed}");
        }
        all_right &= right;
    }
    Ok(all_right)
}

/// What stands in blocks of code in `language`.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("\n```{language}\n");
    text.split(fence.as_str()).skip(1).filter_map(|rest| rest.find("\n```").and_then(|end| rest.get(..=end))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_told_apart_by_their_language() {
        let text = "# A\n\n```python\na = 1\n\nprint(a)\n```\n\nprints\n\n```text\n1\n```\n```python\nb\n```\n";
        assert_eq!(blocks(text, "python"), ["a = 1\n\nprint(a)\n", "b\n"]);
        assert_eq!(blocks(text, "text"), ["1\n"]);
        assert!(blocks(text, "sh").is_empty());
    }

    #[test]
    fn the_document_has_an_output_for_each_program() {
        let text = std::fs::read_to_string(step::workspace().join(DOCUMENT)).unwrap();
        let programs = blocks(&text, "python");
        assert_eq!(programs.len(), blocks(&text, "text").len());
        assert!(programs[0].lines().filter(|line| !line.is_empty()).count() <= 10, "the first has ten lines");
    }
}
