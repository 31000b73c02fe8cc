//! Where the programs of Postgres lie, and as whom they run.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

/// Where Debian keeps what is not for the `PATH`, a folder for each version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// Whom the server runs as where this process is root; the first that the machine knows.
const ACCOUNTS: [&str; 2] = ["postgres", "nobody"];

/// The installed programs of Postgres.
#[derive(Debug, Clone)]
pub struct PostgresPrograms {
    folder: PathBuf,
    /// User and group that the programs run as, where not as we do.
    account: Option<(u32, u32)>,
}

impl PostgresPrograms {
    /// Looks for them on the `PATH`, and where Debian has them.
    ///
    /// # Errors
    /// When they are not installed.
    pub fn find() -> anyhow::Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folder = versions().into_iter().chain(std::env::split_paths(&path)).find(|folder| is_complete(folder));
        let folder = folder.context("no Postgres is installed (on Debian: sudo apt-get install postgresql)")?;
        let is_root = fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0);
        let account = if is_root { Some(account()?) } else { None };
        Ok(Self { folder, account })
    }

    /// A program, to be run as the account of the server.
    pub(super) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.join(name));
        if let Some((user, group)) = self.account {
            command.uid(user).gid(group);
        }
        // Messages are looked through, and the current folder may be one that the account cannot enter.
        command.env("LC_ALL", "C").current_dir("/");
        command
    }

    /// Gives a file or folder to the account of the server.
    pub(super) fn give(&self, path: &Path) -> anyhow::Result<()> {
        if let Some((user, group)) = self.account {
            chown(path, Some(user), Some(group)).with_context(|| format!("cannot give {} away", path.display()))?;
        }
        Ok(())
    }
}

/// Debian's folders, the newest version first.
fn versions() -> Vec<PathBuf> {
    let version = |folder: &PathBuf| folder.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let entries = fs::read_dir(DEBIAN).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut folders: Vec<PathBuf> = entries.filter(|folder| version(folder).is_some()).collect();
    folders.sort_by_key(|folder| std::cmp::Reverse(version(folder)));
    folders.into_iter().map(|folder| folder.join("bin")).collect()
}

fn is_complete(folder: &Path) -> bool {
    ["initdb", "pg_ctl", "postgres", "psql"].iter().all(|program| folder.join(program).is_file())
}

fn account() -> anyhow::Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
    let find = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2).map(str::parse);
        Some((fields.next()?.ok()?, fields.next()?.ok()?))
    };
    ACCOUNTS
        .into_iter()
        .find_map(find)
        .context("Postgres does not run as root, and there is no user postgres or nobody")
}
