//! Values into columns, normalised.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, ListBuilder, StringBuilder, StringViewBuilder,
    TimestampMillisecondBuilder,
};

use crate::batch::LayoutField;
use crate::column::{Kind, UTC};
use crate::raw::Raw;
use crate::spec::TimeFormat;
use crate::time;

/// Seconds in a nanosecond.
pub(crate) const SECONDS_PER_NANO: f64 = 1e-9;

/// True for text that stands for nothing. A sign counts only where it is all there is: `web-*` is a name.
#[inline]
pub(crate) fn is_nothing(text: &[u8], signs_are_null: bool) -> bool {
    signs_are_null && matches!(text, b"" | b"-" | b"*")
}

/// A column that is being filled.
pub(crate) struct Builder {
    column: Typed,
    signs_are_null: bool,
}

enum Typed {
    Time(TimestampMillisecondBuilder, TimeFormat),
    Text(StringViewBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Nanos(Float64Builder),
    Bool(BooleanBuilder),
    List(ListBuilder<StringBuilder>),
}

impl Builder {
    /// An empty column.
    pub(crate) fn new(field: &LayoutField, signs_are_null: bool) -> Self {
        let column = match field.kind {
            Kind::Time => Typed::Time(TimestampMillisecondBuilder::new().with_timezone(UTC), field.format),
            Kind::Text => Typed::Text(StringViewBuilder::new()),
            Kind::Int => Typed::Int(Int64Builder::new()),
            Kind::Float => Typed::Float(Float64Builder::new()),
            Kind::Nanos => Typed::Nanos(Float64Builder::new()),
            Kind::Bool => Typed::Bool(BooleanBuilder::new()),
            Kind::List => Typed::List(ListBuilder::new(StringBuilder::new())),
        };
        Self { column, signs_are_null }
    }

    /// Adds a value; false where it does not fit, so that null was added instead.
    #[inline]
    pub(crate) fn push(&mut self, raw: Raw<'_>) -> bool {
        let raw = match raw {
            Raw::Text(text) if is_nothing(text, self.signs_are_null) => Raw::Null,
            raw => raw,
        };
        let fits = match &mut self.column {
            Typed::Text(builder) => {
                push_text(builder, raw);
                true
            }
            Typed::Int(builder) => append(raw.int(), |value| builder.append_option(value)),
            Typed::Float(builder) => append(raw.float(), |value| builder.append_option(value)),
            Typed::Nanos(builder) => append(raw.float(), |value| {
                builder.append_option(value.map(|value| value * SECONDS_PER_NANO));
            }),
            Typed::Bool(builder) => append(raw.bool(), |value| builder.append_option(value)),
            Typed::Time(builder, format) => append(time::millis(raw, *format), |value| builder.append_option(value)),
            Typed::List(builder) => {
                push_list(builder, raw, self.signs_are_null);
                true
            }
        };
        fits || raw == Raw::Null
    }

    /// The column; the builder is empty afterwards.
    pub(crate) fn finish(&mut self) -> ArrayRef {
        match &mut self.column {
            Typed::Time(builder, _) => Arc::new(builder.finish()),
            Typed::Text(builder) => Arc::new(builder.finish()),
            Typed::Int(builder) => Arc::new(builder.finish()),
            Typed::Float(builder) | Typed::Nanos(builder) => Arc::new(builder.finish()),
            Typed::Bool(builder) => Arc::new(builder.finish()),
            Typed::List(builder) => Arc::new(builder.finish()),
        }
    }
}

#[inline]
fn append<T>(value: Option<T>, push: impl FnOnce(Option<T>)) -> bool {
    let fits = value.is_some();
    push(value);
    fits
}

#[inline]
fn push_text(builder: &mut StringViewBuilder, raw: Raw<'_>) {
    match raw {
        Raw::Null => builder.append_null(),
        Raw::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => builder.append_value(text),
            Err(_) => builder.append_value(String::from_utf8_lossy(bytes)),
        },
        other => builder.append_option(other.text()),
    }
}

/// Elements that stand for nothing are left out.
fn push_list(builder: &mut ListBuilder<StringBuilder>, raw: Raw<'_>, signs_are_null: bool) {
    let values = builder.values();
    let is_list = raw.each_text(&mut |text| {
        if !is_nothing(text.as_bytes(), signs_are_null) {
            values.append_value(text);
        }
    });
    builder.append(is_list);
}
