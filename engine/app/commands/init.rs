//! `init`: a first configuration, checked by editors from the first line on.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use margay_config::{SchemaKind, schema, schema_of};
use margay_generate::cases::CaseFile;
use serde::Serialize;
use serde_json::Value;

use super::{print, print_json};
use crate::Exit;
use crate::cli::{Cli, InitArgs, Output};

/// What is kept where it is there already: many repositories have one.
const GITIGNORE: &str = ".gitignore";

#[derive(Serialize)]
struct Written {
    written: Vec<String>,
}

/// Writes the files; nothing, where one of them is there already.
pub fn run(cli: &Cli, args: &InitArgs) -> anyhow::Result<Exit> {
    let files = files()?;
    let present: Vec<&str> =
        files.iter().map(|(name, _)| *name).filter(|name| args.dir.join(name).symlink_metadata().is_ok()).collect();
    if let Some(refused) = present.iter().find(|name| **name != GITIGNORE) {
        anyhow::bail!("{} is there already: nothing was written", args.dir.join(refused).display());
    }
    let mut written = Vec::new();
    for (name, text) in files.iter().filter(|(name, _)| !present.contains(name)) {
        let path = args.dir.join(name);
        write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        written.push(path.display().to_string());
    }
    match cli.output {
        Output::Json => print_json(&Written { written })?,
        Output::Text => {
            let list: String = written.iter().map(|path| format!("wrote {path}\n")).collect();
            let enter =
                if args.dir == Path::new(".") { String::new() } else { format!("cd {} && ", args.dir.display()) };
            let next = "margay check && margay test && margay generate --out logs --days 8 && margay run --once";
            print(&format!("{list}\nNext: {enter}{next}\n"))?;
        }
    }
    Ok(Exit::Ok)
}

/// Each file's name and text.
fn files() -> anyhow::Result<Vec<(&'static str, String)>> {
    let pretty = |schema: &Value| serde_json::to_string_pretty(schema).map(|text| format!("{text}\n"));
    let own = |kind| pretty(&schema(kind));
    Ok(vec![
        ("margay.yaml", include_str!("../init/margay.yaml").to_owned()),
        ("engine.schema.json", own(SchemaKind::Engine)?),
        ("detectors.d/connections.yaml", include_str!("../init/connections.yaml").to_owned()),
        ("detectors.d/detector.schema.json", own(SchemaKind::Detector)?),
        ("exclusions.d/exclusion.schema.json", own(SchemaKind::Exclusion)?),
        ("silences.d/silence.schema.json", own(SchemaKind::Silence)?),
        ("calendars.d/calendar.schema.json", own(SchemaKind::Calendar)?),
        ("tests/detectors/connections.yaml", include_str!("../init/connections-test.yaml").to_owned()),
        ("tests/detectors/test.schema.json", pretty(&schema_of::<CaseFile>())?),
        (GITIGNORE, include_str!("../init/gitignore").to_owned()),
    ])
}

/// Writes a file that must not be there, not even as a link.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}
