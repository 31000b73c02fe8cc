//! Running other programs, visibly.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context as _;

/// The folder of the workspace.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where cargo puts what it builds: two levels above this program.
///
/// # Errors
/// When this program lies elsewhere.
pub(crate) fn target() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("this program does not know where it lies")?;
    // A program of tests lies one level deeper.
    let folder = own.ancestors().skip(1).find(|folder| !folder.ends_with("deps"));
    Ok(folder.and_then(Path::parent).context("this program does not lie in a target folder")?.to_owned())
}

/// The cargo that runs us, at work in the workspace.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(workspace()).stdin(Stdio::null());
    command
}

/// Prints and runs a command, and says whether it succeeded and how long it took.
pub(crate) fn run(title: &str, command: &mut Command) -> anyhow::Result<bool> {
    let started = Instant::now();
    println!("── {title}: {}", line(command));
    let status = command.status().with_context(|| format!("cannot start {}", line(command)))?;
    let verdict = if status.success() { "ok" } else { "FAILED" };
    println!("── {title}: {verdict} after {:.0} s", started.elapsed().as_secs_f64());
    Ok(status.success())
}

/// Whether `cargo <name>` is installed. It may lie beside cargo without being on the `PATH`.
pub(crate) fn has_cargo_command(name: &str) -> bool {
    let answer = cargo(&[name, "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    answer.is_ok_and(|status| status.success())
}

/// The command as a person would type it.
pub(crate) fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy();
    std::iter::once(program).chain(command.get_args().map(|arg| arg.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

/// The first of `names` that lies on the `PATH`.
pub(crate) fn find_program<'a>(names: &[&'a str]) -> Option<&'a str> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names.iter().copied().find(|name| folders.iter().any(|folder| folder.join(name).is_file()))
}
