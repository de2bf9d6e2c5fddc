use std::time::{Duration, Instant};

use super::fixtures::{LIMITS, batch, full, parts, row, schema, try_run, with_filter};
use crate::{Plan, Query};

fn refused(query: &Query) -> bool {
    let started = Instant::now();
    let refused = Plan::compile(query, schema()).is_err();
    assert!(started.elapsed() < Duration::from_secs(12), "{query:?}");
    refused
}

#[test]
fn statements_that_are_no_select_of_the_log_are_refused() {
    let rest = "SELECT bucket_start, namespace, count(*) AS n FROM flows GROUP BY 1, 2";
    for sql in [
        "CREATE TABLE x AS SELECT 1".to_owned(),
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'".to_owned(),
        "CREATE VIEW v AS SELECT 1".to_owned(),
        "DROP TABLE flows".to_owned(),
        "ALTER TABLE flows ADD COLUMN x INT".to_owned(),
        "INSERT INTO flows VALUES (1)".to_owned(),
        "UPDATE flows SET bytes = 1".to_owned(),
        "DELETE FROM flows".to_owned(),
        "TRUNCATE TABLE flows".to_owned(),
        "COPY flows TO '/tmp/x.csv'".to_owned(),
        "COPY (SELECT 1) TO '/tmp/x.csv'".to_owned(),
        "SET datafusion.runtime.memory_limit = '100G'".to_owned(),
        "RESET datafusion.runtime.memory_limit".to_owned(),
        "SHOW TABLES".to_owned(),
        "SHOW ALL".to_owned(),
        "DESCRIBE flows".to_owned(),
        format!("EXPLAIN {rest}"),
        format!("EXPLAIN ANALYZE {rest}"),
        format!("PREPARE p AS {rest}"),
        "EXECUTE p".to_owned(),
        "BEGIN".to_owned(),
        "GRANT ALL ON flows TO me".to_owned(),
        format!("{rest}; {rest}"),
        format!("{rest}; DROP TABLE flows"),
        "VALUES (1, 2)".to_owned(),
        "TABLE flows".to_owned(),
        "SELECT 1 AS n".to_owned(),
        "SELECT * FROM '/etc/passwd'".to_owned(),
        "SELECT * FROM information_schema.tables".to_owned(),
        "SELECT bucket_start, namespace, 1 AS n FROM other".to_owned(),
        "SELECT * FROM generate_series(1, 1000000000)".to_owned(),
        "SELECT * FROM range(1, 1000000000)".to_owned(),
        "SELECT unnest(range(1, 1000000000)) AS n, bucket_start, namespace FROM flows".to_owned(),
        "SELECT unnest(tags) AS n, bucket_start, namespace FROM flows".to_owned(),
        "SELECT a.bucket_start, a.namespace, 1 AS n FROM flows a CROSS JOIN flows b".to_owned(),
        "SELECT a.bucket_start, a.namespace, 1 AS n FROM flows a, flows b".to_owned(),
        "SELECT a.bucket_start, a.namespace, 1 AS n FROM flows a JOIN flows b ON a.port = b.port".to_owned(),
        "SELECT bucket_start, namespace, 1 AS n FROM flows, LATERAL (SELECT 1)".to_owned(),
        format!("{rest} UNION ALL {rest}"),
        format!("{rest} INTERSECT {rest}"),
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT * FROM r".to_owned(),
        "WITH a AS (SELECT * FROM flows) SELECT x.bucket_start FROM a x JOIN a y ON x.port = y.port".to_owned(),
        "SELECT bucket_start, namespace, (SELECT count(*) FROM flows) AS n FROM flows".to_owned(),
        "SELECT bucket_start, namespace, 1 AS n FROM flows WHERE port IN (SELECT port FROM flows)".to_owned(),
        "SELECT bucket_start, namespace, 1 AS n FROM flows WHERE EXISTS (SELECT 1 FROM flows)".to_owned(),
        format!("{rest} LIMIT 1"),
        format!("{rest} OFFSET 1"),
        "SELECT DISTINCT ON (namespace) bucket_start, namespace, 1 AS n FROM flows".to_owned(),
        "SELECT bucket_start, namespace, row_number() OVER () AS n FROM flows".to_owned(),
        "SELECT bucket_start, namespace, sum(bytes) OVER (PARTITION BY namespace) AS n FROM flows".to_owned(),
        "SELECT bucket_start, namespace, count(*) AS n FROM flows GROUP BY CUBE (1, 2)".to_owned(),
        "SELECT bucket_start, namespace, count(*) AS n FROM flows TABLESAMPLE (10) GROUP BY 1, 2".to_owned(),
        "SELECT bucket_start, namespace, count(*) AS n INTO x FROM flows GROUP BY 1, 2".to_owned(),
        "SELECT bucket_start, namespace, n FROM flows PIVOT (count(*) FOR port IN (1, 2))".to_owned(),
        "SELECT bucket_start, namespace, random() AS n FROM flows".to_owned(),
        "SELECT bucket_start, namespace, length(repeat('a', 1000000000)) AS n FROM flows".to_owned(),
    ] {
        assert!(refused(&full(&sql, &["n"])), "{sql}");
    }
    assert!(!refused(&full(rest, &["n"])));
}

