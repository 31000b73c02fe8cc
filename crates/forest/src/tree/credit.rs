//! Walks that credit columns with what they reduced path lengths by.
//!
//! Where a tree has a [table](super::table), they are walks to its leaves. Without one a step costs a multiple of one that only leads
//! on, and a row that is explained is credited in every tree, so it matters more that none is in vain: see [`credit_walks`].

use super::{Branch, LANES, Tree, add, depth_of};

/// Rows that walk through a tree together: as many as fit, with their credits, into the fastest cache beside nodes.
pub(crate) const BLOCK: usize = 64;

/// The two slots of each of fewer than `COLUMNS` columns, and of one behind them.
pub(crate) type Pairs<const COLUMNS: usize> = [[f32; 2]; COLUMNS];

impl<N: Branch> Tree<N> {
    /// Credits the columns of the first `number` of `rows` with what they reduced the path length by, and adds the path lengths to
    /// `totals`, as [`add_path_lengths`](Self::add_path_lengths) does. Of the other rows nothing is known.
    pub(crate) fn credit_rows<const COLUMNS: usize>(
        &self,
        rows: &[Pairs<COLUMNS>; BLOCK],
        number: usize,
        credits: &mut [[f32; COLUMNS]; BLOCK],
        totals: &mut [f64; BLOCK],
    ) {
        let rows_that_are = number.min(BLOCK).next_multiple_of(LANES);
        if N::LOOKS {
            let leaves = credit_walks(&self.nodes, rows, number, credits);
            for (total, leaf) in totals.iter_mut().zip(leaves) {
                *total += f64::from(self.nodes[leaf as usize].path_length());
            }
        } else if let Some(table) = &self.table {
            let credits = credits.as_chunks_mut::<LANES>().0.iter_mut();
            let mut lanes = credits.zip(totals.as_chunks_mut::<LANES>().0);
            let value = |row: &Pairs<COLUMNS>, slot: usize| row.as_flattened()[slot & (2 * COLUMNS - 1)];
            self.walk_rows(&rows[..rows_that_are], value, |leaves, path_lengths| {
                if let Some((credits, totals)) = lanes.next() {
                    table.add_all(leaves, credits);
                    add(totals, path_lengths);
                }
            });
        } else {
            self.credit_steps(&rows[..rows_that_are], credits, totals);
        }
    }

    /// Credits each step of rows, which are a multiple of [`LANES`].
    fn credit_steps<const COLUMNS: usize>(
        &self,
        rows: &[Pairs<COLUMNS>],
        credits: &mut [[f32; COLUMNS]],
        totals: &mut [f64],
    ) {
        let lanes = rows.as_chunks::<LANES>().0.iter().zip(credits.as_chunks_mut::<LANES>().0);
        let lanes = lanes.zip(totals.as_chunks_mut::<LANES>().0);
        macro_rules! fixed {
            ($($nodes:literal)*) => {
                match self.nodes.len() {
                    $($nodes => {
                        let nodes = <&[N; $nodes]>::try_from(&*self.nodes);
                        let reductions = <&[f32; $nodes]>::try_from(&*self.reductions);
                        if let (Ok(nodes), Ok(reductions)) = (nodes, reductions) {
                            let node = |at: u32| {
                                let at = at as usize & ($nodes - 1);
                                (&nodes[at], reductions[at])
                            };
                            lanes.for_each(|((rows, credits), totals)| {
                                credit_lanes(node, rows, self.depth, credits, totals);
                            });
                        }
                    })*
                    _ => {
                        let node = |at: u32| (&self.nodes[at as usize], self.reductions[at as usize]);
                        lanes.for_each(|((rows, credits), totals)| {
                            credit_lanes(node, rows, self.depth, credits, totals);
                        });
                    }
                }
            };
        }
        fixed!(64 128 256 512 1024 2048 4096 8192);
    }

