//! What the self-test prints: a line for each place, or one JSON object (docs/selftest.md).

use super::places::{Outcome, Result as PlaceResult};
use super::{Daemon, Report};
use crate::commands::style::{Color, Style};
use crate::daemon::placing::Mechanism;
use crate::escape;
use crate::event::{Level, SCHEMA_VERSION};
use serde_json::{Map, Value, json};

/// One JSON object.
pub fn json(report: &Report) -> String {
    let mut summary = Map::new();
    for outcome in Outcome::ALL {
        summary.insert(outcome.as_str().into(), report.count(outcome).into());
    }
    let document = json!({
        "pyhookwatch": { "schema_version": SCHEMA_VERSION },
        "version": env!("CARGO_PKG_VERSION"),
        "summary": summary,
        "no_permission": report.no_permission,
        "daemon": report.daemon.as_ref().map(|daemon| {
            json!({ "pid": daemon.pid, "alerts": daemon.told, "highest_level": daemon.level.map(Level::as_str) })
        }),
        "duration_ms": u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX),
        "cases": report.results.iter().map(place).collect::<Vec<_>>(),
    });
    format!("{document:#}\n")
}

fn place(result: &PlaceResult) -> Value {
    let writer = result.writer.as_ref().map(
        |writer| json!({ "executable": writer.executable, "evidence": writer.evidence, "correct": writer.is_right }),
    );
    json!({
        "name": result.place,
        "description": result.description,
        "fs_type": result.fs_type.as_deref().map(escape::one_line),
        "mechanism": result.mechanism.as_str(),
        "outcome": result.outcome.as_str(),
        "latency_ms": result.latency_us.map(|latency| latency as f64 / 1000.0),
        "writer": writer,
        "reason": result.reason.as_deref().map(escape::one_line),
    })
}

/// A line for each place, and the sum.
pub fn text(report: &Report, style: &Style) -> String {
    let mut output = String::new();
    let width = report.results.iter().map(|result| result.description.chars().count()).max().unwrap_or_default();
    for result in &report.results {
        let color = match result.outcome {
            Outcome::Failed => Color::Red,
            Outcome::Degraded => Color::Yellow,
            Outcome::Passed | Outcome::NotTried => Color::None,
        };
        let word = match result.outcome {
            Outcome::Failed => "FAILED",
            Outcome::NotTried => "not tried",
            other => other.as_str(),
        };
        let latency =
            result.latency_us.map_or_else(String::new, |latency| format!("{:.1} ms", latency as f64 / 1000.0));
        let line = format!(
            "{word:<9}  {:<width$}  {:<9} {latency:>9}  {}",
            result.description,
            if result.mechanism == Mechanism::Nothing { "" } else { result.mechanism.as_str() },
            writer(result),
        );
        output += &style.paint(color, style.fit(line.trim_end()));
        if let Some(reason) = &result.reason {
            output += &style.wrap(11, &escape::one_line(reason));
        }
    }
    let count = |outcome| report.count(outcome);
    output += &style.fit(&format!(
        "{} passed, {} failed, {} degraded, {} not tried, in {:.1} s",
        count(Outcome::Passed),
        count(Outcome::Failed),
        count(Outcome::Degraded),
        count(Outcome::NotTried),
        report.took.as_secs_f64(),
    ));
    if let Some(Daemon { pid, told, level }) = &report.daemon {
        let level = level.map_or_else(String::new, |level| format!(", none above {}", level.as_str()));
        output += &style
            .wrap(0, &format!("the running daemon (process {pid}) told {told} of the planted hooks by now{level}"));
    }
    if let Some(reason) = &report.no_permission {
        output += &style.wrap(0, &format!("NO PERMISSION: {}; run it as root", escape::one_line(reason)));
    }
    output
}

fn writer(result: &PlaceResult) -> String {
    let Some(writer) = &result.writer else { return String::new() };
    match writer.is_right {
        Some(true) => format!("writer right, by {}", writer.evidence),
        Some(false) => {
            format!("writer WRONG ({}), by {}", writer.executable.as_deref().unwrap_or("?"), writer.evidence)
        }
        None => format!("writer {}", writer.evidence),
    }
}
