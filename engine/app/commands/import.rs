//! `import`: rules of other tools to detectors.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use arrow::datatypes::{DataType, Schema};
use margay_config::{Engine, Loaded, Preset, Problem};
use margay_import::{ColumnKind, Columns, Converted, Format, Imported, KnownLog, Surroundings};
use margay_source::{PresetColumn, preset_columns};
use serde::Serialize;

use super::{print, print_json};
use crate::cli::{Cli, ImportArgs, ImportFormat, Output};
use crate::{Exit, open, shipped, specs};

#[derive(Serialize)]
struct Document<'a> {
    detectors: Vec<Written<'a>>,
    problems: &'a [Problem],
}

#[derive(Serialize)]
struct Written<'a> {
    name: &'a str,
    from: String,
    line: usize,
    yaml: &'a str,
    file: Option<String>,
}

/// Prints the detectors, or writes them to files; 1 where something could not be converted.
pub fn run(cli: &Cli, args: &ImportArgs) -> anyhow::Result<Exit> {
    let format = match args.format {
        ImportFormat::Globalalert => Format::GlobalAlert,
        ImportFormat::Elastalert => Format::ElastAlert,
    };
    let surroundings = Surroundings { logs: known_logs(&cli.config), log: args.log_name.clone() };
    let imported = margay_import::import(format, &args.files, &surroundings);
    let files = args.out.as_deref().map(|dir| write(dir, &imported.detectors)).transpose()?;
    match cli.output {
        Output::Json => print_json(&document(&imported, files.as_deref()))?,
        Output::Text => match &files {
            Some(files) => print(&files.iter().map(|file| format!("wrote {}\n", file.display())).collect::<String>())?,
            None => print(&imported.detectors.iter().map(|one| &one.yaml[..]).collect::<Vec<_>>().join("---\n"))?,
        },
    }
    tell(&imported, files.is_some());
    Ok(if imported.is_incomplete() { Exit::Findings } else { Exit::Ok })
}

/// What could not be converted, and what to do next.
fn tell(imported: &Imported, is_written: bool) {
    for problem in &imported.problems {
        eprintln!("{}", problem.render(false));
    }
    let (converted, problems) = (imported.detectors.len(), imported.problems.len());
    let next = if is_written && converted > 0 { "; next: margay check" } else { "" };
    eprintln!("{converted} detectors, {problems} things to know{next}");
}

fn document<'a>(imported: &'a Imported, files: Option<&[PathBuf]>) -> Document<'a> {
    let written = imported.detectors.iter().enumerate().map(|(at, one)| Written {
        name: &one.name,
        from: one.from.display().to_string(),
        line: one.line,
        yaml: &one.yaml,
        file: files.and_then(|files| files.get(at)).map(|file| file.display().to_string()),
    });
    Document { detectors: written.collect(), problems: &imported.problems }
}

/// Writes each detector to its file, and the schema beside them; nothing, where one of the files is there already.
fn write(dir: &Path, detectors: &[Converted]) -> anyhow::Result<Vec<PathBuf>> {
    let files: Vec<PathBuf> = detectors.iter().map(|one| dir.join(format!("{}.yaml", one.name))).collect();
    if let Some(present) = files.iter().find(|file| file.symlink_metadata().is_ok()) {
        anyhow::bail!("{} is there already: nothing was written", present.display());
    }
    shipped::write_schema(dir).with_context(|| format!("cannot write to {}", dir.display()))?;
    for (file, one) in files.iter().zip(detectors) {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(file)
            .and_then(|mut open| open.write_all(one.yaml.as_bytes()))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(files)
}

/// The logs of margay.yaml, or those of Calico where there is none.
fn known_logs(config: &Path) -> Vec<KnownLog> {
    if !config.exists() {
        return ["flows", "dns", "l7"].iter().map(|name| calico_log(name)).collect();
    }
    let loaded: Loaded = margay_config::load(config);
    let (logs, _) = open::files(&loaded);
    let known = loaded.engine.logs.iter().map(|(name, log)| {
        let schema =
            logs.get(name).map(margay_source::Log::schema).or_else(|| specs::preset_schema(&loaded.engine, name));
        KnownLog {
            name: name.clone(),
            dataset: log.preset.map(|preset| dataset(preset).to_owned()),
            index: log.elasticsearch.as_ref().map(|index| index.index.clone()),
            columns: schema.map(|schema| columns(&schema, log.preset)),
        }
    });
    known.collect()
}

fn calico_log(name: &str) -> KnownLog {
    let preset =
        [Preset::CalicoFlows, Preset::CalicoDns, Preset::CalicoL7].into_iter().find(|one| dataset(*one) == name);
    let schema = specs::preset_schema(&Engine::default(), name);
    KnownLog {
        name: name.to_owned(),
        dataset: Some(name.to_owned()),
        index: None,
        columns: schema.map(|schema| columns(&schema, preset)),
    }
}

fn dataset(preset: Preset) -> &'static str {
    match preset {
        Preset::CalicoFlows => "flows",
        Preset::CalicoDns => "dns",
        Preset::CalicoL7 => "l7",
    }
}

/// The columns of a log by all names that they go by.
fn columns(schema: &Schema, preset: Option<Preset>) -> Columns {
    let declared: &[PresetColumn] = preset.map_or(&[], |preset| preset_columns(specs::preset(preset)));
    let of_preset = |name: &str| declared.iter().find(|column| column.name == name);
    let mut columns = Columns { signs_are_null: preset.is_some(), ..Columns::default() };
    for field in schema.fields() {
        let known = of_preset(field.name());
        let kind = match field.data_type() {
            _ if known.is_some_and(|column| column.kind == margay_source::Kind::Nanos) => ColumnKind::Nanoseconds,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => ColumnKind::Text,
            DataType::Boolean => ColumnKind::Bool,
            DataType::Timestamp(..) => ColumnKind::Time,
            DataType::List(_) => ColumnKind::List,
            _ => ColumnKind::Number,
        };
        for name in known.map_or(&[][..], |column| column.aliases).iter().copied().chain([&field.name()[..]]) {
            columns.by_name.insert(name.to_owned(), (field.name().clone(), kind));
        }
    }
    columns
}
