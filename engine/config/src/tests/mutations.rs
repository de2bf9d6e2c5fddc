//! Damaged files never panic, and neither does what shows their problems.

use proptest::prelude::*;
use proptest::sample::Index;

use super::{GOOD, load_text};

/// Any text, or characters that mean something in YAML.
const INSERTED: &str = "\\PC{0,6}|[:{}\\[\\]&*!|>'\"%@`#\\-\n\t ]{1,4}";

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_file_never_panics(edits in prop::collection::vec((any::<Index>(), 0usize..8, INSERTED), 1..6)) {
        let mut text: Vec<char> = GOOD.chars().collect();
        for (at, removed, inserted) in edits {
            let at = at.index(text.len() + 1).min(text.len());
            let end = (at + removed).min(text.len());
            text.splice(at..end, inserted.chars());
        }
        let text: String = text.into_iter().collect();
        let loaded = load_text("good", text.as_bytes());
        for problem in &loaded.problems {
            prop_assert!(problem.line >= 1 && problem.column >= 1);
            prop_assert!(!problem.render(true).is_empty());
        }
        for loaded in &loaded.detectors {
            let _ = loaded.problem(&["features", "connections"], Some((1, 7)), "sql", String::new(), None);
            let _ = loaded.detector.entity_columns();
        }
    }

    #[test]
    fn bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for problem in &load_text("good", &bytes).problems {
            prop_assert!(!problem.render(false).is_empty());
        }
    }
}
