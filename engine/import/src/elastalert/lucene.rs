//! The query language of Lucene, as far as rules use it: terms, phrases, wildcards, ranges, groups, AND, OR, NOT, + and -.

use margay_config::shown;

use super::filter::is_free_text;
use crate::columns::{Column, KnownLog};
use crate::sql::{Condition, Literal, Order};
use crate::words::{like_pattern, word_pattern};

/// Longest query, in bytes.
const QUERY_BYTES_MOST: usize = 16 * 1024;
/// Most clauses of a query.
const CLAUSES_MOST: usize = 500;
/// Deepest nesting of brackets.
const DEPTH_MOST: usize = 32;

/// How a query is read.
pub(super) struct Language<'a> {
    pub(super) log: &'a KnownLog,
    /// The field of terms that name none.
    pub(super) default_field: Option<String>,
    /// Whether terms that follow each other are all asked for.
    pub(super) joins_by_and: bool,
}

impl Language<'_> {
    /// The condition that a query says, and what it means other than one may think.
    pub(super) fn parse(&self, text: &str) -> Result<(Condition, Vec<String>), String> {
        if text.len() > QUERY_BYTES_MOST {
            return Err(format!("the query is longer than {} KiB", QUERY_BYTES_MOST / 1024));
        }
        let mut parser = Parser { rest: text, language: self, depth: 0, clauses: 0, notes: Vec::new() };
        let condition = parser.group(self.default_field.as_deref())?;
        if !parser.rest.is_empty() {
            return Err("a bracket is closed that was not opened".to_owned());
        }
        parser.notes.dedup();
        Ok((condition, parser.notes))
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Joined {
    First,
    Beside,
    And,
    Or,
}

#[derive(Clone, Copy, PartialEq)]
enum Occurs {
    Should,
    Must,
    Not,
}

struct Clause {
    joined: Joined,
    occurs: Occurs,
    condition: Condition,
}

struct Parser<'a> {
    rest: &'a str,
    language: &'a Language<'a>,
    depth: usize,
    clauses: usize,
    notes: Vec<String>,
}

/// A word: its text, whether a wildcard stands in it, and whether it was quoted.
struct Word {
    text: String,
    is_wild: bool,
    is_quoted: bool,
}

