//! Opens everything a command works on: configuration, logs, plans, state, sinks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use margay_config::{Loaded, LoadedDetector, Mode, Problem, Severity};
use margay_core::Time;
use margay_features::{Gathered, Limits, Plan, Query, Store};
use margay_render::Templates;
use margay_source::{IndexSpec, Log};

use crate::beside;
use crate::indices;
use crate::ingest::{Ready, chain, open_store, threads};
use crate::labels;
use crate::lanes::Lanes;
use crate::lint;
use crate::pipeline::Pipeline;
use crate::sinks;
use crate::specs::{self, Definition};
use crate::state::State;

/// Groups that a query may form at most: one for each entity and bucket.
const GROUPS_MOST: u64 = 50_000_000;

/// What a daemon hands on to a pipeline that it opens.
#[derive(Clone, Default)]
pub struct Shared {
    /// The store that is open already, and its folder.
    pub state: Option<(PathBuf, Arc<State>)>,
    /// Logs that are open already.
    pub logs: BTreeMap<String, Log>,
    /// Set when no more work should begin.
    pub stop: Arc<AtomicBool>,
}

/// Opens what the configuration names. Detectors with problems are left out and said so; good neighbours run.
/// `None` where it is refused: the configuration is wrong, or nothing is left to run. The problems were printed.
///
/// # Errors
/// The state cannot be opened.
pub fn pipeline(config: &Path) -> anyhow::Result<Option<Pipeline>> {
    load(config, &margay_config::load(config), &Shared::default())
}

/// Opens what a loaded configuration names; as [`pipeline`].
///
/// # Errors
/// The state cannot be opened.
pub fn load(config: &Path, loaded: &Loaded, shared: &Shared) -> anyhow::Result<Option<Pipeline>> {
    let templates = Templates::load(specs::templates_dir(loaded).as_deref());
    let mut problems = loaded.problems.clone();
    let engine_is_wrong = problems.iter().any(|one| one.severity == Severity::Error && one.file == config);
    let templates = match templates {
        Ok(templates) => templates,
        Err(errors) => {
            problems.extend(errors.into_iter().map(|error| lint::template_problem(loaded, error)));
            Templates::load(None).map_err(|errors| anyhow::anyhow!("built-in template {}", errors[0].name))?
        }
    };
    let mut broken = broken(loaded, &problems);
    if engine_is_wrong || loaded.detectors.is_empty() {
        if !engine_is_wrong && broken.is_empty() {
            eprintln!("{}: there is no detector to run in {:?}", config.display(), loaded.engine.detectors);
        }
        return Ok(None);
    }
    let state_dir = loaded.root.join(&loaded.engine.state.dir);
    let state = match &shared.state {
        Some((dir, state)) if *dir == state_dir => state.clone(),
        _ => Arc::new(State::open(&state_dir)?),
    };
    if !state.is_read_only() {
        labels::take_left(&state_dir, &state)?;
    }
    let (logs, lost) = logs(loaded, &shared.logs);
    let mut ready = ready(loaded, &logs, &lost, &state_dir, &mut broken);
    labels::keep_out_of_training(&labels::labels(&state)?, &mut ready);
    Ok(Some(Pipeline {
        ready: ready.into_iter().map(Arc::new).collect(),
        logs,
        broken,
        state,
        templates: Arc::new(templates),
        silences: beside::silences(loaded),
        budgets: beside::budgets(loaded),
        outlets: sinks::outlets(loaded),
        state_dir,
        limits: limits(loaded),
        memory_bytes: loaded.engine.limits.memory.0 as u64,
        records_per_alert: loaded.engine.limits.records_per_alert as usize,
        lanes: Lanes::new(threads(), shared.stop.clone()),
    }))
}

/// A pipeline of these detectors on a state of their own, without sinks, silences and sample records.
///
/// # Errors
/// A template of the configuration is broken.
pub fn apart(loaded: &Loaded, ready: Vec<Ready>, state: Arc<State>, state_dir: &Path) -> anyhow::Result<Pipeline> {
    let templates = Templates::load(specs::templates_dir(loaded).as_deref())
        .map_err(|errors| anyhow::anyhow!("template {}: {}", errors[0].name, errors[0].message))?;
    Ok(Pipeline {
        ready: ready.into_iter().map(Arc::new).collect(),
        logs: BTreeMap::new(),
        broken: BTreeMap::new(),
        state,
        templates: Arc::new(templates),
        silences: Vec::new(),
        budgets: Vec::new(),
        outlets: Vec::new(),
        state_dir: state_dir.to_owned(),
        limits: limits(loaded),
        memory_bytes: loaded.engine.limits.memory.0 as u64,
        records_per_alert: 0,
        lanes: Lanes::new(threads(), Arc::default()),
    })
}

/// Prints the errors among the problems; the detectors that they break, and why.
pub fn broken(loaded: &Loaded, problems: &[Problem]) -> BTreeMap<String, String> {
    let mut broken = BTreeMap::new();
    for problem in problems.iter().filter(|one| one.severity == Severity::Error) {
        eprintln!("{}", problem.render(false));
        if loaded.beside.files.contains(&problem.file) {
            continue;
        }
        let name = problem.file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        broken.entry(name).or_insert_with(|| at(problem));
    }
    broken
}

/// A problem on one line.
fn at(problem: &Problem) -> String {
    format!("{}:{}: {}", problem.file.display(), problem.line, problem.message)
}

/// Logs by name, and why others are not there.
pub type Opened = (BTreeMap<String, Log>, BTreeMap<String, String>);

