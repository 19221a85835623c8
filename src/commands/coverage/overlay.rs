//! What this kernel tells of writes through an overlay: found by mounting one and writing, as the self-test does.

use super::{Finding, State};
use crate::commands::selftest::{CaseResult, Outcome, SelfTestReport};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// See the module.
pub enum Overlay {
    /// Each way to write, in the self-test's words, and whether it was told.
    Tried(Vec<(String, bool)>),
    /// Why it is not known.
    NotEstablished(String),
}

impl Overlay {
    /// Whether new names, renames and writes to existing files are all told.
    pub fn tells_everything(&self) -> bool {
        matches!(self, Self::Tried(ways) if ways.iter().all(|(_, is_told)| *is_told))
    }

    /// What it means for a tree on an overlay.
    pub fn finding(&self) -> Option<Finding> {
        let reason = match self {
            _ if self.tells_everything() => return None,
            Self::Tried(ways) => {
                let missing = ways.iter().filter(|(_, is_told)| !is_told).map(|(way, _)| match way.as_str() {
                    "overlay-creation" => "new files",
                    "overlay-rename" => "renames",
                    _ => "writes to existing files",
                });
                format!(
                    "not all that is done through an overlay is told here: {}",
                    missing.collect::<Vec<_>>().join(", ")
                )
            }
            Self::NotEstablished(reason) => {
                format!("not established what this kernel tells of writes through an overlay: {reason}")
            }
        };
        let advice = "Linux 6.5 and later tell everything; before it, new names and renames";
        Some(Finding { state: State::Degraded, code: "overlay-incomplete", reason, advice })
    }
}

/// Runs the overlay cases of the self-test in a child process, which mounts an overlay in a mount namespace of its own.
pub fn try_out() -> Overlay {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("pyhookwatch").args(["selftest", "--json", "--overlay-only"]).stdin(Stdio::null());
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => return Overlay::NotEstablished(error.to_string()),
    };
    let report: Option<SelfTestReport> = serde_json::from_slice(&output.stdout).ok();
    let cases = report.into_iter().flat_map(|report| report.cases);
    let cases: Vec<CaseResult> = cases.filter(|case| case.name.starts_with("overlay-")).collect();
    if let Some(not_tried) = cases.iter().find(|case| case.outcome == Outcome::NotTried) {
        return Overlay::NotEstablished(not_tried.reason.clone().unwrap_or_default());
    }
    if cases.is_empty() {
        return Overlay::NotEstablished("the self-test could not try it".into());
    }
    // Other faults, such as a writer that is not named, are not the overlay's.
    Overlay::Tried(cases.into_iter().map(|case| (case.name, case.latency_ms.is_some())).collect())
}
