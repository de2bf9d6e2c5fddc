//! The reviewed list of functions: deterministic, independent of the order of rows, bounded in time and size.

/// Scalar functions that queries may call.
#[rustfmt::skip]
pub(crate) const SCALARS: &[&str] = &[
    // conditions
    "coalesce", "greatest", "ifnull", "least", "nanvl", "nullif", "nvl", "nvl2",
    // numbers
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "cos", "cosh", "cot",
    "degrees", "exp", "floor", "gcd", "isnan", "iszero", "lcm", "ln", "log", "log10", "log2", "pi", "pow", "power",
    "radians", "round", "sign", "signum", "sin", "sinh", "sqrt", "tan", "tanh", "trunc",
    // text
    "ascii", "bit_length", "btrim", "char_length", "character_length", "chr", "concat", "concat_ws", "contains",
    "ends_with", "find_in_set", "initcap", "instr", "left", "length", "lower", "ltrim", "octet_length", "position",
    "replace", "reverse", "right", "rtrim", "split_part", "starts_with", "strpos", "substr", "substr_index",
    "substring", "substring_index", "to_hex", "translate", "trim", "upper",
    // patterns
    "regexp_count", "regexp_instr", "regexp_like", "regexp_replace",
    // times
    "date_bin", "date_part", "date_trunc", "datepart", "datetrunc", "from_unixtime", "make_date", "to_date",
    "to_timestamp", "to_timestamp_micros", "to_timestamp_millis", "to_timestamp_nanos", "to_timestamp_seconds",
    "to_unixtime",
    // lists
    "array_any_value", "array_contains", "array_element", "array_extract", "array_has", "array_has_all",
    "array_has_any", "array_indexof", "array_length", "array_max", "array_min", "array_ndims", "array_position",
    "arrays_overlap", "cardinality", "empty", "array_empty", "list_any_value", "list_contains", "list_element",
    "list_empty", "list_extract", "list_has", "list_has_all", "list_has_any", "list_indexof", "list_length",
    "list_max", "list_min", "list_ndims", "list_position", "make_array", "make_list", "get_field",
];

/// Aggregate functions that queries may call.
#[rustfmt::skip]
pub(crate) const AGGREGATES: &[&str] = &[
    "approx_distinct", "array_agg", "avg", "bit_and", "bit_or", "bit_xor", "bool_and", "bool_or", "count", "max", "mean", "median",
    "min", "percentile_cont", "quantile_cont", "stddev", "stddev_pop", "stddev_samp", "sum", "var", "var_pop",
    "var_population", "var_samp", "var_sample",
];

/// The aggregate that makes a list of distinct texts.
pub(crate) const MEMBERS: &str = "array_agg";

/// Aggregates that may be asked of distinct values.
pub(crate) const TAKES_DISTINCT: [&str; 2] = ["count", MEMBERS];

/// Why a function is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Its result differs from call to call.
    Varies,
    /// It makes text or lists that are larger than what it is given, or takes time with their square.
    Grows,
    /// Its result depends on the order of the rows.
    Order,
    /// It makes rows.
    Rows,
    /// It tells of the engine or of files.
    Engine,
    /// It makes lists, structures or digests that no feature is made of.
    Unneeded,
}

impl Refusal {
    /// In words.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Varies => "its result differs from run to run",
            Self::Grows => "its result may grow without bound",
            Self::Order => "its result depends on the order of the rows",
            Self::Rows => "it makes rows",
            Self::Engine => "it tells of the engine, not of the log",
            Self::Unneeded => "it is not on the list of functions for detectors",
        }
    }
}

