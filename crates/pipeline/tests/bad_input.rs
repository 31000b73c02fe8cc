//! Every kind of bad event and what becomes of it, as `docs/specs/bad-input.md` says it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use proptest::prelude::*;
use pulse_core::names::{HEADER_REASONS, HEADER_USE_CASE};
use pulse_core::ports::{Restored, Scores};
use pulse_core::{Headers, Record, RecordBatch};
use pulse_features::{Fault, Featurizer, UseCaseDir};
use pulse_pipeline::{PartitionPipeline, Plan};

const DOCUMENT: &str = include_str!("../../../docs/specs/bad-input.md");

/// A row of the table: what it is about, how the event or record differs, and the record.
type Case = (&'static str, String, Record);

fn pipeline() -> PartitionPipeline {
    let config = DOCUMENT.split("<!-- config -->\n```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let usecases = tempfile::tempdir().unwrap();
    std::fs::create_dir(usecases.path().join("devices")).unwrap();
    std::fs::write(usecases.path().join("devices/config.yaml"), config).unwrap();
    let dir = UseCaseDir::load(usecases.path(), "devices").unwrap();
    let featurizer = Featurizer::new(&dir).unwrap();
    let plan = Arc::new(Plan::new(&dir, &featurizer, None).unwrap());
    PartitionPipeline::restore(plan, featurizer, &Restored::default()).pipeline
}

/// What becomes of a record.
fn outcome(pipeline: &mut PartitionPipeline, record: Record) -> String {
    let batch = RecordBatch {
        topic: "devices".into(),
        partition: 0,
        next_offset: record.offset + 1,
        high_watermark: record.offset + 1,
        records: vec![record],
    };
    let prepared = pipeline.prepare(batch);
    let outcome = pipeline.judge(prepared, &Scores::default(), Timestamp::UNIX_EPOCH);
    if outcome.counts.judged == 1 {
        return "verdict".to_owned();
    }
    if outcome.counts.skipped == 1 {
        return "left to the other use case".to_owned();
    }
    assert_eq!(outcome.counts.dead_letters, 1);
    let faults: Vec<Fault> = serde_json::from_slice(outcome.outputs[0].headers.get(HEADER_REASONS).unwrap()).unwrap();
    let listed: Vec<String> = faults.iter().map(|fault| shown(&fault.to_string())).collect();
    format!("dead letter: {}", listed.join("; "))
}

/// `text` as it can stand in a table.
fn shown(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() || c == '\u{feff}' { '·' } else { c }).collect();
    text.replace('|', "\\|")
}

fn record(payload: impl Into<Bytes>) -> Record {
    Record {
        offset: 0,
        timestamp: 1_767_225_600_000,
        key: Some(Bytes::from_static(b"pump 7")),
        payload: payload.into(),
        headers: Headers::default(),
    }
}

/// The usual event, where `field` has the JSON text `value`; none leaves it out.
fn event(field: &str, value: Option<&str>) -> String {
    let mut fields = vec![("device_id", "\"pump 7\""), ("at", "\"2026-01-01T00:00:00Z\""), ("value", "12.5")];
    fields.retain(|(name, _)| *name != field);
    fields.extend(value.map(|value| (field, value)));
    let fields: Vec<String> = fields.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

fn payloads() -> Vec<Case> {
    let whole = |what, shown: &str, payload: &[u8]| (what, shown.to_owned(), record(payload.to_vec()));
    let text = |what, payload: &str| (what, format!("`{}`", shown(payload)), record(payload.to_owned()));
    let large = event("note", Some(&format!("\"{}\"", "x".repeat(1 << 20))));
    let deep = |levels: usize| event("note", Some(&format!("{}{}", "[".repeat(levels), "]".repeat(levels))));
    vec![
        whole("empty", "no bytes, or a null value", b""),
        text("blank", "   "),
        text("broken", r#"{"device_id":"pump 7""#),
        text("trailing comma", r#"{"value":1,}"#),
        text("more than one value", "{} {}"),
        text("no object", "[1,2]"),
        text("no object", "null"),
        whole("not UTF-8", "`{\"note\":\"` and the byte 0xFF", b"{\"note\":\"\xff\"}"),
        whole("byte order mark", "the bytes EF BB BF first", "\u{feff}{}".as_bytes()),
        whole("UTF-16", "`{}` in UTF-16", b"\xff\xfe{\0}\0"),
        whole("too large", "a note of 1 MiB", large.as_bytes()),
        whole("nested too deep", "a note of 32 arrays in each other", deep(32).as_bytes()),
        whole("nested deep", "a note of 31 arrays in each other", deep(31).as_bytes()),
        text("a control character that nobody escaped", "{\"note\":\"\u{1}\"}"),
    ]
}

fn fields() -> Vec<Case> {
    let field = |what, field: &str, value: &str| {
        (what, shown(&format!("`\"{field}\":{value}`")), record(event(field, Some(value))))
    };
    let without = |what, field: &str| (what, format!("no `{field}`"), record(event(field, None)));
    let twice = r#""value":"x","value":5"#;
    let doubled = event("value", Some("\"x\"")).replace(r#""value":"x""#, twice);
    vec![
        without("a required field is missing", "value"),
        field("null", "value", "null"),
        field("another type", "value", "\"12.5\""),
        field("another type", "value", "true"),
        field("another type", "value", "[12.5]"),
        field("another type", "value", "{}"),
        field("below its minimum", "value", "-50.5"),
        field("not below its exclusive maximum", "value", "1000"),
        field("no number", "value", "NaN"),
        field("no number", "value", "-Infinity"),
        field("no JSON number", "value", "012"),
        field("no JSON number", "value", "+1"),
        field("beyond 64-bit numbers", "value", "1e999"),
        field("beyond 64-bit numbers, in an unknown field", "note", "1e999"),
        field("many digits", "value", "12.50000000000000000000000000000000000001"),
        field("an integer with a fraction", "count", "2.5"),
        field("an integer written as a float", "count", "10.0"),
        field("an integer beyond 64 bits", "count", "1e20"),
        field("no multiple", "count", "12"),
        field("not in its list", "mode", "\"off\""),
        field("not in its list", "mode", "\"AUTO\""),
        field("too short", "serial", "\"A\""),
        field("too long", "serial", "\"ABCDEF123\""),
        field("against its pattern", "serial", "\"abc1\""),
        field("no object around a field", "site", "7"),
        field("an object that is null", "site", "null"),
        field("a name with a dot is another field", "site.level", "\"high\""),
        field("a rule is broken", "site", r#"{"level":20}"#),
        field("an unknown field", "note", "[{}]"),
        field("NUL", "note", r#""a\u0000b""#),
        field("half a surrogate pair", "note", r#""\ud83d""#),
        ("a key twice: the last one counts", shown(&format!("`{twice}`")), record(doubled)),
        (
            "several faults",
            "no `at`, and two more".to_owned(),
            record(r#"{"device_id":"pump 7","value":"1","count":1.5}"#),
        ),
    ]
}

fn times() -> Vec<Case> {
    let at = |what, value: &str| (what, format!("`\"at\":{value}`"), record(event("at", Some(value))));
    let mut cases = vec![
        ("missing", "no `at`".to_owned(), record(event("at", None))),
        at("no time", "\"noon\""),
        at("no offset", "\"2026-01-01T00:00:00\""),
        at("no such day", "\"2026-02-30T00:00:00Z\""),
        at("another type", "true"),
        at("year 0", "\"0000-06-01T00:00:00Z\""),
        at("year 1", "\"0001-06-01T00:00:00Z\""),
        at("year 9999", "\"9999-06-01T00:00:00Z\""),
        at("beyond year 9999", "\"9999-12-31T23:59:59-23:00\""),
        at("before 1970", "-1"),
        at("seconds", "1767225600"),
        at("microseconds", "1767225600000000"),
        at("too far ahead", "\"2026-01-01T00:05:01Z\""),
        at("a little ahead", "\"2026-01-01T00:05:00Z\""),
        at("long ago", "\"1995-01-01T00:00:00Z\""),
        at("no instant", "1e300"),
    ];
    let mut odd = record(event("at", Some("0")));
    odd.timestamp = i64::MIN;
    cases.push(("a record with an absurd timestamp", "record timestamp -2^63, `\"at\":0`".to_owned(), odd));
    cases
}

fn keys_and_headers() -> Vec<Case> {
    let key = |what, shown: &str, key: Option<&[u8]>| {
        let mut record = record(event("", None));
        record.key = key.map(Bytes::copy_from_slice);
        (what, shown.to_owned(), record)
    };
    let entity =
        |what, value: &str| (what, format!("`\"device_id\":{value}`"), record(event("device_id", Some(value))));
    let headers = |what, shown: &str, headers: Headers| {
        let mut record = record(event("", None));
        record.headers = headers;
        (what, shown.to_owned(), record)
    };
    let of = |use_case: &[u8]| Headers::new([(HEADER_USE_CASE, use_case)]);
    let long = "x".repeat(257);
    let digits = "18446744073709551615";
    let mut large = record(event("device_id", Some(digits)));
    large.key = Some(Bytes::from_static(digits.as_bytes()));
    vec![
        key("no key", "no key", None),
        key("an empty key", "key of 0 bytes", Some(b"")),
        key("another key", "key `pump 8`", Some(b"pump 8")),
        key("no text", "key 0xFF", Some(b"\xff")),
        key("NUL", "key `pump` and the byte 0", Some(b"pump\0")),
        key("a line break", "key `pump` and a line feed", Some(b"pump\n")),
        key("too long", "key of 257 bytes", Some(long.as_bytes())),
        entity("an empty entity", "\"\""),
        entity("an entity that is null", "null"),
        entity("an entity of another type", "[]"),
        entity("a control character in the entity", r#""pump\u0007""#),
        ("a large number as the entity", format!("`\"device_id\":{digits}` and such a key"), large),
        headers("another use case", "header `pulse-use-case: nyc_taxi`", of(b"nyc_taxi")),
        headers("another use case, broken JSON and no key", "header `pulse-use-case: nyc_taxi`", of(b"nyc_taxi")),
        headers("a use case that is no text", "header `pulse-use-case` of 0xFF", of(b"\xff")),
        headers("damaged headers", "headers cut off", Headers::from_encoded(of(b"nyc_taxi").encoded().slice(..9))),
        headers("a large header", "header `note` of 1 MiB", Headers::new([("note", vec![b'x'; 1 << 20].as_slice())])),
    ]
}

/// The table in the document behind `<!-- events -->`.
fn documented() -> &'static str {
    DOCUMENT.split("<!-- events -->\n").nth(1).unwrap().split("<!-- end -->").next().unwrap()
}

#[test]
fn the_document_says_what_happens() {
    let mut pipeline = pipeline();
    let mut table = "| what | input | result |\n|---|---|---|\n".to_owned();
    for (what, input, mut record) in [payloads(), fields(), times(), keys_and_headers()].concat() {
        if what.contains("broken JSON and no key") {
            record.payload = Bytes::from_static(b"{");
            record.key = None;
        }
        let result = outcome(&mut pipeline, record);
        table.push_str(&format!("| {what} | {input} | {result} |\n"));
    }
    assert!(table == documented(), "docs/specs/bad-input.md is not up to date; the table is now:\n{table}");
}

proptest! {
    /// Whatever comes, each record is accounted for, and an event of the stream goes on being judged after it.
    #[test]
    fn any_record_is_accounted_for(
        payload in prop::collection::vec(any::<u8>(), 0..120),
        key in prop::option::of(prop::collection::vec(any::<u8>(), 0..20)),
        headers in prop::collection::vec(any::<u8>(), 0..40),
        timestamp in any::<i64>(),
    ) {
        let mut pipeline = pipeline();
        let odd = Record {
            offset: 0, timestamp, key: key.map(Bytes::from), payload: payload.into(),
            headers: Headers::from_encoded(headers.into()),
        };
        outcome(&mut pipeline, odd);
        prop_assert_eq!(outcome(&mut pipeline, record(event("", None))), "verdict");
    }
}
