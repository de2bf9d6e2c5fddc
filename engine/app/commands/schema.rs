//! `schema`, `completions`, `man`: what other programs read about margay.

use clap::CommandFactory;

use super::{print, print_json};
use crate::Exit;
use crate::cli::{Cli, SchemaKind};

/// Prints a JSON Schema.
pub fn run(kind: SchemaKind) -> anyhow::Result<Exit> {
    match kind {
        SchemaKind::Engine => print_json(&margay_config::schema(margay_config::SchemaKind::Engine))?,
        SchemaKind::Detector => print_json(&margay_config::schema(margay_config::SchemaKind::Detector))?,
        SchemaKind::Exclusion => print_json(&margay_config::schema(margay_config::SchemaKind::Exclusion))?,
        SchemaKind::Silence => print_json(&margay_config::schema(margay_config::SchemaKind::Silence))?,
        SchemaKind::Test => print_json(&margay_config::schema_of::<margay_generate::cases::CaseFile>())?,
        SchemaKind::Calendar => print_json(&margay_config::schema(margay_config::SchemaKind::Calendar))?,
        SchemaKind::Alert => print_json(&margay_render::alert_schema())?,
    }
    Ok(Exit::Ok)
}

/// Prints a completion script.
pub fn completions(shell: clap_complete::Shell) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "margay", &mut script);
    print(&String::from_utf8(script)?)?;
    Ok(Exit::Ok)
}

/// Prints the manual page.
pub fn manual() -> anyhow::Result<Exit> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    print(&String::from_utf8(page)?)?;
    Ok(Exit::Ok)
}
