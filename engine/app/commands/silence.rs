//! `silence`: writes a file of silences.d.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use margay_config::{Selector, SilenceFile};
use margay_core::Time;
use serde_json::json;

use super::{find_alert, print, print_json};
use crate::Exit;
use crate::cli::{Cli, Output, SilenceArgs};
use crate::open;
use crate::wall::now;

/// Characters of a file's name that is made of a detector's at most.
const NAME_CHARS_MOST: usize = 60;

/// Writes the file; it counts from the next cycle on.
pub fn run(cli: &Cli, args: &SilenceArgs) -> anyhow::Result<Exit> {
    if args.r#for > SilenceFile::LONGEST || args.r#for.0 <= 0 {
        bail!("a silence lasts from 1ms to {}, not {}", SilenceFile::LONGEST, args.r#for);
    }
    for (flag, text) in [("--reason", &args.reason), ("--owner", &args.owner)] {
        if text.trim().is_empty() {
            bail!("{flag} is empty: whoever reads the silence wants to know");
        }
    }
    let from = args.from.unwrap_or_else(now);
    let silence = SilenceFile {
        selector: selector(cli, args)?,
        from,
        until: from.plus(args.r#for),
        reason: args.reason.clone(),
        owner: args.owner.clone(),
    };
    let dir = folder(&cli.config);
    let name = args.name.clone().unwrap_or_else(|| name(&silence));
    let path = write(&dir, &name, &silence)?;
    match cli.output {
        Output::Json => print_json(&json!({ "file": path, "silence": silence }))?,
        Output::Text => print(&format!("{} written: silent until {}\n", path.display(), silence.until))?,
    }
    Ok(Exit::Ok)
}

/// What is silenced: the like of an alert, or what the options say.
fn selector(cli: &Cli, args: &SilenceArgs) -> anyhow::Result<Selector> {
    let Some(id) = &args.alert else {
        let entity = args.entity.iter().cloned().collect();
        return Ok(Selector { detectors: args.detector.clone(), tags: args.tag.clone(), logs: Vec::new(), entity });
    };
    let Some(pipeline) = open::pipeline(&cli.config)? else { bail!("{} cannot be used", cli.config.display()) };
    let alerts = pipeline.state.alerts()?;
    let alert = find_alert(&alerts, id)?;
    let columns = alert.entity.columns().iter().zip(alert.entity.values());
    let entity = columns.filter_map(|(column, value)| Some((column.clone(), value.clone()?))).collect();
    Ok(Selector { detectors: vec![alert.detector.clone()], entity, ..Selector::default() })
}

/// The first folder of silences that margay.yaml names.
fn folder(config: &Path) -> PathBuf {
    let loaded = margay_config::load(config);
    let named = loaded.engine.silences.first().cloned().unwrap_or_else(|| PathBuf::from("silences.d"));
    loaded.root.join(named)
}

/// A name that says what is silenced and since when.
fn name(silence: &SilenceFile) -> String {
    let of = silence.selector.detectors.first().or(silence.selector.tags.first()).map_or("all", |name| &name[..]);
    let plain: String = of.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let kept: String = plain.trim_matches('-').chars().take(NAME_CHARS_MOST).collect();
    format!("{}-{}", if kept.is_empty() { "all" } else { &kept }, stamp(silence.from))
}

/// The time in characters that every file system takes.
fn stamp(time: Time) -> String {
    time.to_string().chars().filter(|c| c.is_ascii_alphanumeric()).collect()
}

fn write(dir: &Path, name: &str, silence: &SilenceFile) -> anyhow::Result<PathBuf> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(is_plain) {
        bail!("`{name}` cannot name a file here: letters, digits, `-`, `_` and `.`");
    }
    let file = format!("{name}.yaml");
    let path = dir.join(&file);
    if path.exists() {
        bail!("{} exists already; give another --name", path.display());
    }
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    margay_deliver::write_file(dir, &file, silence.to_yaml().as_bytes())?;
    let read = margay_config::load_detectors(std::slice::from_ref(&path), None);
    match &read.beside.silences[..] {
        [back] if back.value == *silence => Ok(path),
        _ => bail!("{} does not read back as it was meant: {:?}", path.display(), read.problems),
    }
}
