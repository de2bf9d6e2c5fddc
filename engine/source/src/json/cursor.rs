//! A position in JSON text, and how to get past a value.

use super::digits;
use crate::raw::Raw;

/// Why a text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken(pub(crate) &'static str);

/// A position in JSON text.
///
/// Values are passed, not checked in full: brackets are counted but not matched by kind, and the
/// inside of texts and numbers is not looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The start of `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The byte here.
    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// What is left.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Moves on by `count` bytes.
    #[inline]
    pub(crate) fn advance(&mut self, count: usize) {
        self.at += count;
    }

    /// Moves past white space.
    #[inline]
    pub(crate) fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Moves past `byte` and white space before it; false where something else stands.
    #[inline]
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Moves past a text that starts here.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Raw<'a>, Broken> {
        let start = self.at + 1;
        let (end, escaped) = string_end(self.bytes, start).ok_or(UNCLOSED)?;
        self.at = end + 1;
        let inside = &self.bytes[start..end];
        Ok(if escaped { Raw::Escaped(inside) } else { Raw::Text(inside) })
    }

    /// Moves past the value here, after white space.
    pub(crate) fn value(&mut self) -> Result<Raw<'a>, Broken> {
        let mut raw = Raw::Null;
        self.value_into(&mut raw)?;
        Ok(raw)
    }

    /// Moves past the value here, after white space. It is written in place: a value that is handed back is copied
    /// right after it was written, for which the processor has to wait.
    #[inline]
    pub(crate) fn value_into(&mut self, raw: &mut Raw<'a>) -> Result<(), Broken> {
        self.skip_space();
        let (start, first) = (self.at, self.peek());
        match first {
            Some(b'"') => {
                let (end, escaped) = string_end(self.bytes, start + 1).ok_or(UNCLOSED)?;
                self.at = end + 1;
                let inside = &self.bytes[start + 1..end];
                *raw = if escaped { Raw::Escaped(inside) } else { Raw::Text(inside) };
            }
            Some(b'0'..=b'9') => self.number_into(raw),
            _ => {
                self.pass()?;
                let bytes = &self.bytes[start..self.at];
                *raw = match first {
                    Some(b'{') => Raw::Object(bytes),
                    Some(b'[') => Raw::List(bytes),
                    Some(b'n') => Raw::Null,
                    Some(b't') => Raw::Bool(true),
                    Some(b'f') => Raw::Bool(false),
                    _ => Raw::Number(bytes),
                };
            }
        }
        Ok(())
    }

    /// Moves past the value here, after white space, that nobody asked for.
    #[inline]
    pub(crate) fn pass(&mut self) -> Result<(), Broken> {
        self.skip_space();
        match self.peek() {
            Some(b'"') => {
                let (end, _) = string_end(self.bytes, self.at + 1).ok_or(UNCLOSED)?;
                self.at = end + 1;
                Ok(())
            }
            Some(b'-' | b'0'..=b'9') => {
                self.at += 1 + digits::count(&self.bytes[self.at + 1..]);
                self.rest_of_number();
                Ok(())
            }
            Some(b'n') => self.word(b"null"),
            Some(b'{' | b'[') => {
                self.at = nested_end(self.bytes, self.at)?;
                Ok(())
            }
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(_) => Err(Broken("a value is missing")),
            None => Err(CUT),
        }
    }

    /// Moves past a number that starts with a digit here.
    #[inline]
    fn number_into(&mut self, raw: &mut Raw<'a>) {
        let start = self.at;
        let (count, value) = digits::leading(&self.bytes[start..]);
        self.at += count;
        let is_whole = !self.rest_of_number();
        let bytes = &self.bytes[start..self.at];
        *raw = match value {
            Some(value) if is_whole => Raw::Whole(bytes, value),
            _ => Raw::Number(bytes),
        };
    }

    /// Moves past what may follow the digits of a number; true where something does.
    #[inline]
    fn rest_of_number(&mut self) -> bool {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E')) {
            self.at += 1;
        }
        self.at > start
    }

    #[inline]
    fn word(&mut self, word: &[u8]) -> Result<(), Broken> {
        if !self.rest().starts_with(word) {
            return Err(Broken("a word that is neither null, true nor false"));
        }
        self.at += word.len();
        Ok(())
    }
}

const UNCLOSED: Broken = Broken("a text is not closed");
const CUT: Broken = Broken("it ends within an object");

