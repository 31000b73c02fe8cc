//! A grown tree and the walks through it.
//!
//! A step waits for memory twice, for a node and for a value of the row, and depends on the step before it. So several walks
//! go side by side: of [`LANES`] rows through one tree, or of one row through [`TREES`] trees. Where the numbers of nodes and of
//! slots are powers of two that are known when this is compiled, no index has to be checked, which saves a third of the time.

use crate::codec::{DecodeError, Reader};
use table::Table;

pub(crate) mod credit;
mod table;

/// Rows that walk through a tree side by side.
pub(crate) const LANES: usize = 16;
/// Trees that a single row walks through side by side.
pub(crate) const TREES: usize = 8;

/// Where rows are cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut<'a> {
    /// The columns of the sum that is compared, with their coefficients; a single column has the coefficient 1.
    pub(crate) terms: &'a [(u32, f32)],
    /// Sums below it are on the lower side.
    pub(crate) at: f32,
    /// Whether the lower side has more rows, so that missing values go there.
    pub(crate) missing_low: bool,
}

/// A node of a tree: a split, whose second child stands right behind the first, or a leaf, which is its own second child.
pub(crate) trait Branch: Copy + Send + Sync {
    /// How many columns it can look at.
    const COLUMNS: usize;
    /// Whether walks look after each step if all have arrived: that costs more than steps that are in vain, where a step is short
    /// and trees are not deep.
    const LOOKS: bool;