#[test]
fn expressions_that_vary_or_grow_are_refused() {
    for text in [
        "now() > bucket_start",
        "current_date > bucket_start",
        "random() < 0.5",
        "uuid() = dest",
        "version() = dest",
        "repeat(dest, 1000000000) = 'x'",
        "lpad(dest, 2000000000, 'b') = 'x'",
        "rpad(dest, 2000000000, 'b') = 'x'",
        "array_length(array_repeat(1, 1000000000)) = 1",
        "array_length(range(1, 1000000000)) = 1",
        "array_length(generate_series(1, 1000000000)) = 1",
        "to_char(bucket_start, '%Y') = '2026'",
        "levenshtein(dest, namespace) < 3",
        "arrow_cast(port, 'Utf8') = '1'",
        "input_file_name() = 'x'",
        "overlay(dest placing 'x' from 1) = 'x'",
        "replace(replace(replace(dest, '1', 'aaaaaaaaaaaaaaaa'), 'a', 'bbbbbbbbbbbbbbbb'), 'b', 'cccccccccccccccc') = 'x'",
        "dest = $1",
        "@@version = 1",
        "port = 1; DROP TABLE flows",
        "port = 1 UNION SELECT 1",
    ] {
        assert!(refused(&with_filter(parts(&[("n", "count(*)")]), text)), "{text}");
    }
}

#[test]
fn a_text_doubled_in_query_after_query_is_refused() {
    let mut sql = "SELECT bucket_start, namespace, dest AS t FROM flows".to_owned();
    for _ in 0..12 {
        sql = format!("SELECT bucket_start, namespace, concat(t, t, t) AS t FROM ({sql}) AS inner_query");
    }
    let sql = format!("SELECT bucket_start, namespace, max(length(t)) AS n FROM ({sql}) AS q GROUP BY 1, 2");
    assert!(refused(&full(&sql, &["n"])));
}

#[test]
fn texts_that_are_too_large_too_long_or_too_deep_are_refused() {
    let ok = parts(&[("n", "count(*)")]);
    let filter = |text: String| refused(&with_filter(ok.clone(), &text));
    assert!(filter(format!("dest = '{}'", "x".repeat(20_000))));
    assert!(filter("x".repeat(5_000_000)));
    assert!(filter(format!("1{} = 1", "+1".repeat(5_000))));
    assert!(filter(format!("1{} = 1", "+1".repeat(900))));
    assert!(filter(vec!["port = 1"; 300].join(" OR ")));
    assert!(!filter(vec!["port = 1"; 60].join(" OR ")));
    assert!(filter(format!("{}1{} = 1", "(".repeat(900), ")".repeat(900))));
    assert!(filter(format!("{}port = 1", "NOT ".repeat(1_000))));
    assert!(filter(format!("{}1 = 1", "- ".repeat(1_900))));
    assert!(filter(format!("{}port{} = 1", "abs(".repeat(400), ")".repeat(400))));
    assert!(filter(format!("CASE {} END", "WHEN port = 1 THEN true ".repeat(500))));
    let mut sql = "SELECT bucket_start, namespace, count(*) AS n FROM flows GROUP BY 1, 2".to_owned();
    for _ in 0..60 {
        sql = format!("SELECT * FROM ({sql})");
    }
    assert!(refused(&full(&sql, &["n"])));
}

#[test]
fn odd_numbers_fail_no_run_or_say_so() {
    let rows = [row(0, 0, "a", i64::MAX), row(0, 0, "a", i64::MAX), row(0, 0, "a", i64::MIN)];
    let batches = [batch(&rows)];
    let number = |text: &str| try_run(&parts(&[("x", text)]), &batches, &LIMITS).map(|table| table.values[0][0]);
    assert_eq!(number("sum(bytes)").unwrap(), (i128::from(i64::MAX) * 2 + i128::from(i64::MIN)) as f64);
    assert!(number("sum(bytes) / sum(port - port)").unwrap().is_nan());
    assert!(number("count(*) / (count(*) - 3)").unwrap().is_nan());
    assert!(number("exp(sum(bytes))").unwrap().is_nan());
    // What ends here is the query, not the engine.
    let _ = number("sum(bytes % (port - port))");
    let _ = number("max(abs(bytes))");
    let _ = number("max(-bytes)");
    let _ = number("max(bytes * bytes)");
    let _ = number("sum(CAST(dest AS BIGINT))").unwrap_err();
}

#[test]
fn patterns_are_bounded() {
    let rows: Vec<_> = (0..2000).map(|at| row(at, at, &"a".repeat(2000), at)).collect();
    let batches = [batch(&rows)];
    for pattern in ["(a+)+$", "(a|aa)+b", "((a{0,30}){0,30}){0,30}x", "(a*)*b"] {
        let query = with_filter(parts(&[("n", "count(*)")]), &format!("regexp_like(namespace, '{pattern}')"));
        let started = Instant::now();
        if Plan::compile(&query, schema()).is_ok() {
            let _ = try_run(&query, &batches, &LIMITS);
        }
        assert!(started.elapsed() < Duration::from_secs(12), "{pattern}");
    }
}
