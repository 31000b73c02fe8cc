//! LEB128 numbers, and reading them from a shared buffer.

use bytes::Bytes;

/// Appends `value`.
pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Maps numbers near zero, of either sign, to small ones.
pub(super) fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

/// The inverse of [`zigzag`].
pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// A place in a buffer.
#[derive(Debug)]
pub(super) struct Cursor {
    buffer: Bytes,
    at: usize,
}

impl Cursor {
    /// The beginning of `buffer`.
    pub(super) fn new(buffer: Bytes) -> Self {
        Self { buffer, at: 0 }
    }

    /// The next number; none where the buffer ends before it does, or it exceeds 64 bits.
    pub(super) fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.buffer.get(self.at)?;
            self.at += 1;
            if shift == 63 && byte > 1 {
                return None;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// The next `length` bytes, without a copy.
    pub(super) fn take(&mut self, length: u64) -> Option<Bytes> {
        let end = self.at.checked_add(usize::try_from(length).ok()?)?;
        if end > self.buffer.len() {
            return None;
        }
        let taken = self.buffer.slice(self.at..end);
        self.at = end;
        Some(taken)
    }
}
