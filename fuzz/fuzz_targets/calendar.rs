//! Any bytes as a calendar: problems with places, never a panic.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use margay_config::{SchemaKind, text_problems};

fuzz_target!(|bytes: &[u8]| {
    for problem in text_problems(SchemaKind::Calendar, Path::new("fuzz.yaml"), bytes, None) {
        assert!(problem.line >= 1 && problem.column >= 1);
        assert!(!problem.render(false).is_empty());
    }
});
