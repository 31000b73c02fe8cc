//! Installing what a machine lacks.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::bail;

use crate::step;

/// Something that is missing.
#[derive(Debug, Clone)]
pub(crate) struct Missing {
    /// What a person calls it.
    pub(crate) name: &'static str,
    /// Debian's package.
    pub(crate) package: &'static str,
}

/// Sees to it that nothing of what `missing` finds is missing: installs it where that needs no question, which is as root on
/// a system with apt.
///
/// # Errors
/// When it is not to be had that way; the text says how, or how to do without, which is `option`.
pub(crate) fn ensure(missing: impl Fn() -> Vec<Missing>, purpose: &str, option: &str) -> anyhow::Result<()> {
    let found = missing();
    if found.is_empty() {
        return Ok(());
    }
    println!("{purpose}, and this machine has no {}", names(&found));
    if is_root() && step::find_program(&["apt-get"]).is_some() {
        step::run("package lists", &mut apt(&["-q", "update"]))?;
        let mut install = apt(&["-q", "-y", "--no-install-recommends", "install"]);
        step::run("packages", install.args(found.iter().map(|one| one.package)))?;
        if missing().is_empty() {
            return Ok(());
        }
    }
    let found = missing();
    let packages: Vec<&str> = found.iter().map(|one| one.package).collect();
    bail!(
        "there is no {}: install it (on Debian: sudo apt-get install {}), or leave these tests out with `cargo xtask test {option}`",
        names(&found),
        packages.join(" ")
    )
}

fn names(missing: &[Missing]) -> String {
    missing.iter().map(|one| one.name).collect::<Vec<_>>().join(" and no ")
}

fn apt(args: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.args(args).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    command
}

/// Whether this process may install packages. The owner of `/proc/self` is the user it runs as.
#[cfg(unix)]
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    Path::new("/proc/self").metadata().is_ok_and(|metadata| metadata.uid() == 0)
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}
