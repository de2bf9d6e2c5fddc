//! Whole logs on the disk: what is read, what is refused, and what is said of it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use ::parquet::arrow::ArrowWriter;
use arrow::array::{
    Array, ArrayRef, Float64Array, Int64Array, ListBuilder, MapBuilder, RecordBatch, StringArray, StringBuilder,
    StructArray,
};
use arrow::datatypes::{DataType, Field};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use flate2::Compression;
use flate2::write::GzEncoder;
use margay_core::log::{ADDITIVE, END, START};
use margay_core::{Time, TimeRange};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::{Flow, Log, LogSpec, Preset, Scan, ScanReport, Shape, SourceError, TimeFormat};

/// 2026-11-24T07:00:00Z in seconds.
const SEVEN: i64 = 1_795_503_600;

struct Folder(TempDir);

impl Folder {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, bytes) in files {
            fs::write(folder.0.path().join(name), bytes).unwrap();
        }
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn open(&self, pattern: &str, shape: Shape) -> Result<Log, SourceError> {
        Log::open(LogSpec { name: "log".into(), root: self.path().to_owned(), files: vec![pattern.into()], shape })
    }

    fn preset(&self, pattern: &str, preset: Preset) -> Log {
        self.open(pattern, Shape::Preset(preset)).unwrap()
    }

    fn declared(&self, pattern: &str) -> Log {
        self.open(pattern, declared("ts")).unwrap()
    }
}

fn declared(field: &str) -> Shape {
    Shape::Declared { time_field: field.into(), end_field: None, format: TimeFormat::Auto }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Rows as `value|value`, sorted; null is `~`.
fn table(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::new().with_null("~");
    let mut rows = Vec::new();
    for batch in batches {
        assert!(batch.num_rows() <= 4096);
        let formats: Vec<ArrayFormatter> =
            batch.columns().iter().skip(2).map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let texts: Vec<String> = formats.iter().map(|format| format.value(row).to_string()).collect();
            rows.push(texts.join("|"));
        }
    }
    rows.sort();
    rows
}

fn scan_range(log: &Log, columns: &[&str], range: TimeRange, threads: usize) -> (Vec<RecordBatch>, ScanReport) {
    let batches = Mutex::new(Vec::new());
    let columns = columns.iter().map(|name| (*name).to_owned()).collect();
    let sink = |batch| {
        batches.lock().unwrap().push(batch);
        Flow::Continue
    };
    let report = log.scan(&Scan { columns, range, files: None, grouping: None, threads }, &sink, &|_| {});
    (batches.into_inner().unwrap(), report)
}

fn scan(log: &Log, columns: &[&str]) -> (Vec<String>, ScanReport) {
    let (batches, report) = scan_range(log, columns, TimeRange::ALL, 2);
    (table(&batches), report)
}

fn spans(batches: &[RecordBatch]) -> Vec<(i64, i64)> {
    let mut spans = Vec::new();
    for batch in batches {
        let column = |name| batch.column_by_name(name).unwrap().as_any().downcast_ref::<Int64Array>().unwrap();
        spans.extend(column(START).values().iter().copied().zip(column(END).values().iter().copied()));
    }
    spans.sort_unstable();
    spans
}

const FLOW: &str = r#"{"start_time":1795503600,"end_time":1795503900,"reporter":"src","source_ip":null,"source_name":"-","source_name_aggr":"access-6b-*","source_namespace":"-","dest_name_aggr":"pub","dest_namespace":"*","source_labels":{"labels":["app=access","tier=web"]},"dest_port":"443","dest_service_port":"https","policies":{"all_policies":["0|default|x|allow"],"pending_policies":[]},"bytes_in":18236,"bytes_out":"52519","process_id":4711}"#;

#[test]
fn flows_are_normalised() {
    let folder = Folder::new(&[("a.ndjson", FLOW.as_bytes())]);
    let log = folder.preset("*.ndjson", Preset::CalicoFlows);
    let columns = [
        "reporter",
        "source_ip",
        "source_name",
        "source_name_aggr",
        "source_namespace",
        "dest_name_aggr",
        "dest_namespace",
        "source_labels",
        "dest_labels",
        "dest_port",
        "dest_service_port",
        "all_policies",
        "enforced_policies",
        "pending_policies",
        "bytes_in",
        "bytes_out",
        "process_id",
        "start_time",
        "tcp_lost_packets",
    ];
    let (rows, report) = scan(&log, &columns);
    assert_eq!(
        rows,
        [
            "src|~|~|access-6b-*|~|pub|~|[app=access, tier=web]|~|443|https|[0|default|x|allow]|~|[]|18236|52519|4711|2026-11-24T07:00:00Z|~"
        ]
    );
    assert_eq!((report.rows, report.bad_rows, report.unfit_values), (1, 0, 0));
    let span = TimeRange { start: Time(SEVEN * 1000), end: Time((SEVEN + 300) * 1000) };
    assert_eq!(report.files[0].span, Some(span));
    assert_eq!(report.bytes, FLOW.len() as u64);
}

