//! Where Kafka's jars are, and fetching them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

/// The environment variable with the folder of Kafka's jars.
pub const KAFKA_LIBS_ENV: &str = "PULSE_TEST_KAFKA_LIBS";

/// What Kafka needs to run: itself, the tool that formats its folder, and something that writes its log to a terminal.
const POM: &str = r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>stream-pulse</groupId><artifactId>test-kafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>4.1.0</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>4.1.0</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
"#;
/// A file that is written when all is there.
const MARK: &str = "complete";

/// The folder of the jars that tests use.
pub(super) fn find() -> anyhow::Result<PathBuf> {
    if let Some(dir) = std::env::var_os(KAFKA_LIBS_ENV) {
        return Ok(PathBuf::from(dir));
    }
    let dir = kafka_libs_folder()?;
    if !dir.join(MARK).exists() {
        bail!(
            "there is no Kafka in {}: run `cargo xtask test`, which fetches it, or set {KAFKA_LIBS_ENV} to a folder of its jars",
            dir.display()
        );
    }
    Ok(dir)
}

/// `<target>/test-servers/kafka-4.1.0/libs`, found from where the running program lies.
///
/// # Errors
/// When it does not lie in a target folder.
pub fn kafka_libs_folder() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("this program does not know where it lies")?;
    let profile = program.ancestors().find(|dir| dir.ends_with("debug") || dir.ends_with("release"));
    let target = profile.and_then(Path::parent).context("this program does not lie in a target folder")?;
    Ok(target.join("test-servers/kafka-4.1.0/libs"))
}

/// Sees to it that Kafka's jars are in `dir`: fetches them by Maven where they are not.
///
/// # Errors
/// When they are missing and Maven is, or cannot fetch them.
pub fn ensure_kafka_libs(dir: &Path) -> anyhow::Result<()> {
    if dir.join(MARK).exists() {
        return Ok(());
    }
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let pom = dir.join("pom.xml");
    fs::write(&pom, POM)?;
    let mut command = Command::new("mvn");
    command.args(["--quiet", "--batch-mode", "dependency:copy-dependencies", "--file"]).arg(&pom);
    command.arg(format!("-DoutputDirectory={}", dir.display())).stdin(Stdio::null());
    let status = command.status().context("cannot start mvn: install it (on Debian: apt-get install maven)")?;
    if !status.success() {
        bail!("Maven could not fetch Kafka into {}", dir.display());
    }
    Ok(fs::write(dir.join(MARK), "")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complete_folder_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(MARK), "").unwrap();
        ensure_kafka_libs(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
