//! Logs: to standard error, as text for people or as JSON for machines.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text, with colours where a terminal shows it.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// `RUST_LOG`, or the default level, does not say what to log.
    #[error("{origin}={value} does not say what to log: use a level such as info, or pulse_store=debug,info")]
    Filter {
        /// Where the filter came from.
        origin: &'static str,
        /// The filter.
        value: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Something in this process set up logging before.
    #[error("logging is already set up")]
    AlreadySet(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Libraries whose normal chatter, at `info`, would drown our own lines.
const QUIETED: [&str; 4] = ["sqlx=warn", "hyper=warn", "h2=warn", "tower_http=warn"];

/// Sends logs to standard error. `RUST_LOG` says what is logged; without it, `default_level` and nothing that
/// libraries report below a warning.
///
/// # Errors
/// When the filter cannot be understood, or when logging was set up before.
pub fn init(format: LogFormat, default_level: &str) -> Result<(), TelemetryError> {
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    init_with_writer(format, default_level, colours, io::stderr)
}

/// As [`init`], to another place, such as one that keeps log lines clear of a progress bar.
///
/// # Errors
/// As [`init`].
pub fn init_with_writer<W>(
    format: LogFormat,
    default_level: &str,
    colours: bool,
    writer: W,
) -> Result<(), TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = filter(std::env::var("RUST_LOG").ok().as_deref(), default_level)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match format {
        LogFormat::Text => builder.with_ansi(colours).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    }
    .map_err(TelemetryError::AlreadySet)
}

fn filter(rust_log: Option<&str>, default_level: &str) -> Result<EnvFilter, TelemetryError> {
    let (origin, value) = match rust_log.map(str::trim) {
        Some(given) if !given.is_empty() => ("RUST_LOG", given.to_owned()),
        _ if is_below_warnings(default_level) => ("log.level", default_level.to_owned()),
        _ => ("log.level", std::iter::once(default_level).chain(QUIETED).collect::<Vec<_>>().join(",")),
    };
    EnvFilter::try_new(&value).map_err(|source| TelemetryError::Filter { origin, value, source })
}

/// Whether nobody is to hear warnings, of libraries neither.
fn is_below_warnings(level: &str) -> bool {
    level.parse::<LevelFilter>().is_ok_and(|level| level < LevelFilter::WARN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_say_no_more_than_we_do() {
        for level in ["off", "error"] {
            assert_eq!(filter(None, level).unwrap().to_string(), level);
        }
        assert!(filter(None, "warn").unwrap().to_string().contains("sqlx=warn"));
    }

    #[test]
    fn rust_log_overrides_the_default() {
        assert_eq!(filter(Some("pulse_store=debug"), "info").unwrap().to_string(), "pulse_store=debug");
        let quieted = filter(Some(" "), "info").unwrap().to_string();
        assert!(quieted.contains("sqlx=warn") && quieted.contains("info"), "{quieted}");
        assert_eq!(filter(None, "info").unwrap().to_string(), quieted);
    }

    #[test]
    fn a_bad_filter_is_named() {
        let error = filter(Some("pulse=loud"), "info").unwrap_err();
        assert!(error.to_string().starts_with("RUST_LOG=pulse=loud does not say"), "{error}");
    }
}
