//! What templates can call.

use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext, RenderErrorReason, ScopedJson,
};
use margay_core::Time;
use serde_json::Value;

use crate::plain::plain;
use crate::units;

/// How a value is made safe for a format, with the characters that are shown at most.
pub(crate) type Escape = fn(&str, usize) -> String;

/// Helpers in `{{…}}`, in alphabetical order.
pub(crate) const INLINE: [&str; 18] = [
    "and", "bytes", "duration", "eq", "gt", "gte", "json", "len", "lookup", "lt", "lte", "ne", "not", "number", "or",
    "percent", "text", "time",
];
/// Helpers that need no argument, because the alert has one thing of that name.
pub(crate) const SHOWN: [&str; 2] = ["entity", "time"];
/// Helpers in `{{#…}}`, in alphabetical order.
pub(crate) const BLOCKS: [&str; 4] = ["each", "if", "unless", "with"];

/// Characters of a detector's own sentence, such as its description, that are shown at most.
const SENTENCE_CHARS_MOST: usize = 2048;

/// An engine that knows the helpers and escapes by `escape`.
pub(crate) fn engine(escape: Escape) -> Handlebars<'static> {
    let mut engine = Handlebars::new();
    engine.set_strict_mode(true);
    engine.register_escape_fn(move |value| escape(value, crate::VALUE_CHARS_MOST));
    for name in ["log", "raw"] {
        engine.unregister_helper(name);
    }
    for (name, unit) in UNITS {
        engine.register_helper(name, Box::new(Measure { name, unit }));
    }
    engine.register_helper("entity", Box::new(EntityShown));
    engine.register_helper("json", Box::new(Literal));
    engine.register_helper("text", Box::new(Sentence { escape }));
    engine
}

type Unit = fn(&Value) -> Option<String>;

const UNITS: [(&str, Unit); 5] = [
    ("bytes", |value| value.as_f64().map(units::bytes)),
    ("duration", |value| value.as_f64().map(units::duration)),
    ("number", |value| value.as_f64().map(units::number)),
    ("percent", |value| value.as_f64().map(units::percent)),
    ("time", |value| match value {
        Value::String(text) => text.parse().ok().map(units::time),
        _ => value.as_i64().map(|milliseconds| units::time(Time(milliseconds))),
    }),
];

/// A value with its unit; null is `unknown`.
struct Measure {
    name: &'static str,
    unit: Unit,
}

impl HelperDef for Measure {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, handlebars::RenderError> {
        let own = context.data().get(self.name).filter(|_| helper.params().is_empty());
        let text = match own.map_or_else(|| parameter(helper, self.name), Ok)? {
            Value::Null => "unknown".to_owned(),
            value => (self.unit)(value).ok_or_else(|| {
                RenderErrorReason::Other(format!("`{}` cannot show `{}`", self.name, plain(&value.to_string())))
            })?,
        };
        Ok(ScopedJson::Derived(Value::String(text)))
    }
}

/// `{{entity}}` is the entity as people read it; `entity.column` stays a path.
struct EntityShown;

impl HelperDef for EntityShown {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        _: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, handlebars::RenderError> {
        let shown = context.data().get("entity_text").cloned().unwrap_or_default();
        Ok(ScopedJson::Derived(shown))
    }
}

/// A JSON literal. It is not escaped again: in a document it is parsed, elsewhere it is escaped as text.
struct Literal;

impl HelperDef for Literal {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, handlebars::RenderError> {
        let text = crate::json::json_line(parameter(helper, "json")?);
        Ok(ScopedJson::Derived(Value::String(text)))
    }
}

/// A sentence that the detector's author wrote: escaped like a value, but longer.
struct Sentence {
    escape: Escape,
}

impl HelperDef for Sentence {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let value = parameter(helper, "text")?;
        let text = value.as_str().unwrap_or_default();
        out.write(&(self.escape)(text, SENTENCE_CHARS_MOST))?;
        Ok(())
    }
}

fn parameter<'a>(helper: &'a Helper<'_>, name: &'static str) -> Result<&'a Value, handlebars::RenderError> {
    match helper.params().as_slice() {
        [one] if one.is_value_missing() => Err(handlebars::RenderError::strict_error(one.relative_path())),
        [one] => Ok(one.value()),
        all => Err(RenderErrorReason::Other(format!("`{name}` takes one value, not {}", all.len())).into()),
    }
}