#[test]
fn amounts_are_marked_and_others_are_not() {
    let log = Folder::new(&[]).preset("*.none", Preset::CalicoFlows);
    let schema = log.schema();
    let is_additive = |name: &str| schema.field_with_name(name).unwrap().metadata().contains_key(ADDITIVE);
    for name in ["bytes_in", "packets_out", "num_flows_started", "http_requests_denied_in", "tcp_lost_packets"] {
        assert!(is_additive(name), "{name}");
    }
    for name in ["tcp_mean_smooth_rtt", "num_process_ids", "source_port", "reporter"] {
        assert!(!is_additive(name), "{name}");
    }
    assert_eq!(schema.field(0).name(), START);
    assert_eq!(schema.field_with_name("reporter").unwrap().data_type(), &DataType::Utf8View);
}

#[test]
fn dns_latencies_are_seconds_in_both_forms_and_times_may_be_text() {
    let folder = Folder::new(&[(
        "dns.ndjson",
        br#"{"start_time":"2026-11-24T07:00:00Z","end_time":"2026-11-24T07:05:00Z","type":"LOG","count":3,"client_labels":["app=x"],"qname":"a.example","rcode":"NoError","latency_count":3,"latency_mean":1500000,"rrsets":[{"name":"a.example","rdata":["10.0.0.1"]}]}
{"start_time":1795503600,"count":1,"client_labels":{"app":"x"},"dns":{"question":{"name":"b.example"}},"latency":{"count":2,"mean":2.5e6,"max":"3000000"},"rrsets":null}
"#,
    )]);
    let log = folder.preset("dns.ndjson", Preset::CalicoDns);
    let (rows, report) =
        scan(&log, &["qname", "count", "client_labels", "latency_count", "latency_mean", "latency_max", "rrsets"]);
    assert_eq!(report.bad_rows, 0);
    assert_eq!(
        rows,
        [
            r#"a.example|3|[app=x]|3|0.0015|~|[{"name":"a.example","rdata":["10.0.0.1"]}]"#,
            "b.example|1|[app=x]|2|0.0025|0.003|~"
        ]
    );
}

#[test]
fn l7_takes_both_names_of_the_source_and_codes_as_numbers() {
    let folder = Folder::new(&[(
        "l7.ndjson",
        br#"{"start_time":1795503600,"src_namespace":"a","source_name_aggr":"","dest_service_port":8080,"response_code":503,"duration_mean":4000000000,"count":2}
{"start_time":1795503600000,"source_namespace":"b","src_namespace":"-","dest_service_port":"8080","response_code":"200","duration_mean":null,"count":1}"#,
    )]);
    let log = folder.preset("l7.ndjson", Preset::CalicoL7);
    let (rows, _) =
        scan(&log, &["src_namespace", "src_name_aggr", "dest_service_port", "response_code", "duration_mean", "count"]);
    assert_eq!(rows, ["a|~|8080|503|4.0|2", "~|~|8080|200|~|1"]);
}

#[test]
fn the_end_defaults_to_the_start_and_the_timestamp_stands_in_for_both() {
    let folder = Folder::new(&[(
        "a.ndjson",
        b"{\"start_time\":10,\"end_time\":5}\n{\"@timestamp\":\"1970-01-01T00:00:20Z\"}\n{\"end_time\":30}\n{\"start_time\":40,\"end_time\":50}\n",
    )]);
    let log = folder.preset("a.ndjson", Preset::CalicoFlows);
    let (batches, _) = scan_range(&log, &[], TimeRange::ALL, 1);
    assert_eq!(spans(&batches), [(10_000, 10_000), (20_000, 20_000), (30_000, 30_000), (40_000, 50_000)]);
    let within = |start, end| spans(&scan_range(&log, &[], TimeRange { start: Time(start), end: Time(end) }, 1).0);
    assert_eq!(within(10_000, 20_000), [(10_000, 10_000)], "an instant lies within at the start, not at the end");
    assert_eq!(within(45_000, 46_000), [(40_000, 50_000)], "a record that reaches in lies within");
    assert_eq!(within(50_000, 60_000), [], "a record ends before its end");
}

