//! Integration tests: everything here runs the real `margay` binary on real files.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "tests")]

mod bad_input;
mod budgets;
mod calendars;
mod check;
mod clocks;
mod continuous_integration;
mod daemon;
mod demo;
mod detector_docs;
mod detectors;
mod doctor;
mod elasticsearch;
mod events;
mod examples;
mod faults;
mod files;
mod floods;
mod import;
mod init;
mod language_server;
mod late;
mod listener;
mod malformed;
mod push_down;
mod reloads;
mod repeat;
mod reports;
mod servers;
mod sink_faults;
mod sinks;
mod support;
mod tidy;
mod tls;
mod tuning;
mod web;
