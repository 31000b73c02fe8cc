//! Records as they stand in a log.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use crate::names::{HEADER_ORIGIN, HEADER_ORIGINAL_BYTES, HEADER_REASONS};

/// Milliseconds since the Unix epoch, as Kafka's record timestamps are.
pub type TimestampMs = i64;

/// Headers of a record, kept in one buffer so that a record costs no allocation of its own.
///
/// The encoding is a sequence of `u16` name length, name, `u32` value length, value (little endian).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Bytes);

impl Headers {
    /// Encodes headers in the order given.
    ///
    /// Names longer than 65,535 bytes are cut there.
    #[must_use]
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut buf = BytesMut::new();
        for (name, value) in pairs {
            Self::encode(&mut buf, name, value);
        }
        Self(buf.freeze())
    }

    /// Appends one header to `buf`, in the encoding that [`from_encoded`](Self::from_encoded) takes.
    pub fn encode(buf: &mut BytesMut, name: &str, value: &[u8]) {
        let name = &name.as_bytes()[..name.len().min(usize::from(u16::MAX))];
        #[expect(clippy::cast_possible_truncation, reason = "cut to u16::MAX above; logs bound records to 4 GiB")]
        {
            buf.put_u16_le(name.len() as u16);
            buf.put_slice(name);
            buf.put_u32_le(value.len() as u32);
        }
        buf.put_slice(value);
    }

    /// Takes headers in their encoded form; a damaged tail is ignored.
    #[must_use]
    pub fn from_encoded(encoded: Bytes) -> Self {
        Self(encoded)
    }

    /// The encoded form.
    #[must_use]
    pub fn encoded(&self) -> &Bytes {
        &self.0
    }

    /// All headers in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut rest: &[u8] = &self.0;
        std::iter::from_fn(move || {
            let (len, tail) = rest.split_first_chunk::<2>()?;
            let (name, tail) = tail.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
            let (len, tail) = tail.split_first_chunk::<4>()?;
            let (value, tail) = tail.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
            rest = tail;
            Some((std::str::from_utf8(name).unwrap_or_default(), value))
        })
    }

    /// The value of the last header called `name`, as Kafka's `lastHeader` does.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().filter(|(n, _)| *n == name).last().map(|(_, value)| value)
    }

    /// The value of the last header called `name`, where it is UTF-8.
    #[must_use]
    pub fn get_str(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }
}

/// A record that a log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Position in the partition.
    pub offset: u64,
    /// When its producer created it.
    pub timestamp: TimestampMs,
    /// The entity, where the producer set one.
    pub key: Option<Bytes>,
    /// The event, normally a JSON object.
    pub payload: Bytes,
    /// Everything else.
    pub headers: Headers,
}

impl Record {
    /// This record, which stands in `topic` and `partition`, as a dead letter for `target`: unchanged, with the reasons (a JSON
    /// array of faults) and its origin added to its headers.
    #[must_use]
    pub fn dead_letter(&self, target: &Arc<str>, topic: &str, partition: u32, reasons: &[u8]) -> NewRecord {
        let origin = format!("{topic}/{partition}/{}", self.offset);
        let added = [(HEADER_REASONS, reasons), (HEADER_ORIGIN, origin.as_bytes())];
        NewRecord {
            topic: Arc::clone(target),
            partition: None,
            timestamp: self.timestamp,
            key: self.key.clone(),
            payload: self.payload.clone(),
            headers: Headers::new(self.headers.iter().chain(added)),
        }
    }
}

/// A record on its way into a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// Where it goes.
    pub topic: Arc<str>,
    /// The partition; none leaves it to the partitioner, by key.
    pub partition: Option<u32>,
    /// When it was created.
    pub timestamp: TimestampMs,
    /// The entity.
    pub key: Option<Bytes>,
    /// The value.
    pub payload: Bytes,
    /// Headers.
    pub headers: Headers,
}

impl NewRecord {
    /// Bytes of its payload that a record keeps when it is cut. Every topic takes that: brokers take a mebibyte by default.
    pub const KEPT_WHEN_CUT: usize = 64 << 10;
    /// A key of more bytes is left out of a record that is cut.
    const LONGEST_KEY: usize = 1 << 10;
    /// Of more bytes of reasons the first ones are kept in a record that is cut.
    const LONGEST_REASONS: usize = 16 << 10;

