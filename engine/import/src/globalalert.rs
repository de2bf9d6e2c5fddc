//! Calico's GlobalAlert and GlobalAlertTemplate (projectcalico.org/v3).
//!
//! Calico runs a query every `period` over the last `lookback`, and raises an alert for each group whose metric meets
//! the condition. A detector looks at slots of the length of `lookback` that follow each other.

mod query;

use margay_config::{ForeignDocument, Item, Problem, Tree, shown};
use margay_core::Period;

use crate::Surroundings;
use crate::columns::KnownLog;
use crate::draft::{self, Draft, DraftModel, EVERYTHING, bucket, just_above, just_below};
use crate::fields::{Fields, Refusal, Report};
use crate::sql::{Condition, name, number};
use crate::words::{self, Part};

/// What `lookback` is where it is left out.
const LOOKBACK_DEFAULT: Period = Period(10 * Period::MINUTE.0);
/// Columns of the entity of an alert that groups nothing, taken from its texts.
const ENTITY_COLUMNS_MOST: usize = 6;
/// The name of the feature of an alert without a metric.
const MATCHES: &str = "matches";

/// The detectors of a document: an alert, a template, or a list of them.
pub(crate) fn convert(document: &ForeignDocument, surroundings: &Surroundings) -> (Vec<Draft>, Vec<Problem>) {
    let report = Report::new(document);
    let mut drafts = Vec::new();
    for item in resources(&document.root) {
        match resource(item, surroundings, &report) {
            Ok(draft) => drafts.push(draft),
            Err(refusal) => report.refuse(refusal),
        }
    }
    (drafts, report.into_problems())
}

/// The items of a `List`, or the document itself.
fn resources(root: &Item) -> Vec<&Item> {
    let Tree::Map(entries) = &root.tree else { return vec![root] };
    let of = |wanted: &str| entries.iter().find(|(key, ..)| key == wanted).map(|(_, _, item)| item);
    match (of("kind").map(|kind| &kind.tree), of("items").map(|items| &items.tree)) {
        (Some(Tree::Text(kind)), Some(Tree::List(items))) if kind.ends_with("List") => items.iter().collect(),
        _ => vec![root],
    }
}

fn resource(item: &Item, surroundings: &Surroundings, report: &Report<'_>) -> Result<Draft, Refusal> {
    let fields = Fields::of(item, "a GlobalAlert")?;
    let kind = fields.text("kind")?.unwrap_or_default();
    if kind != "GlobalAlert" && kind != "GlobalAlertTemplate" {
        let message = format!("`{}` is no GlobalAlert", shown(&kind));
        return Err(Refusal::new(fields.place_of("kind"), message));
    }
    let metadata = Fields::of(fields.need("metadata")?, "`metadata`")?;
    let rule_name = metadata.text("name")?.unwrap_or_default();
    let spec = Fields::of(fields.need("spec")?, "`spec`")?;
    let alert = Alert { spec: &spec, report, log: KnownLog::default() };
    let draft = alert.draft(&rule_name, item, surroundings)?;
    for key in ["apiVersion", "status"] {
        fields.get(key);
    }
    for (key, place) in fields.unread().into_iter().chain(spec.unread()) {
        report.left_out(place, format!("`{}` has no counterpart", shown(key)));
    }
    Ok(draft)
}

/// An alert that is being read.
struct Alert<'a, 'd> {
    spec: &'a Fields<'d>,
    report: &'a Report<'d>,
    log: KnownLog,
}

impl Alert<'_, '_> {
    fn draft(mut self, rule_name: &str, item: &Item, surroundings: &Surroundings) -> Result<Draft, Refusal> {
        self.refuse_learnt()?;
        self.log = self.find_log(surroundings)?;
        let condition = self.condition()?;
        let (metric, feature) = self.metric()?;
        let summary_source = self.summary_source()?;
        let mut entity = self.entity(&summary_source)?;
        let description = self.spec.text("description")?.unwrap_or_default();
        let summary = self.template(&summary_source, &entity, &metric);
        let (mut features, model) = self.model(&metric, &feature)?;
        let mut where_sql = draft::where_clause(&condition).map_err(|reason| self.at_query(reason))?;
        if entity.is_empty() {
            entity.push((EVERYTHING.to_owned(), "scope".to_owned(), String::new()));
            // Without groups nothing found is a value too: zero.
            if model.below.is_some() && metric == "count" {
                features = vec![(metric.clone(), draft::count_of(where_sql.take().as_deref()))];
            }
        }
        Ok(Draft {
            name: rule_name.to_owned(),
            place: item.place,
            description: plain(&description),
            disabled: false,
            log: self.log.name.clone(),
            condition: where_sql,
            entity: entity.into_iter().map(|(entry, ..)| entry).collect(),
            bucket: self.bucket()?,
            features,
            model,
            threshold: Vec::new(),
            severity: self.severity()?,
            summary,
        })
    }

    fn at_query(&self, reason: String) -> Refusal {
        Refusal::new(self.spec.place_of("query"), reason)
    }

