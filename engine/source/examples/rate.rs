//! Reads columns of a log and prints how fast: `rate PRESET FILE COLUMN,… [THREADS]`; a time field may
//! stand in place of the preset.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use margay_core::TimeRange;
use margay_source::{Flow, Log, LogSpec, Scan, Shape, TimeFormat};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, preset, file, columns, more @ ..] = &arguments[..] else { return Err("PRESET FILE COLUMN,…".into()) };
    let declared = Shape::Declared { time_field: preset.clone(), end_field: None, format: TimeFormat::Auto };
    let spec = LogSpec {
        name: "log".into(),
        root: PathBuf::from("."),
        files: vec![file.clone()],
        shape: preset.parse().map_or(declared, Shape::Preset),
    };
    let log = Log::open(spec)?;
    let request = Scan {
        columns: columns.split(',').map(str::to_owned).collect(),
        range: TimeRange::ALL,
        files: None,
        grouping: None,
        threads: more.first().map_or(Ok(1), |threads| threads.parse())?,
    };
    let batches = AtomicU64::new(0);
    let sink = |_| {
        batches.fetch_add(1, Ordering::Relaxed);
        Flow::Continue
    };
    let begun = Instant::now();
    let report = log.scan(&request, &sink, &|_| {});
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{} rows, {} bad, {} batches, {:.2} s, {:.0} rows/s, {:.0} MB/s",
        report.rows,
        report.bad_rows,
        batches.into_inner(),
        seconds,
        report.rows as f64 / seconds,
        report.bytes as f64 / 1e6 / seconds
    );
    for bad in &report.bad_samples {
        println!("{}:{}: {}", bad.file.display(), bad.line, bad.reason);
    }
    for file in &report.files {
        println!("{}: {} rows, span {:?}, error {:?}", file.path.display(), file.rows, file.span, file.error);
    }
    for line in fs::read_to_string("/proc/self/status")?.lines().filter(|line| line.starts_with("VmHWM")) {
        println!("{line}");
    }
    Ok(())
}
