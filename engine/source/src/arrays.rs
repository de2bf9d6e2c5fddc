//! Arrow columns of any type into the columns of a log, normalised.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, ListArray, ListBuilder, MapArray, StringArray, StringBuilder,
    StructArray, TimestampMillisecondArray, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampMillisecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use margay_core::Time;

use crate::batch::LayoutField;
use crate::column::{Kind, UTC};
use crate::normal::{Builder, SECONDS_PER_NANO, is_nothing};
use crate::raw::Raw;
use crate::spec::TimeFormat;
use crate::time::number_millis;

/// `array` as a column of `field`, and how many of its values did not fit and became null.
pub(crate) fn normalise(array: &ArrayRef, field: &LayoutField, signs_are_null: bool) -> (ArrayRef, u64) {
    if is_text(array.data_type()) {
        return from_text(array, field, signs_are_null);
    }
    let column = match field.kind {
        Kind::Time => times(array, field.format),
        Kind::Float => floats(array, 1.0),
        Kind::Nanos => floats(array, SECONDS_PER_NANO),
        Kind::Int if array.data_type().is_floating() => ints(array),
        Kind::List => return (list(array, signs_are_null), 0),
        Kind::Text => cast_or_null(&(Arc::new(texts(array)) as ArrayRef), &Kind::Text.data_type()),
        kind => cast_or_null(array, &kind.data_type()),
    };
    let unfit = column.null_count().saturating_sub(array.logical_null_count());
    (column, unfit as u64)
}

/// Times of `array` in milliseconds; null where a value is none.
pub(crate) fn times(array: &ArrayRef, format: TimeFormat) -> ArrayRef {
    let field = LayoutField { kind: Kind::Time, slots: Vec::new(), format };
    let millis: TimestampMillisecondArray = match array.data_type() {
        data_type if is_text(data_type) => return from_text(array, &field, true).0,
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => {
            let array = cast_or_null(array, &Kind::Time.data_type());
            array.as_primitive::<TimestampMillisecondType>().iter().map(|value| value.filter(is_time)).collect()
        }
        data_type if data_type.is_integer() => {
            let mut builder = Builder::new(&field, true);
            for value in cast_or_null(array, &DataType::Int64).as_primitive::<Int64Type>() {
                match value {
                    Some(value) => builder.push(Raw::Number(value.to_string().as_bytes())),
                    None => builder.push(Raw::Null),
                };
            }
            return builder.finish();
        }
        _ => {
            let array = cast_or_null(array, &DataType::Float64);
            let millis = |value: f64| number_millis(value, format).filter(is_time);
            array.as_primitive::<Float64Type>().iter().map(|value| value.and_then(millis)).collect()
        }
    };
    Arc::new(millis.with_timezone(UTC))
}

fn is_time(millis: &i64) -> bool {
    (Time::MIN.0..=Time::MAX.0).contains(millis)
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// Text is read as it would be in CSV.
fn from_text(array: &ArrayRef, field: &LayoutField, signs_are_null: bool) -> (ArrayRef, u64) {
    let array = cast_or_null(array, &DataType::BinaryView);
    let mut builder = Builder::new(field, signs_are_null);
    let fits = |text: Option<&[u8]>| builder.push(text.map_or(Raw::Null, Raw::Text));
    let unfit = array.as_binary_view().iter().map(fits).filter(|fits| !fits).count();
    (builder.finish(), unfit as u64)
}

/// Values that cannot be cast become null.
fn cast_or_null(array: &ArrayRef, data_type: &DataType) -> ArrayRef {
    cast(array, data_type).unwrap_or_else(|_| new_null_array(data_type, array.len()))
}

fn floats(array: &ArrayRef, factor: f64) -> ArrayRef {
    let array = cast_or_null(array, &DataType::Float64);
    let finite = |value: f64| Some(value * factor).filter(|value| value.is_finite());
    Arc::new(array.as_primitive::<Float64Type>().iter().map(|value| value.and_then(finite)).collect::<Float64Array>())
}

/// Fractions do not fit.
fn ints(array: &ArrayRef) -> ArrayRef {
    let array = cast_or_null(array, &DataType::Float64);
    let whole = |value: f64| (value.fract() == 0.0 && value.abs() < 2f64.powi(63)).then_some(value as i64);
    Arc::new(array.as_primitive::<Float64Type>().iter().map(|value| value.and_then(whole)).collect::<Int64Array>())
}

/// Lists of anything, maps and objects as lists of text; any other value is a list of one.
fn list(array: &ArrayRef, signs_are_null: bool) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new());
    let rows: Vec<Option<Vec<String>>> = match array.data_type() {
        DataType::Struct(fields) if fields.len() == 1 && fields[0].name() == "labels" => {
            return list(array.as_struct().column(0), signs_are_null);
        }
        DataType::Struct(_) => struct_rows(array.as_struct()),
        DataType::Map(..) => map_rows(array.as_map()),
        DataType::List(_) => list_rows(array.as_list()),
        DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            return list(&cast_or_null(array, &DataType::List(item.clone())), signs_are_null);
        }
        _ => texts(array).iter().map(|text| text.map(|text| vec![text.to_owned()])).collect(),
    };
    for row in rows {
        if let Some(texts) = &row {
            let texts = texts.iter().filter(|text| !is_nothing(text.as_bytes(), signs_are_null));
            texts.for_each(|text| builder.values().append_value(text));
        }
        builder.append(row.is_some());
    }
    Arc::new(builder.finish())
}

/// Any column as text.
fn texts(array: &ArrayRef) -> StringArray {
    if let Ok(texts) = cast(array, &DataType::Utf8) {
        return texts.as_string::<i32>().clone();
    }
    let format = ArrayFormatter::try_new(array, &FormatOptions::new());
    let text = |row: usize| {
        let format = format.as_ref().ok().filter(|_| array.is_valid(row))?;
        format.value(row).try_to_string().ok()
    };
    (0..array.len()).map(text).collect()
}

fn struct_rows(array: &StructArray) -> Vec<Option<Vec<String>>> {
    let columns: Vec<(&str, StringArray)> =
        array.column_names().into_iter().zip(array.columns().iter().map(texts)).collect();
    let entry = |(name, values): &(&str, StringArray), row: usize| {
        values.is_valid(row).then(|| format!("{name}={}", values.value(row)))
    };
    let row = |row: usize| columns.iter().filter_map(|column| entry(column, row)).collect();
    (0..array.len()).map(|at| array.is_valid(at).then(|| row(at))).collect()
}

fn map_rows(array: &MapArray) -> Vec<Option<Vec<String>>> {
    let (keys, values) = (texts(array.keys()), texts(array.values()));
    let entry = |at: usize| format!("{}={}", keys.value(at), if values.is_valid(at) { values.value(at) } else { "" });
    let row = |row: usize| within(array.value_offsets(), row).map(entry).collect();
    (0..array.len()).map(|at| array.is_valid(at).then(|| row(at))).collect()
}

fn list_rows(array: &ListArray) -> Vec<Option<Vec<String>>> {
    let values = texts(array.values());
    let text = |at: usize| values.is_valid(at).then(|| values.value(at).to_owned());
    let row = |row: usize| within(array.value_offsets(), row).filter_map(text).collect();
    (0..array.len()).map(|at| array.is_valid(at).then(|| row(at))).collect()
}

/// Places of the values of a row.
fn within(offsets: &[i32], row: usize) -> Range<usize> {
    offsets[row] as usize..offsets[row + 1] as usize
}
