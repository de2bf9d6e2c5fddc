//! The one table of a query: the rows of a log as they are fed.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::stream;
use margay_core::log::{BUCKET_START, END, START};

use crate::run::{Doorkeeper, Queue, Taken, bucket_field};

/// Columns that queries see: those of the log, and the start of the bucket in place of the span.
pub(crate) fn table_schema(log: &Schema) -> SchemaRef {
    let hidden = [START, END, BUCKET_START];
    let shown = log.fields().iter().filter(|field| !hidden.contains(&&field.name()[..]));
    let fields = shown.map(|field| Field::new(field.name(), field.data_type().clone(), true));
    Arc::new(Schema::new(fields.chain([bucket_field()]).collect::<Vec<_>>()))
}

/// A table with these columns. What it holds is found in the session of the run: a [`Fed`].
pub(crate) fn table(schema: &SchemaRef) -> Result<Arc<StreamingTable>> {
    let rows = Arc::new(Rows { schema: schema.clone() });
    StreamingTable::try_new(schema.clone(), vec![rows]).map(Arc::new)
}

/// The same columns without those that are not named.
pub(crate) fn narrow(schema: &Schema, names: &[String]) -> SchemaRef {
    let kept = schema.fields().iter().filter(|field| names.contains(field.name()));
    Arc::new(Schema::new(kept.cloned().collect::<Vec<_>>()))
}

/// True for types that are one value, not a list or a structure.
pub(crate) fn is_scalar(data_type: &DataType) -> bool {
    !data_type.is_nested()
        && !matches!(data_type, DataType::Interval(_) | DataType::Duration(_))
        && !is_binary(data_type)
}

fn is_binary(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_))
}

/// What a session's table holds.
pub(crate) struct Fed {
    pub(crate) queue: Arc<Queue>,
    pub(crate) doorkeeper: Arc<Doorkeeper>,
}

#[derive(Debug)]
struct Rows {
    schema: SchemaRef,
}

impl PartitionStream for Rows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let fed = context.session_config().get_extension::<Fed>();
        let mut open = true;
        let batches = std::iter::from_fn(move || {
            if !open {
                return None;
            }
            let fed = fed.as_ref()?;
            match fed.queue.take() {
                Taken::Batch(batch) => Some(fed.doorkeeper.pass(batch)),
                Taken::End => None,
                Taken::Abandoned => {
                    open = false;
                    Some(Err(DataFusionError::Execution("nobody waits for the result".to_owned())))
                }
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), stream::iter(batches)))
    }
}
