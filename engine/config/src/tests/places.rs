//! Places that later stages ask for, and digests.

use crate::{Features, LoadedDetector, Model, Quantity, Sustained};

use super::{GOOD, load_text};

fn good(text: &str) -> LoadedDetector {
    let mut loaded = load_text("good", text.as_bytes());
    assert_eq!(loaded.problems, []);
    loaded.detectors.remove(0)
}

fn place(key: &[&str], within: Option<(usize, usize)>) -> (usize, usize) {
    let problem = good(GOOD).problem(key, within, "sql", "wrong".to_owned(), None);
    (problem.line, problem.column)
}

#[test]
fn the_example_of_the_design_is_read_in_full() {
    let detector = good(GOOD).detector;
    let Features::Map(features) = &detector.features else { panic!("a map") };
    assert_eq!(features[0], ("bytes_out".to_owned(), "sum(bytes_out)".to_owned()));
    assert_eq!(detector.features.names(), ["bytes_out", "connections"]);
    assert_eq!(detector.entity_columns()[0], ("source_namespace".to_owned(), "source_namespace".to_owned()));
    assert_eq!(
        detector.entity_columns()[1],
        ("workload".to_owned(), "coalesce(source_name_aggr, source_name)".to_owned())
    );
    assert!(matches!(&detector.model, Model::Seasonal(history) if history.seasonality.len() == 2));
    assert_eq!(detector.threshold.min_dev, Some(Quantity(1e7)));
    assert_eq!(detector.threshold.sustained, Sustained { n: 2, m: 3 });
    assert_eq!(detector.exclude[0].until.unwrap().to_string(), "2027-03-01T00:00:00Z");
}

#[test]
fn a_short_detector_has_defaults_for_the_rest() {
    let short = "name: good\nlog: flows\nentity: [namespace]\nfeatures:\n  n: count(*)\nmodel:\n  auto:\nthreshold:\n";
    let detector = good(short).detector;
    assert_eq!(detector.model, Model::Auto(crate::History::default()));
    assert!((detector.threshold.score_or_default(margay_core::Period::HOUR) - 23.8).abs() < 0.01);
    assert_eq!(detector.alert.severity, 80);
}

#[test]
fn problems_of_later_stages_are_placed_inside_values() {
    assert_eq!(place(&["features", "bytes_out"], Some((1, 5))), (11, 18));
    assert_eq!(place(&["features", "connections"], Some((1, 5))), (13, 9));
    assert_eq!(place(&["exclude", "0", "where"], Some((1, 1))), (26, 15));
    assert_eq!(place(&["alert", "summary"], None), (29, 12));
    assert_eq!(place(&["entity", "1"], Some((1, 10))), (8, 38));
}

#[test]
fn problems_of_what_is_left_out_are_placed_at_what_is_around() {
    assert_eq!(place(&["sql"], Some((3, 4))), (2, 1));
    assert_eq!(place(&["threshold", "budget"], None), (18, 3));
}

#[test]
fn digests_know_what_matters_to_them() {
    let original = good(GOOD);
    let same = good(&GOOD.replace("mode: notify", "").replace("# buckets", "# of buckets").replace("10MB", "10000000"));
    assert_eq!(
        (&same.digest, &same.data_digest, &same.model_digest),
        (&original.digest, &original.data_digest, &original.model_digest)
    );

    let said = good(&GOOD.replace("severity: 80", "severity: 70"));
    assert_ne!(said.digest, original.digest);
    assert_eq!(said.model_digest, original.model_digest);

    let judged = good(&GOOD.replace("history: 28d", "history: 21d"));
    assert_eq!(judged.data_digest, original.data_digest);
    assert_ne!(judged.model_digest, original.model_digest);

    let measured = good(&GOOD.replace("sum(bytes_out)", "max(bytes_out)"));
    assert_ne!(measured.data_digest, original.data_digest);
    assert_ne!(measured.model_digest, original.model_digest);
}

#[test]
fn all_problems_of_a_file_are_told_at_once() {
    let text = GOOD
        .replace("score: 60", "score: 600")
        .replace("sustained: 2 of 3", "sustained: 4 of 3")
        .replace("mitre: [T1048]", "mitre: [exfil]")
        .replace("requires:", "require:")
        .replace("bucket: 5m", "bucket: 7m");
    let loaded = load_text("good", text.as_bytes());
    let rules: Vec<&str> = loaded.problems.iter().map(|problem| problem.rule.as_str()).collect();
    assert_eq!(rules, ["bucket-divides-day", "unknown-key", "out-of-range", "sustained-n-of-m", "bad-mitre-id"]);
    assert!(loaded.detectors.is_empty());
}