/// Functions that were reviewed and refused, by reason.
#[rustfmt::skip]
pub(crate) const REFUSED: &[(Refusal, &[&str])] = &[
    (Refusal::Varies, &[
        "now", "current_timestamp", "current_date", "current_time", "today", "random", "rand", "uuid",
        "to_local_time",
    ]),
    (Refusal::Grows, &[
        "repeat", "lpad", "rpad", "overlay", "array_repeat", "list_repeat", "array_resize", "list_resize", "range",
        "generate_series", "gen_series", "levenshtein", "factorial", "to_char", "date_format",
    ]),
    (Refusal::Order, &[
        "any_value", "approx_median", "approx_percentile_cont", "approx_percentile_cont_with_weight", "corr",
        "covar", "covar_pop", "covar_samp", "first_value", "last_value", "nth_value", "regr_avgx",
        "regr_avgy", "regr_count", "regr_intercept", "regr_r2", "regr_slope", "regr_sxx", "regr_sxy", "regr_syy",
        "string_agg", "row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead",
    ]),
    (Refusal::Rows, &[
        "unnest",
    ]),
    (Refusal::Engine, &[
        "version", "input_file_name", "file_row_index", "arrow_typeof", "arrow_cast", "arrow_try_cast",
        "arrow_metadata", "arrow_field", "with_metadata", "cast_to_type", "try_cast_to_type",
    ]),
    (Refusal::Unneeded, &[
        "approx_percentile", "grouping", "named_struct", "struct", "row", "union_extract", "union_tag", "map",
        "make_map", "element_at", "map_entries", "map_extract", "map_keys", "map_values", "regexp_match", "array_add",
        "any_match", "array_any_match", "array_append", "array_avg", "array_cat", "array_compact", "array_concat",
        "array_dims", "array_distance", "array_distinct", "array_except", "array_filter", "array_first",
        "array_intersect", "array_join", "array_normalize", "array_pop_back", "array_pop_front", "array_positions",
        "array_prepend", "array_product", "array_push_back", "array_push_front", "array_remove", "array_remove_all",
        "array_remove_n", "array_replace", "array_replace_all", "array_replace_n", "array_reverse", "array_scale",
        "array_slice", "array_sort", "array_subtract", "array_sum", "array_to_string", "array_transform",
        "array_union", "arrays_zip", "cosine_distance", "decode", "dot_product", "encode", "flatten", "inner_product",
        "list_add", "list_any_match", "list_append", "list_avg", "list_cat", "list_compact", "list_concat",
        "list_dims", "list_distance", "list_distinct", "list_except", "list_filter", "list_first", "list_intersect",
        "list_join", "list_normalize", "list_pop_back", "list_pop_front", "list_positions", "list_prepend",
        "list_product", "list_push_back", "list_push_front", "list_remove", "list_remove_all", "list_remove_n",
        "list_replace", "list_replace_all", "list_replace_n", "list_reverse", "list_scale", "list_slice", "list_sort",
        "list_subtract", "list_sum", "list_to_string", "list_transform", "list_union", "list_zip", "string_to_array",
        "string_to_list", "make_time", "to_time",
    ]),
];

/// What to write instead of a refused function.
const INSTEAD: &[(&str, &str)] = &[
    ("approx_median", "median"),
    ("approx_percentile_cont", "percentile_cont(0.95) WITHIN GROUP (ORDER BY column)"),
    ("approx_percentile_cont_with_weight", "percentile_cont(0.95) WITHIN GROUP (ORDER BY column)"),
    ("any_value", "min or max"),
    ("first_value", "min or max"),
    ("last_value", "min or max"),
    ("nth_value", "min or max"),
    ("string_agg", "array_agg(DISTINCT column)"),
    ("to_char", "date_trunc or date_part"),
    ("date_format", "date_trunc or date_part"),
    ("now", "bucket_start"),
    ("current_timestamp", "bucket_start"),
    ("current_date", "bucket_start"),
    ("current_time", "bucket_start"),
    ("today", "bucket_start"),
    ("regexp_match", "regexp_like or regexp_replace"),
];

/// True for functions that queries may call.
pub(crate) fn is_allowed(name: &str) -> bool {
    SCALARS.contains(&name) || AGGREGATES.contains(&name)
}

/// Why a function is refused, if it was reviewed.
pub(crate) fn refusal(name: &str) -> Option<Refusal> {
    REFUSED.iter().find(|(_, names)| names.contains(&name)).map(|(refusal, _)| *refusal)
}

/// What to write instead of a refused function, if there is something.
pub(crate) fn instead(name: &str) -> Option<&'static str> {
    INSTEAD.iter().find(|(refused, _)| *refused == name).map(|(_, instead)| *instead)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::sql::session;

    #[test]
    fn every_function_of_the_engine_was_reviewed() {
        let state = session::state();
        let names: BTreeSet<&String> = (state.scalar_functions().keys())
            .chain(state.higher_order_functions().keys())
            .chain(state.aggregate_functions().keys())
            .chain(state.window_functions().keys())
            .chain(state.table_functions().keys())
            .collect();
        let unreviewed: Vec<_> = names.iter().filter(|name| !is_allowed(name) && refusal(name).is_none()).collect();
        assert!(unreviewed.is_empty(), "allow or refuse each by name: {unreviewed:?}");
    }

    #[test]
    fn no_function_is_both_allowed_and_refused() {
        for (_, names) in REFUSED {
            assert!(names.iter().all(|name| !is_allowed(name)), "{names:?}");
        }
    }
}
