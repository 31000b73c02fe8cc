//! The values that a rule looks back on.

/// The latest values of one feature of one entity: a ring that grows to its capacity and then replaces the oldest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Window {
    values: Vec<f64>,
    /// Where the next value goes once the ring is full.
    next: u32,
}

/// Bytes that are no encoded window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the encoded window is damaged")]
pub struct WindowDecodeError;

impl Window {
    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The values in the order of the ring, which is not the order of their arrival.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    pub(super) fn push(&mut self, value: f64, capacity: usize) {
        if self.values.len() < capacity {
            if self.values.len() == self.values.capacity() {
                // Doubling would leave up to half of the memory unused in a full window.
                let grown = (self.values.len() * 2).clamp(8, capacity);
                self.values.reserve_exact(grown - self.values.len());
            }
            self.values.push(value);
        } else {
            let next = self.next as usize;
            self.values[next] = value;
            self.next = if next + 1 == capacity { 0 } else { self.next + 1 };
        }
    }

    /// Appends the window to `out`: `u32` number of values, `u32` next place, the values, all little endian. The layout of the
    /// ring is kept, so that sums over it come out the same to the last bit.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let len = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&self.next.to_le_bytes());
        out.extend(self.values.iter().flat_map(|value| value.to_le_bytes()));
    }

    /// Reads a window of at most `capacity` values from the front of `bytes`.
    ///
    /// # Errors
    /// When the bytes are damaged or belong to a larger window.
    pub fn decode(bytes: &mut &[u8], capacity: usize) -> Result<Self, WindowDecodeError> {
        let mut u32_le = || {
            let (head, rest) = bytes.split_first_chunk::<4>().ok_or(WindowDecodeError)?;
            *bytes = rest;
            Ok(u32::from_le_bytes(*head))
        };
        let (len, next) = (u32_le()? as usize, u32_le()?);
        let wraps = len == capacity && (next as usize) < capacity;
        if len > capacity || !(next == 0 || wraps) {
            return Err(WindowDecodeError);
        }
        let (body, rest) = bytes.split_at_checked(len * 8).ok_or(WindowDecodeError)?;
        let (chunks, _) = body.as_chunks::<8>();
        let values: Vec<f64> = chunks.iter().map(|chunk| f64::from_le_bytes(*chunk)).collect();
        if values.iter().any(|value| !value.is_finite()) {
            return Err(WindowDecodeError);
        }
        *bytes = rest;
        Ok(Self { values, next })
    }
}
