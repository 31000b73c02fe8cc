//! `cargo xtask chaos`: builds the services and what does them harm, and runs it.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};

use crate::test::CARGO_BUILD;
use crate::{servers, step, workspace};

/// Runs it with `options`.
///
/// # Errors
/// When something that it needs is missing and cannot be installed, or cannot be built.
pub(crate) fn run(release: bool, options: &[String]) -> anyhow::Result<ExitCode> {
    servers::ensure()?;
    let mut build = step::cargo(&CARGO_BUILD);
    build.arg(workspace::features(&workspace::packages()?, &[]));
    if release {
        build.arg("--release");
    }
    if !step::run("binaries", &mut build)? {
        bail!("the services cannot be built");
    }
    // Beside this program, or in the folder beside that.
    let own = std::env::current_exe().context("this program does not know where it lies")?;
    let target = own.ancestors().nth(2).context("this program does not lie in a target folder")?;
    let program = target.join(if release { "release" } else { "debug" }).join("chaos");
    let mut chaos = Command::new(program);
    let succeeded = step::run("chaos", chaos.args(options).current_dir(step::workspace()))?;
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
