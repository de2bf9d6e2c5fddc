//! Configuration → what each stage takes. The one place that knows both sides.

use std::path::{Path, PathBuf};

use arrow::datatypes::SchemaRef;
use margay_config as config;
use margay_config::{Features, LoadedDetector, Mode};
use margay_core::{Direction, JOINT, Period, digest};
use margay_decide::Rule;
use margay_features::{Body, Exclude, Query};
use margay_model::{Beacon, Changepoint, Cohort, Dga, History, Kind, Limit, Rare, Scan, Shapes, Spec, Tunnel};
use margay_render::PolicyKind;
use margay_source::{Log, LogSpec, Preset, Shape, TimeFormat};

use crate::exempt::Exempts;
use crate::memory::Judgement;
use crate::quarantine::QuarantineWish;

/// Seed of whatever a model draws: fixed, so that the same logs give the same scores.
const SEED: u64 = 1;
/// History kept for models that name none.
const HISTORY: Period = Period(4 * Period::WEEK.0);

/// A detector as the stages take it.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Digest of the whole definition.
    pub digest: String,
    /// Digest of what determines the features: the query, and the shape of the log.
    pub data_digest: String,
    /// Digest of what determines the scores.
    pub model_digest: String,
    /// For the features stage.
    pub query: Query,
    /// For the model and decide stages; `fill` is known once the query is planned.
    pub judgement: Judgement,
    /// For the render stage.
    pub meta: Meta,
    /// A quarantine it asks for.
    pub quarantine: Option<QuarantineWish>,
}

/// What an alert says of its detector.
#[derive(Clone, Debug)]
pub struct Meta {
    /// How far the detector may go, as written.
    pub mode: String,
    /// Alerts are kept and not delivered.
    pub shadow: bool,
    /// The detector that it should take the place of.
    pub replaces: Option<String>,
    /// Policies may be enforced.
    pub responds: bool,
    /// What it means when it fires.
    pub description: String,
    /// Words to route by.
    pub tags: Vec<String>,
    /// Severity at score 100.
    pub severity: u8,
    /// Technique ids.
    pub mitre: Vec<String>,
    /// What to do.
    pub runbook: Option<String>,
    /// What ends or limits the harm.
    pub mitigations: Vec<String>,
    /// Template of the one line.
    pub summary: String,
    /// Name of the template of the full text.
    pub template: String,
}

/// The definition of a detector.
#[must_use]
pub fn definition(loaded: &LoadedDetector, engine: &config::Engine) -> Definition {
    let detector = &loaded.detector;
    let shape =
        engine.logs.get(&detector.log).map(|log| format!("{:?} {:?}", log.preset, log.time)).unwrap_or_default();
    Definition {
        name: detector.name.clone(),
        digest: loaded.digest.clone(),
        data_digest: digest(&[&loaded.data_digest, &shape]),
        model_digest: digest(&[&loaded.model_digest, &shape]),
        query: query(detector),
        judgement: judgement(detector, &engine.limits),
        meta: meta(detector),
        quarantine: detector.respond.quarantine.as_ref().map(|quarantine| QuarantineWish {
            policy: match quarantine.policy {
                config::PolicyKind::Calico => PolicyKind::Calico,
                config::PolicyKind::Kubernetes => PolicyKind::Kubernetes,
            },
            score: quarantine.score,
            expires: quarantine.expires,
        }),
    }
}

/// The query of a detector.
#[must_use]
pub fn query(detector: &config::Detector) -> Query {
    let body = match (&detector.sql, &detector.features) {
        (Some(sql), features) => {
            Body::Full { sql: sql.clone(), features: features.names().into_iter().map(str::to_owned).collect() }
        }
        (None, Features::Map(features)) => parts(detector, features.clone()),
        (None, Features::List(names)) => {
            parts(detector, names.iter().map(|name| (name.clone(), name.clone())).collect())
        }
    };
    Query {
        detector: detector.name.clone(),
        log: detector.log.clone(),
        entity: detector.entity_columns(),
        bucket: detector.bucket,
        body,
        requires: detector.requires.clone(),
    }
}