/// Opens the logs. Those in an index that is `open` with the same settings are taken over as they are.
#[must_use]
pub fn logs(loaded: &Loaded, open: &BTreeMap<String, Log>) -> Opened {
    let (mut logs, mut lost) = files(loaded);
    for (name, log) in loaded.engine.logs.iter().filter(|(_, log)| log.elasticsearch.is_some()) {
        let spec = indices::spec(name, log, loaded);
        let same = |spec: &IndexSpec| open.get(name).filter(|log| log.index() == Some(spec)).cloned();
        let opened = spec.and_then(|spec| same(&spec).map_or_else(|| Ok(Log::connect(spec)?), Ok));
        match opened {
            Ok(log) => drop(logs.insert(name.clone(), log)),
            Err(error) => drop(lost.insert(name.clone(), format!("{error:#}"))),
        }
    }
    (logs, lost)
}

/// Opens the logs that are files, without asking any server.
#[must_use]
pub fn files(loaded: &Loaded) -> Opened {
    let (mut logs, mut lost) = (BTreeMap::new(), BTreeMap::new());
    for (name, log) in loaded.engine.logs.iter().filter(|(_, log)| log.elasticsearch.is_none()) {
        let Some(spec) = specs::log(name, log, &loaded.root) else {
            lost.insert(name.clone(), "it has no shape".to_owned());
            continue;
        };
        match Log::open(spec) {
            Ok(log) => drop(logs.insert(name.clone(), log)),
            Err(error) => drop(lost.insert(name.clone(), chain(&error))),
        }
    }
    (logs, lost)
}

fn ready(
    loaded: &Loaded,
    logs: &BTreeMap<String, Log>,
    lost: &BTreeMap<String, String>,
    state_dir: &Path,
    broken: &mut BTreeMap<String, String>,
) -> Vec<Ready> {
    let mut ready = Vec::new();
    for one in loaded.detectors.iter().filter(|one| one.detector.mode != Mode::Disabled) {
        let opened = log_of(one, logs, lost).and_then(|log| open_one(one, loaded, log, state_dir));
        match opened {
            Ok(one) => ready.push(one),
            Err(reason) => drop(broken.insert(one.detector.name.clone(), reason)),
        }
    }
    ready
}

/// The log that a detector reads; what it returns is why it is not there.
pub fn log_of<'a>(
    one: &LoadedDetector,
    logs: &'a BTreeMap<String, Log>,
    lost: &BTreeMap<String, String>,
) -> Result<&'a Log, String> {
    let name = &one.detector.log;
    let reason = || lost.get(name).map_or("no such log", |reason| &reason[..]);
    logs.get(name).ok_or_else(|| format!("log `{name}`: {}", reason()))
}

/// Plans one detector and opens its feature store; what it returns is why it cannot run.
pub fn open_one(one: &LoadedDetector, loaded: &Loaded, log: &Log, state_dir: &Path) -> Result<Ready, String> {
    let mut definition = specs::definition(one, &loaded.engine);
    definition.judgement.exempts = beside::exempts(loaded, one);
    let plan = Plan::compile(&definition.query, log.schema()).map_err(|errors| {
        let problems: Vec<Problem> = errors.iter().map(|error| lint::query_problem(one, error)).collect();
        problems.iter().for_each(|problem| eprintln!("{}", problem.render(false)));
        at(&problems[0])
    })?;
    if let Some(problem) = lint::list_problem(one, &plan) {
        eprintln!("{}", problem.render(false));
        return Err(at(&problem));
    }
    let store = open_store(state_dir, &definition, &plan).map_err(|error| chain(&error))?;
    let gathered = gathered(&definition.query, loaded, log);
    Ok(Ready { gathered, ..Ready::new(definition, plan, store) })
}

/// The query as it is asked of rows that the log's server has gathered; or why it needs every row.
pub fn gathered(query: &Query, loaded: &Loaded, log: &Log) -> Result<Gathered, String> {
    let is_on = loaded.engine.logs.get(&query.log).and_then(|log| log.push_down).unwrap_or(true);
    match log.index() {
        Some(_) if is_on => Plan::gathered(query, log.schema()),
        Some(_) => Err("`push_down` is off".to_owned()),
        None => Err("its log is read from files".to_owned()),
    }
}

impl Ready {
    /// Names of the features.
    #[must_use]
    pub fn features(&self) -> &[String] {
        &self.definition.judgement.rule.features
    }

    /// A detector whose query was planned.
    #[must_use]
    pub fn new(mut definition: Definition, plan: Plan, store: Store) -> Self {
        definition.judgement.fill = plan.fill().to_vec();
        Self { definition, plan, gathered: Err("its log is read from files".to_owned()), store }
    }
}

/// Up to when each log is complete: late rows may come for as long as its `query_delay`.
#[must_use]
pub fn watermarks(loaded: &Loaded, now: Time) -> BTreeMap<String, Time> {
    loaded.engine.logs.iter().map(|(name, log)| (name.clone(), now.minus(log.delay()))).collect()
}

/// Limits of one query.
pub fn limits(loaded: &Loaded) -> Limits {
    let limits = &loaded.engine.limits;
    Limits {
        timeout: limits.query_timeout,
        memory_bytes: limits.query_memory.0 as u64,
        // The rest is for decoding, for what detectors remember, and for what is not counted.
        total_bytes: (limits.memory.0 / 4.0) as u64,
        groups: GROUPS_MOST,
        entities: u64::from(limits.entities_per_detector),
    }
}
