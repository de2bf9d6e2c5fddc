//! Rules of ElastAlert and ElastAlert 2.
//!
//! A rule reads what its `filter` lets through, groups it by `query_key`, and compares a window of time with a number,
//! or with the window before. A detector looks at slots of that length that follow each other.

mod filter;
mod kinds;
mod lucene;
mod texts;

use std::path::Path;

use margay_config::{ForeignDocument, Item, Place, Problem, Tree, shown};
use margay_core::Period;

use crate::Surroundings;
use crate::columns::{Column, KnownLog};
use crate::draft::{self, Draft, DraftModel, EVERYTHING, bucket};
use crate::fields::{Fields, Refusal, Report};
use crate::sql::Condition;

/// The window of a rule that names none: ElastAlert's `buffer_time`, which its own configuration must give.
const BUFFER_TIME_DEFAULT: Period = Period(15 * Period::MINUTE.0);

/// Keys that say how ElastAlert reads, not what fires.
const ABOUT_READING: [&str; 24] = [
    "run_every",
    "buffer_time",
    "query_delay",
    "use_count_query",
    "doc_type",
    "use_terms_query",
    "terms_size",
    "max_query_size",
    "scroll_keepalive",
    "include",
    "_source_enabled",
    "use_local_time",
    "timestamp_type",
    "timestamp_field",
    "attach_related",
    "use_strftime_index",
    "search_extra_index",
    "scan_entire_timeframe",
    "max_scrolling_count",
    "generate_kibana_discover_url",
    "top_count_keys",
    "top_count_number",
    "raw_count_keys",
    "use_run_every_query_size",
];

/// A rule that is being read.
struct Rule<'a, 'd> {
    fields: &'a Fields<'d>,
    report: &'a Report<'d>,
    log: KnownLog,
    /// What the filter lets through.
    condition: Condition,
    /// The columns of `query_key`: entry, name in templates, field.
    entity: Vec<(String, String, String)>,
    name: String,
}

/// What a kind of rule measures and how it judges it.
struct Measure {
    /// Ending of the detector's name, where a rule becomes two.
    ending: &'static str,
    condition: Option<String>,
    features: Vec<(String, String)>,
    model: DraftModel,
    threshold: Vec<(&'static str, serde_yaml::Value)>,
    window: (Period, Place),
}

/// The detectors of a document: of one rule.
pub(crate) fn convert(
    document: &ForeignDocument,
    file: &Path,
    surroundings: &Surroundings,
) -> (Vec<Draft>, Vec<Problem>) {
    let report = Report::new(document);
    let drafts = rule(&document.root, file, surroundings, &report).unwrap_or_else(|refusal| {
        report.refuse(refusal);
        Vec::new()
    });
    (drafts, report.into_problems())
}

fn rule(item: &Item, file: &Path, surroundings: &Surroundings, report: &Report<'_>) -> Result<Vec<Draft>, Refusal> {
    let fields = Fields::of(item, "a rule")?;
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name = fields.text("name")?.unwrap_or(stem);
    let log = find_log(&fields, surroundings, report)?;
    let condition = match fields.get("filter") {
        None => Condition::Always,
        Some(item) => filter::all(item, &log, report)?,
    };
    let mut rule = Rule { fields: &fields, report, log, condition, entity: Vec::new(), name };
    rule.entity = rule.query_key()?;
    let measures = kinds::measures(&rule)?;
    let drafts = measures.into_iter().map(|measure| rule.draft(item, measure)).collect::<Result<_, _>>()?;
    rule.tell_unread();
    Ok(drafts)
}

/// The log of the rule's index.
fn find_log(fields: &Fields<'_>, surroundings: &Surroundings, report: &Report<'_>) -> Result<KnownLog, Refusal> {
    let index = fields.text("index")?.unwrap_or_default();
    let logs = &surroundings.logs;
    let by_name = |name: &str| logs.iter().find(|log| log.name == name).cloned();
    let found = match &surroundings.log {
        Some(name) => by_name(name),
        None => logs
            .iter()
            .find(|log| log.index.as_deref() == Some(&index[..]))
            .or(match &logs[..] {
                [only] => Some(only),
                _ => None,
            })
            .cloned(),
    };
    if let Some(log) = found {
        return Ok(log);
    }
    let base = index.split(['*', '%', ',']).next().unwrap_or_default();
    let usual = crate::names::identifier(&base.to_lowercase());
    let name = surroundings.log.clone().unwrap_or(if base.is_empty() { "log".to_owned() } else { usual });
    let time = fields.text("timestamp_field")?.unwrap_or_else(|| "@timestamp".to_owned());
    let message = format!(
        "margay.yaml has no log `{name}`: declare it with `time: {{ field: \"{}\" }}`, or name another with --log-name",
        shown(&time)
    );
    report.left_out(fields.place_of("index"), message);
    Ok(KnownLog { name, ..KnownLog::default() })
}

impl Rule<'_, '_> {
    fn column(&self, key: &str, field: &str) -> Result<Column, Refusal> {
        self.log.column(field).map_err(|reason| Refusal::new(self.fields.place_of(key), reason))
    }