    /// Credits each column with what it reduced the path length of `row` by, of what is expected at the root, and gives the path
    /// lengths, as [`path_lengths`](Self::path_lengths) has them. `paths` is for use again and again.
    pub(crate) fn credit<const WALKS: usize>(
        trees: &[Self; WALKS],
        row: &[[f32; 2]],
        paths: &mut Vec<[u32; WALKS]>,
        credits: &mut [f32],
    ) -> [f32; WALKS] {
        let values = row.as_flattened();
        // The walks come first: each step of them waits for the one before, and none of these for any other.
        let leaves = if trees.iter().all(|tree| tree.table.is_some()) {
            Self::leaves(trees, |slot| values[slot])
        } else {
            Self::record(trees, |slot| values[slot], paths)
        };
        for (walk, tree) in trees.iter().enumerate() {
            if let Some(table) = &tree.table {
                table.add(leaves[walk], credits);
                continue;
            }
            for [from, to] in paths.array_windows() {
                let (from, to) = (from[walk], to[walk]);
                if from == to {
                    break;
                }
                let reduction = tree.expected(from) - tree.expected(to);
                tree.nodes[from as usize].credit(
                    |column| row[column][1],
                    reduction,
                    |column, share| credits[column] += share,
                );
            }
        }
        std::array::from_fn(|walk| trees[walk].nodes[leaves[walk] as usize].path_length())
    }

    /// [`leaves`](Self::leaves), with all nodes on the way to them.
    fn record<const WALKS: usize>(
        trees: &[Self; WALKS],
        row: impl Fn(usize) -> f32,
        paths: &mut Vec<[u32; WALKS]>,
    ) -> [u32; WALKS] {
        let mut at = [0; WALKS];
        paths.clear();
        paths.push(at);
        for _ in 0..depth_of(trees) {
            for (tree, at) in trees.iter().zip(&mut at) {
                *at = tree.nodes[*at as usize].next(&row);
            }
            if N::LOOKS && paths.last() == Some(&at) {
                break;
            }
            paths.push(at);
        }
        at
    }
}

/// Walks of rows through a tree whose nodes keep what is expected from them, a step of all at once. Gives the leaf of each row.
///
/// Rows drop out where they arrive: the longest of some paths is much longer than most, and an account of who still walks costs
/// less than steps in vain. What is expected stands in the nodes, for another array of it would take as much of the caches again.
#[inline(never)]
fn credit_walks<N: Branch, const COLUMNS: usize>(
    nodes: &[N],
    rows: &[Pairs<COLUMNS>; BLOCK],
    number: usize,
    credits: &mut [[f32; COLUMNS]; BLOCK],
) -> [u32; BLOCK] {
    const { assert!(BLOCK.is_power_of_two() && COLUMNS.is_power_of_two()) }
    let mut walks: [(u32, u32); BLOCK] = std::array::from_fn(|row| (row as u32, 0));
    let mut leaves = [0; BLOCK];
    // A root that is a leaf is where all have arrived.
    let is_leaf = nodes[0].kept().unwrap_or_default().is_sign_negative();
    let mut walking = if is_leaf { 0 } else { number.min(BLOCK) };
    while walking > 0 {
        let mut still = 0;
        for walk in 0..walking {
            let (row, from) = walks[walk];
            let pairs = &rows[row as usize & (BLOCK - 1)];
            let from = &nodes[from as usize];
            let to = from.next(|slot| pairs.as_flattened()[slot & (2 * COLUMNS - 1)]);
            let before = from.kept().unwrap_or_default();
            let after = nodes[to as usize].kept().unwrap_or_default();
            let credits = &mut credits[row as usize & (BLOCK - 1)];
            from.credit(
                |column| pairs[column & (COLUMNS - 1)][1],
                before - after.abs(),
                |column, share| credits[column & (COLUMNS - 1)] += share,
            );
            leaves[row as usize & (BLOCK - 1)] = to;
            walks[still & (BLOCK - 1)] = (row, to);
            // No branch, which nobody could guess.
            still += 1 - (after.to_bits() >> 31) as usize;
        }
        walking = still;
    }
    leaves
}