    /// Bytes that its key, payload and headers take in a log, at the most.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        /// Kafka's encoding of a header takes so much more than ours, at the most.
        const OF_HEADER: usize = 4;
        let key = self.key.as_ref().map_or(0, Bytes::len);
        key + self.payload.len() + self.headers.encoded().len() + OF_HEADER * self.headers.iter().count()
    }

    /// What can be kept, as a dead letter for `target`, of a record that no topic takes because of `fault`: the reasons and the
    /// origin that it had, how large it was, and where it began. Cut again, nothing of the payload is left; none where there is
    /// no less.
    #[must_use]
    pub fn cut(&self, target: &Arc<str>, fault: serde_json::Value) -> Option<Self> {
        // Ours is the last one: what a record came with stands before the headers of a dead letter.
        let is_cut = self.headers.iter().last().is_some_and(|(name, _)| name == HEADER_ORIGINAL_BYTES);
        if is_cut {
            let is_less = !self.payload.is_empty() || self.key.is_some();
            return is_less.then(|| Self { key: None, payload: Bytes::new(), ..self.clone() });
        }
        let header = |name| self.headers.get(name).unwrap_or_default();
        let mut reasons: Vec<serde_json::Value> = serde_json::from_slice(header(HEADER_REASONS)).unwrap_or_default();
        let mut bytes = 0;
        reasons.retain(|reason| {
            bytes += reason.to_string().len();
            bytes <= Self::LONGEST_REASONS
        });
        reasons.push(fault);
        let (reasons, bytes) = (serde_json::Value::from(reasons).to_string(), self.payload.len().to_string());
        let headers = [
            (HEADER_REASONS, reasons.as_bytes()),
            (HEADER_ORIGIN, header(HEADER_ORIGIN)),
            (HEADER_ORIGINAL_BYTES, bytes.as_bytes()),
        ];
        Some(Self {
            topic: Arc::clone(target),
            key: self.key.clone().filter(|key| key.len() <= Self::LONGEST_KEY),
            payload: self.payload.slice(..self.payload.len().min(Self::KEPT_WHEN_CUT)),
            headers: Headers::new(headers),
            ..self.clone()
        })
    }
}

/// Consecutive records of one partition; offsets rise but may have holes.
#[derive(Debug, Clone)]
pub struct RecordBatch {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: u32,
    /// The records in offset order.
    pub records: Vec<Record>,
    /// Where reading goes on: one more than the last offset read.
    pub next_offset: u64,
    /// The end of the partition when this was read: the offset that the next record will get.
    pub high_watermark: u64,
}

impl RecordBatch {
    /// Records that stand in the partition behind this batch.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.high_watermark.saturating_sub(self.next_offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_round_trip_and_the_last_one_wins() {
        let headers = Headers::new([("a", b"1".as_slice()), ("b", b""), ("a", b"2")]);
        assert_eq!(headers.get_str("a"), Some("2"));
        assert_eq!(headers.get("b"), Some(b"".as_slice()));
        assert_eq!(headers.get("c"), None);
        assert_eq!(headers.iter().count(), 3);
    }

    #[test]
    fn what_is_cut_keeps_no_more_than_every_topic_takes() {
        let reason = serde_json::json!({ "field": "value", "message": "x".repeat(1000) });
        let reasons = serde_json::Value::from(vec![reason; 2000]).to_string();
        let (note, target) = (vec![b'n'; 3 << 20], Arc::from("t.dlq"));
        let record = NewRecord {
            topic: "anomalies".into(),
            partition: None,
            timestamp: 5,
            key: Some("k".repeat(1 << 20).into()),
            payload: Bytes::from_static(b"short"),
            headers: Headers::new([
                ("note", note.as_slice()),
                (HEADER_REASONS, reasons.as_bytes()),
                (HEADER_ORIGIN, b"t/0/7"),
            ]),
        };
        assert!(record.encoded_bytes() > (5 << 20));
        let fault = serde_json::json!({ "message": "is too large" });
        let cut = record.cut(&target, fault.clone()).unwrap();
        assert!(cut.encoded_bytes() < NewRecord::KEPT_WHEN_CUT, "{}", cut.encoded_bytes());
        assert_eq!((&*cut.topic, &cut.payload[..], &cut.key), ("t.dlq", &b"short"[..], &None));
        assert_eq!(cut.headers.get_str(HEADER_ORIGIN), Some("t/0/7"));
        let kept: Vec<serde_json::Value> = serde_json::from_slice(cut.headers.get(HEADER_REASONS).unwrap()).unwrap();
        assert!((2..20).contains(&kept.len()) && kept.last() == Some(&fault), "{}", kept.len());
        let again = cut.cut(&target, fault.clone()).unwrap();
        assert!(again.payload.is_empty() && again.cut(&target, fault).is_none());
    }

    #[test]
    fn damaged_headers_end_early() {
        let whole = Headers::new([("name", b"value".as_slice())]);
        for cut in 0..whole.encoded().len() {
            assert_eq!(Headers::from_encoded(whole.encoded().slice(..cut)).iter().count(), 0);
        }
    }
}
