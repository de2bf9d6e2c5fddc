//! `check`: every problem of every file.

use std::io::IsTerminal;
use std::path::PathBuf;

use margay_config::{Loaded, Severity};

use super::{print, print_json};
use crate::Exit;
use crate::cli::{CheckArgs, CheckFormat, Cli, Output};
use crate::lint;
use crate::upkeep;
use crate::wall::now;

/// Prints all problems; 3 when there is an error.
pub fn run(cli: &Cli, args: &CheckArgs) -> anyhow::Result<Exit> {
    let loaded = load(cli, args);
    let mut problems = lint::problems(&loaded);
    problems.extend(upkeep::problems(&loaded, now()));
    if args.source {
        problems.extend(lint::source::problems(&loaded));
        lint::source::ways(&loaded).iter().for_each(|way| eprintln!("{way}"));
    }
    let format = args.format.unwrap_or(match cli.output {
        Output::Text => CheckFormat::Text,
        Output::Json => CheckFormat::Json,
    });
    match format {
        CheckFormat::Json => print_json(&problems)?,
        CheckFormat::Sarif => print_json(&lint::sarif::log(&problems, &here()))?,
        CheckFormat::Junit => print(&lint::junit::report(&problems, &here())?)?,
        CheckFormat::Github => print(&lint::github::commands(&problems, &here()))?,
        CheckFormat::Text => {
            let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let text: String = problems.iter().map(|problem| format!("{}\n", problem.render(colour))).collect();
            print(&text)?;
        }
    }
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let warnings = problems.len() - errors;
    eprintln!("{} files checked: {errors} errors, {warnings} warnings", loaded.files_checked);
    Ok(if errors > 0 { Exit::Configuration } else { Exit::Ok })
}

/// Reports that others read name files relative to where `check` was called.
fn here() -> PathBuf {
    std::env::current_dir().unwrap_or_default()
}

fn load(cli: &Cli, args: &CheckArgs) -> Loaded {
    if args.paths.is_empty() {
        return margay_config::load(&cli.config);
    }
    let engine = cli.config.exists().then(|| margay_config::load(&cli.config));
    let mut loaded = margay_config::load_detectors(&args.paths, engine.as_ref().map(|loaded| &loaded.engine));
    if let Some(engine) = engine {
        loaded.engine = engine.engine;
        loaded.root = engine.root;
        let own = |file: &std::path::Path| file == cli.config;
        loaded.problems.extend(engine.problems.into_iter().filter(|problem| own(&problem.file)));
        loaded.files_checked += 1;
    }
    loaded
}
