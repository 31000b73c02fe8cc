//! The mean path length of random trees, by which real ones are measured.

/// `c(n)`: the mean number of splits that lead to a row in a random tree of `n` rows, for every `n` up to some size.
///
/// It is that of an unsuccessful search in a binary search tree, `c(n) = 2 H(n-1) - 2 (n-1)/n`, with the harmonic
/// number `H` summed exactly instead of the paper's `ln(i) + 0.5772`, which is 16% off at `n` = 2.
#[derive(Debug, Clone)]
pub(crate) struct MeanPathLength(Vec<f64>);

impl MeanPathLength {
    /// `c(n)` for every `n` up to and including `rows`.
    pub(crate) fn up_to(rows: usize) -> Self {
        let mut table = vec![0.0; rows + 1];
        let mut harmonic = 0.0;
        for (n, length) in table.iter_mut().enumerate().skip(2) {
            let n = n as f64;
            harmonic += 1.0 / (n - 1.0);
            *length = 2.0 * harmonic - 2.0 * (n - 1.0) / n;
        }
        Self(table)
    }

    /// `c(rows)`, rounded as leaves are, so that rows which are all alike score exactly 0.5.
    pub(crate) fn rounded(&self, rows: usize) -> f64 {
        f64::from(self.of(rows) as f32)
    }

    /// `c(rows)`; 0 for one row, which needs no split.
    pub(crate) fn of(&self, rows: usize) -> f64 {
        self.0[rows]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_values_worked_out_by_hand() {
        let mean = MeanPathLength::up_to(256);
        assert_eq!((mean.of(0), mean.of(1), mean.of(2)), (0.0, 0.0, 1.0));
        assert!((mean.of(3) - 5.0 / 3.0).abs() < 1e-12);
        // The paper's approximation at n = 256 is 10.2448.
        assert!((mean.of(256) - 10.2448).abs() < 0.01, "{}", mean.of(256));
    }

    #[test]
    fn it_obeys_the_recursion_of_random_trees() {
        // A row of n is in a part of m with probability m/n, and each of the n-1 cuts is equally likely.
        let mean = MeanPathLength::up_to(50);
        for n in 2..=50_usize {
            let below: f64 = (1..n).map(|m| 2.0 * m as f64 * mean.of(m) / n as f64).sum::<f64>() / (n - 1) as f64;
            assert!((mean.of(n) - 1.0 - below).abs() < 1e-9, "n = {n}");
        }
    }
}