    /// Alerts of Calico's own models have nothing to convert but their name.
    fn refuse_learnt(&self) -> Result<(), Refusal> {
        if self.spec.text("type")?.unwrap_or_default() != "AnomalyDetection" {
            return Ok(());
        }
        let detector = self.spec.get("detector").and_then(|item| Fields::of(item, "`detector`").ok());
        let name = detector.and_then(|fields| fields.text("name").ok().flatten()).unwrap_or_default();
        let refusal = Refusal::new(self.spec.place_of("type"), "a learnt alert says only the name of its model");
        Err(refusal.hint(format!("margay ships detectors by these names: `{}`", crate::names::dashed(&name))))
    }

    fn find_log(&self, surroundings: &Surroundings) -> Result<KnownLog, Refusal> {
        let dataset = self.spec.need("dataSet")?;
        let wanted = crate::fields::text(dataset, "dataSet")?;
        if !["audit", "dns", "flows", "l7", "waf", "vulnerability"].contains(&&wanted[..]) {
            return Err(Refusal::new(dataset.place, format!("there is no data set `{}`", shown(&wanted))));
        }
        let by_name = |name: &str| surroundings.logs.iter().find(|log| log.name == name).cloned();
        let is_dataset = |log: &&KnownLog| log.dataset.as_deref() == Some(&wanted[..]);
        let found = match &surroundings.log {
            Some(name) => by_name(name),
            None => surroundings.logs.iter().find(is_dataset).cloned().or_else(|| by_name(&wanted)),
        };
        Ok(found.unwrap_or_else(|| {
            let name = surroundings.log.clone().unwrap_or(wanted.clone());
            let message =
                format!("margay.yaml has no log `{}` for the data set: declare it with its time field", shown(&name));
            self.report.left_out(dataset.place, message);
            KnownLog { name, ..KnownLog::default() }
        }))
    }

    fn condition(&self) -> Result<Condition, Refusal> {
        let substitutions = self.substitutions()?;
        match self.spec.get("query") {
            None => Ok(Condition::Always),
            Some(item) => {
                let text = crate::fields::text(item, "query")?;
                query::parse(&text, &self.log, &substitutions).map_err(|reason| Refusal::new(item.place, reason))
            }
        }
    }

    /// Lists of values by name.
    fn substitutions(&self) -> Result<Vec<(String, Vec<String>)>, Refusal> {
        let Some(item) = self.spec.get("substitutions") else { return Ok(Vec::new()) };
        let Tree::List(items) = &item.tree else {
            return Err(Refusal::new(item.place, "`substitutions` is a list"));
        };
        items
            .iter()
            .map(|item| {
                let fields = Fields::of(item, "a substitution")?;
                Ok((crate::fields::text(fields.need("name")?, "name")?, fields.texts("values")?))
            })
            .collect()
    }

    /// The metric's name, and the SQL of it.
    fn metric(&self) -> Result<(String, String), Refusal> {
        let metric = self.spec.text("metric")?.unwrap_or_default();
        let field = self.spec.text("field")?;
        let sql = match (&metric[..], field) {
            ("", _) => return Ok((MATCHES.to_owned(), "count(*)".to_owned())),
            ("count", _) => "count(*)".to_owned(),
            ("sum" | "min" | "max" | "avg", Some(field)) => {
                let column =
                    self.log.column(&field).map_err(|reason| Refusal::new(self.spec.place_of("field"), reason))?;
                format!("{metric}({})", name(&column.name))
            }
            ("sum" | "min" | "max" | "avg", None) => {
                return Err(Refusal::new(
                    self.spec.place_of("metric"),
                    format!("the metric `{metric}` needs a `field`"),
                ));
            }
            _ => {
                let message = format!("there is no metric `{}`", shown(&metric));
                return Err(Refusal::new(self.spec.place_of("metric"), message));
            }
        };
        Ok((metric, sql))
    }

    /// Features, and the bounds they are judged by.
    fn model(&self, metric: &str, sql: &str) -> Result<(Vec<(String, String)>, DraftModel), Refusal> {
        let feature = |sql: String| vec![(metric.to_owned(), sql)];
        if metric == MATCHES {
            return Ok((feature(sql.to_owned()), DraftModel::above(1.0)));
        }
        let condition = crate::fields::text(self.spec.need("condition")?, "condition")?;
        let written = self.spec.number("threshold")?.unwrap_or_default();
        let threshold = match self.spec.text("field")? {
            Some(field) if metric != "count" => {
                self.log.column(&field).map_or(written, |column| column.scaled(written))
            }
            _ => written,
        };
        let is_whole = metric == "count";
        let exactly = |sign: &str| format!("CASE WHEN {sql} {sign} {} THEN 1 ELSE 0 END", number(threshold));
        let (sql, model) = match &condition[..] {
            "gt" => (sql.to_owned(), DraftModel::above(just_above(threshold, is_whole))),
            "gte" => (sql.to_owned(), DraftModel::above(threshold)),
            "lt" => (sql.to_owned(), DraftModel::below(just_below(threshold, is_whole))),
            "lte" => (sql.to_owned(), DraftModel::below(threshold)),
            "eq" => (exactly("="), DraftModel::above(1.0)),
            "not_eq" => (exactly("<>"), DraftModel::above(1.0)),
            other => {
                let message = format!("there is no condition `{}`", shown(other));
                return Err(Refusal::new(self.spec.place_of("condition"), message));
            }
        };
        if model.below.is_some() && is_whole && self.spec.get("aggregateBy").is_some() {
            let message = "Calico never sees a group without rows; here its count is 0, which is below the bound";
            self.report.approximate(self.spec.place_of("condition"), message);
        }
        Ok((feature(sql), model))
    }

