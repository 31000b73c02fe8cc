//! A split on one column.
//!
//! Scoring follows some 800 nodes for each row, so a node is 8 bytes and a step has no branch: it goes to the first child where
//! `row[slot] < value`, else to the second, which stands right behind the first.
//!
//! - The second child is the side with more training rows. A comparison with `NaN` is false, so that missing values go
//!   there; where that is the lower side, the node compares negatives.
//! - A leaf looks at the slot that is always `NaN` and has itself as second child: a walk may go on without harm until
//!   other rows have arrived too. Its value is free to hold the path length.

use crate::codec::{DecodeError, Reader};
use crate::layout::{SLOT_BITS, missing_slot, slot_of};
use crate::tree::{Branch, Cut};

/// A split on one column, or a leaf.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node {
    value: f32,
    /// The slot, and above [`SLOT_BITS`] of it the second child: a tree on 2^20 rows has fewer than 2^21 nodes.
    link: u32,
}

impl Node {
    #[inline]
    fn slot(self) -> usize {
        (self.link & ((1 << SLOT_BITS) - 1)) as usize
    }

    #[inline]
    fn second(self) -> u32 {
        self.link >> SLOT_BITS
    }
}

impl Branch for Node {
    const COLUMNS: usize = 1;
    const LOOKS: bool = false;

    fn split(cut: &Cut<'_>, second_child: u32) -> Self {
        let slot = cut.terms.first().map_or(0, |&(column, _)| slot_of(column));
        // `-x < -(next below at)` says `x >= at`.
        let (slot, value) = if cut.missing_low { (slot + 1, -cut.at.next_down()) } else { (slot, cut.at) };
        Self { value, link: second_child << SLOT_BITS | slot }
    }

    fn leaf(index: u32, columns: usize, path_length: f32) -> Self {
        Self { value: path_length, link: index << SLOT_BITS | missing_slot(columns) }
    }

    #[inline]
    fn next(&self, row: impl Fn(usize) -> f32) -> u32 {
        self.second() - u32::from(row(self.slot()) < self.value)
    }

    #[inline]
    fn path_length(&self) -> f32 {
        self.value
    }

    fn second_child(&self, index: u32) -> Option<u32> {
        (self.second() != index).then(|| self.second())
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend((self.slot() as u16).to_le_bytes());
        bytes.extend(self.value.to_le_bytes());
    }

    fn read(head: u16, reader: &mut Reader<'_>, columns: usize, second_child: u32) -> Result<Self, DecodeError> {
        if u32::from(head) >= missing_slot(columns) {
            return Err(DecodeError::Invalid("a split looks at a column that there is none of"));
        }
        Ok(Self { value: reader.f32()?, link: second_child << SLOT_BITS | u32::from(head) })
    }

    #[inline]
    fn credit(&self, _second: impl Fn(usize) -> f32, reduction: f32, mut credit: impl FnMut(usize, f32)) {
        credit(self.slot() / 2, reduction);
    }

    #[inline]
    fn pair(value: f32, _centre: f32) -> [f32; 2] {
        [value, -value]
    }

    fn keep(&mut self, expected: f32) -> Option<f32> {
        Some(expected.abs())
    }

    #[inline]
    fn kept(&self) -> Option<f32> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{MAX_COLUMNS, lay_out};

    fn split(column: u32, at: f32, missing_low: bool, second_child: u32) -> Node {
        Node::split(&Cut { terms: &[(column, 1.0)], at, missing_low }, second_child)
    }

    fn next(node: Node, value: f64) -> u32 {
        let mut slots = [0.0; 4];
        lay_out([value], &mut slots);
        node.next(|slot| slots[slot])
    }

    #[test]
    fn missing_values_go_to_the_second_child_whichever_side_it_is() {
        let low_first = split(0, 1.5, false, 5);
        assert_eq!([1.0, 1.5, 2.0, f64::NAN].map(|value| next(low_first, value)), [4, 5, 5, 5]);
        let high_first = split(0, 1.5, true, 5);
        assert_eq!([1.0, 1.5, 2.0, f64::NAN].map(|value| next(high_first, value)), [5, 4, 4, 5]);
    }

    #[test]
    fn a_leaf_leads_to_itself() {
        let leaf = Node::leaf(7, 1, 3.5);
        for value in [f64::NEG_INFINITY, 0.0, f64::INFINITY, f64::NAN] {
            assert_eq!(next(leaf, value), 7);
        }
        assert_eq!(leaf.path_length(), 3.5);
    }

    #[test]
    fn the_last_column_and_the_last_node_fit() {
        let last = (1 << 21) - 1;
        let node = split(MAX_COLUMNS as u32 - 1, 0.0, true, last);
        assert_eq!((node.slot(), node.second()), (2 * MAX_COLUMNS - 1, last));
        assert_eq!(Node::leaf(last, MAX_COLUMNS, 0.0).slot(), 2 * MAX_COLUMNS);
    }
}
