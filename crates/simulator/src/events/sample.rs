//! Ordinary events from the sample: its replayed rows, again and again, moved in time.

use std::collections::HashMap;

use bytes::{BufMut, Bytes, BytesMut};
use pulse_core::TimestampMs;
use pulse_core::use_case::{Entity, UseCase};
use pulse_features::{SampleRow, format_rfc3339, parse_rfc3339};
use serde_json::{Map, Value};

use super::Place;
use super::inject::Injector;
use super::json;
use super::template::Template;
use crate::error::SimulatorError;

/// The replayed rows, prepared so that making an event costs little more than a copy.
#[derive(Debug)]
pub(super) struct Sample {
    rows: Vec<Row>,
    /// The rows of every entity, in order.
    rows_of: Vec<Vec<usize>>,
    /// Time from the first row of one pass to that of the next.
    cycle_ms: u64,
}

/// One row, ready to be sent.
#[derive(Debug)]
struct Row {
    template: Template<Moved>,
    time: Option<TimestampMs>,
    key: Bytes,
    entity: usize,
    /// How many rows of its entity stand before it.
    rank: usize,
    genuine_outlier: bool,
    eligible: bool,
}

/// A time that is moved.
#[derive(Debug, Clone, Copy)]
struct Moved {
    original: TimestampMs,
    form: Form,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Rfc3339,
    EpochMs,
}

impl Sample {
    pub(super) fn new(rows: &[SampleRow], use_case: &UseCase, injector: &Injector) -> Result<Self, SimulatorError> {
        let mut prepared = Vec::with_capacity(rows.len());
        let mut rows_of: Vec<Vec<usize>> = Vec::new();
        let mut entities: HashMap<Bytes, usize> = HashMap::new();
        for (index, row) in rows.iter().enumerate() {
            let (template, time) = template(&row.event, use_case).map_err(|(field, value)| SimulatorError::Time {
                row: index,
                field,
                value,
            })?;
            let key = key(&row.event, use_case);
            let entity = *entities.entry(key.clone()).or_insert(rows_of.len());
            if entity == rows_of.len() {
                rows_of.push(Vec::new());
            }
            let rank = rows_of[entity].len();
            rows_of[entity].push(index);
            let genuine_outlier = row.genuine_outlier;
            let eligible = !genuine_outlier && injector.is_eligible(&row.event);
            prepared.push(Row { template, time, key, entity, rank, genuine_outlier, eligible });
        }
        let cycle_ms = cycle_ms(&prepared);
        Ok(Self { rows: prepared, rows_of, cycle_ms })
    }

    /// Share of the rows that may be changed.
    pub(super) fn eligible_share(&self) -> f64 {
        let eligible = self.rows.iter().filter(|row| row.eligible).count();
        #[expect(clippy::cast_precision_loss, reason = "numbers of rows are far below 2^53")]
        {
            eligible as f64 / self.rows.len().max(1) as f64
        }
    }

    /// Whether the rows have times.
    pub(super) fn has_times(&self) -> bool {
        self.rows.iter().all(|row| row.time.is_some())
    }

    /// Milliseconds of the sample's own time from event 0 to event `i`, passes included.
    pub(super) fn own_time_ms(&self, i: u64) -> u64 {
        let time = |row: &Row| row.time.unwrap_or(0);
        let (Some(first), Some(row)) = (self.rows.first(), self.row(i)) else { return 0 };
        let within = u64::try_from(time(row) - time(first)).unwrap_or(0);
        (i / self.len()).saturating_mul(self.cycle_ms).saturating_add(within)
    }

    pub(super) fn place(&self, i: u64) -> Place {
        let Some(row) = self.row(i) else { return Place::default() };
        let of_entity = self.rows_of[row.entity].len() as u64;
        Place { entity: row.entity as u64, step: (i / self.len()).saturating_mul(of_entity) + row.rank as u64 }
    }

