//! What goes wrong is told apart, in words that say what to do.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use pulse_core::ports::{AnomalyQuery as _, Applied};
use pulse_core::{Classify as _, ErrorClass};
use pulse_store::{PostgresError, PostgresSettings, PostgresStore, PostgresTls};
use pulse_testkit::servers::postgres::TestDatabase;
use pulse_testkit::{FixedClock, anomaly};

use crate::fixture::{Fixture, settings};

async fn connect(settings: &PostgresSettings) -> Result<PostgresStore, PostgresError> {
    PostgresStore::connect(settings, Arc::new(FixedClock::default())).await
}

/// The class and text of the error of connecting.
async fn refusal(settings: PostgresSettings) -> (ErrorClass, String) {
    match connect(&settings).await {
        Ok(_) => panic!("connected with {settings:?}"),
        Err(error) => (error.class(), error.to_string()),
    }
}

#[tokio::test]
async fn refusals_are_told_apart() -> anyhow::Result<()> {
    let database = TestDatabase::new()?;
    let good = settings(&database);
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    for (settings, class, words) in [
        (
            PostgresSettings { password: Some("wrong".into()), ..good.clone() },
            ErrorClass::Fatal,
            "check user and password",
        ),
        (PostgresSettings { user: "nobody".into(), ..good.clone() }, ErrorClass::Fatal, "\"nobody\""),
        (
            PostgresSettings { database: "nothing".into(), ..good.clone() },
            ErrorClass::Fatal,
            "createdb --owner=anomaly_user nothing",
        ),
        (PostgresSettings { port: free, ..good.clone() }, ErrorClass::Retry, "check that it runs"),
        (PostgresSettings { host: "nowhere.invalid".into(), ..good.clone() }, ErrorClass::Retry, "nowhere.invalid"),
    ] {
        let (found, text) = refusal(settings).await;
        assert_eq!(found, class, "{text}");
        assert!(text.contains(words) && !text.contains("wrong"), "{text}");
    }
    if cfg!(not(feature = "postgres-tls")) {
        let (class, text) = refusal(PostgresSettings { tls: PostgresTls::Require, ..good }).await;
        assert!(class == ErrorClass::Fatal && text.contains("no TLS"), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn a_database_that_cannot_hold_every_text_is_refused() -> anyhow::Result<()> {
    let database = TestDatabase::new()?;
    let latin = format!("{}_latin1", database.name);
    database.psql_as_superuser(&format!("CREATE DATABASE {latin} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"))?;
    let (class, text) = refusal(PostgresSettings { database: latin.clone(), ..settings(&database) }).await;
    assert!(class == ErrorClass::Fatal && text.contains("createdb --encoding=UTF8"), "{text}");
    database.psql_as_superuser(&format!("DROP DATABASE {latin} WITH (FORCE)"))?;
    Ok(())
}

#[tokio::test]
async fn several_services_may_make_the_tables_at_once() -> anyhow::Result<()> {
    let database = TestDatabase::new()?;
    let store = connect(&settings(&database)).await?;
    let error = store.query().last_sequence().await.err();
    assert!(error.is_some_and(|error| error.to_string().contains("lacks our tables")));
    let tasks: Vec<_> =
        (0..6).map(|_| store.clone()).map(|store| tokio::spawn(async move { store.migrate().await })).collect();
    for task in tasks {
        task.await??;
    }
    assert_eq!(store.query().last_sequence().await?, 0);
    database.psql("INSERT INTO _sqlx_migrations VALUES (9999, 'of a newer version', now(), true, '', 0)")?;
    let error = store.migrate().await.err();
    assert!(
        error.is_some_and(|error| error.class() == ErrorClass::Fatal && error.to_string().contains("newer version"))
    );
    Ok(())
}

#[tokio::test]
async fn who_may_only_read_can_read_and_nothing_else() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    fixture.add(&[anomaly(0)]).await?;
    let role = format!("reader_of_{}", fixture.database.name);
    fixture.database.psql_as_superuser(&format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'reader'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"
    ))?;
    let reader =
        PostgresSettings { user: role.clone(), password: Some("reader".into()), ..settings(&fixture.database) };
    let reader = connect(&reader).await?;
    reader.migrate().await?;
    assert_eq!(reader.query().since(0, 10).await?.len(), 1);
    let reader = Fixture { store: reader, ..fixture };
    let error = reader.add(&[anomaly(1)]).await.err();
    let text = error.as_ref().map(ToString::to_string).unwrap_or_default();
    assert!(error.is_some_and(|error| error.class() == ErrorClass::Fatal) && text.contains("lacks a right"), "{text}");
    reader.database.psql_as_superuser(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))?;
    Ok(())
}

/// The server itself refuses, with the codes that it has for what may happen to it.
#[tokio::test]
async fn codes_of_the_server_are_understood() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    for (code, class, words) in [
        ("53100", ErrorClass::Retry, "is full: make room"),
        ("25006", ErrorClass::Retry, "read-only"),
        ("57014", ErrorClass::Retry, "too busy"),
        ("55P03", ErrorClass::Retry, "too busy"),
        ("40P01", ErrorClass::Retry, "too busy"),
        ("57P01", ErrorClass::Retry, "cannot reach"),
        ("53300", ErrorClass::Retry, "cannot reach"),
        ("22P05", ErrorClass::DeadLetter, "cannot store a row: as asked"),
        ("42501", ErrorClass::Fatal, "lacks a right"),
        ("23514", ErrorClass::Fatal, "refused a statement"),
        ("XX001", ErrorClass::Fatal, "refused a statement"),
    ] {
        fixture.ask(&format!(
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'as asked' USING ERRCODE = '{code}'; END $$; \
             CREATE OR REPLACE TRIGGER refuse BEFORE INSERT ON anomalies FOR EACH ROW EXECUTE FUNCTION refuse()"
        ))?;
        let error = fixture.add(&[anomaly(0)]).await.err();
        let text = error.as_ref().map(ToString::to_string).unwrap_or_default();
        assert!(error.is_some_and(|error| error.class() == class) && text.contains(words), "{code}: {text}");
    }
    fixture.ask("DROP TRIGGER refuse ON anomalies")?;
    assert_eq!(fixture.add(&[anomaly(0)]).await?, Applied::Stored);
    Ok(())
}
