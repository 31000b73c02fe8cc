//! What brokers write down of a group's commits: the records of the topic `__consumer_offsets`.
//!
//! A key is a version (0 or 1), the group, the topic and the partition; a value begins with a version and the offset. Numbers
//! are big-endian, and text has its length before it, in two bytes (`OffsetCommitKey.json` and `OffsetCommitValue.json` of Kafka).

use pulse_core::Record;

/// The topic.
pub(super) const TOPIC: &str = "__consumer_offsets";

/// A group has committed an offset.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OffsetCommit<'a> {
    pub(super) group: &'a str,
    pub(super) topic: &'a str,
    pub(super) partition: u32,
    pub(super) offset: u64,
}

impl<'a> OffsetCommit<'a> {
    /// The commit in `record`; none where it tells of something else, as of members, or takes an offset back.
    pub(super) fn parse(record: &'a Record) -> Option<Self> {
        let mut key = record.key.as_deref()?;
        let (0 | 1) = i16::from_be_bytes(take(&mut key)?) else { return None };
        let (group, topic) = (text(&mut key)?, text(&mut key)?);
        let partition = u32::from_be_bytes(take(&mut key)?);
        let mut value = &record.payload[..];
        let _version: [u8; 2] = take(&mut value)?;
        let offset = u64::from_be_bytes(take(&mut value)?);
        Some(Self { group, topic, partition, offset })
    }
}

fn take<const BYTES: usize>(from: &mut &[u8]) -> Option<[u8; BYTES]> {
    let (taken, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*taken)
}

fn text<'a>(from: &mut &'a [u8]) -> Option<&'a str> {
    let length = u16::from_be_bytes(take(from)?);
    let (taken, rest) = from.split_at_checked(usize::from(length))?;
    *from = rest;
    std::str::from_utf8(taken).ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use pulse_core::Headers;

    use super::*;

    fn record(key: &[u8], payload: &[u8]) -> Record {
        let [key, payload] = [key, payload].map(Bytes::copy_from_slice);
        Record { offset: 0, timestamp: 0, key: Some(key), payload, headers: Headers::default() }
    }

    const KEY: &[u8] = b"\0\x01\0\x01g\0\x06events\0\0\0\x03";
    const VALUE: &[u8] = b"\0\x03\0\0\0\0\0\0\x01\x02\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0";

    #[test]
    fn commits_are_read() {
        let record = record(KEY, VALUE);
        let commit = OffsetCommit { group: "g", topic: "events", partition: 3, offset: 258 };
        assert_eq!(OffsetCommit::parse(&record), Some(commit));
    }

    #[test]
    fn what_is_no_commit_is_passed_over() {
        assert_eq!(OffsetCommit::parse(&record(KEY, b"")), None, "the offset was taken back");
        assert_eq!(OffsetCommit::parse(&record(b"\0\x02\0\x01g", VALUE)), None, "it is about members");
        for end in 0..KEY.len() {
            assert_eq!(OffsetCommit::parse(&record(&KEY[..end], VALUE)), None, "{end}");
        }
    }
}
