//! Times fitting and scoring at the shipped setting: `cargo run --release -p pulse-forest --example speed`.

use std::error::Error;
use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use linfa::Dataset;
use linfa::traits::Fit;
use ndarray::{Array2, Axis};
use pulse_forest::ForestParams;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

fn main() -> Result<(), Box<dyn Error>> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let rows = Array2::from_shape_fn((30_000, 5), |_| rng.random::<f64>() + rng.random::<f64>() + rng.random::<f64>());
    let started = Instant::now();
    let forest = ForestParams::default().sample_size(4096).fit(&Dataset::from(rows.clone()))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "fit 100 trees x 4096 rows: {:?}", started.elapsed())?;
    for batch in [1, 16, 256, 1024] {
        let started = Instant::now();
        for rows in rows.axis_chunks_iter(Axis(0), batch) {
            black_box(forest.score_rows(rows));
        }
        let each = started.elapsed().as_secs_f64() / rows.nrows() as f64;
        writeln!(out, "score in batches of {batch}: {:.2} us a row, {:.0} rows/s", each * 1e6, 1.0 / each)?;
    }
    let started = Instant::now();
    for row in rows.rows().into_iter().take(5_000) {
        black_box(forest.contributions(&row.to_vec()));
    }
    writeln!(out, "contributions: {:.2} us a row", started.elapsed().as_secs_f64() / 5_000.0 * 1e6)?;
    Ok(())
}
