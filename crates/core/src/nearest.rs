//! What somebody may have meant by a name that does not exist.

/// The one of the `known` names that a slip of the keyboard would turn into `name`.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// More letters than this share of a name are another name.
    const LETTERS_PER_SLIP: usize = 3;
    let slips = (name.chars().count() / LETTERS_PER_SLIP).clamp(1, 3);
    known
        .map(|candidate| (strsim::osa_distance(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= slips)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_told_from_other_names() {
        let known = || ["minimum", "maximum", "multipleOf", "x"].into_iter();
        assert_eq!(nearest("minimun", known()), Some("minimum"));
        assert_eq!(nearest("multipleof", known()), Some("multipleOf"));
        assert_eq!(nearest("Miniumm", known()), Some("minimum"));
        assert_eq!(nearest("format", known()), None);
        assert_eq!(nearest("ab", known()), None);
        let settings = || ["dashboard.port", "writer.port"].into_iter();
        assert_eq!(nearest("dashbord.port", settings()), Some("dashboard.port"));
        assert_eq!(nearest("writer.prot", settings()), Some("writer.port"));
        assert_eq!(nearest("reader.path", settings()), None);
    }
}
