//! What is checked in a template before the template parser sees it: the parser recurses, so
//! deep nesting would overflow the stack and end the process.

use crate::error::TemplateError;

/// Bytes of one template at most.
pub(crate) const TEMPLATE_BYTES_MOST: usize = 64 * 1024;
/// Blocks in blocks, links of an `else` chain, and brackets in brackets at most.
pub(crate) const NESTING_MOST: usize = 32;

/// Refuses what is too long or too deep, and every tag that leaves out the escaping or pulls in other templates.
pub(crate) fn guard(name: &str, text: &str) -> Result<(), TemplateError> {
    let refuse = |at: usize, message: String| TemplateError::new(name, place(text, at), message);
    if text.len() > TEMPLATE_BYTES_MOST {
        return Err(refuse(0, format!("{} bytes are more than the {TEMPLATE_BYTES_MOST} allowed", text.len())));
    }
    let too_deep = || format!("nested deeper than {NESTING_MOST} levels");
    let mut blocks: Vec<usize> = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("{{") {
        let open = at + found;
        if text[..open].ends_with('\\') {
            return Err(refuse(open, "`\\{{` is not available".into()).hint("write `{{\"{{\"}}` for two braces"));
        }
        let tag = Tag::read(text, open);
        if let Some(message) = tag.forbidden() {
            return Err(refuse(open, message.into()));
        }
        if tag.brackets > NESTING_MOST {
            return Err(refuse(open, too_deep()));
        }
        match tag.first() {
            Some('#') => blocks.push(1),
            Some('/') => drop(blocks.pop()),
            _ if tag.is_chain() => blocks.iter_mut().last().map_or((), |links| *links += 1),
            _ => {}
        }
        if blocks.iter().sum::<usize>() > NESTING_MOST {
            return Err(refuse(open, too_deep()));
        }
        at = tag.end;
    }
    Ok(())
}

/// Line and column, from 1, of a byte of `text`.
pub(crate) fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// What stands between `{{` and `}}`.
struct Tag<'a> {
    inner: &'a str,
    /// First byte after the tag.
    end: usize,
    /// Deepest nesting of brackets inside.
    brackets: usize,
    /// Whether it holds a `[`, after which a quote need not be one.
    square: bool,
}

impl<'a> Tag<'a> {
    fn read(text: &'a str, open: usize) -> Self {
        let start = open + 2;
        let rest = &text[start..];
        if rest.starts_with('!') {
            let long = rest.strip_prefix("!--").and_then(|comment| comment.find("--}}").map(|at| at + 3 + 4));
            let length = long.or_else(|| rest.find("}}").map(|at| at + 2)).unwrap_or(rest.len());
            return Self { inner: "!", end: start + length, brackets: 0, square: false };
        }
        let (mut quote, mut escaped, mut square) = (None, false, false);
        let (mut depth, mut deepest) = (0usize, 0usize);
        let mut end = rest.len();
        for (at, char) in rest.char_indices() {
            match (quote, char) {
                _ if escaped => escaped = false,
                (Some(_), '\\') => escaped = true,
                (Some(open), _) if char == open => quote = None,
                (Some(_), _) => {}
                (None, '"' | '\'') => quote = Some(char),
                (None, '[') => square = true,
                (None, '(' | '{') => depth += 1,
                (None, '}') if rest[at..].starts_with("}}") && depth == 0 => {
                    end = at;
                    break;
                }
                (None, ')' | '}') => depth = depth.saturating_sub(1),
                (None, _) => {}
            }
            deepest = deepest.max(depth);
        }
        let close = if end < rest.len() { 2 } else { 0 };
        Self { inner: &rest[..end], end: start + end + close, brackets: deepest, square }
    }

    fn body(&self) -> &'a str {
        self.inner.trim_start_matches(|char: char| char == '~' || char.is_whitespace())
    }

    fn first(&self) -> Option<char> {
        self.body().chars().next()
    }

    fn is_chain(&self) -> bool {
        let body = self.body();
        let rest = body.strip_prefix("else").or_else(|| body.strip_prefix('^'));
        rest.is_some_and(|rest| !rest.trim_matches(|char: char| char == '~' || char.is_whitespace()).is_empty())
    }

    fn forbidden(&self) -> Option<&'static str> {
        let body = self.body();
        let block = body.strip_prefix('#').map(str::trim_start).and_then(|rest| rest.chars().next());
        match (self.first(), block) {
            (Some('{' | '&'), _) => Some("`{{{` and `{{&` leave out the escaping and are not available"),
            (Some('>'), _) | (_, Some('>')) => Some("partials are not available"),
            (Some('*'), _) | (_, Some('*')) => Some("decorators are not available"),
            _ if self.square => Some("`[` is not available in tags"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn ordinary_templates_pass() {
        for text in [
            "",
            "no tag",
            "{{entity}} sent {{bytes feature.bytes_out.value}}",
            "{{#if a}}{{#each b}}{{this}}{{/each}}{{else if c}}{{else}}{{/if}}",
            "{{! {{{ }}{{!-- {{#if}} {{{{ --}}",
            "{{json \"}}{{{\"}}",
            "{{number (lookup feature 'a')}} {{~ x ~}}",
        ] {
            assert_eq!(guard("t", text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_leaves_out_the_escaping_or_pulls_in_templates_is_refused_at_its_place() {
        for (text, message, place) in [
            ("a\n {{{x}}}", "`{{{`", (2, 2)),
            ("{{&x}}", "`{{{`", (1, 1)),
            ("{{~ & x}}", "`{{{`", (1, 1)),
            ("é{{> x}}", "partials", (1, 2)),
            ("{{# > x}}{{/x}}", "partials", (1, 1)),
            ("{{*inline}}", "decorators", (1, 1)),
            ("{{{{raw}}}}x{{{{/raw}}}}", "`{{{`", (1, 1)),
            ("\\{{x}}", "not available", (1, 2)),
            ("{{a.[']}}{{#if b}}", "`[`", (1, 1)),
        ] {
            let error = guard("t", text).unwrap_err();
            assert!(error.message.contains(message), "{text}: {error}");
            assert_eq!((error.line, error.column), place, "{text}");
        }
    }

    #[test]
    fn deep_and_long_templates_are_refused() {
        let blocks = |depth: usize| "{{#if a}}".repeat(depth) + &"{{/if}}".repeat(depth);
        assert_eq!(guard("t", &blocks(32)), Ok(()));
        assert!(guard("t", &blocks(33)).is_err());
        assert!(guard("t", &format!("{{{{#if a}}}}{}{{{{/if}}}}", "{{else if b}}".repeat(32))).is_err());
        assert!(guard("t", &format!("{{{{json {}}}}}", "(a ".repeat(33))).is_err());
        assert!(guard("t", &"x".repeat(65_537)).is_err());
    }
}