impl Parser<'_> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn takes(&mut self, sign: &str) -> bool {
        let behind = self.rest.strip_prefix(sign);
        self.rest = behind.unwrap_or(self.rest);
        behind.is_some()
    }

    /// A keyword, which ends where a word ends.
    fn takes_word(&mut self, word: &str) -> bool {
        match self.rest.strip_prefix(word) {
            Some(behind) if behind.is_empty() || behind.starts_with(|c: char| c.is_whitespace() || c == '(') => {
                self.rest = behind;
                true
            }
            _ => false,
        }
    }

    /// Clauses up to the end or a closing bracket.
    fn group(&mut self, field: Option<&str>) -> Result<Condition, String> {
        self.depth += 1;
        if self.depth > DEPTH_MOST {
            return Err(format!("the query is nested more than {DEPTH_MOST} deep"));
        }
        let mut clauses = Vec::new();
        loop {
            self.skip_blanks();
            if self.rest.is_empty() || self.rest.starts_with(')') {
                break;
            }
            clauses.push(self.clause(clauses.is_empty(), field)?);
        }
        self.depth -= 1;
        if clauses.is_empty() {
            return Err("the query, or a bracket of it, is empty".to_owned());
        }
        Ok(self.combine(clauses))
    }

    fn clause(&mut self, is_first: bool, field: Option<&str>) -> Result<Clause, String> {
        self.clauses += 1;
        if self.clauses > CLAUSES_MOST {
            return Err(format!("the query has more than {CLAUSES_MOST} clauses"));
        }
        let mut joined = if is_first { Joined::First } else { Joined::Beside };
        if self.takes_word("AND") || self.takes("&&") {
            joined = Joined::And;
        } else if self.takes_word("OR") || self.takes("||") {
            joined = Joined::Or;
        }
        if is_first && joined != Joined::First {
            return Err("the query begins with AND or OR".to_owned());
        }
        self.skip_blanks();
        let mut occurs = Occurs::Should;
        loop {
            if self.takes_word("NOT") || self.takes("!") || self.takes("-") {
                occurs = if occurs == Occurs::Not { Occurs::Must } else { Occurs::Not };
            } else if self.takes("+") {
                occurs = Occurs::Must;
            } else {
                break;
            }
            self.skip_blanks();
        }
        Ok(Clause { joined, occurs, condition: self.term(field)? })
    }

    /// What Lucene makes of clauses: AND binds closer than OR, a clause that is forbidden is forbidden for all, and
    /// beside clauses that must be met the others decide nothing.
    fn combine(&mut self, clauses: Vec<Clause>) -> Condition {
        let has = |joined| clauses.iter().any(|clause| clause.joined == joined);
        if has(Joined::And) && has(Joined::Or) {
            self.notes.push("AND and OR without brackets: AND is taken to bind closer".to_owned());
        }
        if clauses.iter().any(|clause| clause.joined == Joined::Or && clause.occurs == Occurs::Not) {
            self.notes.push("OR NOT excludes, as in Lucene: rows with it never count".to_owned());
        }
        let mut groups: Vec<Vec<Clause>> = Vec::new();
        for clause in clauses {
            let continues =
                clause.joined == Joined::And || (clause.joined == Joined::Beside && self.language.joins_by_and);
            match groups.last_mut().filter(|_| continues) {
                Some(group) => group.push(clause),
                None => groups.push(vec![clause]),
            }
        }
        let (mut must, mut should, mut forbidden) = (Vec::new(), Vec::new(), Vec::new());
        for mut group in groups {
            let only = if group.len() == 1 { group.pop() } else { None };
            match only {
                Some(Clause { occurs: Occurs::Must, condition, .. }) => must.push(condition),
                Some(Clause { occurs: Occurs::Not, condition, .. }) => forbidden.push(Condition::not(condition)),
                Some(Clause { condition, .. }) => should.push(condition),
                None => should.push(Condition::all(group.into_iter().map(met).collect())),
            }
        }
        if must.is_empty() && !should.is_empty() {
            must.push(Condition::any(should));
        }
        must.append(&mut forbidden);
        Condition::all(must)
    }

    fn term(&mut self, field: Option<&str>) -> Result<Condition, String> {
        if self.takes("(") {
            return self.bracket(field);
        }
        if self.rest.starts_with(['[', '{', '/', '<', '>']) {
            return self.value(field);
        }
        let word = self.word()?;
        if word.is_quoted || !self.takes(":") {
            self.boost()?;
            return self.about(field, &word);
        }
        if word.is_wild && word.text != "*" {
            return Err(format!("fields by pattern, such as `{}`, have no counterpart", shown(&word.text)));
        }
        if self.takes("(") {
            return self.bracket(Some(&word.text));
        }
        self.value(Some(&word.text))
    }

    fn bracket(&mut self, field: Option<&str>) -> Result<Condition, String> {
        let inner = self.group(field)?;
        if !self.takes(")") {
            return Err("a bracket is still open".to_owned());
        }
        self.boost()?;
        Ok(inner)
    }

    /// What stands behind a field.
    fn value(&mut self, field: Option<&str>) -> Result<Condition, String> {
        self.skip_blanks();
        if self.rest.starts_with('/') {
            return Err(
                "a regular expression of Lucene's has no counterpart: say it as regexp_like in `where`".to_owned()
            );
        }
        if self.rest.starts_with(['[', '{']) {
            return self.range(field);
        }
        let orders =
            [(">=", Order::GreaterOrEqual), ("<=", Order::LessOrEqual), (">", Order::Greater), ("<", Order::Less)];
        if let Some((_, order)) = orders.into_iter().find(|(sign, _)| self.rest.starts_with(sign)) {
            self.rest = self.rest.trim_start_matches(['<', '>', '=']);
            let word = self.word()?;
            return Ok(Condition::Compares(self.column(field)?, order, Literal::read(&word.text)));
        }
        let word = self.word()?;
        self.boost()?;
        self.about(field, &word)
    }

    /// `[a TO b]`, either side open where it is a brace or `*`.
    fn range(&mut self, field: Option<&str>) -> Result<Condition, String> {
        let column = self.column(field)?;
        let includes_low = self.rest.starts_with('[');
        let end = self.rest.find([']', '}']).ok_or("a range is still open")?;
        let includes_high = self.rest[end..].starts_with(']');
        let inner = &self.rest[1..end];
        self.rest = &self.rest[end + 1..];
        let (low, high) = inner.split_once(" TO ").ok_or("a range is written `[a TO b]`")?;
        let bound = |text: &str, order: Order| {
            let text = text.trim().trim_matches('"');
            if text.contains("now") {
                return Err("a range of times that moves with the clock has no counterpart".to_owned());
            }
            Ok((text != "*").then(|| Condition::Compares(column.clone(), order, Literal::read(text))))
        };
        let low = bound(low, if includes_low { Order::GreaterOrEqual } else { Order::Greater })?;
        let high = bound(high, if includes_high { Order::LessOrEqual } else { Order::Less })?;
        if low.is_none() && high.is_none() {
            return Ok(Condition::Exists(column));
        }
        Ok(Condition::all(low.into_iter().chain(high).collect()))
    }

    /// A word about a field.
    fn about(&mut self, field: Option<&str>, word: &Word) -> Result<Condition, String> {
        let text = &word.text;
        match field {
            Some("*") | None if text == "*" && !word.is_quoted => return Ok(Condition::Always),
            Some("_exists_") => return self.column(Some(text)).map(Condition::Exists),
            Some("_missing_") => {
                return self.column(Some(text)).map(|column| Condition::not(Condition::Exists(column)));
            }
            _ => {}
        }
        let column = self.column(field)?;
        if text == "*" && word.is_wild {
            return Ok(Condition::Exists(column));
        }
        if field.is_some_and(is_free_text) {
            self.notes.push(format!("`{}` is searched for whole words, in capitals or not", column.name));
            return Ok(Condition::Matches(column, word_pattern(text, word.is_wild)));
        }
        if let Some(pattern) = like_pattern(text).filter(|_| word.is_wild) {
            return Ok(Condition::Like(column, pattern));
        }
        let value = if word.is_quoted { Literal::Text(text.clone()) } else { Literal::read(text) };
        Ok(Condition::Is(column, vec![value]))
    }

    fn column(&self, field: Option<&str>) -> Result<Column, String> {
        match field {
            None | Some("*") => {
                Err("a term without a field searches all of them, which has no counterpart: name the field".to_owned())
            }
            Some(field) => self.language.log.column(field),
        }
    }

    /// A word or a phrase in quotes; a backslash keeps what follows it.
    fn word(&mut self) -> Result<Word, String> {
        let is_quoted = self.rest.starts_with('"');
        let mut word = Word { text: String::new(), is_wild: false, is_quoted };
        let mut chars = self.rest.char_indices().skip(usize::from(is_quoted));
        let mut end = None;
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => word.text.extend(chars.next().map(|(_, escaped)| escaped)),
                '"' if is_quoted => {
                    end = Some(at + 1);
                    break;
                }
                c if !is_quoted && (c.is_whitespace() || "()[]{}:\"^~".contains(c)) => {
                    end = Some(at);
                    break;
                }
                c => {
                    word.is_wild |= !is_quoted && (c == '*' || c == '?');
                    word.text.push(c);
                }
            }
        }
        if is_quoted && end.is_none() {
            return Err(format!("a quote is still open at `{}`", shown(self.rest)));
        }
        let end = end.unwrap_or(self.rest.len());
        if end == 0 {
            return Err(format!("a term is expected at `{}`", shown(self.rest)));
        }
        self.rest = &self.rest[end..];
        Ok(word)
    }

    /// `^2` decides an order that no rule looks at; `~` would match what is only alike.
    fn boost(&mut self) -> Result<(), String> {
        if self.rest.starts_with('~') {
            return Err("terms that are only alike (`~`) have no counterpart".to_owned());
        }
        if self.takes("^") {
            self.rest = self.rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        }
        Ok(())
    }
}

