//! The margay command: reads logs, learns what is normal, raises alerts.

#![allow(unreachable_pub, reason = "in a binary `pub` marks what other modules use")]

mod access;
mod amend;
mod beside;
mod budgets;
mod cases;
mod change;
mod changes;
mod chart;
mod cli;
mod commands;
mod compose;
mod crowd;
mod daemon;
mod detect;
mod diff;
mod digest;
mod doctor;
mod exempt;
mod gather;
mod generation;
mod heal;
mod indices;
mod ingest;
mod judge;
mod keep;
mod labels;
mod lanes;
mod lint;
mod memory;
mod models;
mod notice;
mod observe;
mod open;
mod order;
mod outlet;
mod overview;
mod past;
mod pipeline;
mod progress;
mod quarantine;
mod records;
mod resident;
mod scores;
mod secret;
mod shipped;
mod sinks;
mod specs;
mod state;
mod stored;
mod tune;
mod upkeep;
mod wall;
mod web;
mod words;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Command};
use tracing_subscriber::EnvFilter;

/// What a command ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Ok = 0,
    /// There are findings: lint problems, failed tests, missed incidents.
    Findings = 1,
    /// Something failed at run time.
    Failed = 2,
    /// The configuration is wrong.
    Configuration = 3,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Exit::Failed as u8 } else { Exit::Ok as u8 });
        }
    };
    let filter = EnvFilter::try_new(&cli.log).unwrap_or_else(|_| EnvFilter::new("warn"));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour).init();
    match dispatch(&cli) {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) => {
            eprintln!("margay: {error:#}");
            ExitCode::from(Exit::Failed as u8)
        }
    }
}

fn dispatch(cli: &Cli) -> anyhow::Result<Exit> {
    match &cli.command {
        Command::Demo(args) => commands::demo::run(cli, args),
        Command::Init(args) => commands::init::run(cli, args),
        Command::Check(args) => commands::check::run(cli, args),
        Command::Doctor => commands::doctor::run(cli),
        Command::Schema { kind } => commands::schema::run(*kind),
        Command::Test(args) => commands::test::run(cli, args),
        Command::Tune(args) => commands::tune::run(cli, args),
        Command::Diff(args) => commands::diff::run(cli, args),
        Command::Run(args) => commands::run::run(cli, args),
        Command::Train { detectors } => commands::train::run(cli, detectors),
        Command::Replay(args) => commands::replay::run(cli, args),
        Command::Explain(args) => commands::explain::run(cli, args),
        Command::Reproduce(args) => commands::reproduce::run(cli, args),
        Command::Forecast(args) => commands::forecast::run(cli, args),
        Command::Status => commands::status::run(cli),
        Command::Alerts(args) => commands::alerts::run(cli, args),
        Command::Sink { command } => commands::sink::run(cli, command),
        Command::Elasticsearch { command } => commands::elasticsearch::run(cli, command),
        Command::Silence(args) => commands::silence::run(cli, args),
        Command::Promote(args) => commands::promote::run(cli, args),
        Command::Label(args) => commands::label::run(cli, args),
        Command::Import(args) => commands::import::run(cli, args),
        Command::Generate(args) => commands::generate::run(cli, args),
        Command::Classify { file } => commands::classify::run(cli, file),
        Command::Completions { shell } => commands::schema::completions(*shell),
        Command::Man => commands::schema::manual(),
    }
}
