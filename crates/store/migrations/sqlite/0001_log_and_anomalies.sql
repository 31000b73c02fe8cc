-- The event log. A row of `batches` holds many records (see src/codec.rs); their offsets are dense from
-- base_offset to next_offset (exclusive).
CREATE TABLE topics (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    partitions INTEGER NOT NULL CHECK (partitions > 0)
) STRICT;

CREATE TABLE partitions (
    id           INTEGER PRIMARY KEY,
    topic_id     INTEGER NOT NULL,
    partition    INTEGER NOT NULL,
    start_offset INTEGER NOT NULL DEFAULT 0,
    next_offset  INTEGER NOT NULL DEFAULT 0,
    bytes        INTEGER NOT NULL DEFAULT 0,
    UNIQUE (topic_id, partition)
) STRICT;

-- The id rises with arrival over all partitions, so that retention finds the oldest.
CREATE TABLE batches (
    id           INTEGER PRIMARY KEY,
    partition_id INTEGER NOT NULL,
    base_offset  INTEGER NOT NULL,
    next_offset  INTEGER NOT NULL,
    appended_at  INTEGER NOT NULL,
    blob         BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX batches_end ON batches (partition_id, next_offset);

-- Who reads a topic for a group; a higher epoch fences the readers before it.
CREATE TABLE leases (
    group_name TEXT    NOT NULL,
    topic      TEXT    NOT NULL,
    epoch      INTEGER NOT NULL,
    PRIMARY KEY (group_name, topic)
) STRICT, WITHOUT ROWID;

-- Where a group goes on (null: nothing committed yet), and the epoch of who may move it.
CREATE TABLE positions (
    group_name  TEXT    NOT NULL,
    topic       TEXT    NOT NULL,
    partition   INTEGER NOT NULL,
    epoch       INTEGER NOT NULL,
    next_offset INTEGER,
    PRIMARY KEY (group_name, topic, partition)
) STRICT, WITHOUT ROWID;

CREATE TABLE state_topics (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- Compacted by nature: one row for each key.
CREATE TABLE state (
    state_topic_id INTEGER NOT NULL,
    partition      INTEGER NOT NULL,
    key            BLOB    NOT NULL,
    value          BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX state_key ON state (state_topic_id, partition, key);

-- The distinct sets of detectors that fired together, as sorted JSON arrays. There are few, so an anomaly names its
-- set by number, and one covering index serves filters and counts by detector.
CREATE TABLE detector_sets (
    id    INTEGER PRIMARY KEY,
    names TEXT NOT NULL UNIQUE
) STRICT;

-- Times in microseconds since the Unix epoch.
CREATE TABLE anomalies (
    sequence     INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT    NOT NULL,
    topic        TEXT    NOT NULL,
    partition    INTEGER NOT NULL,
    "offset"     INTEGER NOT NULL,
    use_case     TEXT    NOT NULL,
    entity       TEXT    NOT NULL,
    event_time   INTEGER NOT NULL,
    detected_at  INTEGER NOT NULL,
    severity     INTEGER NOT NULL,
    score        REAL    NOT NULL,
    threshold    REAL    NOT NULL,
    detector_set INTEGER NOT NULL,
    rest         TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX anomalies_key ON anomalies (event_time, id);
-- Ids are random, so an index of them all would write a page for every anomaly. In blocks of arrival, all inserts meet
-- in a few pages, and looking an id up asks each block.
CREATE INDEX anomalies_id ON anomalies (sequence >> 14, substr(id, 1, 8));
CREATE INDEX anomalies_time ON anomalies (event_time, use_case, severity, detector_set, score, entity);
CREATE INDEX anomalies_entity ON anomalies (entity, event_time, use_case, severity, detector_set, score);

-- Where the anomaly writer goes on, stored with the rows themselves.
CREATE TABLE writer_positions (
    topic       TEXT    NOT NULL,
    partition   INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)
) STRICT, WITHOUT ROWID;