fn met(clause: Clause) -> Condition {
    if clause.occurs == Occurs::Not { Condition::not(clause.condition) } else { clause.condition }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Condition, Vec<String>), String> {
        Language { log: &KnownLog::default(), default_field: None, joins_by_and: false }.parse(text)
    }

    fn sql(text: &str) -> String {
        read(text).and_then(|(condition, _)| condition.sql()).unwrap_or_else(|reason| reason)
    }

    #[test]
    fn queries_become_conditions() {
        for (query, expected) in [
            ("level:error", "level = 'error'"),
            ("status_code:500 AND NOT host:\"a b\"", "status_code = 500 AND (host = 'a b') IS NOT TRUE"),
            ("level:(error OR fatal)", "level IN ('error', 'fatal')"),
            ("level:error level:fatal", "level IN ('error', 'fatal')"),
            ("+level:error host:a -code:7", "level = 'error' AND (code = 7) IS NOT TRUE"),
            (
                "status_code:[500 TO 599]",
                "TRY_CAST(status_code AS DOUBLE) >= 500 AND TRY_CAST(status_code AS DOUBLE) <= 599",
            ),
            ("status_code:{400 TO *}", "TRY_CAST(status_code AS DOUBLE) > 400"),
            ("status_code:>=500", "TRY_CAST(status_code AS DOUBLE) >= 500"),
            ("user_agent:sql*map", "user_agent LIKE 'sql%map'"),
            ("_exists_:a_b AND c_d:*", "a_b IS NOT NULL AND c_d IS NOT NULL"),
            ("message:\"out of memory\"", r"regexp_like(message, '(?i)(^|\W)out\s+of\s+memory(\W|$)')"),
            ("message:time*", r"regexp_like(message, '(?i)(^|\W)time\w*(\W|$)')"),
            ("url:\\/login\\:x AND !host:b", "url = '/login:x' AND (host = 'b') IS NOT TRUE"),
            ("*:*", "true"),
            ("host:it's", "host = 'it''s'"),
            ("level:error^3 && host:a || host:b", "(level = 'error' AND host = 'a') OR host = 'b'"),
        ] {
            assert_eq!(sql(query), expected, "{query}");
        }
        assert_eq!(read("a_b:1 AND c_d:2 OR e_f:3").map_or(0, |(_, notes)| notes.len()), 1);
    }

    #[test]
    fn what_has_no_counterpart_is_told() {
        for (query, reason) in [
            ("timeout", "a term without a field"),
            ("level:err~1", "only alike"),
            ("level:/err.*/", "regular expression"),
            ("(level:error", "a bracket is still open"),
            ("level:error)", "not opened"),
            ("level:\"error", "a quote is still open"),
            ("at_time:[now-1h TO now]", "moves with the clock"),
            ("foo*:x", "fields by pattern"),
            ("", "empty"),
            ("AND level:x", "begins with AND"),
        ] {
            let told = sql(query);
            assert!(told.contains(reason), "{query}: {told}");
        }
        assert!(sql(&"(".repeat(5000)).contains("nested more than"));
        assert!(sql(&"a_b:c ".repeat(600)).contains("more than 500 clauses"));
    }
}
