//! Python sources and bytecode of an attacker: never a panic, always within the caps.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pyhookwatch::event::Hook;
use pyhookwatch::hook::bytecode::analyse_bytecode;
use pyhookwatch::hook::python::{Strictness, analyse};

fuzz_target!(|content: &[u8]| {
    for kind in [Strictness::Line, Strictness::Customize, Strictness::Module] {
        let findings = analyse(content, kind);
        assert!(findings.runs.len() <= Hook::MAX_LINES);
        assert!(findings.decoded.len() <= Hook::MAX_LINES);
        assert!(findings.imports.len() <= Hook::MAX_IMPORTS);
        assert!(findings.runs.iter().chain(&findings.decoded).all(|line| line.len() <= Hook::MAX_LINE));
    }
    assert!(analyse_bytecode(content).runs.is_empty());
});
