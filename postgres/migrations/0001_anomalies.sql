-- Anomalies, each once. Names are those of the JSON record; what people filter by has a column, the rest is JSON.
--
-- Split by the day of the event in UTC. The writer makes the partition of a day when the first row of it comes
-- (anomalies_20260528); what lies far from today goes to anomalies_other, so that no event makes a partition for itself.
CREATE TABLE anomalies (
    event_time     timestamptz      NOT NULL,
    detected_at    timestamptz      NOT NULL,
    -- Rises in the order in which rows became visible: whoever has read up to a number misses nothing behind it.
    sequence       bigint           NOT NULL,
    score          double precision NOT NULL,
    threshold      double precision NOT NULL,
    "offset"       bigint           NOT NULL,
    partition      integer          NOT NULL,
    topic          text COLLATE "C" NOT NULL,
    id             text COLLATE "C" NOT NULL,
    use_case       text COLLATE "C" NOT NULL,
    entity         text COLLATE "C" NOT NULL,
    severity       text COLLATE "C" NOT NULL CHECK (severity IN ('warning', 'high', 'critical')),
    -- Names of those that fired, sorted, each once; `detectors` has all that they said.
    detector_names text[] COLLATE "C" NOT NULL,
    detectors      jsonb            NOT NULL,
    features       jsonb            NOT NULL,
    contributions  jsonb            NOT NULL,
    -- Not jsonb: the event stays as it came, to the last space.
    event          json             NOT NULL,
    config_version text COLLATE "C" NOT NULL,
    -- With all that dashboards count by, so that a period is counted without reading rows.
    PRIMARY KEY (event_time, id) INCLUDE (sequence, use_case, severity, score, entity, detector_names)
) PARTITION BY RANGE (event_time);

-- There is none on detector_names: few detectors find most of the anomalies, and a period narrows more than their name.
CREATE INDEX anomalies_sequence ON anomalies (sequence);
CREATE INDEX anomalies_entity ON anomalies (entity, event_time);
-- Ids are random; a hash takes half the room of a tree, and is quicker to write.
CREATE INDEX anomalies_id ON anomalies USING hash (id);
-- For retention. Rows come nearly in this order, so that a few bytes for each megabyte suffice.
CREATE INDEX anomalies_detected ON anomalies USING brin (detected_at) WITH (autosummarize = on);

CREATE TABLE anomalies_other PARTITION OF anomalies DEFAULT;

-- The last sequence given away, in the only row. A writer holds it from there to its commit, so that rows become visible in order.
CREATE TABLE anomaly_counter (
    only_row      boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    last_sequence bigint  NOT NULL
) WITH (fillfactor = 10);
INSERT INTO anomaly_counter (last_sequence) VALUES (0);

-- Where the anomaly writer goes on, stored with the rows themselves.
CREATE TABLE writer_positions (
    topic       text COLLATE "C" NOT NULL,
    partition   integer          NOT NULL,
    next_offset bigint           NOT NULL,
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 10);
