//! Calico's query language: selectors `key op value` and `key IN {…}`, joined by AND, OR, NOT and brackets.

use margay_config::shown;

use crate::columns::KnownLog;
use crate::sql::{Condition, Literal, Order};
use crate::words::like_pattern;

/// Most words and signs of a query.
const TOKENS_MOST: usize = 2000;
/// Deepest nesting of brackets and NOTs.
const DEPTH_MOST: usize = 32;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    /// A key, value or keyword without quotes.
    Word(String),
    /// A text in quotes.
    Quoted(String),
    /// `=`, `!=`, `<`, `<=`, `>`, `>=`.
    Operator(&'static str),
    Open,
    Close,
    /// `{a, "b"}`, or what `${name}` stands for.
    Set(Vec<String>),
}

/// The condition that a query says.
pub(super) fn parse(text: &str, log: &KnownLog, substitutions: &[(String, Vec<String>)]) -> Result<Condition, String> {
    let tokens = tokens(text, substitutions)?;
    if tokens.is_empty() {
        return Ok(Condition::Always);
    }
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0, log };
    let condition = parser.any()?;
    match parser.next() {
        None => Ok(condition),
        Some(token) => Err(format!("the query goes on with {} where it should end", told(token))),
    }
}

fn tokens(text: &str, substitutions: &[(String, Vec<String>)]) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if tokens.len() == TOKENS_MOST {
            return Err(format!("the query has more than {TOKENS_MOST} words and signs"));
        }
        let (token, behind) = match first {
            '(' => (Token::Open, &rest[1..]),
            ')' => (Token::Close, &rest[1..]),
            '"' | '\'' => quoted(rest)?,
            '{' => set(rest)?,
            '$' => substitution(rest, substitutions)?,
            '=' | '!' | '<' | '>' => operator(rest)?,
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || "()=!<>{}\"'$,".contains(c)).unwrap_or(rest.len());
                if end == 0 {
                    return Err(format!("`{first}` has no meaning there"));
                }
                (Token::Word(rest[..end].to_owned()), &rest[end..])
            }
        };
        tokens.push(token);
        rest = behind.trim_start();
    }
    Ok(tokens)
}

fn operator(rest: &str) -> Result<(Token, &str), String> {
    // `==` is no operator of Calico's, but has one meaning.
    let operators = [("!=", "!="), ("<=", "<="), (">=", ">="), ("==", "="), ("=", "="), ("<", "<"), (">", ">")];
    let found = operators.iter().find_map(|(written, sign)| Some((*sign, rest.strip_prefix(written)?)));
    found.map(|(sign, behind)| (Token::Operator(sign), behind)).ok_or_else(|| "`!` has no meaning there".to_owned())
}

/// A text in either kind of quotes; a backslash keeps what follows it.
fn quoted(rest: &str) -> Result<(Token, &str), String> {
    let (text, behind) = unquote(rest)?;
    Ok((Token::Quoted(text), behind))
}

fn unquote(rest: &str) -> Result<(String, &str), String> {
    let mut chars = rest.char_indices();
    let quote = chars.next().map_or('"', |(_, quote)| quote);
    let mut text = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => text.extend(chars.next().map(|(_, escaped)| escaped)),
            c if c == quote => return Ok((text, &rest[at + c.len_utf8()..])),
            c => text.push(c),
        }
    }
    Err(format!("a quote is still open at `{}`", shown(rest)))
}

/// `{a, "b", 'c'}`.
fn set(rest: &str) -> Result<(Token, &str), String> {
    let mut values = Vec::new();
    let mut inner = rest[1..].trim_start();
    loop {
        inner = match inner.chars().next() {
            None => return Err("a `{` is still open".to_owned()),
            Some('}') => return Ok((Token::Set(values), &inner[1..])),
            Some(',') => inner[1..].trim_start(),
            Some('"' | '\'') => {
                let (text, behind) = unquote(inner)?;
                values.push(text);
                behind.trim_start()
            }
            Some(_) => {
                let end = inner.find(|c: char| c.is_whitespace() || ",}\"'{".contains(c)).unwrap_or(inner.len());
                if end == 0 {
                    return Err("a `{` stands within a list".to_owned());
                }
                values.push(inner[..end].to_owned());
                inner[end..].trim_start()
            }
        };
    }
}

