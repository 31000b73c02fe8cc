//! Events from Parquet.

use std::path::Path;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use parquet::basic::{ConvertedType, LogicalType, TimeUnit};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::SchemaDescriptor;
use pulse_features::Fault;
use serde_json::{Map, Value};

use super::files::open;
use super::sink::{Sink, truth};
use crate::error::TrainingError;

/// Takes all rows of a file as events; a group in a row is an object in the event.
pub(super) fn rows(path: &Path, sink: &mut Sink<'_>, progress: impl FnMut(u64)) -> Result<(), TrainingError> {
    let mut payload = Vec::new();
    let label = sink.label;
    let take = |event: Map<String, Value>| {
        payload.clear();
        match serde_json::to_writer(&mut payload, &event) {
            Ok(()) => sink.take(&payload, label.and_then(|label| truth(&event, label))),
            Err(error) => {
                sink.leave_out(Fault { field: String::new(), value: String::new(), message: error.to_string() })
            }
        }
    };
    each(path, take, progress)
}

fn each(
    path: &Path,
    mut take: impl FnMut(Map<String, Value>),
    mut progress: impl FnMut(u64),
) -> Result<(), TrainingError> {
    let damaged = |source: ParquetError| TrainingError::Parquet { path: path.to_owned(), source };
    let file = open(path)?;
    let bytes = file.metadata().map_or(0, |metadata| metadata.len());
    let reader = SerializedFileReader::new(file).map_err(damaged)?;
    let total = u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or_default().max(1);
    let mut told = 0;
    let nanos = nanosecond_columns(reader.metadata().file_metadata().schema_descr()).map_err(damaged)?;
    for (row, done) in reader.get_row_iter(None).map_err(damaged)?.zip(1_u64..) {
        let mut event = event_of(&row.map_err(damaged)?);
        for column in &nanos {
            let time = event.get(column).and_then(Value::as_i64).map(|ns| Timestamp::from_nanosecond(ns.into()));
            if let Some(time) = time {
                event.insert(column.clone(), time.map_or(Value::Null, |time| time.to_string().into()));
            }
        }
        take(event);
        // Rows are as good as bytes to see how far it is.
        let read = (u128::from(bytes) * u128::from(done) / u128::from(total)) as u64;
        if read > told {
            progress(read - told);
            told = read;
        }
    }
    Ok(())
}

/// The columns of nanoseconds since 1970, which the reader has for whole numbers.
///
/// # Errors
/// When there is a column that the reader cannot read.
fn nanosecond_columns(schema: &SchemaDescriptor) -> Result<Vec<String>, ParquetError> {
    let mut nanos = Vec::new();
    for column in schema.columns() {
        let name = column.path().string();
        if column.converted_type() == ConvertedType::INTERVAL {
            return Err(ParquetError::NYI(format!("column {name} is an INTERVAL: leave it out of the file")));
        }
        match column.logical_type_ref() {
            Some(LogicalType::Timestamp(time)) if time.unit == TimeUnit::NANOS => nanos.push(name),
            _ => {}
        }
    }
    Ok(nanos)
}

fn event_of(row: &Row) -> Map<String, Value> {
    row.get_column_iter().map(|(name, field)| (name.clone(), value_of(field))).collect()
}

