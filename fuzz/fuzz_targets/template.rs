//! Any text as a template: refused with a place, or rendered; never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use margay_render::Templates;

fuzz_target!(|text: &str| {
    let Ok(templates) = Templates::load(None) else { panic!("the built-in templates are good") };
    if let Err(error) = templates.check_summary(text, &["sent".to_owned()], &["namespace".to_owned()]) {
        assert!(error.line >= 1 && error.column >= 1, "{error:?}");
    }
});
