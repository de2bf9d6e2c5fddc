//! Any bytes as tests of a detector: problems with places, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use margay_config::read_typed;
use margay_generate::cases::CaseFile;

fuzz_target!(|bytes: &[u8]| {
    let path = std::env::temp_dir().join(format!("margay-fuzz-test-{}.yaml", std::process::id()));
    std::fs::write(&path, bytes).expect("the folder for temporary files takes one");
    let read = read_typed::<CaseFile>(&path);
    for problem in &read.problems {
        assert!(problem.line >= 1 && problem.column >= 1);
        assert!(!problem.render(false).is_empty());
    }
    assert!(read.value.is_some() || !read.problems.is_empty());
});
