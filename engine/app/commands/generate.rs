//! `generate`: seeded logs for trying things out.

use margay_generate::{IncidentKind, Options};

use super::{print, print_json};
use crate::Exit;
use crate::cli::{Cli, GenerateArgs, Output};
use crate::progress::Progress;

/// Writes the logs and the list of incidents.
pub fn run(cli: &Cli, args: &GenerateArgs) -> anyhow::Result<Exit> {
    let options = Options {
        seed: args.seed,
        days: args.days,
        pods: args.pods,
        end: args.end,
        incidents: kinds(&args.incidents)?,
    };
    let progress = Progress::steps("generating", 1000);
    let planted = margay_generate::write(&options, &args.out, &|share| progress.reach((share * 1000.0) as u64))?;
    drop(progress);
    match cli.output {
        Output::Json => print_json(&planted)?,
        Output::Text => {
            let mut text = format!(
                "{} days of logs of {} pods with {} incidents in {}\n",
                args.days,
                args.pods,
                planted.len(),
                args.out.display()
            );
            for one in &planted {
                text.push_str(&format!("  {}  {}  {}\n", one.start, one.kind, one.detector));
            }
            print(&text)?;
        }
    }
    Ok(Exit::Ok)
}

fn kinds(text: &str) -> anyhow::Result<Vec<IncidentKind>> {
    match text {
        "all" => Ok(IncidentKind::ALL.to_vec()),
        "none" => Ok(Vec::new()),
        list => Ok(list.split(',').map(|kind| kind.trim().parse()).collect::<Result<_, _>>()?),
    }
}
