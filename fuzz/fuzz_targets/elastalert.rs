//! Any bytes as rules of ElastAlert: detectors that pass the checks, problems with places, never a panic.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use margay_config::{SchemaKind, text_problems};
use margay_import::{Format, Surroundings, import_bytes};

fuzz_target!(|bytes: &[u8]| {
    let imported = import_bytes(Format::ElastAlert, Path::new("fuzz.yaml"), bytes, &Surroundings::default());
    for one in &imported.detectors {
        let file = format!("{}.yaml", one.name);
        assert!(text_problems(SchemaKind::Detector, Path::new(&file), one.yaml.as_bytes(), None).is_empty());
    }
    for problem in &imported.problems {
        assert!(problem.line >= 1 && problem.column >= 1);
    }
});
