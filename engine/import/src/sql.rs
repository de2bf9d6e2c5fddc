//! Conditions as a tree, and the SQL of them: every name and value is quoted here and nowhere else.

use margay_config::shown;

use crate::columns::{Column, ColumnKind};

/// A condition on a row. A field that is missing meets no condition, and so meets its negation, as in Elasticsearch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    /// Every row.
    Always,
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    /// The field has one of the values.
    Is(Column, Vec<Literal>),
    /// The field compares with a number or text.
    Compares(Column, Order, Literal),
    /// The field matches a pattern of LIKE.
    Like(Column, String),
    /// The field matches a regular expression.
    Matches(Column, String),
    /// The field is there.
    Exists(Column),
}

/// A value that a rule compares with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Text(String),
    /// A number, and as it was written.
    Number(f64, String),
    Bool(bool),
}

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl Literal {
    /// A text that may be a number.
    pub(crate) fn read(text: &str) -> Self {
        let is_number = text.starts_with(|c: char| c.is_ascii_digit() || c == '-')
            && text.chars().all(|c| c.is_ascii_digit() || ".-+eE".contains(c));
        match text.parse::<f64>().ok().filter(|value| is_number && value.is_finite()) {
            Some(value) => Self::Number(value, text.to_owned()),
            None => Self::Text(text.to_owned()),
        }
    }

    /// As it was written.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(text) | Self::Number(_, text) => text.clone(),
            Self::Bool(value) => value.to_string(),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Number(value, _) => Some(*value),
            Self::Text(text) => match Self::read(text) {
                Self::Number(value, _) => Some(value),
                _ => None,
            },
            Self::Bool(_) => None,
        }
    }
}

impl Condition {
    /// All of some conditions.
    pub(crate) fn all(conditions: Vec<Self>) -> Self {
        let mut parts: Vec<Self> = Vec::new();
        for condition in conditions {
            match condition {
                Self::Always => {}
                Self::All(inner) => parts.extend(inner),
                other => parts.push(other),
            }
        }
        if parts.len() > 1 { Self::All(parts) } else { parts.pop().unwrap_or(Self::Always) }
    }

    /// Any of some conditions; those about one field become one list of values.
    pub(crate) fn any(conditions: Vec<Self>) -> Self {
        let mut parts: Vec<Self> = Vec::new();
        for condition in conditions {
            match condition {
                Self::Always => return Self::Always,
                Self::Any(inner) => inner.into_iter().for_each(|part| add_alternative(&mut parts, part)),
                other => add_alternative(&mut parts, other),
            }
        }
        if parts.len() > 1 { Self::Any(parts) } else { parts.pop().unwrap_or(Self::Always) }
    }

