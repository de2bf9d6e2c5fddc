//! `elasticsearch setup`: makes what the sinks in Elasticsearch write to.

use anyhow::{Context, bail};
use margay_config::{IndexKind, Loaded, Sink, sink_names};
use margay_deliver::{Plan, Wish};
use margay_render::calico_event_mapping;
use serde_json::{Value, json};

use super::{print, print_json};
use crate::Exit;
use crate::cli::{Cli, ElasticsearchCommand, Output};
use crate::sinks;

/// Sets up one sink or all that are in Elasticsearch.
pub fn run(cli: &Cli, command: &ElasticsearchCommand) -> anyhow::Result<Exit> {
    let ElasticsearchCommand::Setup { name, dry_run } = command;
    let Some(loaded) = sinks::of_engine(&cli.config) else { return Ok(Exit::Configuration) };
    let mut documents = Vec::new();
    for (own, sink) in sink_names(&loaded.engine.sinks).iter().zip(&loaded.engine.sinks) {
        let Sink::Elasticsearch(sink) = sink else { continue };
        if name.as_ref().is_none_or(|name| name == own) {
            let plan = set_up(&loaded, sink, *dry_run).with_context(|| format!("sink {own}"))?;
            documents.push(document(own, &plan));
            if cli.output == Output::Text {
                print(&text(own, &plan, *dry_run)?)?;
            }
        }
    }
    if documents.is_empty() {
        bail!("{} has no such sink in Elasticsearch", cli.config.display());
    }
    if cli.output == Output::Json {
        print_json(&json!({ "dry_run": dry_run, "sinks": documents }))?;
    }
    Ok(Exit::Ok)
}

fn set_up(loaded: &Loaded, sink: &margay_config::ElasticsearchSink, dry_run: bool) -> anyhow::Result<Plan> {
    let kind = match sink.kind {
        IndexKind::DataStream => margay_deliver::IndexKind::DataStream,
        IndexKind::Index => margay_deliver::IndexKind::Alias,
    };
    let elasticsearch = sinks::elasticsearch(loaded, sink)?;
    let plan = elasticsearch.plan(&Wish { kind, retention: sink.retention, mappings: calico_event_mapping() })?;
    if !dry_run {
        elasticsearch.set_up(&plan)?;
    }
    Ok(plan)
}

fn document(sink: &str, plan: &Plan) -> Value {
    let steps: Vec<Value> = plan
        .steps
        .iter()
        .map(|step| json!({ "what": step.what, "method": "PUT", "path": step.path, "body": step.body }))
        .collect();
    json!({ "sink": sink, "requests": steps, "notes": plan.notes })
}

/// With `--dry-run` the requests, as Kibana's console takes them.
fn text(sink: &str, plan: &Plan, dry_run: bool) -> anyhow::Result<String> {
    let mut text = String::new();
    for step in &plan.steps {
        if dry_run {
            text.push_str(&format!("# {sink}: {}\nPUT {}\n", step.what, step.path));
            if !step.body.is_null() {
                text.push_str(&(serde_json::to_string_pretty(&step.body)? + "\n"));
            }
            text.push('\n');
        } else {
            text.push_str(&format!("{sink}: wrote the {}\n", step.what));
        }
    }
    for note in &plan.notes {
        text.push_str(&format!("{}{sink}: {note}\n", if dry_run { "# " } else { "" }));
    }
    Ok(text)
}
