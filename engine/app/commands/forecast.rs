//! `forecast`: what a detector expects of an entity next.

use std::collections::BTreeSet;

use anyhow::{Context, bail};
use margay_core::{JOINT, Score, Time};
use margay_model::Observation;
use margay_render::plain;
use serde_json::json;

use super::{find_entity, print, print_json};
use crate::Exit;
use crate::chart;
use crate::cli::{Cli, ForecastArgs, ForecastFormat, Output};
use crate::detect::{Scored, Wish};
use crate::ingest::{failed, find};
use crate::judge::{Task, rerun};
use crate::open;

/// Buckets ahead at most: what is expected further out is what is expected a week before.
const BUCKETS_MOST: i64 = 20_000;

/// Prints what is expected in the buckets ahead, and the 95 % interval.
pub fn run(cli: &Cli, args: &ForecastArgs) -> anyhow::Result<Exit> {
    let Some(mut pipeline) = open::pipeline(&cli.config)? else { return Ok(Exit::Configuration) };
    pipeline.ready.retain(|ready| ready.definition.name == args.detector);
    let reports = pipeline.ingest(&BTreeSet::new())?;
    if let Some(reason) = failed(&reports).remove(&args.detector) {
        bail!("the features of {} could not be made: {reason}", args.detector);
    }
    let ready = find(&pipeline.ready, &args.detector)
        .with_context(|| format!("no detector that can run is called `{}`; see `margay status`", args.detector))?;
    let entity = find_entity(ready, &args.entity)?;
    let bucket = ready.definition.query.bucket;
    let buckets = args.horizon.per(bucket);
    if !(1..=BUCKETS_MOST).contains(&buckets) {
        bail!("a horizon of {} is {buckets} buckets of {bucket}; it may be 1 to {BUCKETS_MOST}", args.horizon);
    }
    let wish = Wish { scores_from: Some(Time::MIN), explain: None };
    let (memory, outcome) = rerun(&Task::up_to(Time::MAX, ready), &wish)?;
    let next = memory.next().context("nothing was judged yet")?;
    let at = memory.entities().iter().position(|known| *known == entity).context("the entity was never judged")?;
    // Shares and durations have a weight; the last one seen stands for those to come.
    let features: Vec<String> = ready.features().iter().filter(|name| *name != JOINT).cloned().collect();
    let mut values = vec![f64::NAN; features.len()];
    for row in outcome
        .scores
        .iter()
        .filter(|row| row.entity == at && row.feature < features.len() && row.score.value.is_finite())
    {
        values[row.feature] = row.score.value;
    }
    let mut ahead = Vec::new();
    for step in 0..buckets {
        let time = next.plus(bucket.times(step));
        let judged = memory.model.score(time, &[Observation::numbers(at, &values)]);
        ahead.extend(judged.into_iter().flatten().take(features.len()).enumerate().map(|(feature, score)| Scored {
            bucket: time,
            entity: at,
            feature,
            score: Score { value: score.expected, ..score },
        }));
    }
    let named = |row: &Scored| (features[row.feature].clone(), row.score);
    match (cli.output, args.format) {
        (Output::Json, _) => print_json(&json!({
            "detector": args.detector, "entity": entity, "from": next, "to": next.plus(args.horizon),
            "forecast": ahead.iter().map(|row| {
                let (feature, score) = named(row);
                json!({ "bucket_start": row.bucket, "feature": feature, "expected": finite(score.expected),
                    "lower": finite(score.lower), "upper": finite(score.upper) })
            }).collect::<Vec<_>>(),
        }))?,
        (Output::Text, ForecastFormat::Csv) => print(&csv(&ahead, &features)?)?,
        (Output::Text, ForecastFormat::Chart) => {
            for (feature, name) in features.iter().enumerate() {
                print(&chart::forecast(&format!("{name} of {}", plain(&entity.to_string())), feature, &ahead))?;
            }
        }
    }
    Ok(Exit::Ok)
}

fn csv(ahead: &[Scored], features: &[String]) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["bucket_start", "feature", "expected", "lower", "upper"])?;
    let number = |value: f64| finite(value).map_or_else(String::new, |value| value.to_string());
    for row in ahead {
        let score = row.score;
        let (expected, lower, upper) = (number(score.expected), number(score.lower), number(score.upper));
        writer.write_record([&row.bucket.to_string(), &features[row.feature], &expected, &lower, &upper])?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
