//! A rule file: loaded or refused, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pyhookwatch::hook::kind::names;
use pyhookwatch::rules::load::{Origin, text_of_rules};
use std::path::Path;

fuzz_target!(|text: &str| {
    let origin = Origin { file: Path::new("fuzz.yml"), ruleset: "fuzz", embedded: false };
    let (rules, problems) = text_of_rules(text, &origin, names);
    assert!(!rules.is_empty() || !problems.is_empty());
});
