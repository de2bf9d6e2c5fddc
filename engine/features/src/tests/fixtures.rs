//! A small log of flows.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use margay_core::log::{ADDITIVE, END, START};
use margay_core::{FeatureTable, Period, TimeRange};

use crate::{Body, Exclude, Feed, Limits, Plan, Query, RunError, aggregate};

pub(super) const LIMITS: Limits = Limits {
    timeout: Period(10_000),
    memory_bytes: 256 << 20,
    total_bytes: 256 << 20,
    groups: 1_000_000,
    entities: 1_000_000,
};

#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) namespace: Option<String>,
    pub(super) dest: Option<String>,
    pub(super) bytes: Option<i64>,
    pub(super) seconds: Option<f64>,
    pub(super) port: Option<i64>,
}

pub(super) fn row(start: i64, end: i64, namespace: &str, bytes: i64) -> Row {
    Row {
        start,
        end,
        namespace: Some(namespace.to_owned()),
        dest: Some(format!("10.0.0.{}", bytes % 7)),
        bytes: Some(bytes),
        seconds: Some(bytes as f64 / 10.0),
        port: Some(bytes % 3),
    }
}

pub(super) fn schema() -> SchemaRef {
    let added = |name: &str, kind: DataType| {
        Field::new(name, kind, true).with_metadata(HashMap::from([(ADDITIVE.into(), "true".into())]))
    };
    Arc::new(Schema::new(vec![
        Field::new(START, DataType::Int64, false),
        Field::new(END, DataType::Int64, false),
        Field::new("namespace", DataType::Utf8View, true),
        Field::new("dest", DataType::Utf8View, true),
        added("bytes", DataType::Int64),
        added("seconds", DataType::Float64),
        Field::new("port", DataType::Int64, true),
        Field::new("tags", DataType::new_list(DataType::Utf8, true), true),
    ]))
}

pub(super) fn batch(rows: &[Row]) -> RecordBatch {
    let all = schema();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| Some(row.start)).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| Some(row.end)).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.namespace.as_deref()).collect::<StringViewArray>()),
        Arc::new(rows.iter().map(|row| row.dest.as_deref()).collect::<StringViewArray>()),
        Arc::new(rows.iter().map(|row| row.bytes).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.seconds).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|row| row.port).collect::<Int64Array>()),
        arrow::array::new_null_array(all.field(7).data_type(), rows.len()),
    ];
    RecordBatch::try_new(all, columns).unwrap()
}

pub(super) fn parts(features: &[(&str, &str)]) -> Query {
    query(Body::Parts {
        filter: None,
        features: features.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
        exclude: Vec::new(),
    })
}

pub(super) fn full(sql: &str, features: &[&str]) -> Query {
    query(Body::Full { sql: sql.to_owned(), features: features.iter().map(|name| (*name).to_owned()).collect() })
}

fn query(body: Body) -> Query {
    Query {
        detector: "test".to_owned(),
        log: "flows".to_owned(),
        entity: vec![("namespace".to_owned(), "namespace".to_owned())],
        bucket: Period::MINUTE,
        body,
        requires: Vec::new(),
    }
}

pub(super) fn with_filter(mut query: Query, text: &str) -> Query {
    if let Body::Parts { filter, .. } = &mut query.body {
        *filter = Some(text.to_owned());
    }
    query
}

pub(super) fn with_exclude(mut query: Query, one: Exclude) -> Query {
    if let Body::Parts { exclude, .. } = &mut query.body {
        exclude.push(one);
    }
    query
}

pub(super) fn plan(query: &Query) -> Plan {
    Plan::compile(query, schema()).unwrap()
}

pub(super) fn run(query: &Query, batches: &[RecordBatch]) -> FeatureTable {
    try_run(query, batches, &LIMITS).unwrap()
}

pub(super) fn try_run(query: &Query, batches: &[RecordBatch], limits: &Limits) -> Result<FeatureTable, RunError> {
    let feed = |feed: &Feed| {
        let _ = batches.iter().all(|batch| feed.push(batch.clone()));
    };
    aggregate(&[&plan(query)], TimeRange::ALL, limits, &feed).remove(0)
}

/// A table as text, to the bit.
pub(super) fn print(table: &FeatureTable) -> String {
    let mut text = format!("{:?} {:?}\n", table.features, table.covered);
    for row in 0..table.len() {
        let values: Vec<String> = table.values.iter().map(|values| format!("{:?}", values[row])).collect();
        let bits: Vec<u64> = table.values.iter().map(|values| values[row].to_bits()).collect();
        let entity = table.entities[table.entity[row] as usize].to_json();
        let flags = (table.detailed[row], table.excluded[row]);
        let members: Vec<&str> = table.members.iter().flatten().flat_map(|members| members.row(row)).collect();
        text += &format!("{} {entity} {values:?} {bits:x?} {flags:?} {members:?}\n", table.bucket_start[row]);
    }
    text
}
