//! Which build this is.

use std::sync::LazyLock;

/// The commit, where whoever built it said so by `PULSE_COMMIT`.
const COMMIT: Option<&str> = option_env!("PULSE_COMMIT");

/// The version and the commit of this build, as in `0.1.0 (commit 3c7e38d)`.
pub fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| format!("{} (commit {})", number(), commit()));
    &VERSION
}

/// The version alone.
pub(crate) fn number() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// The commit, or `unknown`.
pub(crate) fn commit() -> &'static str {
    COMMIT.filter(|commit| !commit.is_empty()).unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_names_version_and_commit() {
        let version = super::version();
        assert!(version.starts_with(concat!(env!("CARGO_PKG_VERSION"), " (commit ")), "{version}");
    }
}
