//! The result for a person: a line for each test case, and the sum.

use super::report::{CaseResult, DaemonAlerts, NamedWriter, Outcome, SelfTestReport};
use crate::commands::style::{Color, Style};
use crate::escape;
use crate::source::Mechanism;

/// The result as text, no wider than the terminal.
pub fn render(report: &SelfTestReport, style: &Style) -> String {
    let mut output = String::new();
    let width = report.cases.iter().map(|case| case.description.chars().count()).max().unwrap_or_default();
    for case in &report.cases {
        let (color, word) = match case.outcome {
            Outcome::Failed => (Color::Red, "FAILED"),
            Outcome::Degraded => (Color::Yellow, "degraded"),
            Outcome::NotTried => (Color::None, "not tried"),
            Outcome::Passed => (Color::None, "passed"),
        };
        let mechanism = if case.mechanism == Mechanism::Nothing { "" } else { case.mechanism.as_str() };
        let latency = case.latency_ms.map_or_else(String::new, |latency| format!("{latency:.1} ms"));
        let line = format!("{word:<9}  {:<width$}  {mechanism:<9} {latency:>9}  {}", case.description, writer(case));
        output += &style.paint(color, style.fit(line.trim_end()));
        if let Some(reason) = &case.reason {
            output += &style.wrap(11, reason);
        }
    }
    let [failed, degraded, not_tried, passed] = Outcome::ALL.map(|outcome| report.count(outcome));
    output += &style.fit(&format!(
        "{passed} passed, {failed} failed, {degraded} degraded, {not_tried} not tried, in {:.1} s",
        report.duration_ms as f64 / 1000.0,
    ));
    if let Some(DaemonAlerts { pid, alerts, highest_level }) = &report.daemon {
        let level = highest_level.map_or_else(String::new, |level| format!(", none above {}", level.as_str()));
        let text =
            format!("the running daemon (process {pid}) sent {alerts} alerts on the planted hooks so far{level}");
        output += &style.wrap(0, &text);
    }
    if let Some(reason) = &report.no_permission {
        output += &style.wrap(0, &format!("NO PERMISSION: {}; run it as root", escape::one_line(reason)));
    }
    output
}

fn writer(case: &CaseResult) -> String {
    let Some(NamedWriter { executable, evidence, correct }) = &case.writer else { return String::new() };
    match correct {
        Some(true) => format!("writer right, by {evidence}"),
        Some(false) => format!("writer WRONG ({}), by {evidence}", executable.as_deref().unwrap_or("?")),
        None => format!("writer {evidence}"),
    }
}
