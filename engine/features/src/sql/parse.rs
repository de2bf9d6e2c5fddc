//! Text to syntax tree, within limits.

use datafusion::sql::sqlparser::ast::{Expr, Query, Statement};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

use super::complaint::Complaint;

/// Bytes of a text at most.
const TEXT_BYTES_MOST: usize = 16 << 10;
/// Words, numbers and signs of a text at most.
const TOKENS_MOST: usize = 2_000;
/// Nesting of expressions and queries at most.
const DEPTH_MOST: usize = 50;

/// Reads one expression.
///
/// # Errors
/// The text is too large, or is not one expression.
pub(crate) fn expression(text: &str) -> Result<Expr, Complaint> {
    let tokens = tokens(text)?;
    let last = edges(&tokens).1;
    let mut parser = parser(tokens);
    let expression = parser.parse_expr().map_err(|error| complaint(&error, "an expression", last))?;
    end(&parser, "the expression")?;
    Ok(expression)
}

/// Reads one query.
///
/// # Errors
/// The text is too large, or is not one `SELECT`.
pub(crate) fn query(text: &str) -> Result<Box<Query>, Complaint> {
    let tokens = tokens(text)?;
    let (first, last) = edges(&tokens);
    let mut parser = parser(tokens);
    let statement = parser.parse_statement().map_err(|error| complaint(&error, "a SELECT", last))?;
    while parser.consume_token(&Token::SemiColon) {}
    end(&parser, "the statement")?;
    match statement {
        Statement::Query(query) => Ok(query),
        _ => Err(Complaint::new("only a SELECT is allowed").at_span(first)),
    }
}

const DIALECT: GenericDialect = GenericDialect {};

fn parser(tokens: Vec<TokenWithSpan>) -> Parser<'static> {
    Parser::new(&DIALECT).with_recursion_limit(DEPTH_MOST).with_tokens_with_locations(tokens)
}

fn tokens(text: &str) -> Result<Vec<TokenWithSpan>, Complaint> {
    if text.len() > TEXT_BYTES_MOST {
        let message = format!("the text has {} bytes, more than the {TEXT_BYTES_MOST} allowed", text.len());
        return Err(Complaint::new(message));
    }
    let tokens = Tokenizer::new(&DIALECT, text)
        .tokenize_with_location()
        .map_err(|error| Complaint::new(error.message).at(error.location))?;
    let count = tokens.iter().filter(|token| !is_space(&token.token)).count();
    if count > TOKENS_MOST {
        return Err(Complaint::new(format!("the text has {count} tokens, more than the {TOKENS_MOST} allowed")));
    }
    Ok(tokens)
}

/// Where the first and the last token stand.
fn edges(tokens: &[TokenWithSpan]) -> (Span, Span) {
    let mut seen = tokens.iter().filter(|token| !is_space(&token.token)).map(|token| token.span);
    let first = seen.next().unwrap_or_else(Span::empty);
    (first, seen.next_back().unwrap_or(first))
}

fn is_space(token: &Token) -> bool {
    matches!(token, Token::Whitespace(_) | Token::EOF)
}

fn end(parser: &Parser<'_>, what: &str) -> Result<(), Complaint> {
    let next = parser.peek_token();
    if next.token == Token::EOF {
        return Ok(());
    }
    Err(Complaint::new(format!("expected the end of {what}, found `{}`", next.token)).at_span(next.span))
}

/// The parser writes places into its messages, but not that of the end, which comes after the `last` token.
fn complaint(error: &ParserError, wanted: &str, last: Span) -> Complaint {
    let (ParserError::TokenizerError(text) | ParserError::ParserError(text)) = error else {
        return Complaint::new(format!("{wanted} may be nested at most {DEPTH_MOST} deep"));
    };
    let Some((message, place)) = text.rsplit_once(" at Line: ") else {
        return Complaint::new(lower_first(text)).at(last.end);
    };
    let mut numbers = place.split(", Column: ").map(|number| number.trim().parse::<u64>().unwrap_or(0));
    let place = Location { line: numbers.next().unwrap_or(0), column: numbers.next().unwrap_or(0) };
    Complaint::new(lower_first(message)).at(place)
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
