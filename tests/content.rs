//! Our own corpus of hooks: every hostile one is judged hostile, no benign one is.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use pyhookwatch::event::ContentClass;
use pyhookwatch::event::ContentReport;
use pyhookwatch::hook::pth;
use pyhookwatch::hook::python::{Strictness, analyse};
use std::path::{Path, PathBuf};

/// Benign files that deserve a second look, and why.
const SUSPICIOUS: &[(&str, &str)] = &[];

fn files(directory: &str) -> Vec<(String, PathBuf)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/content").join(directory);
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .collect();
    files.sort();
    files
}

fn judge(name: &str, content: &[u8]) -> ContentReport {
    if name.ends_with(".pth") {
        let code = pth::executed(content).collect::<Vec<_>>().join(&b'\n');
        analyse(&code, Strictness::Line)
    } else if name.ends_with(".module.py") {
        analyse(content, Strictness::Module)
    } else {
        analyse(content, Strictness::Customize)
    }
}

fn shown(findings: &ContentReport) -> String {
    let signals: Vec<_> = findings.signals.iter().map(|signal| signal.as_str()).collect();
    format!("{} {signals:?}", findings.class.as_str())
}

#[test]
fn every_hostile_hook_is_judged_hostile_and_shows_its_code() {
    let files = files("hostile");
    assert!(files.len() >= 70);
    let mut missed = Vec::new();
    for (name, path) in &files {
        let content = std::fs::read(path).unwrap();
        let findings = judge(name, &content);
        if findings.class != ContentClass::Hostile {
            missed.push(format!("{name}: {}", shown(&findings)));
        }
        assert!(!findings.runs.is_empty(), "{name}");
        assert!(!findings.signals.is_empty(), "{name}");
    }
    assert!(missed.is_empty(), "{} of {} missed:\n{}", missed.len(), files.len(), missed.join("\n"));
}

#[test]
fn no_benign_hook_is_judged_hostile() {
    let files = files("benign");
    assert!(files.len() >= 40, "{}", files.len());
    let mut wrong = Vec::new();
    for (name, path) in &files {
        let findings = judge(name, &std::fs::read(path).unwrap());
        let fine = match findings.class {
            ContentClass::Inert | ContentClass::Neutral => true,
            ContentClass::Suspicious => SUSPICIOUS.iter().any(|(listed, _)| listed == name),
            _ => false,
        };
        if !fine {
            wrong.push(format!("{name}: {}", shown(&findings)));
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), files.len(), wrong.join("\n"));
}

#[test]
fn the_payload_of_a_long_file_is_among_the_shown_lines() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/content/hostile/long_benign_one_line.py");
    let findings = judge("long_benign_one_line.py", &std::fs::read(path).unwrap());
    assert!(findings.truncated);
    assert!(findings.runs.iter().any(|line| line.starts_with(b"os.popen")));
    assert_eq!(findings.runs.first().unwrap(), b"import os");
}
