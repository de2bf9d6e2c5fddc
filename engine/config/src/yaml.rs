//! Text → tree, within budgets, by the parser of serde-saphyr.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use crate::node::{Data, Entry, Node, Scalar, Style};
use crate::problem::{Problem, shown};
use crate::source::{Place, Source};

/// Deepest nesting of lists and maps.
const MAX_DEPTH: usize = 32;
/// Most values in a file, those that aliases repeat among them.
const MAX_VALUES: usize = 5000;
/// Most bytes of text that aliases may repeat.
const MAX_ALIAS_BYTES: usize = 1024 * 1024;

/// Reads the one document of a text. Problems that leave the rest readable (a repeated key) are
/// added to `problems` beside the tree.
pub(crate) fn parse(source: &Source, problems: &mut Vec<Problem>) -> Option<Node> {
    let mut builder = Builder {
        events: Parser::new_from_str(&source.text),
        source,
        problems,
        anchors: HashMap::new(),
        values: 0,
        alias_bytes: 0,
    };
    let outcome = builder.document();
    drop(builder);
    match outcome {
        Ok(Some(node)) if !node.is_null() => Some(node),
        Ok(_) => {
            let place = Place { line: 1, column: 1, start: 0, end: 0 };
            problems.push(source.problem(place, "empty-file", "the file says nothing".to_owned()));
            None
        }
        Err(problem) => {
            problems.push(*problem);
            None
        }
    }
}

type Fallible<T> = Result<T, Box<Problem>>;

struct Builder<'a> {
    events: Parser<'a, StrInput<'a>>,
    source: &'a Source,
    problems: &'a mut Vec<Problem>,
    /// Anchored values by number.
    anchors: HashMap<usize, Node>,
    values: usize,
    alias_bytes: usize,
}

impl<'a> Builder<'a> {
    fn document(&mut self) -> Fallible<Option<Node>> {
        let mut root = None;
        while let Some((event, place)) = self.next()? {
            match event {
                Event::DocumentStart(..) if root.is_some() => {
                    let message = "a second document starts here, but one file holds one".to_owned();
                    let problem = self.source.problem(place, "multiple-documents", message);
                    return Err(Box::new(problem.hint("put it into a file of its own".to_owned())));
                }
                Event::StreamStart | Event::StreamEnd | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event => root = Some(self.value(event, place, 0)?),
            }
        }
        Ok(root)
    }

    /// The next event that is no comment.
    fn next(&mut self) -> Fallible<Option<(Event<'a>, Place)>> {
        loop {
            match self.events.next_event() {
                None => return Ok(None),
                Some(Ok((event, span))) if is_presentation(&event) => drop((event, span)),
                Some(Ok((event, span))) => return Ok(Some((event, place(&span)))),
                Some(Err(error)) => return Err(Box::new(self.syntax(&error))),
            }
        }
    }

    /// The next event inside a list or map, which the parser always ends.
    fn inner(&mut self) -> Fallible<(Event<'a>, Place)> {
        let source = self.source;
        self.next()?.ok_or_else(|| {
            let end = source.place(source.text.len());
            Box::new(source.problem(end, "yaml-syntax", "the file ends too early".to_owned()))
        })
    }

    fn value(&mut self, event: Event<'a>, place: Place, depth: usize) -> Fallible<Node> {
        self.values += 1;
        self.check_budget(place, depth)?;
        let anchor = event.anchor_id();
        if event.tag().is_some() {
            let message = "tags such as `!!binary` have no meaning here".to_owned();
            return Err(Box::new(self.source.problem(place, "yaml-tag", message)));
        }
        let (data, end) = match event {
            Event::Alias(id) => return self.alias(id, place, depth),
            Event::Scalar(text, style, ..) => {
                (Data::Scalar(Scalar { text: text.into_owned(), style: style_of(style) }), place.end)
            }
            Event::SequenceStart(..) => {
                let (items, end) = self.items(depth)?;
                (Data::List(items), end)
            }
            Event::MappingStart(..) => {
                let (entries, end) = self.entries(depth)?;
                (Data::Map(entries), end)
            }
            _ => return Err(Box::new(self.source.problem(place, "yaml-syntax", "a value is expected".to_owned()))),
        };
        let node = Node { place, end, data };
        if let Some(id) = anchor {
            self.anchors.insert(id, node.clone());
        }
        Ok(node)
    }

    fn items(&mut self, depth: usize) -> Fallible<(Vec<Node>, usize)> {
        let mut items = Vec::new();
        loop {
            match self.inner()? {
                (Event::SequenceEnd, place) => return Ok((items, place.end)),
                (event, place) => items.push(self.value(event, place, depth + 1)?),
            }
        }
    }

