//! A process that is killed at any moment leaves whole transactions behind.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use pulse_core::NewRecord;
use pulse_core::ports::{AnomalyQuery as _, AnomalyStore as _, Commit, Committer as _, EventProducer as _};
use pulse_core::ports::{OffsetSpan, StateRecord};
use pulse_store::{EmbeddedAnomalyStore, EmbeddedCommitter, EmbeddedProducer, EmbeddedStore};
use pulse_testkit::contract::{read, restore};
use pulse_testkit::{FixedClock, TempStore, anomaly, record, taxi_trip};

/// Set for the child process: the file that it writes until it is killed.
const CHILD: &str = "PULSE_STORE_CRASH_FILE";

async fn open(path: &Path) -> anyhow::Result<EmbeddedStore> {
    let store = EmbeddedStore::open(path, Arc::new(FixedClock::default())).await?;
    store.create_topic("events", 4).await?;
    store.create_topic("results", 1).await?;
    Ok(store)
}

/// Writes rounds of 400 events; of 1 result, 1 key and a position of +100 in two partitions; of 10 anomalies.
struct Writer {
    producer: EmbeddedProducer,
    committer: EmbeddedCommitter,
    anomalies: EmbeddedAnomalyStore,
    /// The committed position.
    next: u64,
    /// Where every partition of the events ends.
    end: u64,
    /// Where the stored anomalies end.
    stored: u64,
}

impl Writer {
    /// Goes on where the one before was killed, which may be in the middle of a round.
    async fn open(store: &EmbeddedStore) -> anyhow::Result<Self> {
        let (mut producer, mut anomalies) = (store.producer(), store.anomaly_store());
        let committer = store.committer("workers", "events", "state");
        let next = restore(&committer, &[0, 1]).await?[0].committed.unwrap_or(0);
        let end = producer.last_records("events").await?.first().map_or(0, |record| record.offset + 1);
        let stored = anomalies.positions("anomalies").await?.first().map_or(0, |&(_, end)| end);
        Ok(Self { producer, committer, anomalies, next, end, stored })
    }

    async fn append(&mut self) -> anyhow::Result<()> {
        if self.end == self.next {
            let topic: Arc<str> = Arc::from("events");
            let events =
                (0..400).map(|i| NewRecord { partition: Some((i % 4) as u32), ..taxi_trip(&topic, self.end + i) });
            self.producer.append(events.collect()).await?;
            self.end += 100;
        }
        Ok(())
    }

    async fn commit(&mut self) -> anyhow::Result<()> {
        let round = self.next / 100;
        self.next += 100;
        let commits: [_; 2] = [0, 1].map(|partition| Commit {
            partition,
            next_offset: self.next,
            outputs: vec![record("results", 0, &format!("{round}-{partition}"))],
            state: vec![StateRecord { key: "round".into(), value: Some(Bytes::from(round.to_string())) }],
        });
        Ok(self.committer.commit(&commits).await.into_iter().collect::<Result<_, _>>()?)
    }

    async fn store(&mut self) -> anyhow::Result<()> {
        let (from, to) = (self.stored, self.next / 10);
        let rows: Vec<_> = (from..to).map(anomaly).collect();
        let span = OffsetSpan { topic: "anomalies".into(), partition: 0, from, to };
        self.anomalies.store(&rows, &span).await?;
        self.stored = to;
        Ok(())
    }
}

async fn write_for_ever(path: &Path) -> anyhow::Result<()> {
    let store = open(path).await?;
    let mut writer = Writer::open(&store).await?;
    loop {
        writer.append().await?;
        writer.commit().await?;
        writer.store().await?;
        writeln!(std::io::stdout(), "{}", writer.next / 100)?;
    }
}

/// Checks what a killed writer left; gives the number of rounds.
async fn check(path: &Path) -> anyhow::Result<u64> {
    let store = open(path).await?;
    let committer = store.committer("workers", "events", "state");
    let restored = restore(&committer, &[0, 1]).await?;
    let first = &restored[0];
    assert_eq!(*first, restored[1], "both partitions are committed together");
    let rounds = first.committed.unwrap_or(0) / 100;
    assert_eq!(first.state[0].value, Some(Bytes::from((rounds - 1).to_string())));
    let results = read(&mut store.source("check", "results"), usize::try_from(rounds * 2)?, 1000).await?;
    assert_eq!(results.last().map(|batch| batch.lag()), Some(0), "outputs are those of the committed positions");
    let last = store.producer().last_records("events").await?;
    assert_eq!(last.len(), 4);
    let ends: BTreeMap<u64, usize> = last.iter().fold(BTreeMap::new(), |mut ends, record| {
        *ends.entry(record.offset + 1).or_default() += 1;
        ends
    });
    let appended = rounds * 100..=rounds * 100 + 100;
    assert!(ends.len() == 1 && ends.keys().all(|end| appended.contains(end)), "{ends:?} after {rounds} rounds");
    let count = usize::try_from(ends.keys().sum::<u64>() * 4)?;
    read(&mut store.source("check", "events"), count, 4096).await?;
    let stored = store.anomaly_store().positions("anomalies").await?[0].1;
    assert!(stored == rounds * 10 || stored + 10 == rounds * 10, "{stored} anomalies after {rounds} rounds");
    assert_eq!(store.query().since(0, 1_000_000).await?.len() as u64, stored);
    store.close().await;
    Ok(rounds)
}

/// Starts a writer, kills it once it has done `rounds` more rounds, and gives its last round.
fn run_and_kill(path: &Path, rounds: usize) -> anyhow::Result<()> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    let (mut done, mut said) = (0, String::new());
    while done < rounds
        && let Some(line) = lines.next().transpose()?
    {
        match line.trim().parse::<u64>() {
            Ok(_) => done += 1,
            Err(_) => said += &format!("{line}\n"),
        }
    }
    child.kill()?;
    let output = child.wait_with_output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        done == rounds,
        "the writer ended by itself after {done} of {rounds} rounds, {}:\n{said}{errors}",
        output.status
    );
    Ok(())
}

/// Not a test but the process that is killed; without its variable it has nothing to do.
#[tokio::test]
async fn child() -> anyhow::Result<()> {
    match std::env::var_os(CHILD) {
        Some(path) => write_for_ever(Path::new(&path)).await,
        None => Ok(()),
    }
}

#[tokio::test]
async fn a_killed_writer_leaves_whole_transactions() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let mut before = 0;
    for rounds in [1, 7, 20] {
        run_and_kill(place.file(), rounds)?;
        let now = check(place.file()).await?;
        assert!(now >= before + rounds as u64, "{now} rounds after {before} and {rounds}");
        before = now;
    }
    Ok(())
}

#[tokio::test]
async fn a_writer_goes_on_from_the_middle_of_a_round() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    for committed in [false, true, false, false] {
        let store = open(place.file()).await?;
        let mut writer = Writer::open(&store).await?;
        writer.append().await?;
        if committed {
            writer.commit().await?;
        }
        store.close().await;
        run_and_kill(place.file(), 3)?;
        check(place.file()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_copy_of_a_file_in_use_is_whole() -> anyhow::Result<()> {
    let (place, copy) = (TempStore::new()?, TempStore::new()?);
    run_and_kill(place.file(), 30)?;
    // What a machine that stops leaves: the log beside the file, and no index of it.
    for name in ["pulse.db", "pulse.db-wal"] {
        std::fs::copy(place.folder().join(name), copy.folder().join(name))?;
    }
    assert!(check(copy.file()).await? >= 30);
    Ok(())
}
