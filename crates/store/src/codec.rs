//! How many records become one blob of the event log.
//!
//! A blob is a header and a body, all numbers little endian. The body is a row per record, compressed where that helps.
//!
//! | header | |
//! |---|---|
//! | `u8` | version of this encoding, 1 |
//! | `u8` | codec of the body: 0 none, 1 LZ4 block |
//! | `u16` | zero |
//! | `u32` | number of records |
//! | `u32` | length of the body before compression |
//! | `u64` | XXH3 of the header up to here and of the body as stored |
//!
//! A row is, with LEB128 numbers: the timestamp's difference from the row before, in zigzag; the key's length plus one, 0
//! for none; the headers' length; the payload's length; then key, headers and payload. Offsets are dense, so they are
//! not stored.

mod varint;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use pulse_core::{Headers, NewRecord, Record};
use xxhash_rust::xxh3::Xxh3;

use varint::{Cursor, put, unzigzag, zigzag};

const VERSION: u8 = 1;
const HEADER: usize = 20;
const CHECKED: usize = 12;
const PLAIN: u8 = 0;
const LZ4: u8 = 1;
/// One byte of an LZ4 block stands for 255 at the most.
const LZ4_GROWTH: usize = 255;
/// Bodies below this are not worth compressing.
const COMPRESS_FROM: usize = 256;
/// Largest record, in bytes, well below SQLite's limit for a blob.
pub(crate) const LARGEST_RECORD: usize = 256 << 20;

/// Why a blob cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CodecError {
    /// Too short, or a row reaches beyond the end.
    #[error("it is cut short")]
    Truncated,
    /// Written by something newer.
    #[error("unknown encoding {0}")]
    Version(u8),
    /// The bytes are not those that were written.
    #[error("its checksum is wrong")]
    Checksum,
    /// No body of this size has that length.
    #[error("its length is wrong")]
    Length,
    /// The compressed body is no LZ4 block.
    #[error("its compression is damaged")]
    Compression,
}

/// Bytes that `record` takes before compression, about.
pub(crate) fn size_of(record: &NewRecord) -> usize {
    record.payload.len() + record.headers.encoded().len() + record.key.as_ref().map_or(0, Bytes::len) + 16
}

/// Encodes `records`, which together must stay below 4 GiB.
pub(crate) fn encode(records: &[NewRecord]) -> Vec<u8> {
    let mut body = Vec::with_capacity(records.iter().map(size_of).sum());
    let mut before = 0_i64;
    for record in records {
        put(&mut body, zigzag(record.timestamp.wrapping_sub(before)));
        before = record.timestamp;
        put(&mut body, record.key.as_ref().map_or(0, |key| key.len() as u64 + 1));
        put(&mut body, record.headers.encoded().len() as u64);
        put(&mut body, record.payload.len() as u64);
        body.extend_from_slice(record.key.as_deref().unwrap_or_default());
        body.extend_from_slice(record.headers.encoded());
        body.extend_from_slice(&record.payload);
    }
    let mut blob = match compress(&body) {
        Some(blob) => blob,
        None => {
            let mut blob = vec![0; HEADER];
            blob.extend_from_slice(&body);
            blob[1] = PLAIN;
            blob
        }
    };
    blob[0] = VERSION;
    #[expect(clippy::cast_possible_truncation, reason = "the caller bounds the batch")]
    {
        blob[4..8].copy_from_slice(&(records.len() as u32).to_le_bytes());
        blob[8..12].copy_from_slice(&(body.len() as u32).to_le_bytes());
    }
    let checksum = checksum(&blob);
    blob[CHECKED..HEADER].copy_from_slice(&checksum.to_le_bytes());
    blob
}

/// The blob with a compressed body, where that saves at least an eighth.
fn compress(body: &[u8]) -> Option<Vec<u8>> {
    if body.len() < COMPRESS_FROM {
        return None;
    }
    let mut blob = vec![0; HEADER + lz4_flex::block::get_maximum_output_size(body.len())];
    let length = lz4_flex::block::compress_into(body, &mut blob[HEADER..]).ok()?;
    if length > body.len() - body.len() / 8 {
        return None;
    }
    blob.truncate(HEADER + length);
    blob.shrink_to_fit();
    blob[1] = LZ4;
    Some(blob)
}

fn checksum(blob: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&blob[..CHECKED]);
    hash.update(&blob[HEADER..]);
    hash.digest()
}

/// The records of a blob, one after another. They share one buffer.
#[derive(Debug)]
pub(crate) struct Decoder {
    body: Cursor,
    offset: u64,
    timestamp: i64,
    left: u32,
}

impl Decoder {
    /// Checks and unpacks `blob`, whose first record has `base_offset`.
    pub(crate) fn new(blob: Vec<u8>, base_offset: u64) -> Result<Self, CodecError> {
        let (header, body) = blob.split_first_chunk::<HEADER>().ok_or(CodecError::Truncated)?;
        let [version, codec, _, _, c0, c1, c2, c3, r0, r1, r2, r3, stored @ ..] = *header;
        if version != VERSION {
            return Err(CodecError::Version(version));
        }
        if checksum(&blob) != u64::from_le_bytes(stored) {
            return Err(CodecError::Checksum);
        }
        let raw = u32::from_le_bytes([r0, r1, r2, r3]) as usize;
        let body = match codec {
            PLAIN => Bytes::from(blob).slice(HEADER..),
            LZ4 => {
                // No block of LZ4 unpacks to more: what claims to would only make us ask for memory.
                if raw > body.len().saturating_mul(LZ4_GROWTH) {
                    return Err(CodecError::Length);
                }
                let mut plain = vec![0; raw];
                let length = lz4_flex::block::decompress_into(body, &mut plain).map_err(|_| CodecError::Compression)?;
                if length != raw {
                    return Err(CodecError::Compression);
                }
                Bytes::from(plain)
            }
            _ => return Err(CodecError::Compression),
        };
        let left = u32::from_le_bytes([c0, c1, c2, c3]);
        Ok(Self { body: Cursor::new(body), offset: base_offset, timestamp: 0, left })
    }

    /// Records left.
    pub(crate) fn left(&self) -> u32 {
        self.left
    }

    fn row(&mut self) -> Option<Record> {
        self.timestamp = self.timestamp.wrapping_add(unzigzag(self.body.number()?));
        let key = self.body.number()?;
        let headers = self.body.number()?;
        let payload = self.body.number()?;
        let key = match key {
            0 => None,
            length => Some(self.body.take(length - 1)?),
        };
        let headers = Headers::from_encoded(self.body.take(headers)?);
        let payload = self.body.take(payload)?;
        let record = Record { offset: self.offset, timestamp: self.timestamp, key, payload, headers };
        self.offset += 1;
        Some(record)
    }
}

impl Iterator for Decoder {
    type Item = Result<Record, CodecError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let row = self.row().ok_or(CodecError::Truncated);
        if row.is_err() {
            self.left = 0;
        }
        Some(row)
    }
}
