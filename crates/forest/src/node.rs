//! The packed node of a tree, and the row layout that goes with it.
//!
//! Scoring follows about 1,000 nodes per row, so a node is 8 bytes and a step has no branch. A row of `w` values is
//! laid out as `2 w + 1` slots: every value, its negative, and one slot that is always `NaN`. A step goes to the first
//! child where `row[slot] < value`, else to the second, which stands right behind the first.
//!
//! - The second child is the side with more training rows. A comparison with `NaN` is false, so that missing values go
//!   there; where that is the lower side, the node compares negatives.
//! - A leaf looks at the slot that is always `NaN` and has itself as second child: a walk may go on without harm until
//!   other rows have arrived too. Its value is free to hold the path length.

/// The largest number of columns that a forest can split on.
pub const MAX_COLUMNS: usize = (1 << (SLOT_BITS - 1)) - 1;

/// Bits of [`Node::link`] that hold the slot. The other 21 hold the second child: a tree on 2^20 rows has fewer than 2^21 nodes.
const SLOT_BITS: u32 = 11;

/// A split or a leaf.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node {
    value: f32,
    link: u32,
}

impl Node {
    /// A split at `at`: values below it on one side, the others on the other. `missing_low` says that the lower side is
    /// the one with more rows.
    pub(crate) fn split(column: u32, at: f32, missing_low: bool, second_child: u32) -> Self {
        // `-x < -(next below at)` says `x >= at`.
        let (slot, value) = if missing_low { (2 * column + 1, -at.next_down()) } else { (2 * column, at) };
        Self { value, link: second_child << SLOT_BITS | slot }
    }

    /// A leaf, the `index`th node of its tree, of a forest on `columns` columns.
    pub(crate) fn leaf(index: u32, columns: usize, path_length: f32) -> Self {
        Self { value: path_length, link: index << SLOT_BITS | missing_slot(columns) as u32 }
    }

    /// The next node for `row`.
    #[inline]
    pub(crate) fn next(self, row: &[f32]) -> u32 {
        self.second_child() - u32::from(row[self.slot()] < self.value)
    }

    /// Whether one value of the split column goes to the first child.
    pub(crate) fn takes_first(self, value: f32) -> bool {
        let signed = if self.slot().is_multiple_of(2) { value } else { -value };
        signed < self.value
    }

    /// The column of a split; none for a leaf.
    pub(crate) fn column(self, columns: usize) -> Option<usize> {
        (self.slot() != missing_slot(columns)).then(|| self.slot() / 2)
    }

    /// The path length of a leaf.
    #[inline]
    pub(crate) fn path_length(self) -> f32 {
        self.value
    }

    #[inline]
    fn second_child(self) -> u32 {
        self.link >> SLOT_BITS
    }

    #[inline]
    fn slot(self) -> usize {
        (self.link & ((1 << SLOT_BITS) - 1)) as usize
    }
}

/// Number of slots of a row.
pub(crate) fn slots(columns: usize) -> usize {
    2 * columns + 1
}

fn missing_slot(columns: usize) -> usize {
    2 * columns
}

/// A value as trees see it: the nearest finite `f32`, or `NaN`.
#[inline]
pub(crate) fn narrow(value: f64) -> f32 {
    (value as f32).clamp(f32::MIN, f32::MAX)
}

/// Lays out a row: `slots` is as long as [`slots`] says.
#[inline]
pub(crate) fn lay_out<'a>(values: impl IntoIterator<Item = &'a f64>, slots: &mut [f32]) {
    for (pair, value) in slots.chunks_exact_mut(2).zip(values) {
        let value = narrow(*value);
        pair.copy_from_slice(&[value, -value]);
    }
    if let Some(missing) = slots.last_mut() {
        *missing = f32::NAN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(node: Node, value: f64) -> u32 {
        let mut slots = [0.0; 3];
        lay_out(&[value], &mut slots);
        assert_eq!(node.takes_first(narrow(value)), node.next(&slots) == 4);
        node.next(&slots)
    }

    #[test]
    fn missing_values_go_to_the_second_child_whichever_side_it_is() {
        let low_first = Node::split(0, 1.5, false, 5);
        assert_eq!([1.0, 1.5, 2.0, f64::NAN].map(|value| next(low_first, value)), [4, 5, 5, 5]);
        let high_first = Node::split(0, 1.5, true, 5);
        assert_eq!([1.0, 1.5, 2.0, f64::NAN].map(|value| next(high_first, value)), [5, 4, 4, 5]);
    }

    #[test]
    fn a_leaf_leads_to_itself() {
        let leaf = Node::leaf(7, 1, 3.5);
        let values = [f64::NEG_INFINITY, 0.0, f64::INFINITY, f64::NAN];
        for value in values {
            let mut slots = [0.0; 3];
            lay_out(&[value], &mut slots);
            assert_eq!(leaf.next(&slots), 7);
        }
        assert_eq!((leaf.path_length(), leaf.column(1)), (3.5, None));
    }

    #[test]
    fn the_last_column_and_the_last_node_fit() {
        let last = (1 << 21) - 1;
        let node = Node::split(MAX_COLUMNS as u32 - 1, 0.0, true, last);
        assert_eq!((node.column(MAX_COLUMNS), node.second_child()), (Some(MAX_COLUMNS - 1), last));
        assert_eq!(Node::leaf(last, MAX_COLUMNS, 0.0).column(MAX_COLUMNS), None);
    }
}
