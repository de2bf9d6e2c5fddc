//! Any bytes as a calendar in iCalendar's format: problems with places, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use margay_config::load_detectors;

fuzz_target!(|bytes: &[u8]| {
    let folder = std::env::temp_dir().join(format!("margay-fuzz-ical-{}", std::process::id())).join("calendars.d");
    std::fs::create_dir_all(&folder).expect("the folder for temporary files takes another");
    let path = folder.join("fuzz.ics");
    std::fs::write(&path, bytes).expect("the folder for temporary files takes one");
    let loaded = load_detectors(std::slice::from_ref(&path), None);
    for problem in &loaded.problems {
        assert!(problem.line >= 1 && problem.column >= 1);
        assert!(!problem.render(false).is_empty());
    }
});