/// Where the object or array that starts at `start` ends. Counts instead of recursing, so that no
/// depth is too deep.
fn nested_end(bytes: &[u8], start: usize) -> Result<usize, Broken> {
    let (mut at, mut depth) = (start, 0usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at + 1).ok_or(UNCLOSED)?.0,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Ok(at);
        }
    }
    Err(CUT)
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;
const QUOTES: u64 = ONES * b'"' as u64;
const BACKSLASHES: u64 = ONES * b'\\' as u64;

/// Where the text that starts at `start` ends (at its closing quote), and whether it holds escapes.
#[inline]
fn string_end(bytes: &[u8], start: usize) -> Option<(usize, bool)> {
    let (mut at, mut escaped) = (start, false);
    loop {
        // Eight bytes at once: a byte of `x - 1 & !x` has its high bit set where x was zero. A borrow
        // may set it in bytes above a true hit, never below the first one.
        while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*word);
            let (quote, backslash) = (word ^ QUOTES, word ^ BACKSLASHES);
            let hits = (quote.wrapping_sub(ONES) & !quote | backslash.wrapping_sub(ONES) & !backslash) & HIGH;
            if hits != 0 {
                at += hits.trailing_zeros() as usize / 8;
                break;
            }
            at += 8;
        }
        match bytes.get(at)? {
            b'"' => return Some((at, escaped)),
            b'\\' => {
                escaped = true;
                at += 2;
            }
            _ => at += 1,
        }
    }
}

/// Hands the elements of an array to `visit`; stops at what is not JSON.
pub(crate) fn elements<'a>(list: &'a [u8], visit: &mut dyn FnMut(Raw<'a>)) {
    let mut cursor = Cursor::new(list);
    cursor.advance(1);
    while let Ok(value) = cursor.value() {
        visit(value);
        if !cursor.take(b',') {
            break;
        }
    }
}

/// Hands the entries of an object to `visit`; stops at what is not JSON.
pub(crate) fn entries<'a>(object: &'a [u8], visit: &mut dyn FnMut(Raw<'a>, Raw<'a>)) {
    let mut cursor = Cursor::new(object);
    cursor.advance(1);
    loop {
        cursor.skip_space();
        if cursor.peek() != Some(b'"') {
            break;
        }
        let Ok(key) = cursor.string() else { break };
        if !cursor.take(b':') {
            break;
        }
        let Ok(value) = cursor.value() else { break };
        visit(key, value);
        if !cursor.take(b',') {
            break;
        }
    }
}

/// The value of `name` where `object` holds nothing else.
pub(crate) fn only_entry<'a>(object: &'a [u8], name: &[u8]) -> Option<Raw<'a>> {
    let mut found = None;
    let mut others = false;
    entries(object, &mut |key, value| match key {
        Raw::Text(key) if key == name => found = Some(value),
        _ => others = true,
    });
    found.filter(|_| !others)
}

/// The text that stands between JSON's quotes; bad escapes become `U+FFFD`.
pub(crate) fn unescape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        text.push_str(&String::from_utf8_lossy(&rest[..at]));
        let (letter, used) = escape(&rest[at..]);
        text.push(letter);
        rest = &rest[(at + used).min(rest.len())..];
    }
    text.push_str(&String::from_utf8_lossy(rest));
    text
}

/// The letter that an escape stands for, and the length of the escape.
fn escape(bytes: &[u8]) -> (char, usize) {
    match bytes.get(1) {
        Some(letter @ (b'"' | b'\\' | b'/')) => (char::from(*letter), 2),
        Some(b'b') => ('\u{8}', 2),
        Some(b'f') => ('\u{c}', 2),
        Some(b'n') => ('\n', 2),
        Some(b'r') => ('\r', 2),
        Some(b't') => ('\t', 2),
        Some(b'u') => unicode(bytes),
        _ => (char::REPLACEMENT_CHARACTER, 2),
    }
}

/// `\uXXXX`, or two of them for a letter beyond the first 65,536.
fn unicode(bytes: &[u8]) -> (char, usize) {
    let unit = |at: usize| {
        let digits = bytes.get(at..at + 4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let Some(first) = unit(2) else { return (char::REPLACEMENT_CHARACTER, 2) };
    if let Some(letter) = char::from_u32(first) {
        return (letter, 6);
    }
    let second = unit(8).filter(|second| bytes[6..].starts_with(b"\\u") && (0xDC00..0xE000).contains(second));
    match second {
        Some(second) if first < 0xDC00 => {
            let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
            (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
        }
        _ => (char::REPLACEMENT_CHARACTER, 6),
    }
}
