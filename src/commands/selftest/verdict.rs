//! Compares an alert with what the self-test did.

use super::report::{CaseResult, NamedWriter, Outcome};
use crate::source::Mechanism;
use serde_json::Value;

/// What an alert must contain.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'e> {
    /// `event.action`.
    pub action: &'e str,
    /// Process id of the writer.
    pub pid: u32,
    /// Its executable, escaped as in an alert.
    pub executable: &'e str,
    /// Every source of records about processes works, so a writer that is not named is a failure.
    pub must_name_writer: bool,
    /// Why the case is not watched in the best way.
    pub limitation: Option<&'e str>,
}

/// Sets writer, outcome and reason of the result.
pub fn judge(result: &mut CaseResult, alert: &Value, expected: Expected<'_>) {
    let text = |pointer: &str| alert.pointer(pointer).and_then(Value::as_str);
    let executable = text("/process/executable").map(str::to_owned);
    let pid = alert.pointer("/process/pid").and_then(Value::as_u64);
    let correct = executable.as_ref().map(|named| named == expected.executable && pid == Some(u64::from(expected.pid)));
    let is_unnamed = correct.is_none() && result.mechanism == Mechanism::Fanotify;
    let action = text("/event/action").unwrap_or("nothing");
    let failure = match text("/pyhookwatch/content/class") {
        _ if action != expected.action => Some(format!("reported as {action}, not {}", expected.action)),
        Some("inert") if correct == Some(false) => Some("the alert names another writer".into()),
        Some("inert") if is_unnamed && expected.must_name_writer => {
            Some("the alert names no writer, although every source of records works".into())
        }
        Some("inert") => None,
        Some(class) => Some(format!("its content was classified as {class}, not inert")),
        None => Some("its content was not classified".into()),
    };
    let degraded = || match expected.limitation {
        Some(limitation) => Some(limitation.to_owned()),
        None if is_unnamed => {
            let note = text("/pyhookwatch/writer/note").unwrap_or("not every source of records works here");
            Some(format!("the alert names no writer: {note}"))
        }
        None => None,
    };
    (result.outcome, result.reason) = match (failure, degraded()) {
        (Some(failure), _) => (Outcome::Failed, Some(failure)),
        (None, Some(reason)) => (Outcome::Degraded, Some(reason)),
        (None, None) => (Outcome::Passed, None),
    };
    let evidence = text("/pyhookwatch/writer/evidence").unwrap_or("unknown").to_owned();
    result.writer = Some(NamedWriter { executable, evidence, correct });
}

#[cfg(test)]
mod tests;