    fn entries(&mut self, depth: usize) -> Fallible<(Vec<Entry>, usize)> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut lines: HashMap<String, usize> = HashMap::new();
        loop {
            let (event, place) = self.inner()?;
            if event == Event::MappingEnd {
                return Ok((entries, place.end));
            }
            let key = self.value(event, place, depth + 1)?;
            let (event, value_place) = self.inner()?;
            let value = self.value(event, value_place, depth + 1)?;
            let Data::Scalar(Scalar { text: key, .. }) = key.data else {
                let message = "a key must be text, not a list or a map".to_owned();
                let hint = "text that starts with `{` or `[` needs quotes".to_owned();
                self.problems.push(self.source.problem(place, "key-not-text", message).hint(hint));
                continue;
            };
            if let Some(line) = lines.get(&key) {
                let message = format!("the key `{}` already stands in line {line}", shown(&key));
                self.problems.push(self.source.problem(place, "duplicate-key", message));
                continue;
            }
            lines.insert(key.clone(), place.line);
            entries.push(Entry { key, place, value });
        }
    }

    /// A copy of the anchored value; an alias inside its own anchor has none yet.
    fn alias(&mut self, id: usize, place: Place, depth: usize) -> Fallible<Node> {
        let Some(node) = self.anchors.get(&id) else {
            let message = "this alias repeats the value in which it stands".to_owned();
            return Err(Box::new(self.source.problem(place, "yaml-syntax", message)));
        };
        let size = Size::of(node);
        self.values += size.values;
        self.alias_bytes += size.bytes;
        self.check_budget(place, depth + size.depth)?;
        Ok(Node { end: place.end, ..node.clone() })
    }

    fn check_budget(&self, place: Place, depth: usize) -> Fallible<()> {
        let (rule, message) = if depth > MAX_DEPTH {
            ("nesting-too-deep", format!("lists and maps are nested more than {MAX_DEPTH} deep"))
        } else if self.values > MAX_VALUES {
            ("too-many-values", format!("the file holds more than {MAX_VALUES} values, counting those of aliases"))
        } else if self.alias_bytes > MAX_ALIAS_BYTES {
            ("too-many-values", format!("aliases repeat more than {} KiB of text", MAX_ALIAS_BYTES / 1024))
        } else {
            return Ok(());
        };
        Err(Box::new(self.source.problem(place, rule, message)))
    }

    fn syntax(&self, error: &ScanError) -> Problem {
        let marker = error.marker();
        let start = marker.byte_offset().unwrap_or(0);
        let place = Place { line: marker.line().max(1), column: marker.col() + 1, start, end: start + 1 };
        let message = error.info().lines().next().unwrap_or_default().to_owned();
        let line_start = self.source.text.get(..start).and_then(|text| text.rfind('\n')).map_or(0, |at| at + 1);
        let indent = self.source.text.get(line_start..).unwrap_or_default().chars();
        let has_tab = indent.take_while(|c| c.is_whitespace()).any(|c| c == '\t');
        match error.kind() {
            ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabAtBlockScalarStart
            | ErrorKind::TabInIndentation => self.tab(place),
            ErrorKind::RecursionLimitExceeded => self.source.problem(place, "nesting-too-deep", message),
            _ if has_tab => self.tab(place),
            _ => {
                let hint =
                    "is a bracket or quote still open? Text with `: ` in it, or with one of {[*&%@ first, needs quotes";
                self.source.problem(place, "yaml-syntax", message).hint(hint.to_owned())
            }
        }
    }

    fn tab(&self, place: Place) -> Problem {
        let message = "a tab cannot indent YAML".to_owned();
        self.source.problem(place, "tab-indentation", message).hint("use spaces".to_owned())
    }
}

fn is_presentation(event: &Event<'_>) -> bool {
    !event.is_node()
        && !matches!(
            event,
            Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(..)
                | Event::DocumentEnd
                | Event::SequenceEnd
                | Event::MappingEnd
        )
}

fn place(span: &Span) -> Place {
    let start = span.start.byte_offset().unwrap_or(0);
    let end = span.end.byte_offset().unwrap_or(start);
    Place { line: span.start.line().max(1), column: span.start.col() + 1, start, end }
}

fn style_of(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::SingleQuoted,
        ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
        ScalarStyle::Literal => Style::Literal,
        ScalarStyle::Folded => Style::Folded,
    }
}

/// How much an alias repeats.
struct Size {
    values: usize,
    bytes: usize,
    depth: usize,
}

impl Size {
    /// Recursion is bounded: every tree is at most [`MAX_DEPTH`] deep.
    fn of(node: &Node) -> Self {
        match &node.data {
            Data::Scalar(scalar) => Self { values: 1, bytes: scalar.text.len(), depth: 0 },
            Data::List(items) => Self::around(items.iter(), 0),
            Data::Map(entries) => Self::around(
                entries.iter().map(|entry| &entry.value),
                entries.iter().map(|entry| entry.key.len()).sum(),
            ),
        }
    }

    fn around<'a>(children: impl Iterator<Item = &'a Node>, bytes: usize) -> Self {
        let whole = Self { values: 1, bytes, depth: 0 };
        children.map(Self::of).fold(whole, |sum, child| Self {
            values: sum.values + child.values,
            bytes: sum.bytes + child.bytes,
            depth: sum.depth.max(child.depth + 1),
        })
    }
}
