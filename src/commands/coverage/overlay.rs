//! Whether the kernel reports writes through an overlay. The self-test mounts one and tries.

use super::finding::{Finding, State};
use crate::commands::selftest::{CaseResult, Outcome, SelfTestReport};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// See the module.
pub enum Overlay {
    /// Each case of the self-test, and whether the kernel reported it.
    Tried(Vec<(String, bool)>),
    /// Why it is unknown.
    NotEstablished(String),
}

impl Overlay {
    /// Whether new names, renames and writes to existing files are all reported.
    pub fn is_complete(&self) -> bool {
        matches!(self, Self::Tried(cases) if cases.iter().all(|(_, is_reported)| *is_reported))
    }

    /// The finding for a place on an overlay.
    pub fn finding(&self) -> Option<Finding> {
        let reason = match self {
            _ if self.is_complete() => return None,
            Self::Tried(cases) => {
                let missing =
                    cases.iter().filter(|(_, is_reported)| !is_reported).map(|(case, _)| match case.as_str() {
                        "overlay-creation" => "new files",
                        "overlay-rename" => "renames",
                        _ => "writes to existing files",
                    });
                format!(
                    "this kernel does not report every write through an overlay: {}",
                    missing.collect::<Vec<_>>().join(", ")
                )
            }
            Self::NotEstablished(reason) => {
                format!("unknown whether this kernel reports writes through an overlay: {reason}")
            }
        };
        let advice = "Linux 6.5 and later report everything; older kernels report new names and renames";
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
