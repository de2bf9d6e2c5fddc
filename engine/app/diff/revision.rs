//! What a side of a comparison names: a folder, a file, or a revision of Git, read without touching the checkout.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use tempfile::TempDir;

/// Files of a revision that are read at most.
const FILES_MOST: usize = 20_000;
/// Endings of files that a configuration is made of.
const ENDINGS: [&str; 5] = [".yaml", ".yml", ".hbs", ".ics", ".json"];

/// Where a configuration is read from.
#[derive(Debug)]
pub struct Source {
    /// As it was named.
    pub name: String,
    /// Its margay.yaml.
    pub config: PathBuf,
    /// Detectors in place of those that margay.yaml names.
    pub detectors: Option<PathBuf>,
    /// Where its logs are, if not beside its margay.yaml.
    pub logs_root: Option<PathBuf>,
    /// Holds the files of a revision as long as they are needed.
    _folder: Option<TempDir>,
}

/// Finds what `name` names: margay.yaml or a folder that holds one; a detector or a folder of them, which then stand
/// for those of `config`; or a Git revision of the repository in which `config` lies, whose logs are those beside it.
///
/// # Errors
/// It is none of these, or Git fails.
pub fn resolve(name: &str, config: &Path) -> anyhow::Result<Source> {
    let path = Path::new(name);
    let file_name = config.file_name().context("--config names no file")?;
    let found = |config: PathBuf, detectors| Source {
        name: name.to_owned(),
        config,
        detectors,
        logs_root: None,
        _folder: None,
    };
    if path.join(file_name).is_file() {
        return Ok(found(path.join(file_name), None));
    }
    if path.is_file() && path.file_name() == Some(file_name) {
        return Ok(found(path.to_owned(), None));
    }
    if path.exists() {
        let detectors = std::path::absolute(path).with_context(|| format!("cannot find {name}"))?;
        return Ok(found(config.to_owned(), Some(detectors)));
    }
    of_revision(name, config)
        .with_context(|| format!("`{name}` is no file, folder or Git revision with a {}", config.display()))
}

fn of_revision(name: &str, config: &Path) -> anyhow::Result<Source> {
    let config = std::path::absolute(config)?;
    let root = config.parent().context("--config has no folder")?.to_owned();
    let revision =
        git(&root, None, &["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{name}^{{commit}}")])?;
    let top = PathBuf::from(git(&root, None, &["rev-parse", "--show-toplevel"])?);
    let prefix = git(&root, None, &["rev-parse", "--show-prefix"])?;
    let folder = tempfile::tempdir().context("cannot make a folder for the revision")?;
    let index = folder.path().join("index");
    git(&top, Some(&index), &["read-tree", &revision])?;
    let listed = git(&top, Some(&index), &["ls-files", "-z"])?;
    let wanted: Vec<&str> =
        listed.split('\0').filter(|path| ENDINGS.iter().any(|ending| path.ends_with(ending))).collect();
    if wanted.len() > FILES_MOST {
        bail!("the revision holds {} files that may be configuration, more than {FILES_MOST}", wanted.len());
    }
    let files = folder.path().join("files");
    check_out(&top, &index, &files, &wanted)?;
    let config = files.join(prefix).join(config.file_name().context("--config names no file")?);
    if !config.is_file() {
        bail!("the revision does not hold it");
    }
    Ok(Source { name: name.to_owned(), config, detectors: None, logs_root: Some(root), _folder: Some(folder) })
}

/// Writes files of an index of our own into `target`.
fn check_out(top: &Path, index: &Path, target: &Path, paths: &[&str]) -> anyhow::Result<()> {
    let list = index.with_extension("paths");
    std::fs::write(&list, paths.iter().map(|path| format!("{path}\0")).collect::<String>())?;
    let output = Command::new("git")
        .current_dir(top)
        .env("GIT_INDEX_FILE", index)
        .args(["checkout-index", "--force", "-z", "--stdin"])
        .arg(format!("--prefix={}/", target.display()))
        .stdin(std::fs::File::open(&list)?)
        .output()
        .context("git cannot be run")?;
    if !output.status.success() {
        bail!("git checkout-index: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Runs git, with an index of our own where one is given, and returns what it printed.
fn git(folder: &Path, index: Option<&Path>, args: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new("git");
    command.current_dir(folder).args(args);
    if let Some(index) = index {
        command.env("GIT_INDEX_FILE", index);
    }
    let output = command.output().context("git cannot be run")?;
    if !output.status.success() {
        bail!("git {}: {}", args[0], String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout).context("git printed no UTF-8")?.trim_end_matches('\n').to_owned())
}
