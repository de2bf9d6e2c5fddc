//! The scored past of a detector: from a file, from what was kept, or replayed now and kept.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use margay_core::{Entity, Time, TimeRange, digest};
use margay_render::plain;
use tracing::info;

use crate::detect::Wish;
use crate::ingest::{Ready, failed};
use crate::judge::{Task, rerun};
use crate::pipeline::Pipeline;
use crate::scores::ScoresFile;
use crate::stored::{self, StoredRow};
use crate::tune::{Collector, Past};

/// The past within `range`, and the score in force at its end. Scores come from `file`, else from what an earlier
/// replay of the same detector over the same logs left, else from a replay.
///
/// # Errors
/// The logs or scores cannot be read, or hold nothing of the detector.
pub fn of(
    pipeline: &Pipeline,
    ready: &Arc<Ready>,
    file: Option<&Path>,
    range: TimeRange,
) -> anyhow::Result<(Past, f64)> {
    let judgement = &ready.definition.judgement;
    if let Some(file) = file {
        return Ok((read(file, ready, range)?, judgement.rule.score));
    }
    if let Some(reason) = failed(&pipeline.ingest(&BTreeSet::new())?).remove(&ready.definition.name) {
        bail!("the features of {} could not be made: {reason}", ready.definition.name);
    }
    let kept = Kept::of(pipeline, ready)?;
    if let Some(score) = kept.score() {
        info!(path = %kept.path.display(), "scores of an earlier replay are used");
        return Ok((read(&kept.path, ready, range)?, score));
    }
    let wish = Wish { scores_from: Some(Time::MIN), explain: None };
    let (memory, outcome) = rerun(&Task::up_to(Time::MAX, ready), &wish)?;
    let mut collector = Collector::new(&judgement.rule, &judgement.volume, range);
    memory.entities().iter().for_each(|entity| collector.enter(entity.clone()));
    for row in &outcome.scores {
        collector.take(row.bucket, row.entity, row.feature, row.score);
    }
    kept.keep(memory.threshold(), |file| {
        file.append(&ready.definition.name, memory.entities(), ready.features(), &outcome.scores)
    })?;
    let past = collector.finish().with_context(|| nothing(ready))?;
    Ok((past, memory.threshold()))
}

fn nothing(ready: &Ready) -> String {
    format!("there are no scores of {} in that time", ready.definition.name)
}

fn read(path: &Path, ready: &Ready, range: TimeRange) -> anyhow::Result<Past> {
    let judgement = &ready.definition.judgement;
    let mut collector = Collector::new(&judgement.rule, &judgement.volume, range);
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut latest = Time::MIN;
    let mut wrong: Option<String> = None;
    let mut last_feature = 0;
    stored::read(path, &ready.definition.name, &mut |row: StoredRow| {
        let entity = match known.get(row.entity) {
            Some(entity) => *entity,
            None => match serde_json::from_str::<Entity>(row.entity) {
                Ok(entity) => {
                    collector.enter(entity);
                    known.insert(row.entity.to_owned(), known.len());
                    known.len() - 1
                }
                Err(_) => {
                    wrong.get_or_insert_with(|| format!("`{}` is no entity", plain(row.entity)));
                    return;
                }
            },
        };
        if row.bucket < latest {
            wrong.get_or_insert_with(|| format!("rows are not in order of time at {}", row.bucket));
        }
        latest = row.bucket;
        let features = ready.features();
        if features.get(last_feature).is_none_or(|name| name != row.feature) {
            last_feature = features.iter().position(|name| name == row.feature).unwrap_or(usize::MAX);
        }
        collector.take(row.bucket, entity, last_feature, row.score);
    })?;
    if let Some(wrong) = wrong {
        bail!("{}: {wrong}: these are no scores as `replay` writes them", path.display());
    }
    collector.finish().with_context(|| format!("{}: {}", path.display(), nothing(ready)))
}

/// Scores kept beside the state, of one definition over the files that were read.
struct Kept {
    folder: PathBuf,
    path: PathBuf,
}

impl Kept {
    fn of(pipeline: &Pipeline, ready: &Ready) -> anyhow::Result<Self> {
        let files = serde_json::to_string(&pipeline.state.ingested(&ready.key())?)?;
        let definition = &ready.definition;
        let judged = format!("{:?}", definition.judgement);
        let name = digest(&[&definition.model_digest, &judged, &files, env!("CARGO_PKG_VERSION")]);
        let folder = pipeline.state_dir.join("scores").join(&definition.name);
        Ok(Self { path: folder.join(format!("{name}.parquet")), folder })
    }

    /// The score in force at the end of the replay that is kept.
    fn score(&self) -> Option<f64> {
        let text = std::fs::read_to_string(self.path.with_extension("score")).ok()?;
        text.trim().parse().ok().filter(|_| self.path.exists())
    }

    /// Keeps these scores, and removes those of other definitions and files. The score in force is written last: what
    /// a crash cut off has none.
    fn keep(
        &self,
        score: f64,
        append: impl FnOnce(&mut ScoresFile) -> Result<(), crate::scores::ScoresError>,
    ) -> anyhow::Result<()> {
        if self.folder.exists() {
            std::fs::remove_dir_all(&self.folder).with_context(|| format!("cannot clear {}", self.folder.display()))?;
        }
        std::fs::create_dir_all(&self.folder).with_context(|| format!("cannot make {}", self.folder.display()))?;
        let mut file = ScoresFile::create(&self.path)?;
        append(&mut file)?;
        file.finish()?;
        std::fs::write(self.path.with_extension("score"), format!("{score}\n"))?;
        Ok(())
    }
}