/// Walks of rows through one tree, where `node` tells of an index the node there and by how much less is expected
/// from it than from its parent.
#[inline(always)]
fn credit_lanes<'a, N: Branch + 'a, const COLUMNS: usize>(
    node: impl Fn(u32) -> (&'a N, f32),
    rows: &[Pairs<COLUMNS>; LANES],
    depth: u32,
    credits: &mut [[f32; COLUMNS]; LANES],
    totals: &mut [f64; LANES],
) {
    let mut at = [0; LANES];
    for _ in 0..depth {
        for lane in 0..LANES {
            let pairs = &rows[lane];
            let (from, _) = node(at[lane]);
            at[lane] = from.next(|slot| pairs.as_flattened()[slot & (2 * COLUMNS - 1)]);
            let (_, reduction) = node(at[lane]);
            // A walk that has arrived credits the slot behind the columns, which nobody looks at.
            from.credit(
                |column| pairs[column & (COLUMNS - 1)][1],
                reduction,
                |column, share| credits[lane][column & (COLUMNS - 1)] += share,
            );
        }
    }
    for (total, at) in totals.iter_mut().zip(at) {
        *total += f64::from(node(at).0.path_length());
    }
}

#[cfg(test)]
mod tests {
    use linfa::ParamGuard;
    use ndarray::Array2;
    use proptest::prelude::*;

    use super::*;
    use crate::grow::Grower;
    use crate::layout::narrow;
    use crate::node::Node;
    use crate::params::ForestParams;
    use crate::path_length::MeanPathLength;
    use crate::plane::Plane;

    const COLUMNS: usize = 4;

    fn grow<N: Branch>(rows: &Array2<f64>, seed: u64) -> Tree<N> {
        let params = ForestParams::accurate().columns_per_split(3).seed(seed).check().unwrap();
        let mean = MeanPathLength::up_to(4096);
        Grower::new(rows.view(), &params, &mean).grow(0).0
    }

    /// What a tree credits the columns of `rows` with: row by row, and of all rows together.
    fn credited<N: Branch>(tree: &Tree<N>, rows: &Array2<f64>) -> [Vec<Vec<f32>>; 2] {
        let mut laid_out = [[[0.0; 2]; COLUMNS]; BLOCK];
        for (pairs, row) in laid_out.iter_mut().zip(rows.rows()) {
            let values = row.iter().copied().map(narrow).chain([f32::NAN]);
            pairs.iter_mut().zip(values).for_each(|(pair, value)| *pair = N::pair(value, 1.0));
        }
        let number = rows.nrows().min(BLOCK);
        let alone = laid_out[..number].iter().map(|row| {
            let mut credits = vec![0.0; COLUMNS];
            Tree::credit(std::array::from_ref(tree), row, &mut Vec::new(), &mut credits);
            credits[..rows.ncols()].to_vec()
        });
        let mut together = [[0.0; COLUMNS]; BLOCK];
        let mut totals = [0.0; BLOCK];
        tree.credit_rows(&laid_out, number, &mut together, &mut totals);
        for (total, row) in totals.into_iter().zip(&laid_out).take(number) {
            assert_eq!(total, f64::from(tree.path_length(|slot| row.as_flattened()[slot])));
        }
        [alone.collect(), together[..number].iter().map(|row| row[..rows.ncols()].to_vec()).collect()]
    }

    fn check<N: Branch>(rows: &Array2<f64>, seed: u64) -> Result<(), TestCaseError> {
        let tree = grow::<N>(rows, seed);
        let [alone, together] = credited(&tree, rows);
        prop_assert_eq!(&alone, &together);
        for (row, credits) in rows.rows().into_iter().zip(&alone) {
            let mut slots = vec![0.0; 2 * COLUMNS];
            crate::layout::lay_out(row.iter().copied(), &mut slots);
            let (sum, length) = (credits.iter().sum::<f32>(), tree.path_length(|slot| slots[slot]));
            prop_assert!((tree.expected(0) - length - sum).abs() < 1e-3, "{sum}, {length}");
        }
        let [steps, together] = credited(&tree.without_table(), rows);
        prop_assert_eq!(&steps, &together);
        for (steps, credits) in steps.iter().flatten().zip(alone.iter().flatten()) {
            prop_assert!((steps - credits).abs() < 1e-3, "{steps} by steps, {credits} by a table");
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn credits_add_up_alone_and_together(
            values in prop::collection::vec(prop_oneof![9 => -9.0..9.0, 1 => Just(f64::NAN), 1 => Just(1.0)], 3..900),
            seed in any::<u64>(),
        ) {
            let rows = Array2::from_shape_fn((values.len() / 3, 3), |(row, column)| values[3 * row + column]);
            check::<Node>(&rows, seed)?;
            check::<Plane<2>>(&rows, seed)?;
            check::<Plane<4>>(&rows, seed)?;
        }
    }
}
