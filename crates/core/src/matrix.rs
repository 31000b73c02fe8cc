//! A dense table of numbers, row by row: what detectors and scorers take.

/// Rows of equal width, stored one after another. A missing value is `NaN`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Matrix {
    width: usize,
    data: Vec<f64>,
}

impl Matrix {
    /// An empty table with `width` columns and room for `rows` rows.
    #[must_use]
    pub fn with_capacity(width: usize, rows: usize) -> Self {
        Self { width, data: Vec::with_capacity(width * rows) }
    }

    /// Number of columns.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.data.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Appends a row.
    ///
    /// # Panics
    /// When `row` is not [`width`](Self::width) long.
    pub fn push(&mut self, row: &[f64]) {
        assert_eq!(row.len(), self.width, "a row must have one value per column");
        self.data.extend_from_slice(row);
    }

    /// Row `index`.
    ///
    /// # Panics
    /// When `index` is out of range.
    #[must_use]
    pub fn row(&self, index: usize) -> &[f64] {
        &self.data[index * self.width..][..self.width]
    }

    /// All rows in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.data.chunks_exact(self.width.max(1))
    }

    /// A table of the columns at `indices`, in that order.
    ///
    /// # Panics
    /// When an index is out of range.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        let mut data = Vec::with_capacity(self.rows() * indices.len());
        for row in self.iter() {
            data.extend(indices.iter().map(|&i| row[i]));
        }
        Self { width: indices.len(), data }
    }

    /// All values, row by row.
    #[must_use]
    pub fn as_slice(&self) -> &[f64] {
        &self.data
    }
}
