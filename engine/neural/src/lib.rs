//! Small neural networks, trained where they are used: no file, no clock, the seed is an argument.
//!
//! Only additions, multiplications and square roots, in a fixed order on one thread: the same rows and the same seed give
//! the same network to the bit, on every machine. Why not a framework: docs/decisions/0014-own-networks.md.

mod adam;
mod autoencoder;
mod forecaster;
mod network;
mod training;

pub use autoencoder::Autoencoder;
pub use forecaster::{Forecaster, QUANTILES, Quantiles};
pub use network::Network;
pub use training::{Training, train};