/// A field as JSON, as events have it: times are RFC 3339, and taken for UTC where nothing is said of that.
fn value_of(field: &Field) -> Value {
    let time = |time: Result<Timestamp, jiff::Error>| time.map_or(Value::Null, |time| time.to_string().into());
    match field {
        Field::TimestampMillis(ms) => time(Timestamp::from_millisecond(*ms)),
        Field::TimestampMicros(us) => time(Timestamp::from_microsecond(*us)),
        Field::Date(days) => {
            let date = Date::constant(1970, 1, 1).checked_add(SignedDuration::from_hours(i64::from(*days) * 24));
            date.map_or(Value::Null, |date| date.to_string().into())
        }
        Field::Float(number) => f64::from(*number).into(),
        // Written as text, such as 12.50.
        Field::Decimal(_) => field.to_json_value().as_str().and_then(|text| text.parse::<f64>().ok()).into(),
        Field::Group(row) => event_of(row).into(),
        Field::ListInternal(list) => list.elements().iter().map(value_of).collect(),
        // Whole numbers, texts and the like.
        other => other.to_json_value(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::Arc;

    use parquet::basic::Compression;
    use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;
    use pulse_features::UseCaseDir;
    use serde_json::json;

    use super::*;
    use crate::training::files::{Files, gather};

    const SCHEMA: &str = "message trip {
        required int64 at (TIMESTAMP(MICROS, true));
        required double fare;
        optional int32 stops;
        required boolean odd;
        required binary zone (UTF8);
        required int32 day (DATE);
        required int64 cents (DECIMAL(9,2));
        required int64 exactly (TIMESTAMP(NANOS, true));
    }";

    /// So many rows; every third has no stops.
    fn write(path: &Path, rows: i64, compression: Compression) {
        let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
        let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
        let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
        for group in [0..rows / 2, rows / 2..rows] {
            let all: Vec<i64> = group.collect();
            let mut columns = writer.next_row_group().unwrap();
            macro_rules! column {
                ($kind:ty, $values:expr, $levels:expr) => {{
                    let mut column = columns.next_column().unwrap().unwrap();
                    let (values, levels): (Vec<_>, Option<Vec<i16>>) = ($values, $levels);
                    column.typed::<$kind>().write_batch(&values, levels.as_deref(), None).unwrap();
                    column.close().unwrap();
                }};
            }
            let known = |i: &&i64| **i % 3 != 0;
            column!(Int64Type, all.iter().map(|i| 1_709_280_000_000_000 + i * 1_000_000).collect(), None);
            column!(DoubleType, all.iter().map(|i| *i as f64 / 2.0).collect(), None);
            let levels = all.iter().map(|i| i16::from(known(&i))).collect();
            column!(Int32Type, all.iter().filter(known).map(|i| *i as i32).collect(), Some(levels));
            column!(BoolType, all.iter().map(|i| i % 2 == 1).collect(), None);
            column!(ByteArrayType, all.iter().map(|i| ByteArray::from(format!("z{i}").as_str())).collect(), None);
            column!(Int32Type, all.iter().map(|_| 19_783).collect(), None);
            column!(Int64Type, all.iter().map(|i| 1050 + i).collect(), None);
            column!(Int64Type, all.iter().map(|i| 1_709_280_000_000_000_000 + i * 500_000_000).collect(), None);
            columns.close().unwrap();
        }
        writer.close().unwrap();
    }

    fn events(path: &Path, progress: impl FnMut(u64)) -> Result<Vec<Value>, TrainingError> {
        let mut events = Vec::new();
        each(path, |event| events.push(event.into()), progress)?;
        Ok(events)
    }

    fn use_case(folder: &Path) -> UseCaseDir {
        let config = "name: trips\nfeatures: [fare, { name: stops, type: integer, required: false }]\ntimestamp: { field: at }\n";
        std::fs::create_dir(folder.join("trips")).unwrap();
        std::fs::write(folder.join("trips/config.yaml"), config).unwrap();
        UseCaseDir::load(folder, "trips").unwrap()
    }

    #[test]
    fn rows_are_events() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trips.parquet");
        for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(Default::default())] {
            write(&path, 10, compression);
            let events = events(&path, |_| {}).unwrap();
            assert_eq!(events.len(), 10);
            assert_eq!(
                events[1],
                json!({
                    "at": "2024-03-01T08:00:01Z", "fare": 0.5, "stops": 1, "odd": true, "zone": "z1", "day": "2024-03-01",
                    "cents": 10.51, "exactly": "2024-03-01T08:00:00.5Z",
                })
            );
            assert_eq!(events[3]["stops"], Value::Null);
        }
    }

    #[test]
    fn a_file_is_trained_on_with_labels_and_progress() {
        let folder = tempfile::tempdir().unwrap();
        let dir = use_case(folder.path());
        let path = folder.path().join("trips.parquet");
        write(&path, 1000, Compression::SNAPPY);
        let bytes = path.metadata().unwrap().len();
        let files = Files { paths: vec![path], label: Some("odd".to_owned()), max_rows: 10_000 };
        let mut featurizer = pulse_features::Featurizer::new(&dir).unwrap();
        let mut told = 0;
        let gathered = gather(&dir, &mut featurizer, &files, |read| told += read).unwrap();
        assert_eq!((gathered.read, gathered.left_out, told), (1000, 0, bytes));
        assert_eq!(gathered.labels.iter().filter(|label| **label == Some(true)).count(), 500);
        assert_eq!((gathered.rows.row(999)[0], gathered.rows.row(4)[1]), (499.5, 4.0));
    }

    #[test]
    fn what_is_no_parquet_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let dir = use_case(folder.path());
        let path = folder.path().join("trips.parquet");
        write(&path, 100, Compression::SNAPPY);
        let whole = std::fs::read(&path).unwrap();
        for damaged in [b"PAR1".to_vec(), Vec::new(), whole[..whole.len() / 2].to_vec()] {
            std::fs::write(&path, damaged).unwrap();
            let files = Files { paths: vec![path.clone()], label: None, max_rows: 10_000 };
            let mut featurizer = pulse_features::Featurizer::new(&dir).unwrap();
            let error = gather(&dir, &mut featurizer, &files, |_| {}).unwrap_err();
            assert!(error.to_string().contains("cannot be read as Parquet"), "{error}");
        }
    }
}
