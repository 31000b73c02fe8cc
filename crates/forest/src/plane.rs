//! A split on a sum of columns: a hyperplane, as in the extended isolation forest.

use std::ops::Not as _;

use crate::codec::{DecodeError, Reader};
use crate::layout::{missing_slot, slot_of};
use crate::tree::{Branch, Cut};

/// No column is taken to move a sum by more than this, nor by less than the next: so that what several of them do has a sum that
/// shares can be made of, all alike where none does anything.
const MOST_MOVED: f32 = 1e30;
const LEAST_MOVED: f32 = 1e-30;

/// A split on a weighted sum of up to `K` columns, or a leaf; as [`Node`](crate::node::Node) otherwise. Where a value of the
/// sum is missing, so is the sum. Spare terms are the first column, taken 0 times.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plane<const K: usize> {
    value: f32,
    /// See [`Branch::keep`].
    expected: f32,
    second_child: u32,
    columns: [u16; K],
    coefficients: [f32; K],
}

impl<const K: usize> Plane<K> {
    #[inline]
    fn project(&self, row: impl Fn(usize) -> f32) -> f32 {
        let value = |column: u16| row(2 * usize::from(column));
        project(self.coefficients.iter().zip(&self.columns).map(|(&coefficient, &column)| (coefficient, value(column))))
    }
}

/// The sum of `terms`, each a coefficient and a value, from the first to the last: another order is rounded otherwise.
#[inline]
pub(crate) fn project(terms: impl Iterator<Item = (f32, f32)>) -> f32 {
    terms.map(|(coefficient, value)| coefficient * value).reduce(|sum, term| sum + term).unwrap_or_default()
}

impl<const K: usize> Branch for Plane<K> {
    const COLUMNS: usize = K;
    const LOOKS: bool = true;

    fn split(cut: &Cut<'_>, second_child: u32) -> Self {
        let sign = if cut.missing_low { -1.0 } else { 1.0 };
        let first = cut.terms.first().map_or(0, |&(column, _)| column);
        let (mut columns, mut coefficients) = ([first as u16; K], [0.0; K]);
        for ((column, coefficient), &term) in columns.iter_mut().zip(&mut coefficients).zip(cut.terms) {
            (*column, *coefficient) = (term.0 as u16, sign * term.1);
        }
        let value = if cut.missing_low { -cut.at.next_down() } else { cut.at };
        Self { value, expected: 0.0, second_child, columns, coefficients }
    }

    fn leaf(index: u32, columns: usize, path_length: f32) -> Self {
        let columns = [columns as u16; K];
        Self { value: path_length, expected: 0.0, second_child: index, columns, coefficients: [0.0; K] }
    }

    #[inline]
    fn next(&self, row: impl Fn(usize) -> f32) -> u32 {
        self.second_child - u32::from(self.project(row) < self.value)
    }

    #[inline]
    fn path_length(&self) -> f32 {
        self.value
    }

    fn second_child(&self, index: u32) -> Option<u32> {
        (self.second_child != index).then_some(self.second_child)
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        let terms = || self.columns.iter().zip(&self.coefficients).filter(|(_, coefficient)| **coefficient != 0.0);
        bytes.extend((terms().count() as u16).to_le_bytes());
        for (&column, coefficient) in terms() {
            bytes.extend((slot_of(column.into()) as u16).to_le_bytes());
            bytes.extend(coefficient.to_le_bytes());
        }
        bytes.extend(self.value.to_le_bytes());
    }

    fn read(head: u16, reader: &mut Reader<'_>, columns: usize, second_child: u32) -> Result<Self, DecodeError> {
        let terms = usize::from(head);
        if !(1..=K).contains(&terms) {
            return Err(DecodeError::Invalid("a split looks at too many columns, or at none"));
        }
        let (mut read, mut coefficients) = ([0; K], [0.0; K]);
        for (column, coefficient) in read.iter_mut().zip(&mut coefficients).take(terms) {
            let slot = reader.u16()?;
            *coefficient = reader.f32()?;
            if u32::from(slot) >= missing_slot(columns) || slot.is_multiple_of(2).not() {
                return Err(DecodeError::Invalid("a split looks at a column that there is none of"));
            }
            if *coefficient == 0.0 {
                return Err(DecodeError::Invalid("a split looks at a column in vain"));
            }
            *column = slot / 2;
        }
        let first = read[0];
        read[terms..].fill(first);
        Ok(Self { value: reader.f32()?, expected: 0.0, second_child, columns: read, coefficients })
    }

    /// Each column is credited by how far it moves the sum away from where the middle of the training rows is.
    #[inline]
    fn credit(&self, second: impl Fn(usize) -> f32, reduction: f32, mut credit: impl FnMut(usize, f32)) {
        let moved: [f32; K] = std::array::from_fn(|term| {
            let moved = self.coefficients[term].abs() * second(self.columns[term].into());
            // The lesser one, in one instruction.
            (if moved < MOST_MOVED { moved } else { MOST_MOVED }) + LEAST_MOVED
        });
        let share = reduction / moved.iter().sum::<f32>();
        for (moved, &column) in moved.into_iter().zip(&self.columns) {
            credit(column.into(), moved * share);
        }
    }