fn parts(detector: &config::Detector, features: Vec<(String, String)>) -> Body {
    let exclude = detector.exclude.iter().map(|one| Exclude { filter: one.r#where.clone(), until: one.until });
    Body::Parts { filter: detector.r#where.clone(), features, exclude: exclude.collect() }
}

fn judgement(detector: &config::Detector, limits: &config::Limits) -> Judgement {
    let features: Vec<String> = detector.features.names().into_iter().map(str::to_owned).collect();
    let threshold = &detector.threshold;
    let place = |name: &str| features.iter().position(|feature| feature == name);
    let joint = matches!(detector.model, config::Model::Multivariate(_));
    let judged: Vec<String> = features.iter().cloned().chain(joint.then(|| JOINT.to_owned())).collect();
    let volume = match detector.model {
        config::Model::Ratio(_) => vec![place("total"); judged.len()],
        _ => vec![None; judged.len()],
    };
    let direction = match (&detector.model, threshold.direction) {
        (config::Model::Limit(limit), _) if limit.above.is_none() => Direction::Below,
        (config::Model::Limit(limit), _) if limit.below.is_some() => Direction::Both,
        // A model that judges members has no sides: only its score decides.
        (config::Model::Rare(_) | config::Model::Novelty(_), _) => Direction::Both,
        (model, _) if !model.lists().is_empty() => Direction::Both,
        (_, direction) => direction,
    };
    let kind = kind(&detector.model, detector.bucket);
    let history = kind.history().map_or(HISTORY, |history| history.history);
    Judgement {
        model: Spec {
            kind,
            direction,
            bucket: detector.bucket,
            features,
            seed: SEED,
            alone: threshold.sustained.n == 1,
        },
        history,
        rule: Rule {
            features: judged,
            score: threshold.score_or_default(detector.bucket),
            // The model looks on one side of each feature: what it makes of them all has none.
            direction: if joint { Direction::Both } else { direction },
            min_dev: threshold.min_dev.map(|quantity| quantity.0),
            min_rel_dev: threshold.min_rel_dev,
            min_value: threshold.min_value.map(|quantity| quantity.0),
            sustained: (threshold.sustained.n, threshold.sustained.m),
            bucket: detector.bucket,
            refractory: threshold.refractory,
        },
        volume,
        fill: Vec::new(),
        budget: threshold.budget.as_ref().map(|budget| (budget.alerts, budget.per)),
        exclusion: detector.exclude.iter().map(|one| &one.reason[..]).collect::<Vec<_>>().join("; "),
        exempts: Exempts::default(),
        entities_most: limits.entities_per_detector as usize,
    }
}

fn kind(model: &config::Model, bucket: Period) -> Kind {
    let history =
        |history: &config::History| History { seasonality: history.seasonality.clone(), history: history.history };
    match model {
        config::Model::Limit(limit) => Kind::Limit(Limit {
            above: limit.above.map(|quantity| quantity.0),
            below: limit.below.map(|quantity| quantity.0),
        }),
        config::Model::Seasonal(one) => Kind::Seasonal(history(one)),
        config::Model::Count(one) => Kind::Count(history(one)),
        config::Model::Ratio(one) => Kind::Ratio(history(one)),
        config::Model::Latency(one) => Kind::Latency(history(one)),
        config::Model::Auto(one) => Kind::Auto(history(one)),
        config::Model::Multivariate(one) => Kind::Multivariate(history(one)),
        config::Model::Neural(one) => Kind::Neural(History { seasonality: Vec::new(), history: one.history }),
        config::Model::Novelty(one) => Kind::Novelty(Shapes { probation: one.probation }),
        config::Model::Scan(one) => Kind::Scan(Scan {
            failed: f64::from(one.failed),
            any: f64::from(one.any),
            sure: f64::from(one.sure),
            memory: one.memory,
        }),
        config::Model::Rare(one) => Kind::Rare(Rare { memory: one.memory }),
        config::Model::Tunnel(one) => Kind::Tunnel(Tunnel { least_bytes: one.least.0, sure_bytes: one.sure.0 }),
        config::Model::Dga(one) => Kind::Dga(Dga { names: one.names as usize, window: one.window }),
        config::Model::Beacon(one) => {
            let usual = Beacon::default();
            let gap = one.gap.map_or(0.0, |gap| gap.seconds() / bucket.seconds());
            Kind::Beacon(Beacon { gaps: one.gaps as usize, gap_buckets: usual.gap_buckets.max(gap) })
        }
        config::Model::Cohort(one) => Kind::Cohort(Cohort { group: one.group.clone(), members: one.members as usize }),
        config::Model::Changepoint(one) => {
            let lasting = one.lasting as usize;
            Kind::Changepoint(Changepoint { lasting, within: 4 * lasting, every: one.every })
        }
    }
}

fn meta(detector: &config::Detector) -> Meta {
    Meta {
        mode: format!("{:?}", detector.mode).to_lowercase(),
        shadow: detector.mode == Mode::Shadow,
        replaces: detector.replaces.clone(),
        responds: detector.mode == Mode::Respond,
        description: detector.description.clone(),
        tags: detector.tags.clone(),
        severity: detector.alert.severity,
        mitre: detector.alert.mitre.clone(),
        runbook: detector.alert.runbook.clone(),
        mitigations: detector.alert.mitigations.clone(),
        summary: detector.alert.summary.clone(),
        template: detector.alert.template.clone(),
    }
}

/// Folder of the user's own templates.
#[must_use]
pub fn templates_dir(loaded: &config::Loaded) -> Option<PathBuf> {
    loaded.engine.templates.as_ref().map(|dir| loaded.root.join(dir))
}

/// Where and how a log is read; `None` for logs that are not files.
#[must_use]
pub fn log(name: &str, log: &config::Log, root: &Path) -> Option<LogSpec> {
    if log.files.is_empty() {
        return None;
    }
    Some(LogSpec { name: name.to_owned(), root: root.to_owned(), files: log.files.clone(), shape: shape(log)? })
}

/// How the records of a log are to be understood; `None` where it does not say.
#[must_use]
pub fn shape(log: &config::Log) -> Option<Shape> {
    match (log.preset, &log.time) {
        (Some(known), _) => Some(Shape::Preset(preset(known))),
        (None, Some(time)) => Some(Shape::Declared {
            time_field: time.field.clone(),
            end_field: time.end_field.clone(),
            format: match time.format {
                config::TimeFormat::Rfc3339 => TimeFormat::Rfc3339,
                config::TimeFormat::EpochS => TimeFormat::EpochS,
                config::TimeFormat::EpochMs => TimeFormat::EpochMs,
                config::TimeFormat::Auto => TimeFormat::Auto,
            },
        }),
        (None, None) => None,
    }
}

/// Columns of a log that is not open: those of its preset, or, where no log is declared at all, those
/// of the Calico log that usually has this name.
#[must_use]
pub fn preset_schema(engine: &config::Engine, log: &str) -> Option<SchemaRef> {
    let usual = match log {
        "flows" => Some(Preset::CalicoFlows),
        "dns" => Some(Preset::CalicoDns),
        "l7" => Some(Preset::CalicoL7),
        _ => None,
    };
    let preset = match engine.logs.get(log) {
        Some(log) => preset(log.preset?),
        None if engine.logs.is_empty() => usual?,
        None => return None,
    };
    let spec = LogSpec { name: log.to_owned(), root: PathBuf::new(), files: Vec::new(), shape: Shape::Preset(preset) };
    Log::open(spec).ok().map(|log| log.schema())
}

/// A known log as the source stage names it.
#[must_use]
pub fn preset(preset: config::Preset) -> Preset {
    match preset {
        config::Preset::CalicoFlows => Preset::CalicoFlows,
        config::Preset::CalicoDns => Preset::CalicoDns,
        config::Preset::CalicoL7 => Preset::CalicoL7,
    }
}
