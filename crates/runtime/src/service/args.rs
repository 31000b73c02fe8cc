//! The arguments of every service.

use std::path::PathBuf;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser};

use super::Service;
use crate::version;

#[derive(Debug, Parser, PartialEq, Eq)]
#[command(after_help = "Every setting can be given by the environment, too, as in PULSE__LOG__FORMAT=json.")]
pub(super) struct Args {
    /// Settings file (TOML) [env: PULSE_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Ask the running service whether it is ready, and end with 0 if so: a health check for containers
    #[arg(long)]
    pub(super) health: bool,
}

impl Args {
    /// The arguments of this process, which ends here where they are wrong, or ask for help or the version.
    pub(super) fn of(service: &Service) -> Self {
        Self::from(command(service).get_matches())
    }
}

impl From<ArgMatches> for Args {
    fn from(matches: ArgMatches) -> Self {
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

fn command(service: &Service) -> clap::Command {
    Args::command().name(service.name).about(service.about).version(version())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: Service = Service {
        name: "dashboard",
        about: "Shows.",
        listen: |listen| listen.dashboard,
        port: "dashboard.port",
        uses: &[],
    };

    fn parse(args: &[&str]) -> Result<Args, clap::Error> {
        command(&SERVICE).try_get_matches_from(["dashboard"].iter().chain(args)).map(Args::from)
    }

    #[test]
    fn arguments_are_few() {
        command(&SERVICE).debug_assert();
        assert_eq!(parse(&["--health"]).unwrap(), Args { config: None, health: true });
        assert_eq!(parse(&["--config", "a.toml"]).unwrap().config.as_deref(), Some("a.toml".as_ref()));
        let version = parse(&["--version"]).unwrap_err().to_string();
        assert!(version.starts_with("dashboard ") && version.contains("(commit "), "{version}");
        assert!(parse(&["--help"]).unwrap_err().to_string().starts_with("Shows."));
        assert_eq!(parse(&["--port", "1"]).unwrap_err().exit_code(), 2);
    }
}