#[test]
fn bad_rows_are_counted_and_named_but_the_others_are_kept() {
    let text = b"\xEF\xBB\xBF{\"ts\":1,\"v\":1}\r\n\n{\"ts\":2,\"v\":\n{\"v\":3}\n{\"ts\":\"soon\"}\n[1]\n{\"ts\":6,\"v\":6} x\n{\"ts\":7,\"v\":7}";
    let folder = Folder::new(&[("a.ndjson", text)]);
    let (rows, report) = scan(&folder.declared("*.ndjson"), &["v"]);
    assert_eq!(rows, ["1", "7"]);
    let said: Vec<(u64, &str)> = report.bad_samples.iter().map(|bad| (bad.line, &*bad.reason)).collect();
    assert_eq!(
        said,
        [
            (3, "broken JSON: it ends within an object"),
            (4, "the time is missing"),
            (5, "the time cannot be read"),
            (6, "broken JSON: not an object"),
            (7, "broken JSON: something follows the object")
        ]
    );
    assert_eq!((report.rows, report.bad_rows, report.files[0].error.as_deref()), (2, 5, None));
}

#[test]
fn samples_of_bad_rows_are_bounded() {
    let folder = Folder::new(&[("a.ndjson", "{}\n".repeat(50).as_bytes()), ("b.ndjson", b"{\"ts\":1}\n{}\n")]);
    let (_, report) = scan(&folder.declared("*.ndjson"), &[]);
    assert_eq!((report.bad_rows, report.bad_samples.len()), (51, crate::BAD_SAMPLES_MOST));
}

#[test]
fn a_cut_gzip_keeps_its_rows_and_is_named() {
    let text: String =
        (0..20_000).map(|at| format!("{{\"ts\":{},\"v\":{}}}\n", SEVEN + at, at * 7919 % 10_007)).collect();
    let whole = gzip(text.as_bytes());
    let folder = Folder::new(&[("a.ndjson.gz", &whole[..whole.len() / 2]), ("b.ndjson.gz", &whole)]);
    let (rows, report) = scan(&folder.declared("*.gz"), &["v"]);
    let (cut, good) = (&report.files[0], &report.files[1]);
    assert!(cut.error.as_ref().unwrap().starts_with("the file is cut short"), "{cut:?}");
    assert!(cut.rows > 5_000 && cut.rows < 20_000 && cut.bad_rows == 0, "{cut:?}");
    assert_eq!((good.rows, good.error.as_deref()), (20_000, None));
    assert_eq!(rows.len() as u64, report.rows);
    assert!(report.bytes <= (whole.len() * 3 / 2) as u64);
}

#[test]
fn a_corrupt_zstd_file_is_named() {
    let text = "{\"ts\":1}\n".repeat(100_000);
    let mut bytes = zstd::encode_all(text.as_bytes(), 1).unwrap();
    let folder = Folder::new(&[("good.ndjson.zst", &bytes)]);
    bytes.truncate(bytes.len() - 3);
    fs::write(folder.path().join("bad.ndjson.zst"), &bytes).unwrap();
    let (_, report) = scan(&folder.declared("*.zst"), &[]);
    assert!(report.files[0].error.is_some(), "{report:?}");
    assert_eq!((report.files[1].rows, report.files[1].error.as_deref()), (100_000, None));
}

#[test]
fn files_that_cannot_be_read_are_named_and_the_others_are_read() {
    let folder = Folder::new(&[
        ("a.csv", b"ts,v\n1,2\n"),
        ("b.csv", b""),
        ("c.csv", b"time,v\n1,2\n"),
        ("e.csv.gz", &gzip(b"")),
        ("f.csv", b"ts,v\n"),
        ("g.parquet", b"PAR1 but not really"),
    ]);
    fs::create_dir(folder.path().join("d.csv")).unwrap();
    let log = folder.declared("*");
    let (rows, report) = scan(&log, &["v"]);
    assert_eq!(rows, ["2"]);
    let said: Vec<(String, Option<String>)> = report
        .files
        .into_iter()
        .map(|file| (file.path.file_name().unwrap().to_string_lossy().into_owned(), file.error))
        .collect();
    let error = |name: &str| said.iter().find(|(file, _)| file == name).unwrap().1.clone();
    assert_eq!(error("a.csv"), None);
    assert_eq!(error("b.csv").unwrap(), "the file is empty");
    assert_eq!(error("c.csv").unwrap(), "the file has no column `ts`, which holds the time");
    assert_eq!(error("d.csv").unwrap(), "a directory, not a file");
    assert_eq!(error("e.csv.gz").unwrap(), "the file is empty");
    assert_eq!(error("f.csv"), None, "a header alone is a log without rows");
    assert!(error("g.parquet").unwrap().starts_with("the file is cut short or corrupt"));
    assert_eq!(log.list(Time::MIN).unwrap().len(), 7);
}

