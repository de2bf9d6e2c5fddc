//! DataFusion as margay uses it: one partition, exact aggregates, nothing on disk.

use std::sync::{Arc, OnceLock};

use datafusion::catalog::MemoryCatalogProviderList;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::TableReference;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::AggregateUDF;
use datafusion::optimizer::Optimizer;
use datafusion::prelude::SessionConfig;

use crate::exact;
use crate::rows::ROWS_MOST;
use crate::sql::table::Fed;

/// Memory for planning and for constant expressions, in bytes.
const PLANNING_BYTES: usize = 64 << 20;
/// Rewrites a distinct count into two aggregations, which cost more than one with margay's own `count`.
const DISTINCT_RULE: &str = "single_distinct_aggregation_to_group_by";

/// The state that all queries are planned with.
pub(crate) fn state() -> &'static SessionState {
    static STATE: OnceLock<SessionState> = OnceLock::new();
    STATE.get_or_init(|| build().expect("nothing on disk is asked for"))
}

/// A state to run one query in, with `pool` for what it keeps and `fed` for its table.
///
/// # Errors
/// None in practice: nothing on disk is asked for.
pub(crate) fn state_to_run(fed: Fed, pool: Arc<dyn MemoryPool>) -> Result<SessionState> {
    let builder = SessionStateBuilder::new_from_existing(state().clone());
    Ok(builder.with_config(config().with_extension(Arc::new(fed))).with_runtime_env(runtime(pool)?).build())
}

/// A state to plan a statement in, with one table.
///
/// # Errors
/// The name cannot be that of a table.
pub(crate) fn state_to_plan(name: &str, table: Arc<StreamingTable>) -> Result<SessionState> {
    let builder = SessionStateBuilder::new_from_existing(state().clone());
    let catalogs = Arc::new(MemoryCatalogProviderList::new());
    let state = builder.with_config(config()).with_catalog_list(catalogs).build();
    state.schema_for_ref(TableReference::bare(name))?.register_table(name.to_owned(), table)?;
    Ok(state)
}

/// The aggregate function of this name.
///
/// # Errors
/// The engine has none.
pub(crate) fn aggregate(name: &str) -> Result<Arc<AggregateUDF>> {
    let function = state().aggregate_functions().get(name).cloned();
    function.ok_or_else(|| DataFusionError::Internal(format!("there is no function {name}")))
}

fn config() -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_target_partitions(1)
        .with_batch_size(ROWS_MOST)
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(true);
    let options = config.options_mut();
    options.sql_parser.collect_spans = true;
    options.execution.enable_recursive_ctes = false;
    // Simplified conditions may become nullable after the check of types; values are not affected.
    options.execution.skip_physical_aggregate_schema_check = true;
    config
}

fn build() -> Result<SessionState> {
    let mut rules = Optimizer::new().rules;
    rules.retain(|rule| rule.name() != DISTINCT_RULE);
    let mut builder = SessionStateBuilder::new()
        .with_config(config())
        .with_runtime_env(runtime(Arc::new(GreedyMemoryPool::new(PLANNING_BYTES)))?)
        .with_default_features()
        .with_optimizer_rules(rules);
    // Later functions of a name take the place of earlier ones.
    builder.aggregate_functions().get_or_insert_default().extend(exact::aggregates());
    Ok(builder.build())
}

fn runtime(pool: Arc<dyn MemoryPool>) -> Result<Arc<RuntimeEnv>> {
    RuntimeEnvBuilder::new()
        .with_memory_pool(pool)
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
        .build_arc()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_that_is_left_out_exists() {
        assert!(Optimizer::new().rules.iter().any(|rule| rule.name() == DISTINCT_RULE));
    }
}