    fn split(cut: &Cut<'_>, second_child: u32) -> Self;

    /// A leaf, the `index`th node of its tree, of a forest on `columns` columns.
    fn leaf(index: u32, columns: usize, path_length: f32) -> Self;

    /// The next node for a row, given by its slots.
    fn next(&self, row: impl Fn(usize) -> f32) -> u32;

    /// The path length of a leaf.
    fn path_length(&self) -> f32;

    /// The second child of a split, of which this is the `index`th node; none for a leaf.
    fn second_child(&self, index: u32) -> Option<u32>;

    /// The children of a split, of which this is the `index`th node.
    fn children(&self, index: u32) -> Option<[u32; 2]> {
        self.second_child(index).map(|second| [second - 1, second])
    }

    /// Writes where a split cuts: a number below 65535 first.
    fn write(&self, bytes: &mut Vec<u8>);

    /// The split that was written, whose first number is `head`.
    fn read(head: u16, reader: &mut Reader<'_>, columns: usize, second_child: u32) -> Result<Self, DecodeError>;

    /// Credits the columns of a split with what it reduced the path length of a row by. `second` tells of each column the second of
    /// the row's slots, as [`pair`](Self::pair) has it.
    fn credit(&self, second: impl Fn(usize) -> f32, reduction: f32, credit: impl FnMut(usize, f32));

    /// The two slots of a value in a row that is explained, the value first; `centre` is the mean of its column.
    fn pair(value: f32, centre: f32) -> [f32; 2];

    /// Keeps the path length to this node and that still to be expected from there, negative if it is a leaf; gives it back where
    /// there is no room for it.
    fn keep(&mut self, expected: f32) -> Option<f32>;

    /// What it has kept.
    fn kept(&self) -> Option<f32>;
}

/// A tree; the root is the first node.
#[derive(Debug, Clone)]
pub(crate) struct Tree<N> {
    /// As many as the next power of two, so that indices need no check; the last ones are copies of the last leaf, and never
    /// reached.
    nodes: Box<[N]>,
    /// What nodes do not keep of the path lengths that are expected from them.
    expected: Box<[f32]>,
    /// By how much what is expected from a node is less than from its parent, as long as `nodes`; nothing where it is not looked at.
    reductions: Box<[f32]>,
    /// How many nodes there are without the copies.
    used: usize,
    depth: u32,
    /// What paths credit.
    table: Option<Table>,
}

impl<N: Branch> Tree<N> {
    /// One of `trees` trees on `columns` columns, whose deepest leaf is `depth` splits below the root.
    pub(crate) fn new(nodes: &[N], expected: &[f32], columns: usize, trees: u32, depth: u32) -> Self {
        let table = Table::new(nodes, expected, columns, trees);
        let reductions = if N::LOOKS || table.is_some() { Box::default() } else { pad(&reductions(nodes, expected)) };
        let mut nodes = pad(nodes);
        let mut keep = |(index, &expected): (usize, &f32)| {
            let is_leaf = nodes[index].second_child(index as u32).is_none();
            nodes[index].keep(if is_leaf { -expected.abs() } else { expected.abs() })
        };
        let apart = expected.iter().enumerate().filter_map(&mut keep).collect();
        Self { nodes, expected: apart, reductions, used: expected.len(), depth, table }
    }

    /// The same tree, which credits step by step.
    #[cfg(test)]
    fn without_table(&self) -> Self {
        let expected: Vec<f32> = (0..self.used as u32).map(|index| self.expected(index)).collect();
        Self { table: None, reductions: pad(&reductions(self.nodes(), &expected)), ..self.clone() }
    }

    /// Adds the path lengths of `rows` to `totals`; there are a multiple of [`LANES`] of them.
    #[inline]
    pub(crate) fn add_path_lengths<const SLOTS: usize>(&self, rows: &[[f32; SLOTS]], totals: &mut [f64]) {
        const { assert!(SLOTS.is_power_of_two()) }
        let mut totals = totals.as_chunks_mut::<LANES>().0.iter_mut();
        self.walk_rows(
            rows,
            |row, slot| row[slot & (SLOTS - 1)],
            |_, path_lengths| {
                if let Some(totals) = totals.next() {
                    add(totals, path_lengths);
                }
            },
        );
    }

    /// Walks of `rows`, [`LANES`] at a time, whose leaves and path lengths `arrive` is told; `value` tells of a row and a slot the
    /// value there.
    #[inline]
    fn walk_rows<Row>(
        &self,
        rows: &[Row],
        value: impl Fn(&Row, usize) -> f32 + Copy,
        mut arrive: impl FnMut([u32; LANES], [f32; LANES]),
    ) {
        let rows = rows.as_chunks::<LANES>().0;
        macro_rules! fixed {
            ($($nodes:literal)*) => {
                match self.nodes.len() {
                    $($nodes => {
                        if let Ok(nodes) = <&[N; $nodes]>::try_from(&*self.nodes) {
                            for rows in rows {
                                let leaves = walk_fixed(nodes, rows, value, self.depth);
                                arrive(leaves, leaves.map(|leaf| nodes[leaf as usize & ($nodes - 1)].path_length()));
                            }
                        }
                    })*
                    _ => for rows in rows {
                        let node = |_, at| &self.nodes[at as usize];
                        let leaves = walk(node, |lane, slot| value(&rows[lane], slot), self.depth);
                        arrive(leaves, leaves.map(|leaf| self.nodes[leaf as usize].path_length()));
                    },
                }
            };
        }
        fixed!(64 128 256 512 1024 2048 4096 8192);
    }

    /// Path lengths of one row, given by its slots, in some trees.
    pub(crate) fn path_lengths(trees: &[Self; TREES], row: impl Fn(usize) -> f32) -> [f32; TREES] {
        let leaves = Self::leaves(trees, row);
        std::array::from_fn(|tree| trees[tree].nodes[leaves[tree] as usize].path_length())
    }

    /// The leaves of one row, given by its slots, in some trees.
    fn leaves<const WALKS: usize>(trees: &[Self; WALKS], row: impl Fn(usize) -> f32) -> [u32; WALKS] {
        walk(|tree, at| &trees[tree].nodes[at as usize], |_, slot| row(slot), depth_of(trees))
    }

    /// Path length of one row, given by its slots.
    pub(crate) fn path_length(&self, row: impl Fn(usize) -> f32) -> f32 {
        let [leaf] = Self::leaves(std::array::from_ref(self), row);
        self.nodes[leaf as usize].path_length()
    }

    /// The nodes, as they were given to [`new`](Self::new).
    pub(crate) fn nodes(&self) -> &[N] {
        &self.nodes[..self.used]
    }

    /// The path length to a node and that still to be expected from there.
    #[inline]
    pub(crate) fn expected(&self, index: u32) -> f32 {
        let kept = self.nodes[index as usize].kept();
        kept.map_or_else(|| self.expected[index as usize], f32::abs)
    }

    /// Bytes of the nodes.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.nodes)
    }

    /// Splits above the deepest leaf.
    #[cfg(test)]
    pub(crate) fn depth(&self) -> u32 {
        self.depth
    }
}

/// By how much what is expected from each node is less than from its parent; 0 for the root.
fn reductions<N: Branch>(nodes: &[N], expected: &[f32]) -> Vec<f32> {
    let mut reductions = vec![0.0; nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        for child in node.children(index as u32).into_iter().flatten() {
            reductions[child as usize] = expected[index] - expected[child as usize];
        }
    }
    reductions
}

fn pad<T: Copy>(items: &[T]) -> Box<[T]> {
    let mut padded = items.to_vec();
    if let Some(&last) = items.last() {
        padded.resize(items.len().next_power_of_two(), last);
    }
    padded.into()
}

fn depth_of<N: Branch>(trees: &[Tree<N>]) -> u32 {
    trees.iter().map(|tree| tree.depth).max().unwrap_or_default()
}

#[inline]
fn add(totals: &mut [f64; LANES], path_lengths: [f32; LANES]) {
    for (total, path_length) in totals.iter_mut().zip(path_lengths) {
        *total += f64::from(path_length);
    }
}

/// [`walk`] of rows through one tree, where no index has to be checked: the mask changes none.
#[inline(never)]
fn walk_fixed<N: Branch, Row, const NODES: usize>(
    nodes: &[N; NODES],
    rows: &[Row; LANES],
    value: impl Fn(&Row, usize) -> f32,
    depth: u32,
) -> [u32; LANES] {
    const { assert!(NODES.is_power_of_two()) }
    walk(|_, at| &nodes[at as usize & (NODES - 1)], |lane, slot| value(&rows[lane], slot), depth)
}

/// Some walks side by side, to the leaves that it gives: `node` tells of a walk and an index the node there, `value`
/// of a walk and a slot the value there.
#[inline(always)]
fn walk<'a, N: Branch + 'a, const WALKS: usize>(
    node: impl Fn(usize, u32) -> &'a N,
    value: impl Fn(usize, usize) -> f32,
    depth: u32,
) -> [u32; WALKS] {
    let mut at = [0; WALKS];
    for _ in 0..depth {
        let before = at;
        for (walk, at) in at.iter_mut().enumerate() {
            *at = node(walk, *at).next(|slot| value(walk, slot));
        }
        if N::LOOKS && at == before {
            break;
        }
    }
    at
}
