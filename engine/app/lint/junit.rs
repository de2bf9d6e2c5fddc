//! Problems as a JUnit report: an error is a failed test, a warning a skipped one.

use std::path::Path;

use margay_config::{Problem, Severity};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::relative;

/// The report; `root` is what paths are shown relative to.
///
/// # Errors
/// Never on valid text: the writer's own error.
pub fn report(problems: &[Problem], root: &Path) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new("margay check");
    for of_file in problems.chunk_by(|a, b| a.file == b.file) {
        let mut suite = TestSuite::new(relative(&of_file[0].file, root));
        suite.add_test_cases(of_file.iter().map(|problem| case(problem, root)));
        report.add_test_suite(suite);
    }
    if problems.is_empty() {
        let mut suite = TestSuite::new("margay check");
        suite.add_test_case(TestCase::new("no problems", TestCaseStatus::success()));
        report.add_test_suite(suite);
    }
    report.to_string()
}

fn case(problem: &Problem, root: &Path) -> TestCase {
    let mut status = match problem.severity {
        Severity::Error => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Severity::Warning => TestCaseStatus::skipped(),
    };
    status.set_message(&problem.message[..]).set_type(&problem.rule[..]).set_description(problem.render(false));
    let file = relative(&problem.file, root);
    let mut case = TestCase::new(format!("{file}:{}:{}: {}", problem.line, problem.column, problem.rule), status);
    case.set_classname(file);
    case.extra.insert("line".into(), problem.line.to_string().into());
    case
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn an_error_fails_a_warning_is_skipped_and_text_is_escaped() {
        let error = Problem::new(Path::new("a.yaml"), (3, 5), "sql", "x < 'y' & \u{1b}[31m".to_owned());
        let warning = Problem::new(Path::new("b.yaml"), (1, 1), "soon", "later".to_owned()).warning();
        let text = report(&[error, warning], Path::new("")).unwrap();
        let read = Report::deserialize_from_str(&text).unwrap();
        assert_eq!((read.tests, read.failures), (2, 1));
        assert_eq!(read.test_suites[0].test_cases[0].name.as_str(), "a.yaml:3:5: sql");
        assert!(text.contains("x &lt; "), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn nothing_wrong_is_one_test_that_passed() {
        let read = Report::deserialize_from_str(&report(&[], Path::new("")).unwrap()).unwrap();
        assert_eq!((read.tests, read.failures), (1, 0));
    }
}
