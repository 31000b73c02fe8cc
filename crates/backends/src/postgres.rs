//! Postgres, for services that store or show anomalies.

use std::sync::Arc;

use pulse_runtime::{Secret, Starting, wait_for};
use pulse_store::{PostgresError, PostgresSettings, PostgresStore, PostgresTls};

/// The database, with its tables up to date, once it is there. It lists the connections under the name `application`.
///
/// # Errors
/// When waiting is in vain, such as with a wrong password.
pub async fn open(starting: &Starting, application: &str) -> Result<PostgresStore, PostgresError> {
    let settings = settings(starting.settings.postgres(), application);
    let what = format!("Postgres at {}:{}", settings.host, settings.port);
    wait_for(&starting.health, &what, async || {
        let store = PostgresStore::connect(&settings, Arc::clone(&starting.clock)).await?;
        store.migrate().await.map(|()| store)
    })
    .await
}

fn settings(given: &pulse_runtime::PostgresSettings, application: &str) -> PostgresSettings {
    PostgresSettings {
        host: given.host.clone(),
        port: given.port,
        database: given.database.clone(),
        user: given.user.clone(),
        password: given.password.as_ref().map(Secret::expose).map(str::to_owned),
        // The settings admit no other words than these.
        tls: given.tls.parse().unwrap_or(PostgresTls::VerifyFull),
        tls_ca: given.tls_ca.clone(),
        application: application.to_owned(),
        max_connections: given.max_connections,
    }
}

#[cfg(test)]
mod tests {
    use pulse_runtime::SettingsSources;

    use super::*;

    #[test]
    fn every_setting_arrives() {
        let variables = [
            ("HOST", "db"),
            ("PORT", "6543"),
            ("DATABASE", "d"),
            ("USER", "u"),
            ("PASSWORD", "p"),
            ("TLS", "verify-ca"),
            ("TLS_CA", "/ca.pem"),
            ("MAX_CONNECTIONS", "3"),
        ]
        .map(|(key, value)| (format!("PULSE__POSTGRES__{key}"), value.to_owned()));
        let given = SettingsSources::default().environment(variables).load().unwrap();
        let wanted = PostgresSettings {
            host: "db".into(),
            port: 6543,
            database: "d".into(),
            user: "u".into(),
            password: Some("p".into()),
            tls: PostgresTls::VerifyCa,
            tls_ca: Some("/ca.pem".into()),
            application: "dashboard".into(),
            max_connections: 3,
        };
        assert_eq!(settings(given.postgres(), "dashboard"), wanted);
    }
}
