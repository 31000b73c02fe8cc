//! Drawing rows without replacement.

use rand::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// Draws rows, again and again, with the same buffers.
#[derive(Debug)]
pub(crate) struct Sampler {
    rows: usize,
    drawn: Vec<u32>,
    /// A bit for each row that is drawn.
    taken: Vec<u64>,
}

impl Sampler {
    pub(crate) fn new(rows: usize) -> Self {
        Self { rows, drawn: Vec::new(), taken: vec![0; rows.div_ceil(64)] }
    }

    /// Some `size` of the rows, each as likely as any other; all of them where there are no more.
    ///
    /// Rows are drawn until enough different ones were, of whichever are fewer: those taken, or those left out.
    pub(crate) fn draw(&mut self, size: usize, rng: &mut Xoshiro256PlusPlus) -> &[u32] {
        self.drawn.clear();
        let size = size.min(self.rows);
        if 2 * size > self.rows {
            self.mark(self.rows - size, rng);
            let taken = &self.taken;
            self.drawn.clear();
            self.drawn.extend((0..self.rows as u32).filter(|row| taken[*row as usize / 64] >> (row % 64) & 1 == 0));
            self.taken.fill(0);
        } else {
            self.mark(size, rng);
            for row in &self.drawn {
                self.taken[*row as usize / 64] = 0;
            }
        }
        &self.drawn
    }

    /// Draws `size` rows and marks them as taken.
    fn mark(&mut self, size: usize, rng: &mut Xoshiro256PlusPlus) {
        while self.drawn.len() < size {
            let row = rng.random_range(0..self.rows as u32);
            let (word, bit) = (&mut self.taken[row as usize / 64], 1 << (row % 64));
            if *word & bit == 0 {
                *word |= bit;
                self.drawn.push(row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;

    use super::*;

    #[test]
    fn no_row_is_drawn_twice_and_all_are_as_likely() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        for (rows, size) in [(1, 1), (10, 3), (10, 5), (10, 9), (10, 10), (10, 20), (1000, 256), (1000, 900)] {
            let mut sampler = Sampler::new(rows);
            let mut times = vec![0_u32; rows];
            for _ in 0..2000 {
                let drawn = sampler.draw(size, &mut rng).to_vec();
                assert_eq!(drawn.len(), size.min(rows));
                assert_eq!(drawn.iter().collect::<BTreeSet<_>>().len(), drawn.len(), "{size} of {rows}");
                drawn.iter().for_each(|&row| times[row as usize] += 1);
            }
            let share = size.min(rows) as f64 / rows as f64;
            // Six standard deviations of a binomial count.
            let allowed = 6.0 * (2000.0 * share * (1.0 - share)).sqrt();
            let most = times.iter().map(|&times| (f64::from(times) - 2000.0 * share).abs()).fold(0.0, f64::max);
            assert!(most <= allowed, "{size} of {rows}: {most} off, {allowed} allowed");
        }
    }
}
