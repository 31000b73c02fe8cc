//! Growing trees on samples of the rows.

use ndarray::ArrayView2;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::node::{Node, narrow};
use crate::params::ValidForestParams;
use crate::path_length::MeanPathLength;
use crate::tree::Tree;

/// Grows the trees of one forest, one after another, with the same buffers.
pub(crate) struct Grower<'a> {
    /// All training rows, column by column, as trees see them.
    training: &'a TrainingColumns,
    sample_size: usize,
    seed: u64,
    mean: &'a MeanPathLength,
    depth_limit: u32,
    /// The rows of the tree that grows now, column by column.
    sample: Vec<f32>,
    /// Rows of `sample`; those of one node stand together.
    order: Vec<u32>,
    /// All columns. The first ones are known to be constant in the node that grows now.
    columns: Vec<u32>,
    nodes: Vec<Node>,
    expected: Vec<f32>,
}

/// Training rows, column by column, as trees see them.
pub(crate) struct TrainingColumns {
    values: Vec<f32>,
    rows: usize,
}

impl TrainingColumns {
    pub(crate) fn new(rows: ArrayView2<'_, f64>) -> Self {
        let values = rows.columns().into_iter().flat_map(|column| column.into_iter().map(|&x| narrow(x))).collect();
        Self { values, rows: rows.nrows() }
    }

    fn columns(&self) -> std::slice::ChunksExact<'_, f32> {
        self.values.chunks_exact(self.rows)
    }
}

/// A node that may still be split.
struct Open {
    node: u32,
    start: usize,
    end: usize,
    depth: u32,
    /// How many of [`Grower::columns`] are known to be constant.
    constant: usize,
}

struct Split {
    column: u32,
    at: f32,
    missing_low: bool,
    constant: usize,
}

impl<'a> Grower<'a> {
    pub(crate) fn new(
        training: &'a TrainingColumns,
        params: &ValidForestParams,
        mean: &'a MeanPathLength,
        sample_size: usize,
    ) -> Self {
        let columns = training.columns().len();
        Self {
            training,
            sample_size,
            seed: params.seed(),
            mean,
            depth_limit: sample_size.next_power_of_two().trailing_zeros(),
            sample: Vec::with_capacity(columns * sample_size),
            order: Vec::with_capacity(sample_size),
            columns: Vec::with_capacity(columns),
            nodes: Vec::new(),
            expected: Vec::new(),
        }
    }

    /// The tree number `index`. It depends on the seed and this number alone.
    pub(crate) fn grow(&mut self, index: u32) -> Tree {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(mix(mix(self.seed).wrapping_add(u64::from(index))));
        self.draw_sample(&mut rng);
        self.nodes.clear();
        self.expected.clear();
        let mut deepest = 0;
        let root =
            Open { node: self.add_node(self.sample_size), start: 0, end: self.sample_size, depth: 0, constant: 0 };
        // Last in, first out: a node's whole subtree is grown before its sibling, which `Grower::columns` relies on.
        let mut open = vec![root];
        while let Some(node) = open.pop() {
            deepest = deepest.max(node.depth);
            match self.choose_split(&node, &mut rng) {
                Some(split) => open.extend(self.split(&node, &split)),
                None => self.close(&node),
            }
        }
        Tree::new(&self.nodes, &self.expected, deepest)
    }

    fn draw_sample(&mut self, rng: &mut Xoshiro256PlusPlus) {
        let drawn = rand::seq::index::sample(rng, self.training.rows, self.sample_size).into_vec();
        self.sample.clear();
        for column in self.training.columns() {
            self.sample.extend(drawn.iter().map(|&row| column[row]));
        }
        self.order.clear();
        self.order.extend(0..self.sample_size as u32);
        self.columns.clear();
        self.columns.extend(0..self.training.columns().len() as u32);
    }

    fn add_node(&mut self, rows: usize) -> u32 {
        let index = self.nodes.len() as u32;
        self.nodes.push(Node::leaf(index, self.columns.len(), 0.0));
        self.expected.push(self.mean.of(rows) as f32);
        index
    }

    fn close(&mut self, node: &Open) {
        let path_length = f64::from(node.depth) + self.mean.of(node.end - node.start);
        self.nodes[node.node as usize] = Node::leaf(node.node, self.columns.len(), path_length as f32);
    }

    /// A column drawn from those that vary among the rows of `open`, and a cut drawn between its extremes.
    fn choose_split(&mut self, open: &Open, rng: &mut Xoshiro256PlusPlus) -> Option<Split> {
        if open.depth >= self.depth_limit || open.end - open.start < 2 {
            return None;
        }
        let mut constant = open.constant;
        while constant < self.columns.len() {
            let drawn = rng.random_range(constant as u32..self.columns.len() as u32) as usize;
            let column = self.columns[drawn];
            let values = column_of(&self.sample, self.sample_size, column);
            let rows = &self.order[open.start..open.end];
            let known = rows.iter().map(|&row| values[row as usize]);
            let (low, high) =
                known.clone().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
            if low < high {
                let at = cut_between(low, high, rng.random());
                let (below, above) =
                    known.fold((0, 0), |(below, above), x| (below + u32::from(x < at), above + u32::from(x >= at)));
                return Some(Split { column, at, missing_low: below > above, constant });
            }
            self.columns.swap(drawn, constant);
            constant += 1;
        }
        None
    }

    /// Gives `open` two children and returns them, the first one last.
    fn split(&mut self, open: &Open, split: &Split) -> [Open; 2] {
        let next = self.nodes.len() as u32;
        let node = Node::split(split.column, split.at, split.missing_low, next + 1);
        self.nodes[open.node as usize] = node;
        let values = column_of(&self.sample, self.sample_size, split.column);
        let rows = &mut self.order[open.start..open.end];
        let middle = open.start + partition(rows, |&row| node.takes_first(values[row as usize]));
        let child = |start, end, node| Open { node, start, end, depth: open.depth + 1, constant: split.constant };
        let first = child(open.start, middle, self.add_node(middle - open.start));
        let second = child(middle, open.end, self.add_node(open.end - middle));
        [second, first]
    }
}

fn column_of(sample: &[f32], rows: usize, column: u32) -> &[f32] {
    &sample[column as usize * rows..][..rows]
}

/// A cut at `share` of the way from `low` to `high`, such that `low` is below it and `high` is not.
fn cut_between(low: f32, high: f32, share: f64) -> f32 {
    let at = (f64::from(low) + share * (f64::from(high) - f64::from(low))) as f32;
    if at <= low { low.next_up() } else { at.min(high) }
}

/// Moves the items that `is_first` holds for to the front, and returns their number.
fn partition<T>(items: &mut [T], is_first: impl Fn(&T) -> bool) -> usize {
    let mut front = 0;
    for i in 0..items.len() {
        if is_first(&items[i]) {
            items.swap(front, i);
            front += 1;
        }
    }
    front
}

/// The finaliser of `SplitMix64`: neighbouring numbers become unrelated ones.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
