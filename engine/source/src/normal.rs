//! Values into columns, normalised.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BinaryBuilder, BooleanBuilder, Float64Builder, Int64Builder, ListBuilder, StringArray,
    StringBuilder, StringViewArray, TimestampMillisecondBuilder,
};

use crate::batch::{BATCH_ROWS_MOST, LayoutField};
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
    Text(BinaryBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Nanos(Float64Builder),
    Bool(BooleanBuilder),
    List(ListBuilder<StringBuilder>),
}

impl Builder {
    /// An empty column.
    pub(crate) fn new(field: &LayoutField, signs_are_null: bool) -> Self {
        Self { column: Typed::new(field.kind, field.format), signs_are_null }
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
        let fresh = self.column.fresh();
        match std::mem::replace(&mut self.column, fresh) {
            Typed::Time(mut builder, _) => Arc::new(builder.finish()),
            Typed::Text(mut builder) => texts(builder.finish()),
            Typed::Int(mut builder) => Arc::new(builder.finish()),
            Typed::Float(mut builder) | Typed::Nanos(mut builder) => Arc::new(builder.finish()),
            Typed::Bool(mut builder) => Arc::new(builder.finish()),
            Typed::List(mut builder) => Arc::new(builder.finish()),
        }
    }
}

/// Bytes of a text for which there is room at first.
const TEXT_BYTES: usize = 16;

impl Typed {
    /// Empty, with room for a batch: a column that grows is copied again and again.
    fn new(kind: Kind, format: TimeFormat) -> Self {
        let rows = BATCH_ROWS_MOST;
        match kind {
            Kind::Time => Self::Time(TimestampMillisecondBuilder::with_capacity(rows).with_timezone(UTC), format),
            Kind::Text => Self::Text(BinaryBuilder::with_capacity(rows, rows * TEXT_BYTES)),
            Kind::Int => Self::Int(Int64Builder::with_capacity(rows)),
            Kind::Float => Self::Float(Float64Builder::with_capacity(rows)),
            Kind::Nanos => Self::Nanos(Float64Builder::with_capacity(rows)),
            Kind::Bool => Self::Bool(BooleanBuilder::with_capacity(rows)),
            Kind::List => Self::List(ListBuilder::with_capacity(StringBuilder::new(), rows)),
        }
    }

    /// Another empty column of the same kind.
    fn fresh(&self) -> Self {
        match self {
            Self::Time(_, format) => Self::new(Kind::Time, *format),
            Self::Text(_) => Self::new(Kind::Text, TimeFormat::Auto),
            Self::Int(_) => Self::new(Kind::Int, TimeFormat::Auto),
            Self::Float(_) => Self::new(Kind::Float, TimeFormat::Auto),
            Self::Nanos(_) => Self::new(Kind::Nanos, TimeFormat::Auto),
            Self::Bool(_) => Self::new(Kind::Bool, TimeFormat::Auto),
            Self::List(_) => Self::new(Kind::List, TimeFormat::Auto),
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
fn push_text(builder: &mut BinaryBuilder, raw: Raw<'_>) {
    match raw {
        Raw::Null => builder.append_null(),
        Raw::Text(bytes) => builder.append_value(bytes),
        other => match other.text() {
            Some(text) => builder.append_value(text.as_bytes()),
            None => builder.append_null(),
        },
    }
}

/// Texts are checked all at once. What is not UTF-8 becomes `U+FFFD`, so that one odd byte does not hide a row.
fn texts(bytes: BinaryArray) -> ArrayRef {
    let texts = StringArray::try_from_binary(bytes.clone())
        .unwrap_or_else(|_| bytes.iter().map(|text| text.map(String::from_utf8_lossy)).collect());
    Arc::new(StringViewArray::from(&texts))
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
