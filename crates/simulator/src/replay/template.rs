//! A row as text with holes where its times go.

use bytes::{BufMut, BytesMut};
use pulse_core::TimestampMs;
use pulse_features::{format_rfc3339, parse_rfc3339};
use serde_json::{Map, Value};

use super::inject;

/// A serialised row whose time fields are filled in when it is sent.
#[derive(Debug)]
pub(super) struct Template {
    /// Everything but the times.
    text: Box<[u8]>,
    /// In the order of their places.
    holes: Box<[Hole]>,
    time: Option<TimestampMs>,
}

/// Where a time goes.
#[derive(Debug)]
struct Hole {
    /// How much of the text stands before it.
    at: usize,
    original: TimestampMs,
    form: Form,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Rfc3339,
    EpochMs,
}

impl Template {
    /// The template of `event`, whose time is in the field `time`; the fields `others` move with it. The error is a field
    /// that holds no time, and what it holds.
    pub(super) fn new(
        mut event: Map<String, Value>,
        time: Option<&str>,
        others: &[String],
    ) -> Result<Self, (String, String)> {
        let whole = serialise(&event);
        let mut found = Vec::new();
        let mut own = None;
        for (index, field) in time.into_iter().chain(others.iter().map(String::as_str)).enumerate() {
            let is_own = index == 0 && time.is_some();
            let Some(value) = inject::get_mut(&mut event, field) else {
                if is_own {
                    return Err((field.to_owned(), "missing".to_owned()));
                }
                continue;
            };
            let Some((original, form)) = read(value) else { return Err((field.to_owned(), value.to_string())) };
            if is_own {
                own = Some(original);
            }
            let mark = mark(index, &whole);
            *value = Value::String(mark.clone());
            found.push((format!("\"{mark}\""), original, form));
        }
        let mut rest = serialise(&event);
        let mut holes = Vec::with_capacity(found.len());
        let mut text = String::with_capacity(rest.len());
        while let Some((at, (mark, original, form))) =
            found.iter().filter_map(|hole| Some((rest.find(&hole.0)?, hole))).min_by_key(|(at, _)| *at)
        {
            text.push_str(&rest[..at]);
            holes.push(Hole { at: text.len(), original: *original, form: *form });
            rest.drain(..at + mark.len());
        }
        text.push_str(&rest);
        Ok(Self { text: text.into_bytes().into(), holes: holes.into(), time: own })
    }

    /// The row's own time.
    pub(super) fn time(&self) -> Option<TimestampMs> {
        self.time
    }

    /// Appends the row to `out`, its times moved by `offset` milliseconds.
    pub(super) fn render(&self, offset: i64, out: &mut BytesMut) {
        out.reserve(self.text.len() + 26 * self.holes.len());
        let mut from = 0;
        for hole in &self.holes {
            out.put_slice(&self.text[from..hole.at]);
            from = hole.at;
            let moved = hole.original.saturating_add(offset);
            match hole.form {
                Form::Rfc3339 => {
                    out.put_u8(b'"');
                    out.put_slice(&format_rfc3339(moved));
                    out.put_u8(b'"');
                }
                Form::EpochMs => out.put_slice(moved.to_string().as_bytes()),
            }
        }
        out.put_slice(&self.text[from..]);
    }
}

fn read(value: &Value) -> Option<(TimestampMs, Form)> {
    match value {
        Value::String(text) => parse_rfc3339(text).map(|time| (time, Form::Rfc3339)),
        Value::Number(number) => number.as_i64().map(|time| (time, Form::EpochMs)),
        _ => None,
    }
}

/// Text that does not occur in `whole`.
fn mark(index: usize, whole: &str) -> String {
    let mut mark = format!("time-{index}");
    while whole.contains(&mark) {
        mark.push('-');
    }
    mark
}

fn serialise(event: &Map<String, Value>) -> String {
    // Maps of JSON values always serialise; `Display` of `Value` needs no error path.
    Value::Object(event.clone()).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(event: &Value, time: Option<&str>, others: &[&str], offset: i64) -> Value {
        let others: Vec<String> = others.iter().map(|&field| field.to_owned()).collect();
        let template = Template::new(event.as_object().unwrap().clone(), time, &others).unwrap();
        let mut out = BytesMut::new();
        template.render(offset, &mut out);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn times_move_together_and_nothing_else_changes() {
        let event =
            json!({"b": {"from": "2021-01-04T08:00:00Z"}, "at": 1_609_747_260_000_i64, "time-0": "time-1", "x": [1.5]});
        let moved = render(&event, Some("at"), &["b.from", "absent"], 1500);
        let expected = json!({"b": {"from": "2021-01-04T08:00:01.500Z"}, "at": 1_609_747_261_500_i64, "time-0": "time-1", "x": [1.5]});
        assert_eq!(moved, expected);
        assert_eq!(render(&event, None, &[], 1500), event);
    }

    #[test]
    fn what_is_no_time_is_named() {
        let event = json!({"at": "noon"});
        let error = Template::new(event.as_object().unwrap().clone(), Some("at"), &[]).unwrap_err();
        assert_eq!(error, ("at".to_owned(), "\"noon\"".to_owned()));
        assert_eq!(Template::new(Map::new(), Some("at"), &[]).unwrap_err().1, "missing");
    }
}
