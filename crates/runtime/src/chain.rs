//! Errors in one line.

use std::error::Error;

/// The text of `error` and of what caused it, with colons between them. A cause that a text ends with already, as those of
/// some libraries do, is not said again.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |&error| error.source()).map(ToString::to_string);
    causes.fold(error.to_string(), |text, cause| if text.ends_with(&cause) { text } else { format!("{text}: {cause}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn causes_follow() {
        assert_eq!(chain(&Outer(std::io::Error::other("inner"))), "outer: inner");
    }

    #[test]
    fn nothing_is_said_twice() {
        assert_eq!(chain(&Outer(std::io::Error::other("as outer"))), "outer: as outer");
        assert_eq!(chain(&Outer(std::io::Error::other("outer"))), "outer");
    }
}
