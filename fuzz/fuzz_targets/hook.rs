//! Content of an attacker's file under each kind of name: never a panic, always within the caps.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pyhookwatch::event::Hook;
use pyhookwatch::{escape, hook};
use std::path::Path;

fuzz_target!(|content: &[u8]| {
    for name in ["/x/a.pth", "/x/sitecustomize.py", "/etc/environment", "/x/site.py", "/x/other"] {
        let hook = hook::hypothetical(Path::new(name), Some(content));
        assert!(hook.content.runs.len() <= Hook::MAX_LINES);
        assert!(hook.content.runs.iter().all(|line| line.len() <= Hook::MAX_LINE));
        for line in &hook.content.runs {
            assert!(!escape::reversible(line).chars().any(char::is_control));
        }
    }
});
