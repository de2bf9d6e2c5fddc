//! Filters: the part of Elasticsearch's query language that says which rows count.

use margay_config::{Item, Place, shown};

use super::{lucene, values};
use crate::columns::KnownLog;
use crate::fields::{self, Fields, Refusal, Report};
use crate::sql::{Condition, Literal, Order};
use crate::words::{like_pattern, word_pattern};

/// What filters are read with.
struct Filters<'a> {
    log: &'a KnownLog,
    report: &'a Report<'a>,
}

/// All filters of a list, or the only one.
pub(super) fn all(item: &Item, log: &KnownLog, report: &Report<'_>) -> Result<Condition, Refusal> {
    Filters { log, report }.all(item)
}

/// Fields that Elasticsearch usually cuts into words: a value means a word of them, in capitals or not.
const FREE_TEXT: [&str; 9] =
    ["message", "msg", "log", "text", "body", "original", "stacktrace", "stack_trace", "full_message"];

/// Whether a field is searched by words.
pub(super) fn is_free_text(field: &str) -> bool {
    let last = field.rsplit('.').next().unwrap_or(field);
    FREE_TEXT.contains(&last)
}

impl Filters<'_> {
    fn all(&self, item: &Item) -> Result<Condition, Refusal> {
        let each = values(item).into_iter().map(|item| self.one(item));
        Ok(Condition::all(each.collect::<Result<_, _>>()?))
    }

    fn any(&self, item: &Item) -> Result<Condition, Refusal> {
        let each = values(item).into_iter().map(|item| self.one(item));
        Ok(Condition::any(each.collect::<Result<_, _>>()?))
    }

    fn one(&self, item: &Item) -> Result<Condition, Refusal> {
        let fields = Fields::of(item, "a filter")?;
        let (kind, inner) = fields.only("a filter")?;
        match kind {
            "query" | "constant_score" | "filter" => self.one(inner),
            "query_string" | "simple_query_string" => self.query_string(inner),
            "match_all" => Ok(Condition::Always),
            "bool" => self.bool(inner),
            "not" => Ok(Condition::not(self.all(inner)?)),
            "and" => self.all(inner),
            "or" => self.any(inner),
            "exists" => self.exists(inner),
            "missing" => Ok(Condition::not(self.exists(inner)?)),
            "term" | "terms" | "match" | "match_phrase" | "prefix" | "wildcard" | "range" => {
                self.about_field(kind, inner)
            }
            _ => {
                let message = format!("a filter of the kind `{}` has no counterpart", shown(kind));
                Err(Refusal::new(item.place, message))
            }
        }
    }

    fn query_string(&self, item: &Item) -> Result<Condition, Refusal> {
        let fields = Fields::of(item, "`query_string`")?;
        let query = fields.need("query")?;
        let text = fields::text(query, "query")?;
        let language = lucene::Language {
            log: self.log,
            default_field: fields.text("default_field")?.filter(|field| field != "*"),
            joins_by_and: fields.text("default_operator")?.is_some_and(|operator| operator.eq_ignore_ascii_case("and")),
        };
        for key in ["analyze_wildcard", "lenient", "allow_leading_wildcard"] {
            fields.get(key);
        }
        if let Some((key, place)) = fields.unread().into_iter().next() {
            return Err(Refusal::new(place, format!("`{}` of a query has no counterpart", shown(key))));
        }
        let (condition, notes) = language.parse(&text).map_err(|reason| Refusal::new(query.place, reason))?;
        for note in notes {
            self.report.approximate(query.place, note);
        }
        Ok(condition)
    }

    fn bool(&self, item: &Item) -> Result<Condition, Refusal> {
        let fields = Fields::of(item, "`bool`")?;
        let mut parts = Vec::new();
        for key in ["must", "filter"] {
            if let Some(item) = fields.get(key) {
                parts.push(self.all(item)?);
            }
        }
        if let Some(item) = fields.get("must_not") {
            parts.push(Condition::not(self.any(item)?));
        }
        if let Some(item) = fields.get("should") {
            let is_needed = match fields.text("minimum_should_match")?.as_deref() {
                None => parts.is_empty(),
                Some("0") => false,
                Some("1") => true,
                Some(_) => {
                    let place = fields.place_of("minimum_should_match");
                    return Err(Refusal::new(place, "more than one of `should` has no counterpart"));
                }
            };
            if is_needed {
                parts.push(self.any(item)?);
            }
        }
        fields.get("boost");
        match fields.unread().into_iter().next() {
            None => Ok(Condition::all(parts)),
            Some((key, place)) => Err(Refusal::new(place, format!("`{}` of a `bool` has no counterpart", shown(key)))),
        }
    }

    fn exists(&self, item: &Item) -> Result<Condition, Refusal> {
        let fields = Fields::of(item, "`exists`")?;
        let field = fields.need("field")?;
        let column = self.log.column(&fields::text(field, "field")?);
        column.map(Condition::Exists).map_err(|reason| Refusal::new(field.place, reason))
    }

    /// `{ kind: { field: … } }`.
    fn about_field(&self, kind: &str, item: &Item) -> Result<Condition, Refusal> {
        let fields = Fields::of(item, &format!("`{kind}`"))?;
        let (field, item) = fields.only(&format!("`{kind}`"))?;
        let column = self.log.column(field).map_err(|reason| Refusal::new(item.place, reason))?;
        match kind {
            "range" => return range(&column, item),
            "terms" => {
                let listed = values(item).into_iter().map(|item| fields::literal(item, field));
                return Ok(Condition::Is(column, listed.collect::<Result<_, _>>()?));
            }
            _ => {}
        }
        let (value, joins_by_and) = single(item, field)?;
        let text = value.text();
        Ok(match kind {
            "wildcard" => like_pattern(&text)
                .map_or(Condition::Is(column.clone(), vec![value]), |pattern| Condition::Like(column, pattern)),
            "prefix" => {
                let pattern = like_pattern(&format!("{}*", text.replace(['*', '?'], "")));
                Condition::Like(column, pattern.unwrap_or_default())
            }
            "match_phrase" if is_free_text(field) => self.says(column, &text, item.place),
            "match" if is_free_text(field) => {
                let each = text.split_whitespace().map(|word| self.says(column.clone(), word, item.place)).collect();
                if joins_by_and { Condition::all(each) } else { Condition::any(each) }
            }
            _ => Condition::Is(column, vec![value]),
        })
    }

    fn says(&self, column: crate::columns::Column, text: &str, place: Place) -> Condition {
        self.report.approximate(place, format!("`{}` is searched for whole words, in capitals or not", column.name));
        Condition::Matches(column, word_pattern(text, false))
    }
}