    pub(crate) fn not(condition: Self) -> Self {
        match condition {
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    /// The SQL; an error where a value does not fit its field.
    pub(crate) fn sql(&self) -> Result<String, String> {
        match self {
            Self::Always => Ok("true".to_owned()),
            Self::All(parts) => joined(parts, " AND "),
            Self::Any(parts) => joined(parts, " OR "),
            Self::Not(inner) => Ok(format!("({}) IS NOT TRUE", inner.sql()?)),
            Self::Is(column, values) => is(column, values),
            Self::Compares(column, order, value) => compares(column, *order, value),
            Self::Like(column, pattern) => {
                textual(column, "a pattern").map(|sql| format!("{sql} LIKE {}", quoted(pattern)))
            }
            Self::Matches(column, pattern) => {
                textual(column, "words").map(|sql| format!("regexp_like({sql}, {})", quoted(pattern)))
            }
            Self::Exists(column) => Ok(format!("{} IS NOT NULL", name(&column.name))),
        }
    }
}

fn add_alternative(parts: &mut Vec<Condition>, part: Condition) {
    let Condition::Is(column, values) = part else { return parts.push(part) };
    let same = parts.iter_mut().find_map(|other| match other {
        Condition::Is(known, values) if *known == column => Some(values),
        _ => None,
    });
    match same {
        Some(known) => known.extend(values),
        None => parts.push(Condition::Is(column, values)),
    }
}

fn joined(parts: &[Condition], by: &str) -> Result<String, String> {
    let sql = |part: &Condition| match part {
        Condition::All(_) | Condition::Any(_) => part.sql().map(|sql| format!("({sql})")),
        _ => part.sql(),
    };
    Ok(parts.iter().map(sql).collect::<Result<Vec<_>, _>>()?.join(by))
}

/// A column in SQL. Names that are surely no words of SQL stand without quotes, for people to read.
pub(crate) fn name(column: &str) -> String {
    let is_lower = column.starts_with(|c: char| c.is_ascii_lowercase())
        && column.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let is_compound =
        column.contains('_') && !["current_", "session_", "system_"].iter().any(|of| column.starts_with(of));
    if is_lower && (is_compound || PLAIN.contains(&column)) {
        column.to_owned()
    } else {
        format!("\"{}\"", column.replace('"', "\"\""))
    }
}

/// Common fields that are one word and no word of SQL.
const PLAIN: [&str; 14] = [
    "action", "client", "code", "cluster", "host", "level", "message", "proto", "qname", "qtype", "rcode", "reporter",
    "url", "verb",
];

/// Text in SQL.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A finite number in SQL.
pub(crate) fn number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 { format!("{value:.0}") } else { format!("{value:?}") }
}

fn literal(column: &Column, value: &Literal) -> Result<String, String> {
    let wrong = |what: &str| Err(format!("`{}` is {what}, not `{}`", column.name, shown(&value.text())));
    match (column.kind, value) {
        (ColumnKind::Text | ColumnKind::List, value) => Ok(quoted(&value.text())),
        (ColumnKind::Number | ColumnKind::Nanoseconds, value) => match value.number() {
            Some(value) => Ok(number(column.scaled(value))),
            None => wrong("a number"),
        },
        (ColumnKind::Bool, Literal::Bool(value)) => Ok(value.to_string()),
        (ColumnKind::Bool, Literal::Text(text)) if text == "true" || text == "false" => Ok(text.clone()),
        (ColumnKind::Bool, _) => wrong("true or false"),
        (ColumnKind::Time, _) => wrong("a time"),
        (ColumnKind::Unknown, Literal::Number(value, _)) => Ok(number(*value)),
        (ColumnKind::Unknown, Literal::Bool(value)) => Ok(value.to_string()),
        (ColumnKind::Unknown, Literal::Text(text)) => Ok(quoted(text)),
    }
}

fn is(column: &Column, values: &[Literal]) -> Result<String, String> {
    let sql = name(&column.name);
    let stands_for_nothing = |value: &Literal| column.signs_are_null && ["", "-", "*"].contains(&&value.text()[..]);
    let (nothing, some): (Vec<&Literal>, Vec<&Literal>) = values.iter().partition(|value| stands_for_nothing(value));
    let mut listed = some.iter().map(|value| literal(column, value)).collect::<Result<Vec<_>, _>>()?;
    listed.dedup();
    let has_some = match (column.kind, &listed[..]) {
        (_, []) => None,
        (ColumnKind::List, [one]) => Some(format!("array_has({sql}, {one})")),
        (ColumnKind::List, many) => Some(format!("array_has_any({sql}, make_array({}))", many.join(", "))),
        (_, [one]) => Some(format!("{sql} = {one}")),
        (_, many) => Some(format!("{sql} IN ({})", many.join(", "))),
    };
    Ok(match (has_some, nothing.is_empty()) {
        (Some(some), true) => some,
        (Some(some), false) => format!("({some} OR {sql} IS NULL)"),
        (None, _) => format!("{sql} IS NULL"),
    })
}

fn compares(column: &Column, order: Order, value: &Literal) -> Result<String, String> {
    let (sql, sign) = (name(&column.name), order.sign());
    match (column.kind, value.number()) {
        (ColumnKind::List | ColumnKind::Bool | ColumnKind::Time, _) => {
            Err(format!("`{}` has values that `{sign}` does not compare", column.name))
        }
        (ColumnKind::Number | ColumnKind::Nanoseconds, Some(value)) => {
            Ok(format!("{sql} {sign} {}", number(column.scaled(value))))
        }
        (ColumnKind::Number | ColumnKind::Nanoseconds, None) => literal(column, value),
        // Numbers may stand in a log as text.
        (_, Some(value)) => Ok(format!("TRY_CAST({sql} AS DOUBLE) {sign} {}", number(value))),
        (_, None) => Ok(format!("{sql} {sign} {}", quoted(&value.text()))),
    }
}

/// A column whose values are compared as text.
fn textual(column: &Column, with: &str) -> Result<String, String> {
    let sql = name(&column.name);
    match column.kind {
        ColumnKind::Text | ColumnKind::Unknown => Ok(sql),
        ColumnKind::Number => Ok(format!("CAST({sql} AS VARCHAR)")),
        _ => Err(format!("`{}` has values that cannot be compared with {with}", column.name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, kind: ColumnKind) -> Column {
        Column { name: name.to_owned(), kind, signs_are_null: true }
    }

    fn text(value: &str) -> Literal {
        Literal::Text(value.to_owned())
    }

    fn sql(condition: &Condition) -> String {
        condition.sql().unwrap_or_else(|reason| reason)
    }

    #[test]
    fn names_and_values_cannot_leave_their_quotes() {
        let hostile = "x\" = '' OR 1=1 --";
        let condition = Condition::Is(column(hostile, ColumnKind::Text), vec![text("a'; DROP TABLE x; --")]);
        assert_eq!(sql(&condition), "\"x\"\" = '' OR 1=1 --\" = 'a''; DROP TABLE x; --'");
    }

    #[test]
    fn values_take_the_kind_of_their_column() {
        let is = |kind, value| sql(&Condition::Is(column("dest_port", kind), vec![value]));
        assert_eq!(is(ColumnKind::Number, text("22")), "dest_port = 22");
        assert_eq!(is(ColumnKind::Text, Literal::read("404")), "dest_port = '404'");
        assert_eq!(is(ColumnKind::Nanoseconds, Literal::read("5e8")), "dest_port = 0.5");
        assert_eq!(is(ColumnKind::List, text("app=web")), "array_has(dest_port, 'app=web')");
        assert_eq!(is(ColumnKind::Number, text("ssh")), "`dest_port` is a number, not `ssh`");
        assert_eq!(is(ColumnKind::Text, text("-")), "dest_port IS NULL");
        let compares =
            Condition::Compares(column("status_code", ColumnKind::Text), Order::GreaterOrEqual, Literal::read("500"));
        assert_eq!(sql(&compares), "TRY_CAST(status_code AS DOUBLE) >= 500");
    }

    #[test]
    fn alternatives_of_one_field_are_a_list() {
        let verb = |value| Condition::Is(column("verb", ColumnKind::Text), vec![text(value)]);
        let any = Condition::any(vec![verb("create"), verb("delete")]);
        let all = Condition::all(vec![
            any,
            Condition::not(Condition::any(vec![verb("x"), Condition::Exists(column("user", ColumnKind::Text))])),
        ]);
        assert_eq!(sql(&all), "verb IN ('create', 'delete') AND (verb = 'x' OR \"user\" IS NOT NULL) IS NOT TRUE");
    }
}
