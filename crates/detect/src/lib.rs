//! Streaming detectors that keep their state per entity.
//!
//! # Invariants
//! - No I/O, no clock, no randomness: a score depends on the values before it and on nothing else.
//! - State that was encoded and decoded goes on bit for bit as if it had never left memory.
//!
//! ```
//! use pulse_detect::{RollingZScore, Window};
//! # fn main() -> Result<(), pulse_detect::RollingError> {
//! let rule = RollingZScore::new(100, 30, 3.0)?;
//! let mut window = Window::default();
//! for i in 0..50 {
//!     rule.observe(&mut window, f64::from(i % 5));
//! }
//! let deviation = rule.observe(&mut window, 40.0).expect("50 values are enough to judge");
//! assert!(rule.fires(&deviation));
//! # Ok(()) }
//! ```

mod rolling;

pub use rolling::{Deviation, MAX_SCORE, RollingError, RollingZScore, Window, WindowDecodeError};
