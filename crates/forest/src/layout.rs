//! How trees see a row.
//!
//! A row of `w` values is laid out as `2 w + 2` slots: every value and its negative, one slot that is always `NaN`, and a
//! spare one.

/// The largest number of columns that a forest can split on.
pub const MAX_COLUMNS: usize = (1 << (SLOT_BITS - 1)) - 1;

/// Bits that the number of a slot takes.
pub(crate) const SLOT_BITS: u32 = 11;

/// Number of slots of a row.
pub(crate) fn slots(columns: usize) -> usize {
    2 * columns + 2
}

/// The slot of the values of `column`; that of their negatives follows.
pub(crate) fn slot_of(column: u32) -> u32 {
    2 * column
}

/// The slot that is always `NaN`.
pub(crate) fn missing_slot(columns: usize) -> u32 {
    2 * columns as u32
}

/// A value as trees see it: the nearest finite `f32`, or `NaN`.
#[inline]
pub(crate) fn narrow<F: linfa::Float>(value: F) -> f32 {
    value.to_f32().unwrap_or(f32::NAN).clamp(f32::MIN, f32::MAX)
}

/// Lays out a row: `slots` is at least as long as [`slots`] says.
#[inline]
pub(crate) fn lay_out<F: linfa::Float>(values: impl IntoIterator<Item = F>, slots: &mut [f32]) {
    let mut pairs = slots.chunks_exact_mut(2);
    // The slots come first, so that none of them is taken and left unused at the end of the values.
    for value in values {
        let value = narrow(value);
        if let Some(pair) = pairs.next() {
            pair.copy_from_slice(&[value, -value]);
        }
    }
    if let Some(last) = pairs.next() {
        last.copy_from_slice(&[f32::NAN, 0.0]);
    }
}
