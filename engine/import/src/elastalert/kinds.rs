//! The kinds of rules: what each measures, and when it fires.

use margay_config::{Item, shown};
use margay_core::Period;
use serde_yaml::Value;

use super::{BUFFER_TIME_DEFAULT, Measure, Rule, filter, values};
use crate::columns::ColumnKind;
use crate::draft::{DraftModel, count_of, just_above, just_below, number};
use crate::fields::{self, Refusal};
use crate::sql::{self, Condition, Literal, name};

/// The name of the feature that counts rows.
const MATCHES: &str = "matches";
/// How the names of features begin that list terms.
pub(super) const TERMS: &str = "terms_";
/// How far back a detector learns that stands for a rule which compares with the window before.
const SPIKE_HISTORY: &str = "7d";
/// How long a `new_term` rule remembers that names no `terms_window_size`.
const TERMS_WINDOW_DEFAULT: Period = Period(30 * Period::DAY.0);
/// The score of a new term that alerts: one in a hundred buckets, since the rule asks for each of them.
const NEW_TERM_SCORE: f64 = 20.0;

/// What a rule measures: one thing, or two where it looks up and down.
pub(super) fn measures(rule: &Rule<'_, '_>) -> Result<Vec<Measure>, Refusal> {
    let item = rule.fields.need("type")?;
    let kind = fields::text(item, "type")?;
    match &kind[..] {
        "any" => one(matching(rule, rule.condition.clone(), BUFFER_TIME_DEFAULT)),
        "blacklist" => one(listed(rule, true)),
        "whitelist" => one(listed(rule, false)),
        "change" => one(change(rule)),
        "frequency" => one(frequency(rule)),
        "flatline" => one(flatline(rule)),
        "spike" | "spike_aggregation" => spike(rule, kind == "spike_aggregation"),
        "cardinality" => one(cardinality(rule)),
        "metric_aggregation" => one(metric(rule)),
        "percentage_match" => one(percentage(rule)),
        "new_term" => one(new_term(rule)),
        _ => Err(Refusal::new(item.place, format!("there is no type `{}`", shown(&kind)))),
    }
}

fn one(measure: Result<Measure, Refusal>) -> Result<Vec<Measure>, Refusal> {
    measure.map(|measure| vec![measure])
}

/// A measure without an ending and without thresholds beside its bound.
fn plain(
    condition: Option<String>,
    feature: (&str, String),
    model: DraftModel,
    window: (Period, margay_config::Place),
) -> Measure {
    let features = vec![(feature.0.to_owned(), feature.1)];
    Measure { ending: "", condition, features, model, threshold: Vec::new(), window }
}

/// Every row that meets a condition.
fn matching(rule: &Rule<'_, '_>, condition: Condition, window: Period) -> Result<Measure, Refusal> {
    let found = rule.span("timeframe")?.unwrap_or(window);
    let place = rule.fields.place_of("timeframe");
    Ok(plain(rule.sql(&condition)?, (MATCHES, count_of(None)), DraftModel::above(1.0), (found, place)))
}

/// A field that has a value of a list, or none of it.
fn listed(rule: &Rule<'_, '_>, is_black: bool) -> Result<Measure, Refusal> {
    let column = rule.column_of("compare_key")?;
    let key = if is_black { "blacklist" } else { "whitelist" };
    let mut listed = Vec::new();
    for item in values(rule.fields.need(key)?) {
        match fields::literal(item, key)? {
            Literal::Text(text) if text.starts_with("!file") => {
                return Err(
                    Refusal::new(item.place, "a list in a file has no counterpart").hint("write its values here")
                );
            }
            value => listed.push(value),
        }
    }
    let is_there = Condition::Exists(column.clone());
    let is_listed = Condition::Is(column, listed);
    let ignores_null = rule.fields.flag("ignore_null")?.unwrap_or(false);
    let wanted = match (is_black, ignores_null) {
        (true, _) => vec![is_listed],
        (false, true) => vec![is_there, Condition::not(is_listed)],
        (false, false) => vec![Condition::not(is_listed)],
    };
    let all = Condition::all([rule.condition.clone()].into_iter().chain(wanted).collect());
    matching(rule, all, BUFFER_TIME_DEFAULT)
}