    /// The value, and how far it is from the centre. A missing value is not off.
    #[inline]
    fn pair(value: f32, centre: f32) -> [f32; 2] {
        let off = (value - centre).abs();
        [value, if off > 0.0 { off.min(f32::MAX) } else { 0.0 }]
    }

    fn keep(&mut self, expected: f32) -> Option<f32> {
        self.expected = expected;
        None
    }

    #[inline]
    fn kept(&self) -> Option<f32> {
        Some(self.expected)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::layout::{lay_out, narrow};

    fn next(plane: Plane<4>, values: [f64; 3]) -> u32 {
        let mut slots = [0.0; 8];
        lay_out(values, &mut slots);
        plane.next(|slot| slots[slot])
    }

    #[test]
    fn both_sides_are_told_apart_alike_whichever_comes_first() {
        let cut = Cut { terms: &[(0, 1.0), (2, -2.0)], at: 1.0, missing_low: false };
        let low_first = Plane::split(&cut, 5);
        let high_first = Plane::split(&Cut { missing_low: true, ..cut }, 5);
        for (values, below) in [([0.0, 9.0, 0.0], true), ([1.0, 9.0, 0.0], false), ([4.0, 0.0, 2.0], true)] {
            assert_eq!(next(low_first, values), if below { 4 } else { 5 }, "{values:?}");
            assert_eq!(next(high_first, values), if below { 5 } else { 4 }, "{values:?}");
        }
        for values in [[f64::NAN, 0.0, 0.0], [0.0, 0.0, f64::NAN]] {
            assert_eq!((next(low_first, values), next(high_first, values)), (5, 5), "{values:?}");
        }
        assert_eq!(next(low_first, [0.0, f64::NAN, 0.0]), 4, "a value that is not in the sum");
    }

    #[test]
    fn a_leaf_leads_to_itself() {
        assert_eq!(next(Plane::leaf(7, 3, 2.5), [f64::MAX, f64::NAN, f64::NEG_INFINITY]), 7);
    }

    /// What the columns of a plane are credited with, of a row and the means of its columns.
    fn credits(plane: Plane<4>, row: [f64; 3], centres: [f32; 3], reduction: f32) -> [f32; 3] {
        let mut credits = [0.0; 3];
        let second = |column| Plane::<4>::pair(narrow(row[column]), centres[column])[1];
        plane.credit(second, reduction, |column, share| credits[column] += share);
        credits
    }

    #[test]
    fn a_column_that_moves_nothing_gets_nothing_unless_none_does() {
        let plane = |terms: &[(u32, f32)]| Plane::split(&Cut { terms, at: 0.0, missing_low: false }, 1);
        let near = |found: [f32; 3], expected: [f32; 3]| {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}, not {expected:?}");
        };
        let all = plane(&[(0, 1.0), (1, -1.0), (2, 4.0)]);
        near(credits(all, [3.0, f64::NAN, 1.25], [1.0, 0.0, 0.75], 8.0), [4.0, 0.0, 4.0]);
        near(credits(all, [f64::MAX, f64::MIN, 0.0], [-3e38, 3e38, 0.0], 8.0), [4.0, 4.0, 0.0]);
        // A spare term counts as the first one.
        near(credits(all, [f64::NAN; 3], [0.0; 3], 8.0), [4.0, 2.0, 2.0]);
        near(credits(plane(&[(2, 1.0)]), [5.0, 5.0, 1.0], [0.0, 0.0, 1.0], 8.0), [0.0, 0.0, 8.0]);
    }

    proptest! {
        #[test]
        fn credits_are_parts_of_how_far_columns_move_the_sum(
            weights in prop::array::uniform3(prop_oneof![-5.0..-0.01_f32, 0.01..5.0_f32]),
            row in prop::array::uniform3(-1e3..1e3_f64),
            centres in prop::array::uniform3(-1e3..1e3_f32),
            reduction in -20.0..20.0_f32,
        ) {
            let terms = [(2, weights[2]), (0, weights[0]), (1, weights[1])];
            let plane = Plane::split(&Cut { terms: &terms, at: 0.0, missing_low: true }, 1);
            let found = credits(plane, row, centres, reduction);
            let moved = |column: usize| f64::from(weights[column]) * (row[column] - f64::from(centres[column]));
            let total: f64 = (0..3).map(|column| moved(column).abs()).sum();
            for (column, credit) in found.into_iter().enumerate() {
                let expected = f64::from(reduction) * moved(column).abs() / total;
                prop_assert!((f64::from(credit) - expected).abs() < 1e-3, "{found:?}, {column}: {expected}");
            }
        }
    }
}
