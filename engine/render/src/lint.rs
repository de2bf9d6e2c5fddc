//! What is checked in a parsed template: helpers that exist, and paths that lead somewhere.
//! Strict rendering alone lets `{{#if mispelt}}` pass as false.

use handlebars::template::{HelperTemplate, Parameter, TemplateElement};
use handlebars::{Path, PathSeg, Template};
use serde_json::Value;

use crate::error::TemplateError;
use crate::guard::guard;
use crate::helpers::{BLOCKS, INLINE, SHOWN};

/// Loops in loops at most: what one template costs stays within (rows of an alert)³.
const LOOPS_MOST: usize = 3;
/// Edits between a name and the one that was probably meant.
const TYPING_ERRORS_MOST: usize = 3;

/// Parses `text` and checks it; `context` is what it will be rendered with, or something of the same shape.
pub(crate) fn compile(name: &str, text: &str, context: Option<&Value>) -> Result<Template, TemplateError> {
    guard(name, text)?;
    let template = Template::compile(text)
        .map_err(|error| TemplateError::new(name, error.pos().unwrap_or((1, 1)), error.reason().to_string()))?;
    Lint { name, context }.template(&template, Scope::default())?;
    Ok(template)
}

/// What the blocks around a tag change.
#[derive(Clone, Copy, Default)]
struct Scope {
    /// Loops around.
    loops: usize,
    /// Paths do not start at the top.
    inside: bool,
}

struct Lint<'a> {
    name: &'a str,
    context: Option<&'a Value>,
}

impl Lint<'_> {
    fn template(&self, template: &Template, scope: Scope) -> Result<(), TemplateError> {
        for (element, at) in template.elements.iter().zip(&template.mapping) {
            self.element(element, scope, (at.0, at.1))?;
        }
        Ok(())
    }

    fn element(&self, element: &TemplateElement, scope: Scope, at: (usize, usize)) -> Result<(), TemplateError> {
        match element {
            TemplateElement::RawString(_) | TemplateElement::Comment(_) => Ok(()),
            TemplateElement::Expression(call) => self.call(call, scope, at),
            TemplateElement::HelperBlock(call) => self.block(call, scope, at),
            _ => Err(TemplateError::new(self.name, at, "this kind of tag is not available")),
        }
    }

    fn call(&self, call: &HelperTemplate, scope: Scope, at: (usize, usize)) -> Result<(), TemplateError> {
        let helper = call.name.as_name().unwrap_or_default();
        if call.params.is_empty() && call.hash.is_empty() {
            return if SHOWN.contains(&helper) { Ok(()) } else { self.parameter(&call.name, scope, at) };
        }
        self.known(helper, &INLINE, at)?;
        self.parameters(call, scope, at)
    }

    fn block(&self, call: &HelperTemplate, scope: Scope, at: (usize, usize)) -> Result<(), TemplateError> {
        let helper = call.name.as_name().unwrap_or_default();
        self.known(helper, &BLOCKS, at)?;
        self.parameters(call, scope, at)?;
        let within = Scope {
            loops: scope.loops + usize::from(helper == "each"),
            inside: scope.inside || matches!(helper, "each" | "with"),
        };
        if within.loops > LOOPS_MOST {
            return Err(TemplateError::new(self.name, at, format!("more than {LOOPS_MOST} loops in one another")));
        }
        call.template.iter().try_for_each(|template| self.template(template, within))?;
        call.inverse.iter().try_for_each(|template| self.template(template, scope))
    }

    fn parameters(&self, call: &HelperTemplate, scope: Scope, at: (usize, usize)) -> Result<(), TemplateError> {
        let mut named: Vec<_> = call.hash.iter().collect();
        named.sort_unstable_by_key(|(name, _)| *name);
        let named = named.into_iter().map(|(_, parameter)| parameter);
        call.params.iter().chain(named).try_for_each(|parameter| self.parameter(parameter, scope, at))
    }

    fn parameter(&self, parameter: &Parameter, scope: Scope, at: (usize, usize)) -> Result<(), TemplateError> {
        match parameter {
            Parameter::Path(Path::Relative((steps, raw))) if !scope.inside => self.path(steps, raw, at),
            Parameter::Subexpression(inner) => self.element(inner.as_element(), scope, at),
            _ => Ok(()),
        }
    }

    /// Follows a path from the top of the context; null may hold anything.
    fn path(&self, steps: &[PathSeg], raw: &str, at: (usize, usize)) -> Result<(), TemplateError> {
        let Some(mut value) = self.context else { return Ok(()) };
        for step in steps {
            let PathSeg::Named(step) = step else { return Ok(()) };
            if step == "this" {
                continue;
            }
            if value.is_null() {
                return Ok(());
            }
            let next = match value {
                Value::Object(map) => map.get(step),
                Value::Array(items) => step.parse::<usize>().ok().and_then(|at| items.get(at)),
                _ => None,
            };
            value = next.ok_or_else(|| {
                let error = TemplateError::new(self.name, at, format!("there is no `{raw}`"));
                match value {
                    Value::Object(map) => error.hint(suggest(step, map.keys().map(String::as_str))),
                    _ => error,
                }
            })?;
        }
        Ok(())
    }

    fn known(&self, helper: &str, known: &[&str], at: (usize, usize)) -> Result<(), TemplateError> {
        if known.contains(&helper) {
            return Ok(());
        }
        let error = TemplateError::new(self.name, at, format!("there is no helper `{helper}`"));
        Err(error.hint(suggest(helper, known.iter().copied())))
    }
}

