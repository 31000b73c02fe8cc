//! A grown tree and the walks through it.

use crate::node::Node;

/// Rows that walk through a tree side by side: a step waits for memory, so that several at once cost little more than
/// one.
pub(crate) const LANES: usize = 8;

/// A tree of [`Node`]s; the root is the first.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    nodes: Box<[Node]>,
    /// For each node `c(its rows)`: the path length still to be expected from there.
    expected: Box<[f32]>,
    depth: u32,
}

impl Tree {
    /// A tree whose deepest leaf is `depth` splits below the root.
    pub(crate) fn new(nodes: &[Node], expected: &[f32], depth: u32) -> Self {
        Self { nodes: nodes.into(), expected: expected.into(), depth }
    }

    /// Path lengths of [`LANES`] rows, laid out one after another.
    #[inline]
    pub(crate) fn path_lengths(&self, rows: &[f32], slots: usize) -> [f32; LANES] {
        let nodes = &*self.nodes;
        let rows: [&[f32]; LANES] = std::array::from_fn(|lane| &rows[lane * slots..][..slots]);
        let mut at = [0; LANES];
        for _ in 0..self.depth {
            for lane in 0..LANES {
                at[lane] = nodes[at[lane] as usize].next(rows[lane]);
            }
        }
        at.map(|index| nodes[index as usize].path_length())
    }

    /// Path length of one row.
    pub(crate) fn path_length(&self, row: &[f32]) -> f32 {
        let mut at = 0;
        loop {
            let node = self.nodes[at as usize];
            let next = node.next(row);
            if next == at {
                return node.path_length();
            }
            at = next;
        }
    }

    /// For each split on the path of `row`, its column and by how much it shortened the path that was to be expected:
    /// `c(n) - c(m) - 1` for a split of `n` rows that leads to one of `m`.
    pub(crate) fn reductions(&self, row: &[f32], columns: usize) -> impl Iterator<Item = (usize, f64)> {
        let mut at = 0_u32;
        std::iter::from_fn(move || {
            let node = self.nodes[at as usize];
            let column = node.column(columns)?;
            let before = self.expected[at as usize];
            at = node.next(row);
            Some((column, f64::from(before) - f64::from(self.expected[at as usize]) - 1.0))
        })
    }

    /// Number of nodes.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Splits above the deepest leaf.
    #[cfg(test)]
    pub(crate) fn depth(&self) -> u32 {
        self.depth
    }
}
