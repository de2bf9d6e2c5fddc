//! Templates of documents: parsed as YAML or JSON first, then rendered leaf by leaf, so no value
//! can change the structure around it.

use handlebars::template::TemplateElement;
use handlebars::{Handlebars, Template};
use serde_json::Value;

use crate::error::TemplateError;
use crate::guard::{NESTING_MOST, place};

/// What a document template is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Json,
    Yaml,
}

/// A parsed template whose leaf strings are templates.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    tree: Value,
}

/// The engines that render leaves.
pub(crate) struct LeafEngines<'a> {
    /// For text in a leaf.
    pub(crate) text: &'a Handlebars<'static>,
    /// For leaves that are one `{{json …}}` and become the value itself.
    pub(crate) literal: &'a Handlebars<'static>,
}

impl Document {
    /// Parses `text`; keys are fixed, and a tag outside quotes is an error.
    pub(crate) fn parse(name: &str, text: &str, language: Language) -> Result<Self, TemplateError> {
        if bracket_depth(text) > 2 * NESTING_MOST {
            return Err(TemplateError::new(name, (1, 1), format!("nested deeper than {NESTING_MOST} levels")));
        }
        let unquoted = "a tag stands inside quotes: \"{{…}}\"";
        let tree: Value = match language {
            Language::Json => serde_json::from_str(text).map_err(|error| {
                TemplateError::new(name, (error.line().max(1), error.column().max(1)), error.to_string()).hint(unquoted)
            })?,
            Language::Yaml => serde_yaml::from_str(text).map_err(|error| {
                let at = error.location().map_or((1, 1), |location| (location.line(), location.column()));
                TemplateError::new(name, at, error.to_string()).hint(unquoted)
            })?,
        };
        check(name, text, &tree, 0)?;
        Ok(Self { tree })
    }

    /// The document with every leaf string rendered with `context`.
    pub(crate) fn render(&self, engines: &LeafEngines<'_>, context: &Value) -> Result<Value, handlebars::RenderError> {
        render(&self.tree, engines, context)
    }
}

fn check(name: &str, text: &str, tree: &Value, depth: usize) -> Result<(), TemplateError> {
    let refuse = |part: &str, message: String| {
        TemplateError::new(name, text.find(part).map_or((1, 1), |at| place(text, at)), message)
    };
    if depth > NESTING_MOST {
        return Err(refuse("", format!("nested deeper than {NESTING_MOST} levels")));
    }
    match tree {
        Value::Array(items) => items.iter().try_for_each(|item| check(name, text, item, depth + 1)),
        Value::Object(map) => map.iter().try_for_each(|(key, value)| {
            if key.contains("{{") {
                return Err(refuse(key, "keys are not rendered".to_owned()));
            }
            check(name, text, value, depth + 1)
        }),
        Value::String(leaf) => Template::compile(leaf)
            .map(|_| ())
            .map_err(|error| refuse(leaf, format!("a tag begins and ends in one string: {}", error.reason()))),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn render(tree: &Value, engines: &LeafEngines<'_>, context: &Value) -> Result<Value, handlebars::RenderError> {
    Ok(match tree {
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| render(item, engines, context)).collect::<Result<_, _>>()?)
        }
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, value)| Ok((key.clone(), render(value, engines, context)?)))
                .collect::<Result<_, handlebars::RenderError>>()?,
        ),
        Value::String(leaf) if is_literal(leaf) => {
            serde_json::from_str(&engines.literal.render_template(leaf, context)?)
                .expect("the helper `json` writes JSON")
        }
        Value::String(leaf) if leaf.contains("{{") => Value::String(engines.text.render_template(leaf, context)?),
        other => other.clone(),
    })
}

/// True for a leaf that is one `{{json …}}` and nothing else.
fn is_literal(leaf: &str) -> bool {
    let Ok(template) = Template::compile(leaf) else { return false };
    matches!(template.elements.as_slice(), [TemplateElement::Expression(call)]
        if call.name.as_name() == Some("json") && call.params.len() == 1)
}

/// Deepest run of open brackets, counted without regard to quotes.
fn bracket_depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0usize);
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;
    use crate::helpers::engine;
    use crate::plain::shown;

    fn rendered(text: &str, context: &Value) -> Value {
        let (plain, literal) = (engine(shown), engine(|value, _| value.to_owned()));
        let engines = LeafEngines { text: &plain, literal: &literal };
        Document::parse("t.yaml", text, Language::Yaml).unwrap().render(&engines, context).unwrap()
    }

    #[test]
    fn a_value_stays_in_its_leaf() {
        let context = json!({"pod": "a\"\nkind: Evil", "labels": {"app": "x: y"}, "none": null});
        assert_eq!(
            rendered("a: \"{{pod}}\"\nb: [\"p {{pod}}\", 3]\nc: \"{{json labels}}\"\nd: \"{{json none}}\"", &context),
            json!({"a": "a\"\\u{a}kind: Evil", "b": ["p a\"\\u{a}kind: Evil", 3], "c": {"app": "x: y"}, "d": null})
        );
    }

    #[test]
    fn tags_outside_strings_and_in_keys_are_refused() {
        for (text, message) in [
            ("a: {{pod}}", "expected a string"),
            ("\"{{pod}}\": 1", "keys are not rendered"),
            ("a: \"{{#if x}}\"\nb: \"{{/if}}\"", "one string"),
        ] {
            let error = Document::parse("t.yaml", text, Language::Yaml).unwrap_err();
            assert!(error.message.contains(message), "{text}: {error}");
        }
        assert!(Document::parse("t.yaml", &"[".repeat(60_000), Language::Yaml).is_err());
        assert!(Document::parse("t.yaml", &"- ".repeat(200), Language::Yaml).is_err());
    }
}
