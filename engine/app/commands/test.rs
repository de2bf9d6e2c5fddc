//! `test`: unit tests of detectors.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use margay_config::Severity;
use margay_generate::cases::Case;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use rayon::prelude::*;
use serde::Serialize;
use serde_json::json;

use super::{print, print_json};
use crate::Exit;
use crate::cases::{self, Suite};
use crate::cli::{Cli, Output, TestArgs, TestFormat};
use crate::progress::Progress;

/// Where tests are looked for, beside margay.yaml.
const FOLDER: &str = "tests/detectors";

/// One case that ran.
#[derive(Serialize)]
struct Ran {
    file: String,
    detector: String,
    name: String,
    passed: bool,
    /// Why it did not hold; empty where it did.
    message: String,
    #[serde(skip)]
    took: Duration,
}

/// Runs the cases: 1 where one does not hold, 3 where a file is wrong.
pub fn run(cli: &Cli, args: &TestArgs) -> anyhow::Result<Exit> {
    let loaded = margay_config::load(&cli.config);
    let own = |paths: &[PathBuf]| if paths.is_empty() { vec![loaded.root.join(FOLDER)] } else { paths.to_vec() };
    let (suites, problems) = cases::read(&own(&args.paths), &loaded);
    let of_config = loaded.problems.iter().filter(|problem| problem.severity == Severity::Error);
    let wrong: Vec<_> = of_config.chain(&problems).collect();
    wrong.iter().for_each(|problem| eprintln!("{}", problem.render(false)));
    let work: Vec<(&Suite, &Case)> =
        suites.iter().flat_map(|suite| suite.file.cases.iter().map(move |case| (suite, case))).collect();
    let progress = Progress::steps("testing", work.len() as u64);
    let one = |(suite, case): &(&Suite, &Case)| {
        let started = Instant::now();
        let failure = cases::run(suite, case, &loaded).unwrap_or_else(|error| Some(format!("{error:#}")));
        progress.advance(1);
        Ran {
            file: suite.path.strip_prefix(".").unwrap_or(&suite.path).display().to_string(),
            detector: suite.file.detector.clone(),
            name: case.name.clone(),
            passed: failure.is_none(),
            message: failure.unwrap_or_default(),
            took: started.elapsed(),
        }
    };
    let tests: Vec<Ran> = work.par_iter().map(one).collect();
    drop(progress);
    match (args.format, cli.output) {
        (Some(TestFormat::Junit), _) => print(&junit(&tests)?)?,
        (Some(TestFormat::Json), _) | (None, Output::Json) => print_json(&json!({ "tests": tests }))?,
        (Some(TestFormat::Text), _) | (None, Output::Text) => print(&text(&tests))?,
    }
    Ok(match (wrong.is_empty(), tests.iter().all(|test| test.passed)) {
        (false, _) => Exit::Configuration,
        (true, false) => Exit::Findings,
        (true, true) => Exit::Ok,
    })
}

fn text(tests: &[Ran]) -> String {
    let mut text = String::new();
    for test in tests {
        let verdict = if test.passed { "ok  " } else { "FAIL" };
        text.push_str(&format!("{verdict}  {}: {}\n", test.detector, test.name));
        if !test.passed {
            text.push_str(&format!("      {}\n", test.message));
        }
    }
    let failed = tests.iter().filter(|test| !test.passed).count();
    text + &format!("{} passed, {failed} failed\n", tests.len() - failed)
}

/// A suite for each file.
fn junit(tests: &[Ran]) -> anyhow::Result<String> {
    let mut report = Report::new("margay test");
    for of_file in tests.chunk_by(|a, b| a.file == b.file) {
        let mut suite = TestSuite::new(&of_file[0].file[..]);
        for test in of_file {
            let mut status = TestCaseStatus::success();
            if !test.passed {
                status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_message(&test.message[..]);
            }
            let mut case = TestCase::new(&test.name[..], status);
            case.set_classname(&test.detector[..]).set_time(test.took);
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    Ok(report.to_string()? + "\n")
}