/// A field that had two values in one window.
fn change(rule: &Rule<'_, '_>) -> Result<Measure, Refusal> {
    let keys = rule.fields.texts("compare_key")?;
    if keys.is_empty() {
        return Err(Refusal::new(rule.fields.place, "`compare_key` is missing"));
    }
    if rule.is_global() {
        return Err(Refusal::new(rule.fields.place, "`query_key` is missing"));
    }
    let mut features = Vec::new();
    for (at, key) in keys.iter().flat_map(|text| text.split(',')).map(str::trim).enumerate() {
        let column = rule.column("compare_key", key)?;
        features.push((format!("values_{}", at + 1), format!("count(DISTINCT {})", name(&column.name))));
    }
    let place = rule.fields.place_of("timeframe");
    rule.fields.flag("ignore_null")?;
    rule.report.approximate(
        rule.fields.place_of("compare_key"),
        "a change is seen where both values stand in one slot of time",
    );
    let window = (rule.span("timeframe")?.unwrap_or(BUFFER_TIME_DEFAULT), place);
    let condition = rule.sql(&rule.condition)?;
    Ok(Measure { ending: "", condition, features, model: DraftModel::above(2.0), threshold: Vec::new(), window })
}

/// At least so many rows in a window.
fn frequency(rule: &Rule<'_, '_>) -> Result<Measure, Refusal> {
    let least = fields::number(rule.fields.need("num_events")?, "num_events")?;
    let window = rule.window("timeframe")?;
    rule.report.approximate(
        window.1,
        format!("the window slides there; here slots of {} follow each other, and a burst may be cut in two", window.0),
    );
    Ok(plain(rule.sql(&rule.condition)?, (MATCHES, count_of(None)), DraftModel::above(least.ceil()), window))
}

/// Fewer than so many rows in a window.
fn flatline(rule: &Rule<'_, '_>) -> Result<Measure, Refusal> {
    let least = fields::number(rule.fields.need("threshold")?, "threshold")?;
    let window = rule.window("timeframe")?;
    let filter = rule.sql(&rule.condition)?;
    rule.fields.flag("forget_keys")?;
    let model = DraftModel::below(just_below(least, true));
    if rule.is_global() {
        let message =
            "where the log has no row of any kind, the state is `no_data`, which `status` tells instead of an alert";
        rule.report.approximate(rule.fields.place_of("threshold"), message);
        return Ok(plain(None, (MATCHES, count_of(filter.as_deref())), model, window));
    }
    Ok(plain(filter, (MATCHES, count_of(None)), model, window))
}

/// So many times the rows, or the value, of the window before.
fn spike(rule: &Rule<'_, '_>, of_a_metric: bool) -> Result<Vec<Measure>, Refusal> {
    let height_item = rule.fields.need("spike_height")?;
    let height = fields::number(height_item, "spike_height")?;
    if height <= 1.0 {
        return Err(Refusal::new(height_item.place, "`spike_height` is more than 1"));
    }
    let window = rule.window("timeframe")?;
    let (feature, sql) = if of_a_metric { aggregate(rule)? } else { (MATCHES.to_owned(), count_of(None)) };
    let direction_item = rule.fields.need("spike_type")?;
    let directions = match &fields::text(direction_item, "spike_type")?[..] {
        "up" => vec![("", true)],
        "down" => vec![("", false)],
        "both" => vec![("-up", true), ("-down", false)],
        other => {
            let message = format!("there is no spike of type `{}`", shown(other));
            return Err(Refusal::new(direction_item.place, message));
        }
    };
    rule.report.approximate(
        height_item.place,
        format!("compared with what is usual, learnt from {SPIKE_HISTORY}, not with the window before"),
    );
    rule.fields.flag("alert_on_new_data")?;
    let reference = rule.fields.number("threshold_ref")?;
    let current = rule.fields.number("threshold_cur")?;
    let condition = rule.sql(&rule.condition)?;
    let seasonality = if window.0.0 < Period::DAY.0 { vec!["1d"] } else { Vec::new() };
    let learnt = ("count", vec![("seasonality", seasonality.into()), ("history", SPIKE_HISTORY.into())]);
    let each = directions.into_iter().map(|(ending, is_up)| Measure {
        ending,
        condition: condition.clone(),
        features: vec![(feature.clone(), sql.clone())],
        model: DraftModel { learnt: Some(learnt.clone()), ..DraftModel::default() },
        threshold: spike_threshold(is_up, height, reference, current),
        window,
    });
    Ok(each.collect())
}

