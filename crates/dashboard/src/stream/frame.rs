//! Events of a stream, in the text form of the HTML standard's section 9.2.

use axum::body::Bytes;
use pulse_core::ports::StoredAnomaly;

use crate::view::StoredView;

/// How much JSON a batch holds at most, but for one anomaly that is larger alone.
const MOST_BYTES: usize = 256 * 1024;

/// Anomalies in the order of arrival, as JSON.
#[derive(Debug)]
pub(super) struct Batch {
    rows: Vec<(u64, String)>,
}

impl Batch {
    /// Encodes anomalies, in batches of bounded size.
    pub(super) fn split(stored: &[StoredAnomaly]) -> Vec<Self> {
        let mut batches: Vec<Self> = Vec::new();
        let mut bytes = 0;
        for row in stored {
            let json = match serde_json::to_string(&StoredView::from(row)) {
                Ok(json) => one_line(json),
                Err(error) => {
                    tracing::warn!(id = %row.anomaly.id, %error, "an anomaly cannot be written as JSON");
                    continue;
                }
            };
            bytes += json.len();
            match batches.last_mut().filter(|_| bytes <= MOST_BYTES) {
                Some(batch) => batch.rows.push((row.sequence, json)),
                None => {
                    bytes = json.len();
                    batches.push(Self { rows: vec![(row.sequence, json)] });
                }
            }
        }
        batches
    }

    /// The sequence of the last one.
    pub(super) fn last(&self) -> Option<u64> {
        self.rows.last().map(|(sequence, _)| *sequence)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The event for a client that has everything up to `after`; none when it has all of this.
    pub(super) fn event(&self, after: u64) -> Option<Bytes> {
        let fresh = self.rows.partition_point(|(sequence, _)| *sequence <= after);
        let rows = self.rows.get(fresh..).filter(|rows| !rows.is_empty())?;
        let mut text = String::with_capacity(64 + rows.iter().map(|(_, json)| json.len() + 1).sum::<usize>());
        text.push_str("id: ");
        text.push_str(&self.last()?.to_string());
        text.push_str("\nevent: anomalies\ndata: [");
        for (i, (_, json)) in rows.iter().enumerate() {
            if i > 0 {
                text.push(',');
            }
            text.push_str(json);
        }
        text.push_str("]\n\n");
        Some(text.into())
    }
}

/// The first event: how soon to come back, and from where.
pub(super) fn hello(sequence: u64) -> Bytes {
    format!("retry: 1000\nid: {sequence}\n\n").into()
}

/// Tells a client to read everything again; the stream goes on behind `sequence`.
pub(super) fn resync(sequence: u64) -> Bytes {
    format!("id: {sequence}\nevent: resync\ndata: {{\"sequence\":{sequence}}}\n\n").into()
}

/// A comment that keeps the connection open.
pub(super) fn keep_alive() -> Bytes {
    Bytes::from_static(b": keep-alive\n\n")
}

/// An event is kept as it came, perhaps with line breaks between its fields; in JSON they are nowhere else.
fn one_line(json: String) -> String {
    if json.contains(['\n', '\r']) { json.replace(['\n', '\r'], " ") } else { json }
}