/// `${name}`.
fn substitution<'t>(rest: &'t str, known: &[(String, Vec<String>)]) -> Result<(Token, &'t str), String> {
    let (name, behind) = rest
        .strip_prefix("${")
        .and_then(|rest| rest.split_once('}'))
        .ok_or_else(|| "`$` begins a substitution `${name}`".to_owned())?;
    let values = known.iter().find(|(known, _)| known == name.trim()).map(|(_, values)| values.clone());
    values
        .map(|values| (Token::Set(values), behind))
        .ok_or_else(|| format!("there is no substitution `{}`", shown(name)))
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
    log: &'a KnownLog,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&'a Token> {
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        Some(token)
    }

    fn takes(&mut self, keyword: &str) -> bool {
        let is_next = matches!(self.tokens.get(self.at), Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword));
        self.at += usize::from(is_next);
        is_next
    }

    fn any(&mut self) -> Result<Condition, String> {
        let mut parts = vec![self.all()?];
        while self.takes("OR") {
            parts.push(self.all()?);
        }
        Ok(Condition::any(parts))
    }

    fn all(&mut self) -> Result<Condition, String> {
        let mut parts = vec![self.one()?];
        while self.takes("AND") {
            parts.push(self.one()?);
        }
        Ok(Condition::all(parts))
    }

    fn one(&mut self) -> Result<Condition, String> {
        self.depth += 1;
        if self.depth > DEPTH_MOST {
            return Err(format!("the query is nested more than {DEPTH_MOST} deep"));
        }
        let condition = if self.takes("NOT") {
            Condition::not(self.one()?)
        } else if self.tokens.get(self.at) == Some(&Token::Open) {
            self.at += 1;
            let inner = self.any()?;
            match self.next() {
                Some(Token::Close) => inner,
                _ => return Err("a bracket is still open".to_owned()),
            }
        } else {
            self.selector()?
        };
        self.depth -= 1;
        Ok(condition)
    }

    fn selector(&mut self) -> Result<Condition, String> {
        let key = match self.next() {
            Some(Token::Word(key) | Token::Quoted(key)) => key,
            Some(token) => return Err(format!("a field is expected, not {}", told(token))),
            None => return Err("a field is expected at the end".to_owned()),
        };
        let is_in = self.takes("IN");
        if is_in || self.takes("NOTIN") {
            let Some(Token::Set(values)) = self.next() else {
                return Err(format!("a list `{{…}}` is expected behind `{}`", shown(key)));
            };
            let found = self.among(key, values)?;
            return Ok(if is_in { found } else { Condition::not(found) });
        }
        let sign = match self.next() {
            Some(Token::Operator(sign)) => *sign,
            Some(token) => return Err(format!("an operator is expected behind `{}`, not {}", shown(key), told(token))),
            None => return Err(format!("an operator is expected behind `{}`", shown(key))),
        };
        let value = match self.next() {
            Some(Token::Word(value)) => Literal::read(value),
            Some(Token::Quoted(value)) => Literal::Text(value.clone()),
            _ => return Err(format!("a value is expected behind `{} {sign}`", shown(key))),
        };
        self.compare(key, sign, value)
    }

    fn compare(&self, key: &str, sign: &str, value: Literal) -> Result<Condition, String> {
        let order = match sign {
            "=" => return self.equal(key, value),
            "!=" => return self.equal(key, value).map(Condition::not),
            "<" => Order::Less,
            "<=" => Order::LessOrEqual,
            ">" => Order::Greater,
            _ => Order::GreaterOrEqual,
        };
        Ok(Condition::Compares(self.log.column(key)?, order, value))
    }

    /// One value, which may have wildcards.
    fn equal(&self, key: &str, value: Literal) -> Result<Condition, String> {
        let column = self.log.column(key)?;
        let stands_for_nothing = column.signs_are_null && ["-", "*"].contains(&&value.text()[..]);
        match like_pattern(&value.text()).filter(|_| !stands_for_nothing) {
            Some(pattern) => Ok(Condition::Like(column, pattern)),
            None => Ok(Condition::Is(column, vec![value])),
        }
    }

    fn among(&self, key: &str, values: &[String]) -> Result<Condition, String> {
        if values.is_empty() {
            return Err(format!("the list of `{}` is empty", shown(key)));
        }
        let each = values.iter().map(|value| self.equal(key, Literal::read(value)));
        Ok(Condition::any(each.collect::<Result<_, _>>()?))
    }
}

fn told(token: &Token) -> String {
    match token {
        Token::Word(text) | Token::Quoted(text) => format!("`{}`", shown(text)),
        Token::Operator(sign) => format!("`{sign}`"),
        Token::Open => "`(`".to_owned(),
        Token::Close => "`)`".to_owned(),
        Token::Set(_) => "a list".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(text: &str) -> String {
        let substitutions = [("names".to_owned(), vec!["*.example.com".to_owned(), "a.org".to_owned()])];
        parse(text, &KnownLog::default(), &substitutions)
            .and_then(|condition| condition.sql())
            .unwrap_or_else(|reason| reason)
    }

    #[test]
    fn queries_become_conditions() {
        for (query, expected) in [
            ("action=allow", "action = 'allow'"),
            (
                "'objectRef.resource'='pods' AND verb != get",
                "\"objectRef.resource\" = 'pods' AND (verb = 'get') IS NOT TRUE",
            ),
            (
                "dest_port = 22 AND (a_b=x OR NOT c_d=\"it's\")",
                "dest_port = 22 AND (a_b = 'x' OR (c_d = 'it''s') IS NOT TRUE)",
            ),
            ("a_b=1 OR c_d=2 AND e_f>=2.5", "a_b = 1 OR (c_d = 2 AND TRY_CAST(e_f AS DOUBLE) >= 2.5)"),
            ("verb IN {create, 'update'}", "verb IN ('create', 'update')"),
            ("qname NOTIN ${names}", "(qname LIKE '%.example.com' OR qname = 'a.org') IS NOT TRUE"),
            ("qname = \"cdn?_*\"", "qname LIKE 'cdn_\\_%'"),
            ("", "true"),
        ] {
            assert_eq!(sql(query), expected, "{query}");
        }
    }

    #[test]
    fn what_is_no_query_is_told() {
        for (query, reason) in [
            ("a_b =", "a value is expected behind `a_b =`"),
            ("a_b = 'x", "a quote is still open"),
            ("(a_b = x", "a bracket is still open"),
            ("a_b = x c_d = y", "goes on with `c_d`"),
            ("a_b IN {x", "a `{` is still open"),
            ("a_b IN ${other}", "there is no substitution `other`"),
            ("a_b IN {}", "is empty"),
            ("AND", "an operator is expected"),
            ("a , b", "has no meaning there"),
        ] {
            assert!(sql(query).contains(reason), "{query}: {}", sql(query));
        }
        assert!(sql(&"(".repeat(100_000)).contains("more than"));
        assert!(sql(&format!("{}a_b=c", "NOT ".repeat(1000))).contains("nested more than"));
    }
}