/// A value `height` times the usual one, or a `height`-th of it; the least reference makes for a least distance.
fn spike_threshold(
    is_up: bool,
    height: f64,
    reference: Option<f64>,
    current: Option<f64>,
) -> Vec<(&'static str, Value)> {
    let relative = if is_up { height - 1.0 } else { 1.0 - 1.0 / height };
    let rounded = (relative * 1000.0).round() / 1000.0;
    let mut threshold: Vec<(&'static str, Value)> =
        vec![("direction", if is_up { "above" } else { "below" }.into()), ("min_rel_dev", number(rounded))];
    threshold.extend(reference.map(|least| ("min_dev", number((least * relative).floor().max(0.0)))));
    threshold.extend(current.filter(|_| is_up).map(|least| ("min_value", number(least.max(0.0)))));
    threshold
}

/// A value of a field that was not met for a long time.
fn new_term(rule: &Rule<'_, '_>) -> Result<Measure, Refusal> {
    let key = if rule.fields.get("fields").is_some() { "fields" } else { "query_key" };
    let memory = rule.span("terms_window_size")?.unwrap_or(TERMS_WINDOW_DEFAULT);
    let with_missing = rule.fields.flag("alert_on_missing_field")?.unwrap_or(false);
    let mut features = Vec::new();
    for item in values(rule.fields.need(key)?) {
        let together: Vec<String> = values(item)
            .into_iter()
            .map(|field| member(&rule.column(key, &fields::text(field, key)?)?, item.place))
            .collect::<Result<_, _>>()?;
        let (value, present) = match &together[..] {
            [one] => (one.clone(), format!("{one} IS NOT NULL")),
            all => (
                format!("concat_ws(' ', {})", all.join(", ")),
                format!("{} IS NOT NULL", all.join(" IS NOT NULL AND ")),
            ),
        };
        let sql = match with_missing {
            true => format!("array_agg(DISTINCT coalesce({value}, '(missing)'))"),
            false => format!("array_agg(DISTINCT {value}) FILTER (WHERE {present})"),
        };
        features.push((format!("{TERMS}{}", features.len() + 1), sql));
    }
    for key in ["window_step_size", "use_keyword_postfix"] {
        rule.fields.get(key);
    }
    rule.report.approximate(
        rule.fields.place_of("type"),
        "a field that goes on showing new values is expected to show another, and alerts only where they are unusually \
         many; an entity is learnt for half a day before it is judged",
    );
    let model =
        DraftModel { learnt: Some(("rare", vec![("memory", memory.to_string().into())])), ..DraftModel::default() };
    let threshold = vec![("score", number(NEW_TERM_SCORE)), ("sustained", "1 of 1".into())];
    let window = (rule.span("buffer_time")?.unwrap_or(BUFFER_TIME_DEFAULT), rule.fields.place_of("buffer_time"));
    Ok(Measure { ending: "", condition: rule.sql(&rule.condition)?, features, model, threshold, window })
}

/// A column as the text of a member.
fn member(column: &crate::columns::Column, place: margay_config::Place) -> Result<String, Refusal> {
    match column.kind {
        ColumnKind::Text => Ok(name(&column.name)),
        ColumnKind::List => Err(Refusal::new(place, format!("`{}` is a list, not one term", column.name))),
        _ => Ok(format!("CAST({} AS VARCHAR)", name(&column.name))),
    }
}

/// More or fewer distinct values than allowed in a window.
fn cardinality(rule: &Rule<'_, '_>) -> Result<Measure, Refusal> {
    let column = rule.column_of("cardinality_field")?;
    let most = rule.fields.number("max_cardinality")?;
    let least = rule.fields.number("min_cardinality")?;
    let model = bounds(rule, most, least, true, "max_cardinality or min_cardinality")?;
    let window = rule.window("timeframe")?;
    let filter = rule.sql(&rule.condition)?;
    let counted = format!("count(DISTINCT {})", name(&column.name));
    match filter {
        Some(filter) if least.is_some() && rule.is_global() => {
            Ok(plain(None, ("values", format!("{counted} FILTER (WHERE {filter})")), model, window))
        }
        filter => Ok(plain(filter, ("values", counted), model, window)),
    }
}

/// An aggregate outside of its bounds.
fn metric(rule: &Rule<'_, '_>) -> Result<Measure, Refusal> {
    let (feature, sql) = aggregate(rule)?;
    let scale = |value: Option<f64>| -> Result<Option<f64>, Refusal> {
        let column = rule.column_of("metric_agg_key")?;
        let is_count = feature == "cardinality" || feature == "value_count";
        Ok(value.map(|value| if is_count { value } else { column.scaled(value) }))
    };
    let most = scale(rule.fields.number("max_threshold")?)?;
    let least = scale(rule.fields.number("min_threshold")?)?;
    let model = bounds(rule, most, least, false, "max_threshold or min_threshold")?;
    let key = ["bucket_interval", "buffer_time"].into_iter().find(|key| rule.fields.get(key).is_some());
    let window = match key {
        Some(key) => rule.window(key)?,
        None => (BUFFER_TIME_DEFAULT, rule.fields.place),
    };
    for key in ["sync_bucket_interval", "allow_buffer_time_overlap"] {
        rule.fields.flag(key)?;
    }
    Ok(plain(rule.sql(&rule.condition)?, (&feature, sql), model, window))
}

/// The name and the SQL of `metric_agg_type` over `metric_agg_key`.
fn aggregate(rule: &Rule<'_, '_>) -> Result<(String, String), Refusal> {
    if let Some(script) = rule.fields.get("metric_agg_script") {
        return Err(Refusal::new(script.place, "a script has no counterpart").hint("say it as SQL in `features`"));
    }
    let column = rule.column_of("metric_agg_key")?;
    let item = rule.fields.need("metric_agg_type")?;
    let kind = fields::text(item, "metric_agg_type")?;
    let sql = name(&column.name);
    if matches!(column.kind, ColumnKind::Text | ColumnKind::List)
        && !["cardinality", "value_count"].contains(&&kind[..])
    {
        return Err(Refusal::new(rule.fields.place_of("metric_agg_key"), format!("`{}` is no number", column.name)));
    }
    let sql = match &kind[..] {
        "min" | "max" | "avg" | "sum" => format!("{kind}({sql})"),
        "cardinality" => format!("count(DISTINCT {sql})"),
        "value_count" => format!("count({sql})"),
        "percentiles" => {
            let range = fields::number(rule.fields.need("percentile_range")?, "percentile_range")?;
            if !(0.0..=100.0).contains(&range) {
                return Err(Refusal::new(
                    rule.fields.place_of("percentile_range"),
                    "a percentile lies between 0 and 100",
                ));
            }
            format!("percentile_cont({}) WITHIN GROUP (ORDER BY {sql})", sql::number(range / 100.0))
        }
        other => return Err(Refusal::new(item.place, format!("there is no aggregate `{}`", shown(other)))),
    };
    Ok((kind, sql))
}

/// The share of rows that match, in percent, outside of its bounds.
fn percentage(rule: &Rule<'_, '_>) -> Result<Measure, Refusal> {
    let item: &Item = rule.fields.need("match_bucket_filter")?;
    let matching = filter::all(item, &rule.log, rule.report)?;
    let matching = matching.sql().map_err(|reason| Refusal::new(item.place, reason))?;
    let most = rule.fields.number("max_percentage")?;
    let least = rule.fields.number("min_percentage")?;
    let model = bounds(rule, most, least, false, "max_percentage or min_percentage")?;
    let enough = rule.fields.number("min_denominator")?.unwrap_or(1.0).max(1.0);
    let share = format!("100.0 * count(*) FILTER (WHERE {matching}) / count(*)");
    let feature = format!("CASE WHEN count(*) >= {} THEN {share} END", sql::number(enough.ceil()));
    let key = ["bucket_interval", "timeframe", "buffer_time"].into_iter().find(|key| rule.fields.get(key).is_some());
    let window = match key {
        Some(key) => rule.window(key)?,
        None => (BUFFER_TIME_DEFAULT, rule.fields.place),
    };
    rule.fields.get("percentage_format_string");
    Ok(plain(rule.sql(&rule.condition)?, ("percentage", feature), model, window))
}

/// Bounds that a value may reach but not pass.
fn bounds(
    rule: &Rule<'_, '_>,
    most: Option<f64>,
    least: Option<f64>,
    is_whole: bool,
    keys: &str,
) -> Result<DraftModel, Refusal> {
    if most.is_none() && least.is_none() {
        return Err(Refusal::new(rule.fields.place, format!("{keys} is missing")));
    }
    let above = most.map(|most| just_above(most, is_whole));
    let below = least.map(|least| just_below(least, is_whole));
    Ok(DraftModel { above, below, learnt: None })
}
