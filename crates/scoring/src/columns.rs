//! Which of all columns a model sees.

use crate::error::ScoringError;

/// The places in `all` of the `wanted` columns; of all of them where none are named.
pub(crate) fn select(all: &[String], wanted: Option<&[String]>) -> Result<Vec<usize>, ScoringError> {
    let Some(wanted) = wanted else {
        return if all.is_empty() { Err(ScoringError::NoColumns) } else { Ok((0..all.len()).collect()) };
    };
    let mut selected = Vec::with_capacity(wanted.len());
    let mut unknown = Vec::new();
    for name in wanted {
        match all.iter().position(|column| column == name) {
            Some(index) if selected.contains(&index) => return Err(ScoringError::RepeatedColumn(name.clone())),
            Some(index) => selected.push(index),
            None => unknown.push(name.clone()),
        }
    }
    if !unknown.is_empty() {
        return Err(ScoringError::UnknownColumns { unknown, known: all.to_vec() });
    }
    if selected.is_empty() { Err(ScoringError::NoColumns) } else { Ok(selected) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn columns_are_found_in_the_order_asked_for() {
        let all = names(&["a", "b", "c"]);
        assert_eq!(select(&all, Some(&names(&["c", "a"]))).unwrap(), [2, 0]);
        assert_eq!(select(&all, None).unwrap(), [0, 1, 2]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let all = names(&["a", "b"]);
        let message = |wanted: &[&str]| select(&all, Some(&names(wanted))).unwrap_err().to_string();
        assert_eq!(message(&["x", "a", "y"]), "the isolation forest asks for unknown columns: x, y; there are: a, b");
        assert!(message(&["a", "a"]).contains("column a twice"));
        assert!(matches!(select(&all, Some(&[])), Err(ScoringError::NoColumns)));
        assert!(matches!(select(&[], None), Err(ScoringError::NoColumns)));
    }
}