/// `field: value`, or `field: { value: … }`; whether all of its words are asked for.
fn single(item: &Item, field: &str) -> Result<(Literal, bool), Refusal> {
    let Ok(fields) = Fields::of(item, field) else { return Ok((fields::literal(item, field)?, false)) };
    let value = ["value", "query", "prefix", "wildcard"].into_iter().find_map(|key| fields.get(key));
    let value = value.ok_or_else(|| Refusal::new(item.place, format!("`{}` has no value", shown(field))))?;
    let joins_by_and = fields.text("operator")?.is_some_and(|operator| operator.eq_ignore_ascii_case("and"));
    fields.get("boost");
    match fields.unread().into_iter().next() {
        None => Ok((fields::literal(value, field)?, joins_by_and)),
        Some((key, place)) => Err(Refusal::new(place, format!("`{}` of a filter has no counterpart", shown(key)))),
    }
}

fn range(column: &crate::columns::Column, item: &Item) -> Result<Condition, Refusal> {
    let fields = Fields::of(item, "a range")?;
    let mut parts = Vec::new();
    for (key, place, bound) in fields.entries() {
        let order = match key {
            "gt" => Order::Greater,
            "gte" | "from" => Order::GreaterOrEqual,
            "lt" => Order::Less,
            "lte" | "to" => Order::LessOrEqual,
            "boost" => continue,
            _ => return Err(Refusal::new(place, format!("`{}` of a range has no counterpart", shown(key)))),
        };
        let value = fields::literal(bound, key)?;
        if value.text().contains("now") {
            return Err(Refusal::new(bound.place, "a range of times that moves with the clock has no counterpart"));
        }
        parts.push(Condition::Compares(column.clone(), order, value));
    }
    Ok(Condition::all(parts))
}