    /// The columns that alerts are grouped by: entry, name in templates, field. Without groups, the fields that the text
    /// names: Calico raises an alert for each row, with them filled in.
    fn entity(&self, summary: &str) -> Result<Vec<(String, String, String)>, Refusal> {
        let mut taken = Vec::new();
        let mut columns = Vec::new();
        let groups = self.spec.texts("aggregateBy")?;
        for field in &groups {
            let column =
                self.log.column(field).map_err(|reason| Refusal::new(self.spec.place_of("aggregateBy"), reason))?;
            let (entry, name) = draft::entity_column(&column.name, &mut taken);
            columns.push((entry, name, field.clone()));
        }
        if groups.is_empty() && self.spec.text("metric")?.is_none() {
            for field in fields_of(summary).into_iter().take(ENTITY_COLUMNS_MOST) {
                if let Ok(column) = self.log.column(&field) {
                    let (entry, name) = draft::entity_column(&column.name, &mut taken);
                    columns.push((entry, name, field));
                }
            }
        }
        Ok(columns)
    }

    fn summary_source(&self) -> Result<String, Refusal> {
        let summary = self.spec.text("summary")?;
        Ok(match summary {
            Some(summary) if !summary.trim().is_empty() => summary,
            _ => self.spec.text("description")?.unwrap_or_default(),
        })
    }

    /// `${field}` and `${metric}` as expressions of ours; a field that is not grouped by stays a word.
    fn template(&self, source: &str, entity: &[(String, String, String)], metric: &str) -> String {
        let parts = parts(source).into_iter().map(|part| match part {
            Part::Expression(field) => match entity.iter().find(|(_, _, known)| *known == field) {
                Some((_, name, _)) => Part::Expression(format!("entity.{name}")),
                None if field == metric || field == "count" => {
                    Part::Expression(format!("number feature.{metric}.value"))
                }
                None => {
                    let place =
                        self.spec.place_of(if self.spec.get("summary").is_some() { "summary" } else { "description" });
                    let message =
                        format!("`{}` is not among `aggregateBy`: its name stands in the text", shown(&field));
                    self.report.left_out(place, message);
                    Part::Text(field)
                }
            },
            text => text,
        });
        words::template(&parts.collect::<Vec<_>>())
    }

    fn bucket(&self) -> Result<Period, Refusal> {
        let lookback = self.period("lookback")?;
        let period = self.period("period")?;
        let window = lookback.unwrap_or(LOOKBACK_DEFAULT);
        let place = self.spec.place_of("lookback");
        let found =
            bucket(window).ok_or_else(|| Refusal::new(place, "a window of more than a day has no counterpart"))?;
        if found != window {
            self.report.approximate(place, draft::longer(window, found));
        }
        if period.is_some_and(|period| period < window) {
            let message =
                format!("Calico looks at the last {window} again and again; here slots of {found} follow each other");
            self.report.approximate(self.spec.place_of("period"), message);
        }
        Ok(found)
    }

    fn period(&self, key: &str) -> Result<Option<Period>, Refusal> {
        let Some(text) = self.spec.text(key)? else { return Ok(None) };
        let wrong = || Refusal::new(self.spec.place_of(key), format!("`{}` is no length of time", shown(&text)));
        text.replace(' ', "").parse().map(Some).map_err(|_| wrong())
    }

    fn severity(&self) -> Result<Option<u8>, Refusal> {
        let Some(severity) = self.spec.number("severity")? else { return Ok(None) };
        if !(0.0..=100.0).contains(&severity) {
            return Err(Refusal::new(self.spec.place_of("severity"), "a severity lies between 1 and 100"));
        }
        Ok(Some(severity as u8))
    }
}

/// The fields that a text names, each once.
fn fields_of(text: &str) -> Vec<String> {
    let mut fields = Vec::new();
    for part in parts(text) {
        if let Part::Expression(field) = part
            && !fields.contains(&field)
        {
            fields.push(field);
        }
    }
    fields
}

/// A text cut at its `${field}`s.
fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((field, behind)) = after.split_once('}') else { break };
        parts.push(Part::Text(before.to_owned()));
        parts.push(Part::Expression(field.trim().to_owned()));
        rest = behind;
    }
    parts.push(Part::Text(rest.to_owned()));
    parts
}

/// A text with the names of its fields in place of their values.
fn plain(text: &str) -> String {
    let texts = parts(text).into_iter().map(|part| match part {
        Part::Text(text) | Part::Expression(text) => text,
    });
    texts.collect()
}
