//! `doctor`: what is amiss with logs and sinks, and what to do.

use margay_render::plain;
use serde_json::json;

use super::{print, print_json};
use crate::Exit;
use crate::cli::{Cli, Output};
use crate::doctor::{Finding, Verdict, examine};
use crate::wall::now;

/// Prints what was found; 1 where anything is amiss.
pub fn run(cli: &Cli) -> anyhow::Result<Exit> {
    let loaded = margay_config::load(&cli.config);
    let findings = examine(&loaded, now());
    match cli.output {
        Output::Json => print_json(&json!({ "version": env!("CARGO_PKG_VERSION"), "findings": findings }))?,
        Output::Text => print(&findings.iter().map(line).collect::<String>())?,
    }
    let is_well = findings.iter().all(|finding| finding.verdict == Verdict::Ok);
    Ok(if is_well { Exit::Ok } else { Exit::Findings })
}

fn line(finding: &Finding) -> String {
    let verdict = match finding.verdict {
        Verdict::Ok => "ok",
        Verdict::Warning => "warning",
        Verdict::Error => "ERROR",
    };
    let hint = finding.hint.as_ref().map(|hint| format!("         {}\n", plain(hint))).unwrap_or_default();
    format!("{verdict:<8} {}: {}\n{hint}", plain(&finding.about), plain(&finding.message))
}
