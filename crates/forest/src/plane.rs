//! A split on a sum of columns: a hyperplane, as in the extended isolation forest.

use std::ops::Not as _;

use crate::codec::{DecodeError, Reader};
use crate::layout::{missing_slot, slot_of, zero_slot};
use crate::tree::{Branch, Cut};

/// A split on a weighted sum of up to `K` columns, or a leaf; as [`Node`](crate::node::Node) otherwise. Where a value of the
/// sum is missing, so is the sum. Spare terms add 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plane<const K: usize> {
    value: f32,
    second_child: u32,
    slots: [u16; K],
    coefficients: [f32; K],
}

impl<const K: usize> Plane<K> {
    #[inline]
    fn project(&self, row: impl Fn(usize) -> f32) -> f32 {
        project(self.coefficients.iter().zip(&self.slots).map(|(&coefficient, &slot)| (coefficient, row(slot.into()))))
    }
}

/// The sum of `terms`, each a coefficient and a value, from the first to the last: another order is rounded otherwise.
#[inline]
pub(crate) fn project(terms: impl Iterator<Item = (f32, f32)>) -> f32 {
    terms.fold(0.0, |sum, (coefficient, value)| sum + coefficient * value)
}

impl<const K: usize> Branch for Plane<K> {
    const COLUMNS: usize = K;
    const LOOKS: bool = true;

    fn split(cut: &Cut<'_>, second_child: u32) -> Self {
        let sign = if cut.missing_low { -1.0 } else { 1.0 };
        let (mut slots, mut coefficients) = ([zero_slot(cut.columns) as u16; K], [0.0; K]);
        for ((slot, coefficient), &(column, weight)) in slots.iter_mut().zip(&mut coefficients).zip(cut.terms) {
            (*slot, *coefficient) = (slot_of(column) as u16, sign * weight);
        }
        let value = if cut.missing_low { -cut.at.next_down() } else { cut.at };
        Self { value, second_child, slots, coefficients }
    }

    fn leaf(index: u32, columns: usize, path_length: f32) -> Self {
        let slots = [missing_slot(columns) as u16; K];
        Self { value: path_length, second_child: index, slots, coefficients: [0.0; K] }
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

    fn write(&self, columns: usize, bytes: &mut Vec<u8>) {
        let spare = zero_slot(columns) as u16;
        let terms = || self.slots.iter().zip(&self.coefficients).filter(|(slot, _)| **slot != spare);
        bytes.extend((terms().count() as u16).to_le_bytes());
        for (slot, coefficient) in terms() {
            bytes.extend(slot.to_le_bytes());
            bytes.extend(coefficient.to_le_bytes());
        }
        bytes.extend(self.value.to_le_bytes());
    }

    fn read(head: u16, reader: &mut Reader<'_>, columns: usize, second_child: u32) -> Result<Self, DecodeError> {
        let terms = usize::from(head);
        if !(1..=K).contains(&terms) {
            return Err(DecodeError::Invalid("a split looks at too many columns, or at none"));
        }
        let (mut slots, mut coefficients) = ([zero_slot(columns) as u16; K], [0.0; K]);
        for (slot, coefficient) in slots.iter_mut().zip(&mut coefficients).take(terms) {
            (*slot, *coefficient) = (reader.u16()?, reader.f32()?);
            if u32::from(*slot) >= missing_slot(columns) || slot.is_multiple_of(2).not() {
                return Err(DecodeError::Invalid("a split looks at a column that there is none of"));
            }
        }
        Ok(Self { value: reader.f32()?, second_child, slots, coefficients })
    }

    /// Each column is credited by how far it moves the sum away from where the middle of the training rows is; all alike where
    /// that cannot be said.
    #[inline]
    fn credit(
        &self,
        row: impl Fn(usize) -> f32,
        centre: impl Fn(usize) -> f32,
        reduction: f32,
        mut credit: impl FnMut(usize, f32),
    ) {
        let moved: [f32; K] = std::array::from_fn(|term| {
            let slot = usize::from(self.slots[term]);
            let moved = (self.coefficients[term] * (row(slot) - centre(slot / 2))).abs();
            // A missing value moves nothing.
            if moved > 0.0 { moved } else { 0.0 }
        });
        let total: f32 = moved.iter().sum();
        let share = reduction / total;
        if share.is_finite() && total.is_finite() {
            for (moved, &slot) in moved.into_iter().zip(&self.slots) {
                credit(usize::from(slot) / 2, moved * share);
            }
        } else if reduction != 0.0 {
            self.credit_alike(reduction, credit);
        }
    }
}

impl<const K: usize> Plane<K> {
    #[cold]
    fn credit_alike(&self, reduction: f32, mut credit: impl FnMut(usize, f32)) {
        let used = || self.coefficients.iter().zip(&self.slots).filter(|(coefficient, _)| **coefficient != 0.0);
        let share = reduction / used().count() as f32;
        used().for_each(|(_, &slot)| credit(usize::from(slot) / 2, share));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::lay_out;

    fn next(plane: Plane<4>, values: [f64; 3]) -> u32 {
        let mut slots = [0.0; 8];
        lay_out(values, &mut slots);
        plane.next(|slot| slots[slot])
    }

    #[test]
    fn both_sides_are_told_apart_alike_whichever_comes_first() {
        let cut = Cut { terms: &[(0, 1.0), (2, -2.0)], at: 1.0, missing_low: false, columns: 3 };
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
}
