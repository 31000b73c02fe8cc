//! The browser that pages are tested in.

use crate::install::{self, Missing};
use crate::step;

const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const DRIVERS: [&str; 1] = ["chromedriver"];

/// Sees to it that a browser and its driver are there.
///
/// # Errors
/// When they are missing and cannot be installed; the text says how.
pub(super) fn ensure() -> anyhow::Result<()> {
    install::ensure(missing, "pages are tested in a real browser", "--no-browser")
}

fn missing() -> Vec<Missing> {
    let wanted = [
        (BROWSERS.as_slice(), Missing { name: "chromium", package: "chromium" }),
        (&DRIVERS, Missing { name: "chromedriver", package: "chromium-driver" }),
    ];
    wanted.into_iter().filter(|(names, _)| step::find_program(names).is_none()).map(|(_, missing)| missing).collect()
}
