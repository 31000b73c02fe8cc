//! What holds of every forest, whatever the rows and the parameters.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod codec;
mod kinds;
mod scores;
