//! Listening and serving, with an end to it.

mod bind;
mod serve;

pub use bind::{BindError, BindProblem, bind};
pub use serve::{GRACE, serve};
