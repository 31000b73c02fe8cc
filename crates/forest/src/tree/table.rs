//! What paths credit, known by the leaves where they end.
//!
//! A split on one column credits it with the same whatever its value is, so that all rows that arrive at a leaf are credited with the
//! same. Where that is worked out beforehand, a row that is explained only walks as if it were scored, and adds one line of a
//! table for each tree.

use super::{Branch, LANES};

/// The most bytes of a table: the lines of a larger one would have to be fetched from slower memory for each row, which takes longer than
/// to credit step by step.
const LARGEST: usize = 1 << 20;
/// The most bytes of all tables of a forest, which may have many trees.
const LARGEST_TOGETHER: usize = 64 << 20;
/// Columns that are added together.
const TOGETHER: usize = 4;
/// Columns of the widest line. A wider one takes longer than to credit as many columns as a path has.
const WIDEST: usize = 40;

/// A line of credits for each leaf of a tree.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    /// Credits in a line: one for each column, and zeros up to a multiple of [`TOGETHER`].
    width: usize,
    /// The line of each node that is a leaf. That of a split is that of the next leaf, and there is always one: walks of rows that are
    /// none may end anywhere.
    lines: Box<[u32]>,
    credits: Box<[f32]>,
}

impl Table {
    /// The table of one of `trees` trees on `columns` columns, whose children stand behind their parents; none where it would be too
    /// large, or where credits depend on more than the path.
    pub(crate) fn new<N: Branch>(nodes: &[N], expected: &[f32], columns: usize, trees: u32) -> Option<Self> {
        let largest = LARGEST.min(LARGEST_TOGETHER / trees.max(1) as usize);
        let width = columns.next_multiple_of(TOGETHER);
        let leaves = nodes.len().div_ceil(2);
        if N::COLUMNS > 1 || width > WIDEST || leaves * width * size_of::<f32>() > largest {
            return None;
        }
        let mut paths = vec![0.0; nodes.len() * width];
        let (mut lines, mut credits) = (Vec::with_capacity(nodes.len()), Vec::with_capacity(leaves * width));
        for (index, node) in nodes.iter().enumerate() {
            lines.push((credits.len() / width) as u32);
            let path = index * width..(index + 1) * width;
            let Some(children) = node.children(index as u32) else {
                credits.extend_from_slice(&paths[path]);
                continue;
            };
            for child in children.map(|child| child as usize) {
                paths.copy_within(path.clone(), child * width);
                let reduction = expected[index] - expected[child];
                node.credit(|_| 0.0, reduction, |column, share| paths[child * width + column] += share);
            }
        }
        Some(Self { width, lines: lines.into(), credits: credits.into() })
    }

    /// Adds what the path to `leaf` credits to the credits of a row, of which there are no fewer than columns.
    #[inline]
    pub(crate) fn add(&self, leaf: u32, credits: &mut [f32]) {
        let line = self.lines[leaf as usize] as usize * self.width;
        let line = &self.credits[line..line + self.width];
        credits.iter_mut().zip(line).for_each(|(credit, added)| *credit += added);
    }

    /// [`add`](Self::add) of some rows.
    pub(crate) fn add_all<const COLUMNS: usize>(&self, leaves: [u32; LANES], credits: &mut [[f32; COLUMNS]; LANES]) {
        macro_rules! fixed {
            ($($width:literal)*) => {
                match self.width {
                    $($width => self.add_fixed::<COLUMNS, $width>(leaves, credits),)*
                    _ => leaves.into_iter().zip(credits).for_each(|(leaf, credits)| self.add(leaf, credits)),
                }
            };
        }
        fixed!(4 8 12 16 20 24 28 32 36 40);
    }

    /// [`add_all`](Self::add_all), where nothing has to be counted.
    fn add_fixed<const COLUMNS: usize, const WIDTH: usize>(
        &self,
        leaves: [u32; LANES],
        credits: &mut [[f32; COLUMNS]; LANES],
    ) {
        debug_assert!(WIDTH <= COLUMNS, "a row has room for a line");
        let lines = self.credits.as_chunks::<WIDTH>().0;
        for (leaf, credits) in leaves.into_iter().zip(credits) {
            let line = lines[self.lines[leaf as usize] as usize];
            if let Some(credits) = credits.first_chunk_mut::<WIDTH>() {
                *credits = std::array::from_fn(|column| credits[column] + line[column]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Node;
    use crate::tree::Cut;

    /// The nodes of a tree that is all left, `depth` deep, and what is expected from them.
    fn chain(depth: u32) -> (Vec<Node>, Vec<f32>) {
        let mut nodes = vec![Node::leaf(0, 2, 0.0)];
        for split in 0..depth {
            let first = nodes.len() as u32;
            let parent = split.checked_sub(1).map_or(0, |_| first - 2);
            let cut = Cut { terms: &[(split % 2, 1.0)], at: 0.0, missing_low: false };
            nodes[parent as usize] = Node::split(&cut, first + 1);
            nodes.extend([Node::leaf(first, 2, 1.0), Node::leaf(first + 1, 2, 1.0)]);
        }
        let expected = (0..nodes.len()).map(|node| 10.0 - node as f32).collect();
        (nodes, expected)
    }

    fn line(table: &Table, leaf: u32) -> [f32; 2] {
        let mut credits = [0.0; 2];
        table.add(leaf, &mut credits);
        credits
    }

    #[test]
    fn a_line_is_the_sum_of_what_the_splits_above_a_leaf_reduced() {
        let (nodes, expected) = chain(3);
        let table = Table::new(&nodes, &expected, 2, 1).unwrap();
        // 10 is expected from the root, 9 from node 1 and so on; splits look at both columns in turn.
        let leaves = [(2, [2.0, 0.0]), (4, [1.0, 3.0]), (5, [3.0, 2.0]), (6, [4.0, 2.0])];
        for (leaf, credits) in leaves {
            assert_eq!(line(&table, leaf), credits, "leaf {leaf}");
        }
    }

    #[test]
    fn a_root_that_is_a_leaf_credits_nothing() {
        let (nodes, expected) = chain(0);
        assert_eq!(line(&Table::new(&nodes, &expected, 2, 1).unwrap(), 0), [0.0; 2]);
    }

    #[test]
    fn a_table_that_would_be_too_large_is_not_made() {
        let (nodes, expected) = chain(9000);
        assert!(Table::new(&nodes, &expected, 2, 100).is_some());
        assert!(Table::new(&nodes, &expected, 2, 1000).is_none(), "all together");
        assert!(Table::new(&nodes, &expected, WIDEST, 100).is_none());
        let (nodes, expected) = chain(9);
        assert!(Table::new(&nodes, &expected, WIDEST, 100).is_some());
        assert!(Table::new(&nodes, &expected, WIDEST + 1, 100).is_none());
    }
}