    /// The column that a key names.
    fn column_of(&self, key: &str) -> Result<Column, Refusal> {
        let field = crate::fields::text(self.fields.need(key)?, key)?;
        self.column(key, &field)
    }

    fn query_key(&self) -> Result<Vec<(String, String, String)>, Refusal> {
        let mut taken = Vec::new();
        let mut fields = self.fields.texts("query_key")?;
        if self.fields.text("type")?.as_deref() == Some("new_term") && self.fields.get("fields").is_none() {
            fields.clear(); // There the key is the term.
        }
        let each = fields.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|field| !field.is_empty());
        each.map(|field| {
            let column = self.column("query_key", field)?;
            let (entry, name) = draft::entity_column(&column.name, &mut taken);
            Ok((entry, name, field.to_owned()))
        })
        .collect()
    }

    /// A condition as SQL; an error stands at the filter.
    fn sql(&self, condition: &Condition) -> Result<Option<String>, Refusal> {
        draft::where_clause(condition).map_err(|reason| Refusal::new(self.fields.place_of("filter"), reason))
    }

    /// A length of time written as `{ minutes: 5 }`.
    fn span(&self, key: &str) -> Result<Option<Period>, Refusal> {
        let Some(item) = self.fields.get(key) else { return Ok(None) };
        let spans = Fields::of(item, &format!("`{key}`"))?;
        let mut total = 0.0;
        for (unit, place, value) in spans.entries() {
            let seconds = match unit {
                "seconds" => 1.0,
                "minutes" => 60.0,
                "hours" => 3600.0,
                "days" => 86_400.0,
                "weeks" => 604_800.0,
                _ => return Err(Refusal::new(place, format!("there is no unit of time `{}`", shown(unit)))),
            };
            total += seconds * crate::fields::number(value, unit)?;
        }
        if !(1.0..=31_536_000.0).contains(&total) {
            return Err(Refusal::new(item.place, format!("`{key}` is a length of time from a second to a year")));
        }
        Ok(Some(Period((total * 1000.0) as i64)))
    }

    /// The rule's window and where it stands.
    fn window(&self, key: &str) -> Result<(Period, Place), Refusal> {
        match self.span(key)? {
            Some(window) => Ok((window, self.fields.place_of(key))),
            None => Err(Refusal::new(self.fields.place, format!("`{key}` is missing"))),
        }
    }

    /// Whole rows of a log are one entity where the rule knows no key.
    fn is_global(&self) -> bool {
        self.entity.is_empty()
    }

    fn draft(&self, item: &Item, measure: Measure) -> Result<Draft, Refusal> {
        let (window, place) = measure.window;
        let slot =
            bucket(window).ok_or_else(|| Refusal::new(place, "a window of more than a day has no counterpart"))?;
        if slot != window {
            self.report.approximate(place, draft::longer(window, slot));
        }
        let mut threshold = measure.threshold;
        if let Some(realert) = self.span("realert").ok().flatten() {
            threshold.push(("refractory", realert.to_string().into()));
        }
        let entity = if self.is_global() {
            vec![EVERYTHING.to_owned()]
        } else {
            self.entity.iter().map(|(entry, ..)| entry.clone()).collect()
        };
        let feature = measure.features.first().map(|(name, _)| name.clone()).unwrap_or_default();
        Ok(Draft {
            name: format!("{}{}", self.name, measure.ending),
            place: item.place,
            description: self.fields.text("description")?.unwrap_or_default(),
            disabled: self.fields.flag("is_enabled")? == Some(false),
            log: self.log.name.clone(),
            condition: measure.condition,
            entity,
            bucket: slot,
            features: measure.features,
            model: measure.model,
            threshold,
            severity: None,
            summary: texts::summary(self, &feature)?,
        })
    }

    /// Keys that nothing became of: those about delivery together, every other at its place.
    fn tell_unread(&self) {
        let mut delivery: Option<(Place, Vec<&str>)> = None;
        for (key, place) in self.fields.unread() {
            if ABOUT_READING.contains(&key) || ["type", "index"].contains(&key) {
                continue;
            }
            if texts::is_delivery(key) {
                delivery.get_or_insert_with(|| (place, Vec::new())).1.push(key);
            } else {
                self.report.left_out(place, format!("`{}` has no counterpart", shown(key)));
            }
        }
        if let Some((place, keys)) = delivery {
            let keys: Vec<String> = keys.into_iter().map(shown).collect();
            self.report
                .left_out(place, format!("whom to tell is said once, by `sinks` of margay.yaml: {}", keys.join(", ")));
        }
    }
}

/// The texts of a value that is a list or a single one.
fn values(item: &Item) -> Vec<&Item> {
    match &item.tree {
        Tree::List(items) => items.iter().collect(),
        _ => vec![item],
    }
}
