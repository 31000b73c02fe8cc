//! Events from Parquet.

use std::path::Path;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, Row};
use pulse_features::Fault;
use serde_json::{Map, Value};

use super::files::open;
use super::sink::{Sink, truth};
use crate::error::TrainingError;

/// Reads all rows of a file as events; a group in a row is an object in the event.
pub(super) fn rows(path: &Path, sink: &mut Sink<'_>, mut progress: impl FnMut(u64)) -> Result<(), TrainingError> {
    let damaged = |source: ParquetError| TrainingError::Parquet { path: path.to_owned(), source };
    let file = open(path)?;
    let bytes = file.metadata().map_or(0, |metadata| metadata.len());
    let reader = SerializedFileReader::new(file).map_err(damaged)?;
    let total = u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or_default().max(1);
    let (mut payload, mut told) = (Vec::new(), 0);
    for (row, done) in reader.get_row_iter(None).map_err(damaged)?.zip(1_u64..) {
        let event = event_of(&row.map_err(damaged)?);
        payload.clear();
        match serde_json::to_writer(&mut payload, &event) {
            Ok(()) => sink.take(&payload, sink.label.and_then(|label| truth(&event, label))),
            Err(error) => {
                sink.leave_out(Fault { field: String::new(), value: String::new(), message: error.to_string() })
            }
        }
        // Rows are as good as bytes to see how far it is.
        let read = (u128::from(bytes) * u128::from(done) / u128::from(total)) as u64;
        if read > told {
            progress(read - told);
            told = read;
        }
    }
    Ok(())
}

fn event_of(row: &Row) -> Map<String, Value> {
    row.get_column_iter().map(|(name, field)| (name.clone(), value_of(field))).collect()
}

/// A field as JSON, as events have it: times are RFC 3339.
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
            columns.close().unwrap();
        }
        writer.close().unwrap();
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
            let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
            let events: Vec<Value> =
                reader.get_row_iter(None).unwrap().map(|row| event_of(&row.unwrap()).into()).collect();
            assert_eq!(events.len(), 10);
            assert_eq!(
                events[1],
                json!({"at": "2024-03-01T08:00:01Z", "fare": 0.5, "stops": 1, "odd": true, "zone": "z1", "day": "2024-03-01"})
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
