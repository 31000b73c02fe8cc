//! The partitions of the table, one for each day of events.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use pulse_core::{Classify as _, ErrorClass};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::time::Instant;

use super::db::Db;
use super::error::PostgresError;
use super::time::Micros;

/// Days before today that get a partition of their own; events from before that are in the one for all others.
const DAYS_BACK: i64 = 92;
/// Days after today that do. Clocks differ a little, and time zones are sometimes wrong.
const DAYS_AHEAD: i64 = 2;
/// How long the others wait, at the most, until a partition is made.
pub(super) const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '1s'";
/// How long making a partition may take once it has its locks. Postgres reads all rows of the partition for all others
/// then; were that cut short, as other statements are, it would be in vain at every attempt, and the partition would grow.
const MAKE_TIMEOUT: Duration = Duration::from_secs(600);
/// How long the answer is waited for: the server gives up first.
const MAKE_ANSWER: Duration = Duration::from_secs(620);
/// The lock of the database under which partitions come and go: any number that nobody else uses.
pub(super) const LOCK: i64 = 0x5055_4c53_0001;
/// The pause after a partition could not be made.
const PAUSE: Duration = Duration::from_secs(60);
const DAY: i64 = 86_400_000_000;

/// The day that a partition is for, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Day(i64);

impl Day {
    /// The day of an instant.
    pub(super) fn of(micros: Micros) -> Self {
        Self(micros.0.div_euclid(DAY))
    }

    /// The day that the partition `name` is for; none when it is the one for all others.
    pub(super) fn of_partition(name: &str) -> Option<Self> {
        let digits = name.strip_prefix("anomalies_")?;
        let date = Date::strptime("%Y%m%d", digits).ok()?;
        let start = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
        Some(Self(start.as_second().div_euclid(86_400))).filter(|day| day.partition().as_deref() == Some(name))
    }

    /// The first instant.
    pub(super) fn start(self) -> Option<Timestamp> {
        Timestamp::from_microsecond(self.0.saturating_mul(DAY)).ok()
    }

    /// The first instant of the next day.
    pub(super) fn end(self) -> Option<Timestamp> {
        Self(self.0 + 1).start()
    }

    fn partition(self) -> Option<String> {
        Some(format!("anomalies_{}", self.start()?.strftime("%Y%m%d")))
    }
}

/// What a writer knows of the partitions.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    /// Days whose partition is there, and those for which there was trouble, with the end of the pause.
    days: HashMap<Day, Option<Instant>>,
}

impl Partitions {
    /// Sees to it that the days of `times` have a partition, as far as they lie near `now`.
    ///
    /// Where one cannot be made just now, as when somebody dumps the table, its rows go to the partition for all others,
    /// and move when it is made.
    ///
    /// # Errors
    /// When the database is away.
    pub(super) async fn ensure(
        &mut self,
        db: &Db,
        now: Timestamp,
        times: impl Iterator<Item = Micros>,
    ) -> Result<(), PostgresError> {
        let today = Day::of(Micros::near(now)).0;
        let near = (today - DAYS_BACK)..=(today + DAYS_AHEAD);
        let days: BTreeSet<Day> = times.map(Day::of).filter(|day| near.contains(&day.0)).collect();
        for day in days {
            match self.days.get(&day) {
                Some(None) => continue,
                Some(Some(until)) if Instant::now() < *until => continue,
                _ => {}
            }
            match make(db, day).await {
                Ok(()) => {
                    self.days.insert(day, None);
                }
                Err(error @ (PostgresError::Away { .. } | PostgresError::Silent { .. })) => return Err(error),
                Err(error) => {
                    tracing::warn!(
                        partition = day.partition(),
                        error = &error as &dyn std::error::Error,
                        passes = error.class() == ErrorClass::Retry,
                        "a partition cannot be made now: its rows go to anomalies_other until it can"
                    );
                    self.days.insert(day, Some(Instant::now() + PAUSE));
                }
            }
        }
        Ok(())
    }
}

/// Makes the partition of `day`, where there is none, and moves rows of that day into it.
async fn make(db: &Db, day: Day) -> Result<(), PostgresError> {
    let (Some(name), Some(start), Some(end)) = (day.partition(), day.start(), day.end()) else { return Ok(()) };
    let mut conn = db.acquire().await?;
    if exists(db, &mut conn, &name).await? {
        return Ok(());
    }
    let begin = Instant::now();
    let mut txn = db.answer(conn.begin()).await?;
    db.answer(txn.execute(LOCK_TIMEOUT)).await?;
    db.answer(sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *txn)).await?;
    if exists(db, &mut txn, &name).await? {
        return Ok(());
    }
    for statement in [
        format!("CREATE TABLE {name} (LIKE anomalies INCLUDING ALL)"),
        // Attaching looks through it in any case, and until then nothing may be added.
        "LOCK TABLE anomalies_other IN ACCESS EXCLUSIVE MODE".to_owned(),
        format!("SET LOCAL statement_timeout = '{}s'", MAKE_TIMEOUT.as_secs()),
        format!(
            "WITH moved AS (DELETE FROM anomalies_other WHERE event_time >= '{start}' AND event_time < '{end}' RETURNING *) \
             INSERT INTO {name} SELECT * FROM moved"
        ),
        format!("ALTER TABLE anomalies ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}')"),
    ] {
        db.answer_within(MAKE_ANSWER, txn.execute(AssertSqlSafe(statement))).await?;
    }
    db.answer(txn.commit()).await?;
    tracing::info!(partition = name, took = ?begin.elapsed(), "a partition was made");
    Ok(())
}

/// Whether there is a table `name`.
async fn exists(db: &Db, conn: &mut PgConnection, name: &str) -> Result<bool, PostgresError> {
    db.answer(sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(name).fetch_one(conn)).await
}

/// The names of all partitions, in order.
pub(super) async fn all(db: &Db, conn: &mut PgConnection) -> Result<Vec<String>, PostgresError> {
    let sql = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
               WHERE i.inhparent = 'anomalies'::regclass ORDER BY 1";
    db.answer(sqlx::query_scalar(sql).fetch_all(conn)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_named_after_their_day() {
        for (time, name) in [
            ("2026-05-28T00:00:00Z", "anomalies_20260528"),
            ("2026-05-28T23:59:59.999999Z", "anomalies_20260528"),
            ("1969-12-31T23:59:59Z", "anomalies_19691231"),
        ] {
            let day = Day::of(Micros::near(time.parse().unwrap()));
            assert_eq!(day.partition().as_deref(), Some(name));
            assert_eq!(Day::of_partition(name), Some(day));
        }
        for name in ["anomalies_other", "anomalies_2026052", "anomalies_20261301", "anomalies_", "other"] {
            assert_eq!(Day::of_partition(name), None, "{name}");
        }
    }
}
