//! Growing trees on samples of the rows.

use linfa::Float;
use ndarray::ArrayView2;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::layout::narrow;
use crate::params::ValidForestParams;
use crate::path_length::MeanPathLength;
use crate::plane::project;
use crate::sample::Sampler;
use crate::tree::{Branch, Cut, Tree};

/// A side of a cut is not taken for smaller than this share of the room: it may be a rounding error.
const LEAST_ROOM: f64 = 1e-6;

/// Grows trees of one forest, one after another, with the same buffers.
pub(crate) struct Grower<'a, F> {
    rows: ArrayView2<'a, F>,
    params: &'a ValidForestParams,
    mean: &'a MeanPathLength,
    sampler: Sampler,
    /// The rows of the tree that grows now, column by column, as trees see them.
    sample: Vec<f32>,
    /// How many they are.
    size: usize,
    /// Rows of `sample`; those of one node stand together.
    order: Vec<u32>,
    /// All columns. The first ones are known to be constant in the node that grows now.
    columns: Vec<u32>,
    /// What is compared in the node that grows now, in the order of its rows.
    sums: Vec<f32>,
    /// Values of the columns that are summed, one column after another, in the same order.
    values: Vec<f32>,
    /// The columns that are summed, with their coefficients.
    terms: Vec<(u32, f32)>,
    expected: Vec<f32>,
}

/// A node that may still be split.
struct Open {
    node: u32,
    start: usize,
    end: usize,
    depth: u32,
    /// Length of the path to it, in splits.
    length: f64,
    /// How many of [`Grower::columns`] are known to be constant.
    constant: usize,
}

/// A tree, and the sums and numbers of the known values of each column of its rows.
pub(crate) type Grown<N> = (Tree<N>, Vec<(f64, f64)>);

/// Where the rows of a node are cut, by [`Grower::terms`] and [`Grower::sums`].
struct Choice {
    low: f32,
    high: f32,
    at: f32,
    constant: usize,
}

impl<'a, F: Float> Grower<'a, F> {
    pub(crate) fn new(rows: ArrayView2<'a, F>, params: &'a ValidForestParams, mean: &'a MeanPathLength) -> Self {
        Self {
            rows,
            params,
            mean,
            sampler: Sampler::new(rows.nrows()),
            sample: Vec::new(),
            size: 0,
            order: Vec::new(),
            columns: Vec::new(),
            sums: Vec::new(),
            values: Vec::new(),
            terms: Vec::new(),
            expected: Vec::new(),
        }
    }

