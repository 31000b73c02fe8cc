//! How to reach Postgres.

use std::path::PathBuf;

use super::raw::Reader;
use super::secret::Secret;

const HOST: &str = "the name of a server, as in localhost, or the folder of its socket, and nothing else: port, database, user and \
                    password have keys of their own";

/// The section `postgres`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresSettings {
    /// Name or address of the server, or the folder of its socket.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The role.
    pub user: String,
    /// Its password.
    pub password: Option<Secret>,
    /// `disable`, `prefer`, `require`, `verify-ca` or `verify-full`.
    pub tls: &'static str,
    /// Certificates of who signed the server's one.
    pub tls_ca: Option<PathBuf>,
    /// Connections at the most.
    pub max_connections: u32,
}

impl PostgresSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            host: reader.take("postgres.host", HOST, host).unwrap_or_default(),
            port: u16::try_from(reader.in_range("postgres.port", 1..=65_535)).unwrap_or(1),
            database: reader.text("postgres.database", "the name of a database"),
            user: reader.text("postgres.user", "the name of a role"),
            password: reader.secret("postgres.password", "postgres.password_file"),
            tls: reader.word("postgres.tls", &["disable", "prefer", "require", "verify-ca", "verify-full"]),
            tls_ca: reader.optional_path("postgres.tls_ca"),
            max_connections: u32::try_from(reader.in_range("postgres.max_connections", 1..=1000)).unwrap_or(1),
        }
    }
}

/// A host is logged and shown, so that it must not be a URL or a list of settings, which may hold a password.
fn host(text: &str) -> Option<String> {
    let is_path = text.starts_with('/');
    let strange = |c: char| c.is_whitespace() || "@=?".contains(c) || (c == '/' && !is_path);
    (!text.is_empty() && !text.contains(strange)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_no_url() {
        for good in ["localhost", "db.example", "10.0.0.1", "::1", "/var/run/postgresql"] {
            assert_eq!(host(good).as_deref(), Some(good));
        }
        for bad in
            ["", "postgres://u:secret@db/x", "postgres://db", "u:secret@db", "host=db password=x", "db x", "db/x"]
        {
            assert_eq!(host(bad), None, "{bad}");
        }
    }
}
