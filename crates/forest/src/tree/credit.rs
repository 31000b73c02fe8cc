//! Walks that credit columns with what they reduced path lengths by.
//!
//! A step of these costs a multiple of one that only leads on, and a row that is explained is credited in every tree, so it matters
//! more that none is in vain: see [`credit_walks`].

use super::{Branch, LANES, Tree, depth_of};

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
        if N::LOOKS {
            let leaves = credit_walks(&self.nodes, rows, number, credits);
            for (total, leaf) in totals.iter_mut().zip(leaves) {
                *total += f64::from(self.nodes[leaf as usize].path_length());
            }
            return;
        }
        let lanes = rows.as_chunks::<LANES>().0.iter().zip(credits.as_chunks_mut::<LANES>().0);
        let lanes = lanes.zip(totals.as_chunks_mut::<LANES>().0).take(number.div_ceil(LANES));
        macro_rules! fixed {
            ($($nodes:literal)*) => {
                match self.nodes.len() {
                    $($nodes => {
                        let nodes = <&[N; $nodes]>::try_from(&*self.nodes);
                        let expected = <&[f32; $nodes]>::try_from(&*self.expected);
                        if let (Ok(nodes), Ok(expected)) = (nodes, expected) {
                            let node = |at: u32| {
                                let at = at as usize & ($nodes - 1);
                                (&nodes[at], expected[at])
                            };
                            lanes.for_each(|((rows, credits), totals)| {
                                credit_lanes(node, rows, self.depth, credits, totals);
                            });
                        }
                    })*
                    _ => {
                        let node = |at: u32| (&self.nodes[at as usize], self.expected(at));
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
        let mut at = [0; WALKS];
        paths.clear();
        paths.push(at);
        for _ in 0..depth_of(trees) {
            for (tree, at) in trees.iter().zip(&mut at) {
                *at = tree.nodes[*at as usize].next(|slot| values[slot]);
            }
            if N::LOOKS && paths.last() == Some(&at) {
                break;
            }
            paths.push(at);
        }
        for (walk, tree) in trees.iter().enumerate() {
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
        std::array::from_fn(|walk| trees[walk].nodes[at[walk] as usize].path_length())
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

/// Walks of rows through one tree, where `node` tells of an index the node there and what is expected from it.
#[inline(always)]
fn credit_lanes<'a, N: Branch + 'a, const COLUMNS: usize>(
    node: impl Fn(u32) -> (&'a N, f32),
    rows: &[Pairs<COLUMNS>; LANES],
    depth: u32,
    credits: &mut [[f32; COLUMNS]; LANES],
    totals: &mut [f64; LANES],
) {
    let mut at = [0; LANES];
    let mut expected = [node(0).1; LANES];
    for _ in 0..depth {
        for lane in 0..LANES {
            let pairs = &rows[lane];
            let (from, _) = node(at[lane]);
            at[lane] = from.next(|slot| pairs.as_flattened()[slot & (2 * COLUMNS - 1)]);
            let (_, after) = node(at[lane]);
            from.credit(
                |column| pairs[column & (COLUMNS - 1)][1],
                expected[lane] - after,
                |column, share| credits[lane][column & (COLUMNS - 1)] += share,
            );
            expected[lane] = after;
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

    /// A tree on `rows`, and what it credits: row by row, and of all rows together.
    fn credited<N: Branch>(rows: &Array2<f64>, seed: u64) -> (Tree<N>, Vec<Vec<f32>>, Vec<Vec<f32>>) {
        let params = ForestParams::accurate().columns_per_split(3).seed(seed).check().unwrap();
        let mean = MeanPathLength::up_to(4096);
        let tree: Tree<N> = Grower::new(rows.view(), &params, &mean).grow(0).0;
        let mut laid_out = [[[0.0; 2]; COLUMNS]; BLOCK];
        for (pairs, row) in laid_out.iter_mut().zip(rows.rows()) {
            let values = row.iter().copied().map(narrow).chain([f32::NAN]);
            pairs.iter_mut().zip(values).for_each(|(pair, value)| *pair = N::pair(value, 1.0));
        }
        let number = rows.nrows().min(BLOCK);
        let alone = laid_out[..number].iter().map(|row| {
            let mut credits = vec![0.0; COLUMNS];
            Tree::credit(std::array::from_ref(&tree), row, &mut Vec::new(), &mut credits);
            credits
        });
        let mut together = [[0.0; COLUMNS]; BLOCK];
        let mut totals = [0.0; BLOCK];
        tree.credit_rows(&laid_out, number, &mut together, &mut totals);
        for (total, row) in totals.into_iter().zip(&laid_out).take(number) {
            assert_eq!(total, f64::from(tree.path_length(|slot| row.as_flattened()[slot])));
        }
        let (alone, together) = (alone.collect(), together[..number].iter().map(|row| row.to_vec()).collect());
        (tree, alone, together)
    }

    fn check<N: Branch>(rows: &Array2<f64>, seed: u64) -> Result<(), TestCaseError> {
        let (tree, alone, together) = credited::<N>(rows, seed);
        prop_assert_eq!(&alone, &together);
        for (row, credits) in rows.rows().into_iter().zip(alone) {
            let mut slots = vec![0.0; 2 * COLUMNS];
            crate::layout::lay_out(row.iter().copied(), &mut slots);
            let (sum, length) = (credits.iter().sum::<f32>(), tree.path_length(|slot| slots[slot]));
            prop_assert!((tree.expected(0) - length - sum).abs() < 1e-3, "{sum}, {length}");
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
