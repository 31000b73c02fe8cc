//! Listening and serving, with an end to it.

mod bind;
mod serve;
mod switch;

pub use bind::{BindError, BindProblem, bind};
pub use serve::{GRACE, serve};
pub use switch::Switch;
