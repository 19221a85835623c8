//! The corpus of hooks: all hostile ones are classified as hostile, and no benign one is.

use pyhookwatch::event::{ContentClass, ContentReport};
use pyhookwatch::hook::pth;
use pyhookwatch::hook::python::{Strictness, analyse};
use std::path::{Path, PathBuf};

/// Benign files that may be suspicious, and why.
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

fn analyse_file(name: &str, content: &[u8]) -> ContentReport {
    if name.ends_with(".pth") {
        let code = pth::executed(content).collect::<Vec<_>>().join(&b'\n');
        analyse(&code, Strictness::Line)
    } else if name.ends_with(".module.py") {
        analyse(content, Strictness::Module)
    } else {
        analyse(content, Strictness::Customize)
    }
}

fn shown(report: &ContentReport) -> String {
    let signals: Vec<_> = report.signals.iter().map(|signal| signal.as_str()).collect();
    format!("{} {signals:?}", report.class.as_str())
}

#[test]
fn every_hostile_hook_is_hostile_and_its_code_is_shown() {
    let files = files("hostile");
    assert!(files.len() >= 70);
    let mut missed = Vec::new();
    for (name, path) in &files {
        let content = std::fs::read(path).unwrap();
        let report = analyse_file(name, &content);
        if report.class != ContentClass::Hostile {
            missed.push(format!("{name}: {}", shown(&report)));
        }
        assert!(!report.runs.is_empty(), "{name}");
        assert!(!report.signals.is_empty(), "{name}");
    }
    assert!(missed.is_empty(), "{} of {} missed:\n{}", missed.len(), files.len(), missed.join("\n"));
}

#[test]
fn no_benign_hook_is_hostile() {
    let files = files("benign");
    assert!(files.len() >= 40, "{}", files.len());
    let mut wrong = Vec::new();
    for (name, path) in &files {
        let report = analyse_file(name, &std::fs::read(path).unwrap());
        let fine = match report.class {
            ContentClass::Inert | ContentClass::Neutral => true,
            ContentClass::Suspicious => SUSPICIOUS.iter().any(|(listed, _)| listed == name),
            _ => false,
        };
        if !fine {
            wrong.push(format!("{name}: {}", shown(&report)));
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), files.len(), wrong.join("\n"));
}

#[test]
fn the_payload_of_a_long_file_is_among_the_shown_lines() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/content/hostile/long_benign_one_line.py");
    let report = analyse_file("long_benign_one_line.py", &std::fs::read(path).unwrap());
    assert!(report.truncated);
    assert!(report.runs.iter().any(|line| line.starts_with(b"os.popen")));
    assert_eq!(report.runs.first().unwrap(), b"import os");
}