#[test]
fn a_pattern_without_files_is_named_by_every_full_scan() {
    let folder = Folder::new(&[("a.csv", b"ts\n1\n")]);
    let log = folder.preset("nothing/*.gz", Preset::CalicoDns);
    assert_eq!((log.list(Time::MIN).unwrap().len(), log.unmatched().len()), (0, 1));
    let (_, report) = scan(&log, &["qname"]);
    assert_eq!(report.files[0].path, folder.path().join("nothing/*.gz"));
    assert_eq!(report.files[0].error.as_deref(), Some("no file matches the pattern"));
    let text = folder.open("*.ndjson", declared("ts")).unwrap_err().to_string();
    assert_eq!(text, "log log: no file matches *.ndjson");
    let text = folder.open("*.csv", declared("time")).unwrap_err().to_string();
    assert!(text.ends_with("a.csv: the file has no column `time`, which holds the time"), "{text}");
    assert!(matches!(folder.open("a***", declared("ts")), Err(SourceError::Pattern { .. })));
}

#[test]
fn csv_rows_with_the_wrong_number_of_fields_are_bad() {
    let text = b"ts,name,v\r\n1,\"a, \"\"b\"\"\",1\r\n2,b\r\n3,c,3,4\r\n4,\"two\nlines\",\r\n5,-,5";
    let folder = Folder::new(&[("a.csv", text)]);
    let (rows, report) = scan(&folder.declared("a.csv"), &["name", "v"]);
    assert_eq!(rows, ["-|5", "a, \"b\"|1", "two\nlines|~"]);
    let said: Vec<(u64, &str)> = report.bad_samples.iter().map(|bad| (bad.line, &*bad.reason)).collect();
    assert_eq!(said, [(3, "2 fields where the header has 3"), (4, "4 fields where the header has 3")]);
}

#[test]
fn columns_are_inferred_and_widened() {
    let folder = Folder::new(&[(
        "a.ndjson",
        br#"{"ts":"2026-11-24T07:00:00Z","i":1,"f":1,"t":1,"b":true,"l":["x"],"o":{"a":1,"deep":{"z":1}},"n":null,"mixed":[1]}
{"ts":"2026-11-24T07:00:01Z","i":null,"f":2.5,"t":"two","b":false,"l":null,"o":{"a":2},"mixed":"m","late":1.0}"#,
    )]);
    let log = folder.declared("a.ndjson");
    let schema = log.schema();
    let types: Vec<(String, DataType)> =
        schema.fields().iter().skip(2).map(|field| (field.name().clone(), field.data_type().clone())).collect();
    let kind = |name: &str| types.iter().find(|(other, _)| other == name).unwrap().1.clone();
    assert_eq!(kind("i"), DataType::Int64);
    assert_eq!(kind("f"), DataType::Float64);
    assert_eq!(kind("t"), DataType::Utf8View);
    assert_eq!(kind("b"), DataType::Boolean);
    assert_eq!(kind("l"), DataType::new_list(DataType::Utf8, true));
    assert_eq!(kind("o.a"), DataType::Int64);
    assert_eq!(kind("mixed"), DataType::Utf8View);
    let (rows, _) = scan(&log, &["i", "f", "t", "b", "l", "o.a", "o.deep", "n", "mixed", "late"]);
    assert_eq!(rows, [r#"1|1.0|1|true|[x]|1|{"z":1}|~|[1]|~"#, "~|2.5|two|false|~|2|~|~|m|1.0"]);
    assert!(types.is_sorted_by_key(|(name, _)| name.clone()));
}

#[test]
fn a_value_that_does_not_fit_is_null_and_counted() {
    let text = |rows| "{\"ts\":1,\"v\":1}\n".repeat(rows) + "{\"ts\":2,\"v\":0.5}\n";
    let folder = Folder::new(&[("a.ndjson", text(200_000).as_bytes()), ("b.ndjson", text(2000).as_bytes())]);
    let (rows, report) = scan(&folder.declared("a.ndjson"), &["v"]);
    assert_eq!((rows.len(), rows.last().unwrap().as_str(), report.unfit_values), (200_001, "~", 1));
    let (rows, report) = scan(&folder.declared("b.ndjson"), &["v"]);
    assert_eq!((rows[0].as_str(), report.unfit_values), ("0.5", 0), "a short log is looked at as a whole");
}

#[test]
fn an_end_field_makes_records_that_span_time() {
    let folder = Folder::new(&[("a.csv", b"from,to,v\n1000,2000,1\n3000,,2\n4000,x,3\n")]);
    let shape =
        Shape::Declared { time_field: "from".into(), end_field: Some("to".into()), format: TimeFormat::EpochMs };
    let (batches, report) = scan_range(&folder.open("a.csv", shape).unwrap(), &["from"], TimeRange::ALL, 1);
    assert_eq!(spans(&batches), [(1000, 2000), (3000, 3000)]);
    assert_eq!(report.bad_rows, 1);
}

fn labels_array(texts: &[&str]) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new());
    builder.append_value(texts.iter().map(Some));
    builder.append_null();
    Arc::new(builder.finish())
}