    pub(super) fn number(&self, place: Place) -> u64 {
        let rows = usize::try_from(place.entity).ok().and_then(|entity| self.rows_of.get(entity));
        let rows = rows.map_or(&[][..], Vec::as_slice);
        let (Some(pass), Some(rank)) =
            (place.step.checked_div(rows.len() as u64), place.step.checked_rem(rows.len() as u64))
        else {
            return 0;
        };
        let row = usize::try_from(rank).ok().and_then(|rank| rows.get(rank)).copied().unwrap_or(0);
        pass.saturating_mul(self.len()).saturating_add(row as u64)
    }

    pub(super) fn key(&self, i: u64) -> Bytes {
        self.row(i).map(|row| row.key.clone()).unwrap_or_default()
    }

    pub(super) fn is_genuine_outlier(&self, i: u64) -> bool {
        self.row(i).is_some_and(|row| row.genuine_outlier)
    }

    pub(super) fn is_eligible(&self, i: u64) -> bool {
        self.row(i).is_some_and(|row| row.eligible)
    }

    /// Appends event `i`, moved to `time`, to `out`, and gives back by how many milliseconds it was moved.
    pub(super) fn render(&self, i: u64, time: TimestampMs, out: &mut BytesMut) -> Option<i64> {
        let row = self.row(i)?;
        let offset = row.time.map(|original| time.saturating_sub(original));
        row.template.render(out, |Moved { original, form }, out| {
            let moved = original.saturating_add(offset.unwrap_or(0));
            match form {
                Form::Rfc3339 => {
                    out.put_u8(b'"');
                    out.put_slice(&format_rfc3339(moved));
                    out.put_u8(b'"');
                }
                Form::EpochMs => json::write(&moved, out),
            }
        });
        offset
    }

    fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    fn row(&self, i: u64) -> Option<&Row> {
        let index = i.checked_rem(self.len())?;
        self.rows.get(usize::try_from(index).ok()?)
    }
}

/// The template of a row and its time. The error is a field that holds no time, and what it holds.
fn template(
    event: &Map<String, Value>,
    use_case: &UseCase,
) -> Result<(Template<Moved>, Option<TimestampMs>), (String, String)> {
    let (mut holes, mut own) = (Vec::new(), None);
    if let Some(field) = use_case.timestamp.field.as_deref() {
        let value = json::get(event, field).ok_or_else(|| (field.to_owned(), "missing".to_owned()))?;
        let moved = read(field, value)?;
        own = Some(moved.original);
        holes.push((field, moved));
    }
    for field in &use_case.simulator.also_move {
        if let Some(value) = json::get(event, field) {
            holes.push((field.as_str(), read(field, value)?));
        }
    }
    Ok((Template::new(event.clone(), holes), own))
}

fn read(field: &str, value: &Value) -> Result<Moved, (String, String)> {
    let moved = match value {
        Value::String(text) => parse_rfc3339(text).map(|original| Moved { original, form: Form::Rfc3339 }),
        Value::Number(number) => number.as_i64().map(|original| Moved { original, form: Form::EpochMs }),
        _ => None,
    };
    moved.ok_or_else(|| (field.to_owned(), value.to_string()))
}

/// The entity as a record's key. Rows that name none are of one entity, which is called like the use case.
fn key(event: &Map<String, Value>, use_case: &UseCase) -> Bytes {
    let field = match &use_case.entity {
        Entity::Key => None,
        Entity::Field(field) => json::get(event, field),
    };
    match field {
        Some(Value::String(text)) => Bytes::from(text.clone()),
        Some(Value::Number(number)) => Bytes::from(number.to_string()),
        _ => Bytes::from(use_case.name.clone()),
    }
}

/// The span of the rows and one mean gap, so that the last row of a pass and the first of the next do not coincide.
fn cycle_ms(rows: &[Row]) -> u64 {
    let time = |row: Option<&Row>| row.and_then(|row| row.time).unwrap_or(0);
    let span = u64::try_from(time(rows.last()) - time(rows.first())).unwrap_or(0);
    let gaps = rows.len().saturating_sub(1).max(1) as u64;
    span.saturating_add((span / gaps).max(1))
}
