use margay_core::Fill;

use super::fixtures::{full, parts, plan, schema, with_exclude, with_filter};
use crate::{Exclude, Part, Plan, Query, QueryError};

fn errors(query: &Query) -> Vec<QueryError> {
    Plan::compile(query, schema()).unwrap_err()
}

fn only(query: &Query) -> QueryError {
    let mut all = errors(query);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn only_columns_that_are_needed_are_read() {
    let query = with_filter(parts(&[("bytes", "sum(bytes)"), ("n", "count(*)")]), "port = 1");
    let mut columns = plan(&query).columns().to_vec();
    columns.sort();
    assert_eq!(columns, ["bytes", "namespace", "port"]);
    let mut query = full("SELECT bucket_start, namespace, count(*) AS n FROM flows GROUP BY 1, 2", &["n"]);
    query.requires = vec!["dest".to_owned()];
    let mut columns = plan(&query).columns().to_vec();
    columns.sort();
    assert_eq!(columns, ["dest", "namespace"]);
}

#[test]
fn sums_and_counts_are_zero_without_rows_and_all_else_is_missing() {
    let features = [
        ("a", "sum(bytes)", Fill::Zero),
        ("b", "count(*) FILTER (WHERE port = 1)", Fill::Zero),
        ("c", "coalesce(sum(bytes), 0) - count(DISTINCT dest)", Fill::Zero),
        ("d", "8 * sum(bytes) / 300", Fill::Zero),
        ("e", "sum(bytes) / count(*)", Fill::Missing),
        ("f", "max(bytes)", Fill::Missing),
        ("g", "count(*) + 1", Fill::Missing),
        ("h", "coalesce(max(bytes), 0)", Fill::Missing),
        ("i", "median(seconds)", Fill::Missing),
    ];
    let query = parts(&features.map(|(name, text, _)| (name, text)));
    assert_eq!(plan(&query).fill(), features.map(|(_, _, fill)| fill));
}

#[test]
fn columns_of_a_statement_are_zero_without_rows_where_they_are_sums_at_the_top() {
    let sql = "WITH per_dest AS (SELECT bucket_start, namespace, dest, sum(bytes) AS bytes FROM flows GROUP BY 1, 2, 3) \
               SELECT bucket_start, namespace, sum(bytes) AS total, max(bytes) AS most, \
               coalesce(count(*), 0) AS dests FROM per_dest GROUP BY bucket_start, namespace";
    let plan = plan(&full(sql, &["total", "most", "dests"]));
    assert_eq!(plan.fill(), [Fill::Zero, Fill::Missing, Fill::Zero]);
    let having = "SELECT bucket_start, namespace, count(*) AS n FROM flows GROUP BY 1, 2 HAVING count(*) > 3";
    assert_eq!(self::plan(&full(having, &["n"])).fill(), [Fill::Missing]);
}

#[test]
fn an_unknown_column_is_placed_and_the_nearest_is_named() {
    let error = only(&parts(&[("x", "sum(bytes)\n  + sum(byts)")]));
    assert_eq!((error.line, error.column), (2, 9));
    assert_eq!(error.part, Part::Feature("x".to_owned()));
    assert_eq!(error.message, "log `flows` has no column `byts`");
    assert_eq!(error.hint.as_deref(), Some("did you mean `bytes`?"));
}

#[test]
fn an_unknown_function_is_placed_and_the_nearest_is_named() {
    let error = only(&parts(&[("x", "summ(bytes)")]));
    assert_eq!((error.line, error.column, &error.message[..]), (1, 1, "there is no function `summ`"));
    assert_eq!(error.hint.as_deref(), Some("did you mean `sum`?"));
}

#[test]
fn all_problems_are_told_at_once() {
    let mut query = with_filter(parts(&[("a", "sum(byts)"), ("b", "port"), ("c", "sum(")]), "port =");
    query = with_exclude(query, Exclude { filter: "now() > 1".to_owned(), until: None });
    query.entity.push(("other".to_owned(), "nowhere".to_owned()));
    query.requires = vec!["namespce".to_owned(), "dest".to_owned()];
    let found: Vec<Part> = errors(&query).into_iter().map(|error| error.part).collect();
    let feature = |name: &str| Part::Feature(name.to_owned());
    let expected = [Part::Entity(1), Part::Filter, feature("a"), feature("b"), feature("c"), Part::Exclude(0)];
    assert_eq!(found, [&expected[..], &[Part::Requires(0)]].concat());
}

#[test]
fn parse_errors_are_placed() {
    let error = only(&with_filter(parts(&[("n", "count(*)")]), "port = 1 AND\n  )"));
    assert_eq!((error.part, error.line, error.column), (Part::Filter, 2, 3));
    let error = only(&with_filter(parts(&[("n", "count(*)")]), "port = 1, port = 2"));
    assert_eq!((error.line, error.column), (1, 9));
    let error = only(&with_filter(parts(&[("n", "count(*)")]), "dest = 'open"));
    assert_eq!((error.line, error.column), (1, 8));
}

#[test]
fn features_are_numbers_made_of_aggregates() {
    for (text, part_of_message) in [
        ("port", "a feature is an aggregate"),
        ("1", "a feature is an aggregate"),
        ("sum(bytes) + port", "column `port` stands outside"),
        ("sum(max(bytes))", "within another aggregate"),
        ("min(dest)", "a feature is a number"),
        ("sum(dest)", "sum takes a number"),
        ("sum(DISTINCT bytes)", "DISTINCT is not allowed in `sum`"),
        ("count(*) OVER ()", "window functions"),
        ("(SELECT count(*) FROM flows)", "a subquery is not allowed"),
        ("array_agg(dest)", "`array_agg` needs DISTINCT"),
        ("make_array(min(dest))", "a feature is a number"),
        ("approx_percentile_cont(bytes, 0.5)", "depends on the order"),
        ("corr(bytes, seconds)", "depends on the order"),
        ("first_value(bytes)", "depends on the order"),
    ] {
        let error = only(&parts(&[("x", text)]));
        assert!(error.message.contains(part_of_message), "{text}: {error}");
    }
}

#[test]
fn filters_judge_rows_and_keys_are_single_values() {
    let ok = parts(&[("n", "count(*)")]);
    let message = |text: &str| only(&with_filter(ok.clone(), text)).message;
    assert!(message("count(*) > 1").contains("is an aggregate"));
    assert!(message("port").contains("true or false"), "{}", message("port"));
    assert!(message("port IN (SELECT port FROM flows)").contains("a subquery"));
    let mut query = ok;
    query.entity = vec![("tags".to_owned(), "tags".to_owned())];
    assert!(only(&query).message.contains("single values"));
}

#[test]
fn names_may_be_written_in_any_case_and_with_the_log() {
    let query = with_filter(parts(&[("x", "SUM(Bytes) + sum(flows.bytes)")]), "\"port\" = 1");
    plan(&query);
}

#[test]
fn statements_yield_what_the_detector_names() {
    let error = only(&full("SELECT bucket_start, namespace, count(*) AS n FROM flows GROUP BY 1, 2", &["nn"]));
    assert!(error.message.contains("yields no column `nn`"), "{error}");
    let error = only(&full("SELECT namespace, count(*) AS n FROM flows GROUP BY 1", &["n"]));
    assert!(error.message.contains("`bucket_start`"), "{error}");
    let error = only(&full("SELECT bucket_start, namespace, min(dest) AS n FROM flows GROUP BY 1, 2", &["n"]));
    assert!(error.message.contains("a number, or a list of texts, not"), "{error}");
}

#[test]
fn errors_of_statements_are_placed() {
    let error =
        only(&full("SELECT bucket_start, namespace,\n count(*) AS n, sum(byts) FROM flows GROUP BY 1, 2", &["n"]));
    assert_eq!((error.line, error.column), (2, 21), "{error}");
    let error = only(&full("SELECT bucket_start, namespace, count(*) AS n\nFROM flow GROUP BY 1, 2", &["n"]));
    assert_eq!((error.line, error.column), (2, 6), "{error}");
    let error = only(&full("SELECT bucket_start,\n  FROM", &["n"]));
    assert_eq!(error.line, 2, "{error}");
}
