//! Where the database is, and as whom to go there.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// How to reach the database.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresSettings {
    /// Name or address of the server, or the folder of its socket.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The role.
    pub user: String,
    /// Its password, where the server asks for one.
    pub password: Option<String>,
    /// Whether connections are encrypted.
    pub tls: PostgresTls,
    /// The certificate (PEM) of who signed the server's one, where it is none of those that the machine trusts.
    pub tls_ca: Option<PathBuf>,
    /// The name under which the server lists these connections.
    pub application: String,
    /// Connections at the most.
    pub max_connections: u32,
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: 5432,
            database: "anomalies_db".to_owned(),
            user: "anomaly_user".to_owned(),
            password: None,
            tls: PostgresTls::default(),
            tls_ca: None,
            application: "stream-pulse".to_owned(),
            max_connections: 8,
        }
    }
}

impl fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, database, user, password, tls, tls_ca, application, max_connections } = self;
        f.debug_struct("PostgresSettings")
            .field("host", host)
            .field("port", port)
            .field("database", database)
            .field("user", user)
            .field("password", &password.as_ref().map(|_| "…"))
            .field("tls", tls)
            .field("tls_ca", tls_ca)
            .field("application", application)
            .field("max_connections", max_connections)
            .finish()
    }
}

/// Whether connections are encrypted, in the words of libpq.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PostgresTls {
    /// Never.
    Disable,
    /// Where server and build can.
    #[default]
    Prefer,
    /// Always; anybody's certificate will do.
    Require,
    /// Always, and the certificate must be signed by whom we trust.
    VerifyCa,
    /// Always, and the certificate must besides be one for this server's name.
    VerifyFull,
}

impl PostgresTls {
    const ALL: [Self; 5] = [Self::Disable, Self::Prefer, Self::Require, Self::VerifyCa, Self::VerifyFull];

    /// Its text form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

/// A text that is none of libpq's words for encryption.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} must be disable, prefer, require, verify-ca or verify-full")]
pub struct UnknownTls(String);

impl FromStr for PostgresTls {
    type Err = UnknownTls;

    fn from_str(text: &str) -> Result<Self, UnknownTls> {
        Self::ALL.into_iter().find(|tls| tls.as_str() == text).ok_or_else(|| UnknownTls(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_not_shown() {
        let settings = PostgresSettings { password: Some("hunter2".into()), ..PostgresSettings::default() };
        let shown = format!("{settings:?}");
        assert!(!shown.contains("hunter2") && shown.contains("anomaly_user"), "{shown}");
    }

    #[test]
    fn words_for_encryption_are_read() {
        for tls in PostgresTls::ALL {
            assert_eq!(tls.as_str().parse::<PostgresTls>().ok(), Some(tls));
        }
        assert!("on".parse::<PostgresTls>().is_err());
    }
}
