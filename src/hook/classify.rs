//! Classifies content by the grammar of its kind of hook. Pure.

use super::bytecode;
use super::python;
use super::python::Strictness;
use super::{env, pth, start, venv};
use crate::event::{ContentClass, ContentReport, Hook, HookForm, HookKind, HookPath, Signal, Signals};
use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::path::Path;

thread_local! {
    static IS_ANALYSING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is analysing a content. Only then is a panic a finding; elsewhere it ends the program.
pub fn is_analysing() -> bool {
    IS_ANALYSING.get()
}

/// Classifies the first bytes of a file with this path. `cut`: the file has more bytes.
pub fn classify(at: HookPath, path: &Path, head: &[u8], cut: bool) -> ContentReport {
    catch_panic(|| read(at, path, head, cut))
}

/// A parser bug must not let a file stop the daemon. The parsers have no side effects, so catching the panic is safe; such
/// content counts as hostile.
fn catch_panic(read: impl FnOnce() -> ContentReport) -> ContentReport {
    IS_ANALYSING.set(true);
    let report = std::panic::catch_unwind(AssertUnwindSafe(read));
    IS_ANALYSING.set(false);
    report.unwrap_or_else(|_| {
        let mut report = ContentReport::of(ContentClass::Hostile);
        report.signals.insert(Signal::AnalysisFailed);
        report
    })
}

fn read(at: HookPath, path: &Path, head: &[u8], cut: bool) -> ContentReport {
    let mut report = match at.kind {
        HookKind::Pth => pth_file(path, head, cut),
        HookKind::Start => start_file(head),
        HookKind::VenvConfig | HookKind::InterpreterConfig => config(path, head),
        HookKind::Environment => environment(path, head),
        HookKind::Sitecustomize | HookKind::Usercustomize | HookKind::StartupScript => {
            code(at.form, head, Strictness::Customize)
        }
        HookKind::Module | HookKind::Site | HookKind::StdlibBoot | HookKind::StdlibFile => {
            code(at.form, head, Strictness::Module)
        }
        // Below `pythonXY.zip/`.
        HookKind::StdlibZip if at.form == HookForm::Module => code(at.form, head, Strictness::Module),
        HookKind::StdlibZip | HookKind::BundledWheel => ContentReport::of(ContentClass::Opaque),
        HookKind::Interpreter => program(head),
        HookKind::SiteDirectory => ContentReport::of(ContentClass::Inert),
        HookKind::Other => ContentReport::of(ContentClass::Unknown),
    };
    if cut {
        report.signals.insert(Signal::Truncated);
        report.truncated = true;
        // The unread rest can contain any code.
        if matches!(report.class, ContentClass::Inert | ContentClass::Neutral) && runs_all(at) {
            report.class = ContentClass::Unknown;
        }
    }
    bounded(report)
}

/// Whether all of a file of this kind is run, so that the unread rest matters.
fn runs_all(at: HookPath) -> bool {
    !matches!(at.kind, HookKind::Environment | HookKind::Interpreter | HookKind::BundledWheel)
}

fn code(form: HookForm, head: &[u8], strictness: Strictness) -> ContentReport {
    match form {
        HookForm::Module | HookForm::Package => python::analyse(head, strictness),
        HookForm::Bytecode | HookForm::Sourceless => compiled(head, strictness),
        HookForm::Extension | HookForm::Archive | HookForm::Directory | HookForm::File => {
            ContentReport::of(ContentClass::Opaque)
        }
    }
}

/// The names in bytecode do not show how the code uses them. A library module is hostile only if they show that it runs
/// hidden code.
fn compiled(head: &[u8], strictness: Strictness) -> ContentReport {
    let mut report = bytecode::analyse_bytecode(head);
    let has = |signal| report.signals.contains(signal);
    let hides_code = has(Signal::Execute) && (has(Signal::Decode) || has(Signal::Deserialise));
    if report.class == ContentClass::Hostile && matches!(strictness, Strictness::Module) && !hides_code {
        report.class = ContentClass::Opaque;
    }
    report
}

/// A script with the name of an interpreter is read as Python if its first line names Python. Machine code is not read.
fn program(head: &[u8]) -> ContentReport {
    let first = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    match first.starts_with(b"#!") {
        true if first.windows(6).any(|window| window == b"python") => python::analyse(head, Strictness::Customize),
        true => ContentReport::of(ContentClass::Suspicious),
        false => ContentReport::of(ContentClass::Opaque),
    }
}

fn pth_file(path: &Path, head: &[u8], cut: bool) -> ContentReport {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let parsed = if cut { pth::parse_beginning(head) } else { pth::parse(head) };
    let code: Vec<&[u8]> =
        parsed.lines.iter().filter(|line| line.kind == pth::Kind::Import).map(|line| line.text).collect();
    let mut report = if code.is_empty() {
        ContentReport::of(ContentClass::Inert)
    } else {
        // Every line sees what the ones before it have imported, so they are read as one text.
        python::analyse(&code.join(&b'\n'), Strictness::Line)
    };
    if !code.is_empty() && report.class == ContentClass::Inert {
        // The import runs the module, whatever the rest of the line is.
        report.class = ContentClass::Neutral;
    }
    report.signals.extend(parsed.signals);
    report.signals.extend(pth::name_signals(name));
    report.interpreters = parsed.interpreters.intersection(pth::name_interpreters(name)).label();
    report.paths = parsed.paths.iter().map(|path| path.to_vec()).collect();
    if pth::is_model_weights(head) {
        report.signals.insert(Signal::ModelWeights);
        report.class = ContentClass::Inert;
    }
    report
}

fn start_file(head: &[u8]) -> ContentReport {
    let parsed = start::parse(head);
    let class = if parsed.entries.is_empty() { ContentClass::Inert } else { ContentClass::Neutral };
    ContentReport {
        signals: parsed.signals,
        runs: parsed.entries.iter().map(|entry| entry.text.as_bytes().to_vec()).collect(),
        imports: parsed.imports.clone(),
        interpreters: parsed.interpreters().label(),
        ..ContentReport::of(class)
    }
}

fn config(path: &Path, head: &[u8]) -> ContentReport {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let mut report = ContentReport::of(ContentClass::Neutral);
    if name.ends_with(b"_pth") || name == b"pybuilddir.txt" {
        let parsed = if name.ends_with(b"_pth") { venv::path_file(head) } else { venv::build_directory(head) };
        report.signals = parsed.signals;
        report.paths = parsed.paths.iter().map(|path| path.to_vec()).collect();
    } else {
        let parsed = venv::pyvenv(head);
        report.signals = parsed.signals;
        report.paths = parsed.home.iter().map(|home| home.to_vec()).collect();
    }
    report
}

fn environment(path: &Path, head: &[u8]) -> ContentReport {
    let settings = env::settings(path, head);
    let class = if settings.is_empty() { ContentClass::Inert } else { ContentClass::Neutral };
    ContentReport { settings, ..ContentReport::of(class) }
}

/// Signals of these settings.
pub fn signals_of(settings: &[crate::event::EnvironmentSetting]) -> Signals {
    let mut signals = Signals::default();
    settings.iter().for_each(|setting| signals.extend(env::value_signals(setting)));
    signals
}

/// Cuts the lists to the sizes of an alert.
fn bounded(mut report: ContentReport) -> ContentReport {
    report.truncated |= report.runs.len() > Hook::MAX_LINES;
    report.runs.truncate(Hook::MAX_LINES);
    report.decoded.truncate(Hook::MAX_LINES);
    report.paths.truncate(Hook::MAX_LINES);
    for line in report.runs.iter_mut().chain(&mut report.decoded).chain(&mut report.paths) {
        report.truncated |= line.len() > Hook::MAX_LINE;
        line.truncate(Hook::MAX_LINE);
    }
    report.imports.truncate(Hook::MAX_IMPORTS);
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_that_makes_the_analysis_fail_is_hostile_and_the_next_one_is_read() {
        assert!(!is_analysing());
        let report = catch_panic(|| {
            assert!(is_analysing());
            panic!("a parser bug");
        });
        assert!(!is_analysing());
        assert_eq!(report.class, ContentClass::Hostile);
        assert!(report.signals.contains(Signal::AnalysisFailed));
        let hook = HookPath {
            kind: HookKind::Pth,
            ..crate::hook::kind::of(Path::new("/usr/lib/python3/dist-packages/x.pth"))
        };
        assert_eq!(classify(hook, Path::new("x.pth"), b"import os\n", false).class, ContentClass::Neutral);
    }
}