/// The known name nearest to `name`, or all of them.
fn suggest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    let nearest = known.iter().map(|other| (strsim::osa_distance(name, other), *other)).min();
    match nearest {
        Some((edits, other)) if edits <= TYPING_ERRORS_MOST.min(name.chars().count() / 2) => {
            format!("did you mean `{other}`?")
        }
        Some(_) => format!("known: {}", known.join(", ")),
        None => "nothing is known here".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    fn lint(text: &str) -> Result<(), TemplateError> {
        let context = json!({"entity": {"pod": "a"}, "score": 1, "feature": {"bytes_out": {"value": 1}}, "tags": []});
        compile("summary", text, Some(&context)).map(|_| ())
    }

    #[test]
    fn what_exists_passes() {
        for text in [
            "{{entity}} {{entity.pod}} {{this.score}} {{bytes feature.bytes_out.value}}",
            "{{#each feature}}{{@key}}: {{value}} {{../score}}{{/each}}",
            "{{#if (gt score 50)}}high{{else}}low{{/if}}",
            "{{#with feature.bytes_out as |f|}}{{f.value}}{{/with}}",
        ] {
            assert_eq!(lint(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_does_not_exist_is_named_with_its_place_and_a_hint() {
        for (text, message, hint, place) in [
            ("a {{scor}}", "there is no `scor`", "did you mean `score`?", (1, 3)),
            (
                "\n{{#if feature.byts_out.value}}x{{/if}}",
                "there is no `feature.byts_out.value`",
                "did you mean `bytes_out`?",
                (2, 1),
            ),
            ("{{byte score}}", "there is no helper `byte`", "did you mean `bytes`?", (1, 1)),
            ("{{#list tags}}x{{/list}}", "there is no helper `list`", "known: each, if, unless, with", (1, 1)),
            ("{{log score}}", "there is no helper `log`", "", (1, 1)),
            ("{{number (nosuch score)}}", "there is no helper `nosuch`", "", (1, 1)),
        ] {
            let error = lint(text).unwrap_err();
            assert_eq!(error.message, message, "{text}");
            assert!(error.hint.unwrap_or_default().contains(hint), "{text}");
            assert_eq!((error.line, error.column), place, "{text}");
        }
    }

    #[test]
    fn loops_in_loops_are_bounded() {
        let nested = |depth: usize| "{{#each tags}}".repeat(depth) + &"{{/each}}".repeat(depth);
        assert_eq!(lint(&nested(3)), Ok(()));
        assert!(lint(&nested(4)).unwrap_err().message.contains("loops"));
    }

    #[test]
    fn broken_syntax_is_an_error_with_a_place() {
        for text in ["{{", "{{#if score}}", "{{/if}}", "{{#if score}}{{/each}}", "{{a b=}}", "{{else}}", "{{a.b.}}"] {
            let error = lint(text).unwrap_err();
            assert!(error.line >= 1 && error.column >= 1, "{text}: {error}");
        }
    }
}
