//! `cargo xtask chaos`: builds the services and what does them harm, and runs it.

use std::process::{Command, ExitCode};

use anyhow::bail;

use crate::test;
use crate::{servers, step, workspace};

/// The services alone: tests take long to be built with optimisations.
const RELEASE: [&str; 7] = ["build", "--release", "--workspace", "--exclude=xtask", "--locked", "--bins", "--features"];

/// Runs it with `options`.
///
/// # Errors
/// When something that it needs is missing and cannot be installed, or cannot be built.
pub(crate) fn run(release: bool, options: &[String]) -> anyhow::Result<ExitCode> {
    servers::ensure()?;
    // Without optimisations, what the tests have built.
    let mut build = if release { step::cargo(&RELEASE) } else { step::cargo(&test::CARGO_BUILD) };
    build.arg(workspace::features(&workspace::packages()?, &[]));
    if !step::run("binaries", &mut build)? {
        bail!("the services cannot be built");
    }
    let program = step::target()?.join(if release { "release" } else { "debug" }).join("chaos");
    let mut chaos = Command::new(program);
    let succeeded = step::run("chaos", chaos.args(options).current_dir(step::workspace()))?;
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
