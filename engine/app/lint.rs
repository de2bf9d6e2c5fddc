//! Problems that only planning and compiling show, placed in the YAML; and the forms in which `check` prints problems.

pub mod github;
pub mod junit;
pub mod sarif;
pub mod source;

use std::borrow::Cow;
use std::path::Path;

use margay_config::{Loaded, LoadedDetector, Problem, Sink};
use margay_features::{Part, Plan, QueryError};
use margay_render::{TemplateError, Templates};
use margay_source::Log;

use crate::open;
use crate::specs;

/// Everything that is wrong with the loaded configuration: its own problems, queries that cannot be
/// planned against their log, templates that cannot be compiled. Ordered by file and place.
#[must_use]
pub fn problems(loaded: &Loaded) -> Vec<Problem> {
    let mut problems = loaded.problems.clone();
    let (logs, lost) = open::files(loaded);
    let templates = match Templates::load(specs::templates_dir(loaded).as_deref()) {
        Ok(templates) => Some(templates),
        Err(errors) => {
            problems.extend(errors.into_iter().map(|error| template_problem(loaded, error)));
            None
        }
    };
    for one in loaded.detectors.iter().chain(&loaded.broken) {
        let query = specs::query(&one.detector);
        let schema = logs.get(&query.log).map(Log::schema).or_else(|| specs::preset_schema(&loaded.engine, &query.log));
        if let (None, Some(reason)) = (&schema, lost.get(&query.log)) {
            let message = format!("the log `{}` cannot be read: {reason}", query.log);
            problems.push(one.problem(&["log"], None, "log-unreadable", message, None));
        }
        if let Some(schema) = schema {
            match Plan::compile(&query, schema) {
                Ok(plan) => problems.extend(list_problem(one, &plan)),
                Err(errors) => problems.extend(errors.iter().map(|error| query_problem(one, error))),
            }
        }
        if let Some(templates) = &templates {
            problems.extend(text_problems(one, templates));
        }
    }
    if let Some(templates) = &templates {
        problems.extend(body_problems(loaded, templates));
    }
    problems.sort_by(|a, b| (&a.file, a.line, a.column, &a.rule).cmp(&(&b.file, b.line, b.column, &b.rule)));
    problems
}

/// A feature that the model needs to be a list, and that is a number.
#[must_use]
pub fn list_problem(one: &LoadedDetector, plan: &Plan) -> Option<Problem> {
    let model = &one.detector.model;
    let is_number =
        |name: &&&str| plan.features().iter().zip(plan.lists()).any(|(feature, list)| feature == **name && !list);
    let name = model.lists().iter().find(is_number)?;
    let message = format!("the model `{}` needs `{name}` to be a list, and it is a number", model.name());
    let hint = Some(format!("{name}: array_agg(DISTINCT column)"));
    Some(one.problem(&["features", name], None, "model-needs-list", message, hint))
}

/// A query's error at its place in the detector's file.
#[must_use]
pub fn query_problem(one: &LoadedDetector, error: &QueryError) -> Problem {
    let index;
    let (key, rule): (Vec<&str>, &'static str) = match &error.part {
        Part::Entity(at) => {
            index = at.to_string();
            (vec!["entity", &index], "sql-entity")
        }
        Part::Filter => (vec!["where"], "sql-where"),
        Part::Feature(name) => (vec!["features", name], "sql-feature"),
        Part::Exclude(at) => {
            index = at.to_string();
            (vec!["exclude", &index, "where"], "sql-exclude")
        }
        Part::Requires(at) => {
            index = at.to_string();
            (vec!["requires", &index], "unknown-column")
        }
        Part::Sql => (vec!["sql"], "sql"),
    };
    one.problem(&key, Some((error.line, error.column)), rule, error.message.clone(), error.hint.clone())
}

/// What is wrong with the templates that a detector uses: its own line, and the full text that it names.
fn text_problems(one: &LoadedDetector, templates: &Templates) -> Vec<Problem> {
    let features: Vec<String> = one.detector.features.names().into_iter().map(str::to_owned).collect();
    let columns: Vec<String> = one.detector.entity_columns().into_iter().map(|(name, _)| name).collect();
    let alert = &one.detector.alert;
    let summary = templates.check_summary(&alert.summary, &features, &columns).err().map(|error| {
        let place = Some((error.line, error.column));
        one.problem(&["alert", "summary"], place, "template", error.message, error.hint)
    });
    let text = templates.check_text(&alert.template, &features, &columns).err().map(|error| {
        let message = format!("{}:{}:{}: {}", error.name, error.line, error.column, error.message);
        one.problem(&["alert", "template"], None, "template", message, error.hint)
    });
    summary.into_iter().chain(text).collect()
}

/// Templates of webhooks that do not exist, or that not every alert fits.
fn body_problems(loaded: &Loaded, templates: &Templates) -> Vec<Problem> {
    let problem = |(at, sink): (usize, &Sink)| {
        let Sink::Webhook(webhook) = sink else { return None };
        let error = templates.check_body(webhook.template.as_ref()?).err()?;
        let (index, hint) = (at.to_string(), error.hint.clone());
        let message = format!("{}:{}:{}: {}", error.name, error.line, error.column, error.message);
        let hint = hint.or_else(|| Some("a file of `templates`, NAME.json.hbs or NAME.text.hbs".to_owned()));
        Some(loaded.engine_problem(&["sinks", &index, "webhook", "template"], "template", message, hint))
    };
    loaded.engine.sinks.iter().enumerate().filter_map(problem).collect()
}

/// A template's error at its place in the template's file.
#[must_use]
pub fn template_problem(loaded: &Loaded, error: TemplateError) -> Problem {
    let file = specs::templates_dir(loaded).unwrap_or_default().join(&error.name);
    Problem::new(&file, (error.line, error.column), "template", error.message).hint(error.hint)
}

/// A path as reports name it: relative to `root` where it lies in it, without a leading `./`.
fn relative<'p>(path: &'p Path, root: &Path) -> Cow<'p, str> {
    let inner = if root.as_os_str().is_empty() { path } else { path.strip_prefix(root).unwrap_or(path) };
    inner.strip_prefix(".").unwrap_or(inner).to_string_lossy()
}
