//! Tests of the crate as a whole: one target, since linking the engine takes time.

#![allow(clippy::unwrap_used, reason = "tests")]

mod abuse;
mod compiling;
mod fixtures;
mod flooding;
mod gathering;
mod running;
mod sampling;
mod speed;
mod storing;
