//! Which word was meant.

/// More letters than this are another word.
const SLIPS: usize = 2;

/// The known word that a slip of the keyboard would turn into `word`.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known.iter().map(|candidate| (distance(word, candidate), *candidate));
    near.filter(|(distance, _)| *distance <= SLIPS).min().map(|(_, candidate)| candidate)
}

/// Levenshtein distance in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_other_words_are_not() {
        let known = ["dashboard.port", "writer.port"];
        assert_eq!(nearest("dashbord.port", &known), Some("dashboard.port"));
        assert_eq!(nearest("writer.prot", &known), Some("writer.port"));
        assert_eq!(nearest("reader.path", &known), None);
        assert_eq!(distance("", "abc"), 3);
    }
}