#[test]
fn parquet_is_read_like_the_others() {
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    map.keys().append_value("app");
    map.values().append_value("web");
    map.append(true).unwrap();
    map.append(true).unwrap();
    let labels = Arc::new(Field::new("labels", DataType::new_list(DataType::Utf8, true), true));
    let policies = Arc::new(Field::new("all_policies", DataType::new_list(DataType::Utf8, true), true));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("start_time", Arc::new(Int64Array::from(vec![Some(SEVEN), None]))),
        ("@timestamp", Arc::new(StringArray::from(vec!["2026-11-24T07:05:00Z", "2026-11-24T07:10:00Z"]))),
        ("source_namespace", Arc::new(StringArray::from(vec!["-", "shop"]))),
        ("bytes_in", Arc::new(Float64Array::from(vec![Some(5.0), Some(2.5)]))),
        ("bytes_out", Arc::new(StringArray::from(vec!["7", "-"]))),
        ("source_labels", Arc::new(StructArray::from(vec![(labels, labels_array(&["a=b", "-"]))]))),
        ("dest_labels", Arc::new(map.finish())),
        ("policies", Arc::new(StructArray::from(vec![(policies, labels_array(&["0|x"]))]))),
        ("unneeded", Arc::new(Int64Array::from(vec![1, 2]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    let bytes = writer.into_inner().unwrap();
    let folder = Folder::new(&[("a.parquet", &bytes), ("b.parquet", &bytes[..bytes.len() - 10])]);
    let log = folder.preset("*.parquet", Preset::CalicoFlows);
    let columns =
        ["source_namespace", "bytes_in", "bytes_out", "source_labels", "dest_labels", "all_policies", "dest_port"];
    let (rows, report) = scan(&log, &columns);
    assert_eq!(rows, ["shop|~|~|~|[]|~|~", "~|5|7|[a=b]|[app=web]|[0|x]|~"]);
    assert_eq!((report.rows, report.unfit_values), (2, 1));
    assert!(report.files[1].error.is_some());
    let declared = folder.open("a.parquet", declared("start_time")).unwrap();
    assert_eq!(scan(&declared, &["unneeded"]).0, ["1"], "a row without the declared time is bad");
}

fn parquet_bytes() -> Vec<u8> {
    let texts = (0..500).map(|at| format!("host-{}", at % 7));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("start_time", Arc::new(Int64Array::from_iter_values((0..500).map(|at| SEVEN + at)))),
        ("host", Arc::new(StringArray::from_iter_values(texts))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

proptest! {
    #[test]
    fn a_damaged_parquet_file_is_named_or_read(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = parquet_bytes();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let folder = Folder::new(&[("a.parquet", &bytes)]);
        let (rows, report) = scan(&folder.preset("a.parquet", Preset::CalicoFlows), &["host"]);
        prop_assert_eq!(rows.len() as u64, report.rows);
        prop_assert!(report.rows + report.bad_rows == 500 || report.files[0].error.is_some());
    }
}

#[test]
fn the_report_does_not_depend_on_the_number_of_threads() {
    let line = |at: i64| match at % 1000 {
        999 => "{\"start_time\":".to_owned(),
        _ => format!("{{\"start_time\":{},\"host\":\"node-{}\",\"url\":\"{}\"}}", SEVEN + at, at % 7, "x".repeat(400)),
    };
    let text: String = (0..50_000).map(|at| line(at) + "\n").collect();
    let folder = Folder::new(&[("a.ndjson", text.as_bytes()), ("b.ndjson", text.as_bytes())]);
    let log = folder.preset("*.ndjson", Preset::CalicoFlows);
    let (one, three) = (scan_range(&log, &["host"], TimeRange::ALL, 1), scan_range(&log, &["host"], TimeRange::ALL, 3));
    assert_eq!(table(&one.0), table(&three.0));
    assert_eq!(spans(&one.0), spans(&three.0));
    assert_eq!((one.1.rows, one.1.bad_rows, one.1.bad_samples[1].line), (99_900, 100, 2000));
    assert_eq!(one.1, three.1);
}

#[test]
fn batches_of_long_texts_are_closed_early() {
    let text = format!("{{\"start_time\":1,\"host\":\"{}\"}}\n", "x".repeat(1_000_000)).repeat(40);
    let folder = Folder::new(&[("a.ndjson", text.as_bytes())]);
    let (batches, report) = scan_range(&folder.preset("*", Preset::CalicoFlows), &["host"], TimeRange::ALL, 1);
    assert_eq!((report.rows, batches.len()), (40, 5));
}

#[test]
fn a_scan_stops_when_the_sink_has_enough() {
    let text = "{\"start_time\":1}\n".repeat(100_000);
    let folder = Folder::new(&[("a.ndjson", text.as_bytes())]);
    let log = folder.preset("*", Preset::CalicoFlows);
    let calls = Mutex::new(0);
    let sink = |_| {
        *calls.lock().unwrap() += 1;
        Flow::Stop
    };
    let request = Scan { columns: Vec::new(), range: TimeRange::ALL, files: None, grouping: None, threads: 1 };
    log.scan(&request, &sink, &|_| {});
    assert_eq!(*calls.lock().unwrap(), 1);
}

#[test]
fn a_fingerprint_changes_with_the_file_but_not_with_its_name() {
    let folder = Folder::new(&[("a.ndjson", b"{\"ts\":1}\n")]);
    let fingerprint = || folder.preset("*.ndjson*", Preset::CalicoDns).list(Time::MIN).unwrap()[0].fingerprint.clone();
    let first = fingerprint();
    fs::rename(folder.path().join("a.ndjson"), folder.path().join("a.ndjson.1")).unwrap();
    assert_eq!(fingerprint(), first);
    fs::write(folder.path().join("a.ndjson.1"), b"{\"ts\":2}\n").unwrap();
    assert_ne!(fingerprint(), first);
}

#[test]
fn only_the_chosen_files_are_read() {
    let folder = Folder::new(&[("a.csv", b"ts,v\n1,1\n"), ("b.csv", b"ts,v\n2,2\n"), ("c.csv", b"ts,v\n3,3\n")]);
    let log = folder.declared("*.csv");
    let files = Some(vec![folder.path().join("b.csv")]);
    let request = Scan {
        columns: vec!["v".into(), "v".into(), "gone".into()],
        range: TimeRange::ALL,
        files,
        grouping: None,
        threads: 4,
    };
    let batches = Mutex::new(Vec::new());
    let sink = |batch| {
        batches.lock().unwrap().push(batch);
        Flow::Continue
    };
    let report = log.scan(&request, &sink, &|_| {});
    assert_eq!(table(&batches.into_inner().unwrap()), ["2"]);
    assert_eq!(report.files.len(), 1);
}

#[test]
fn hostile_values_stay_values() {
    let text = [
        b"{\"start_time\":1,\"host\":\"a\\u0022,\\\"start_time\\\":9\\\\\",\"x\":\"}{\\\"][\",\"cluster\":\"\xff\\ud800\"}\n".as_slice(),
        format!("{{\"start_time\":2,\"deep\":{}{},\"host\":\"b\"}}\n", "[".repeat(100_000), "]".repeat(100_000)).as_bytes(),
        b"{\"host\":\"c\",\"start_time\":\"1e999\"}\n{\"host\":\"d\",\"start_time\":-9e25}\n\"\\\n\\",
    ]
    .concat();
    let folder = Folder::new(&[("a.ndjson", &text)]);
    let (rows, report) = scan(&folder.preset("a.ndjson", Preset::CalicoFlows), &["host", "cluster"]);
    assert_eq!(rows, ["a\",\"start_time\":9\\|\u{FFFD}\u{FFFD}", "b|~"]);
    assert_eq!(report.bad_rows, 4);
}
