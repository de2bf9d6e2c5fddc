//! Integration tests: everything here runs the real `margay` binary on real files.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "tests")]

mod bad_input;
mod check;
mod demo;
mod detectors;
mod examples;
mod repeat;
mod support;
mod tidy;
