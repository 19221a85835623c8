//! A configuration file: read or refused with problems, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pyhookwatch::config::Config;
use std::path::Path;

fuzz_target!(|text: &str| {
    if let Err(problems) = Config::parse(text, Path::new("fuzz.toml")) {
        assert!(!problems.is_empty());
        assert!(problems.iter().all(|problem| !problem.to_string().chars().any(char::is_control)));
    }
});