    /// The tree number `index`. It depends on the rows, the parameters and this number alone.
    pub(crate) fn grow<N: Branch>(&mut self, index: u32) -> Grown<N> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(mix(mix(self.params.seed()).wrapping_add(u64::from(index))));
        self.draw_sample(&mut rng);
        self.expected.clear();
        let depth_limit = self.params.depth_factor() * self.size.next_power_of_two().trailing_zeros();
        // So that paths of trees of different sizes mean the same.
        let largest = self.rows.nrows().min(self.params.sample_size() as usize);
        let scale = if self.size == largest { 1.0 } else { self.mean.of(largest) / self.mean.of(self.size) };
        let mut nodes: Vec<N> = Vec::with_capacity(2 * self.size);
        let mut deepest = 0;
        let root = self.add(&mut nodes, 0..self.size, 0, 0.0, scale, 0);
        // Last in, first out: a node's whole subtree is grown before its sibling, which `columns` relies on.
        let mut open = vec![root];
        while let Some(node) = open.pop() {
            deepest = deepest.max(node.depth);
            if node.depth < depth_limit
                && let Some(choice) = self.choose(&node, N::COLUMNS, &mut rng)
            {
                open.extend(self.split(&mut nodes, &node, &choice, scale));
            }
        }
        let known = self.sample.chunks_exact(self.size).map(|column| {
            let known = column.iter().filter(|value| !value.is_nan());
            known.fold((0.0, 0.0), |(sum, number), &value| (sum + f64::from(value), number + 1.0))
        });
        (Tree::new(&nodes, &self.expected, self.columns.len(), self.params.trees(), deepest), known.collect())
    }

    fn draw_sample(&mut self, rng: &mut Xoshiro256PlusPlus) {
        let (smallest, largest) = (f64::from(self.params.smallest_sample()), f64::from(self.params.sample_size()));
        let size = if smallest < largest {
            libm::round(smallest * libm::pow(largest / smallest, rng.random())) as usize
        } else {
            self.params.sample_size() as usize
        };
        let drawn = self.sampler.draw(size, rng);
        let (size, columns) = (drawn.len(), self.rows.ncols());
        self.sample.resize(columns * size, 0.0);
        for (position, &row) in drawn.iter().enumerate() {
            for (column, &value) in self.rows.row(row as usize).iter().enumerate() {
                self.sample[column * size + position] = narrow(value);
            }
        }
        self.size = size;
        self.order.clear();
        self.order.extend(0..size as u32);
        self.columns.clear();
        self.columns.extend(0..columns as u32);
    }

    /// Adds a node of the rows in `range`, a leaf for now.
    fn add<N: Branch>(
        &mut self,
        nodes: &mut Vec<N>,
        range: std::ops::Range<usize>,
        depth: u32,
        length: f64,
        scale: f64,
        constant: usize,
    ) -> Open {
        let node = nodes.len() as u32;
        let expected = (scale * (length + self.mean.of(range.len()))) as f32;
        nodes.push(N::leaf(node, self.columns.len(), expected));
        self.expected.push(expected);
        Open { node, start: range.start, end: range.end, depth, length, constant }
    }

    /// Draws columns from those that vary among the rows of `open`, and a cut between the extremes of their sum.
    fn choose(&mut self, open: &Open, at_most: usize, rng: &mut Xoshiro256PlusPlus) -> Option<Choice> {
        let rows = open.end - open.start;
        if rows < 2 {
            return None;
        }
        let wanted = at_most.min(self.params.columns_per_split() as usize);
        self.terms.clear();
        self.values.clear();
        let mut constant = open.constant;
        // Those taken stand at the end, those constant at the beginning.
        let mut end = self.columns.len();
        let mut range = (0.0, 0.0);
        while constant < end && self.terms.len() < wanted {
            let drawn = rng.random_range(constant as u32..end as u32) as usize;
            let column = self.columns[drawn];
            let values = &self.sample[column as usize * self.size..][..self.size];
            let begin = self.values.len();
            self.values.extend(self.order[open.start..open.end].iter().map(|&row| values[row as usize]));
            let (low, high) = extremes(&self.values[begin..]);
            if low < high {
                // A single column is compared as it is.
                let coefficient = if wanted == 1 { 1.0 } else { coefficient(low, high, rng) };
                if coefficient.is_finite() && coefficient != 0.0 {
                    self.terms.push((column, coefficient));
                    range = (low, high);
                } else {
                    self.values.truncate(begin);
                }
                end -= 1;
                self.columns.swap(drawn, end);
            } else {
                self.values.truncate(begin);
                self.columns.swap(drawn, constant);
                constant += 1;
            }
        }
        match &mut *self.terms {
            [] => return None,
            [(_, coefficient)] => {
                *coefficient = 1.0;
                std::mem::swap(&mut self.sums, &mut self.values);
            }
            terms => {
                self.sums.clear();
                self.sums.extend((0..rows).map(|row| {
                    let values = self.values[row..].iter().step_by(rows);
                    project(terms.iter().zip(values).map(|(&(_, coefficient), &value)| (coefficient, value)))
                }));
                range = extremes(&self.sums);
                if !(range.0 < range.1 && range.0.is_finite() && range.1.is_finite()) {
                    // Sums that cannot be told apart, or are out of range: the first column alone can.
                    terms[0].1 = 1.0;
                    self.terms.truncate(1);
                    self.values.truncate(rows);
                    std::mem::swap(&mut self.sums, &mut self.values);
                    range = extremes(&self.sums);
                }
            }
        }
        let (low, high) = range;
        Some(Choice { low, high, at: cut_between(low, high, rng.random()), constant })
    }

    /// Gives `open` two children and returns them, the first one last.
    fn split<N: Branch>(&mut self, nodes: &mut Vec<N>, open: &Open, choice: &Choice, scale: f64) -> [Open; 2] {
        let at = choice.at;
        let rows = &mut self.order[open.start..open.end];
        let below = partition(rows, &mut self.sums, |sum| sum < at);
        let missing = self.sums[below..].iter().filter(|sum| sum.is_nan()).count();
        let above = rows.len() - below - missing;
        let missing_low = below > above;
        let middle = if missing > 0 && missing_low {
            // The missing ones move to the lower side.
            below + partition(&mut rows[below..], &mut self.sums[below..], f32::is_nan)
        } else {
            below
        };
        let (low, high) = (open.start..open.start + middle, open.start + middle..open.end);
        let room = (f64::from(at) - f64::from(choice.low)) / (f64::from(choice.high) - f64::from(choice.low));
        let share = below as f64 / (below + above) as f64;
        let weight = self.params.density_weight();
        let length = |share: f64, room: f64| {
            let density = if weight == 0.0 { 0.0 } else { libm::log(share / room.clamp(LEAST_ROOM, 1.0)) };
            open.length + f64::max(1.0 + weight * density, 0.0)
        };
        let sides = [(low, length(share, room)), (high, length(1.0 - share, 1.0 - room))];
        let [second, first] = if missing_low {
            sides
        } else {
            let [low, high] = sides;
            [high, low]
        };
        let cut = Cut { terms: &self.terms, at, missing_low };
        nodes[open.node as usize] = N::split(&cut, nodes.len() as u32 + 1);
        let (depth, constant) = (open.depth + 1, choice.constant);
        let first = self.add(nodes, first.0, depth, first.1, scale, constant);
        let second = self.add(nodes, second.0, depth, second.1, scale, constant);
        [second, first]
    }
}

/// A coefficient of a column whose values go from `low` to `high`, a range that need not be finite itself.
fn coefficient(low: f32, high: f32, rng: &mut Xoshiro256PlusPlus) -> f32 {
    let drawn = f64::from(rng.random::<f32>() * 2.0 - 1.0);
    (drawn / (f64::from(high) - f64::from(low))) as f32
}

/// The lowest and the highest of those that are not missing.
fn extremes(values: &[f32]) -> (f32, f32) {
    // A comparison with `NaN` is false.
    let lower = |low, value| if value < low { value } else { low };
    let higher = |high, value| if value > high { value } else { high };
    values
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &value| (lower(low, value), higher(high, value)))
}

/// A cut at `share` of the way from `low` to `high`, such that `low` is below it and `high` is not.
fn cut_between(low: f32, high: f32, share: f64) -> f32 {
    let at = (f64::from(low) + share * (f64::from(high) - f64::from(low))) as f32;
    if at <= low { low.next_up() } else { at.min(high) }
}

/// Moves the items for whose sums `is_first` holds to the front, with their sums, and returns their number. Without a branch,
/// for nobody can guess it.
fn partition(items: &mut [u32], sums: &mut [f32], is_first: impl Fn(f32) -> bool) -> usize {
    let mut front = 0;
    for (i, sum) in (0..items.len()).zip(0..sums.len()) {
        let first = is_first(sums[sum]);
        items.swap(front, i);
        sums.swap(front, i);
        front += usize::from(first);
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
