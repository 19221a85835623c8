//! The result, for people and for programs.

use crate::requirements::{Mode, Required, required};
use crate::score::Score;
use crate::support;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

/// One shape in one mode.
pub struct Row {
    /// The shape's word.
    pub shape: &'static str,
    /// What it is.
    pub title: &'static str,
    /// The circumstances.
    pub mode: Mode,
    /// What the daemon reached.
    pub daemon: Score,
    /// What fatrace and the plain reader reached.
    pub peers: [Score; 2],
    /// The daemon's alerts that say something untrue.
    pub wrong_alerts: Vec<Value>,
}

/// Prints the table and writes it to `attribution.tsv` in cargo's target directory, and the wrong alerts to
/// `attribution-wrong.jsonl` beside it.
pub fn print(rows: &[Row]) {
    support::print(&format!("\n{}\n{}\n{}", details(rows), summary(rows), reasons(rows)));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("attribution.tsv");
    std::fs::write(&path, tsv(rows)).unwrap();
    let wrong: String = rows.iter().flat_map(|row| &row.wrong_alerts).map(|alert| format!("{alert}\n")).collect();
    std::fs::write(path.with_file_name("attribution-wrong.jsonl"), wrong).unwrap();
    support::print(&format!("also in {}\n", path.display()));
}

fn evidence(tally: &Score) -> String {
    let words: Vec<_> = tally.evidence.iter().map(|(word, count)| format!("{word} {count}")).collect();
    words.join(", ")
}

fn details(rows: &[Row]) -> String {
    let mut text = String::from(
        "| writer | mode | right | unknown | wrong | lost | evidence |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for Row { title, mode, daemon, .. } in rows {
        let Score { right, unknown, wrong, lost, .. } = daemon;
        let evidence = evidence(daemon);
        let _ = writeln!(text, "| {title} | {} | {right} | {unknown} | {wrong} | {lost} | {evidence} |", mode.word());
    }
    text
}

/// The table beside the peers: a line for each shape, and the sum.
fn summary(rows: &[Row]) -> String {
    let mut text = format!(
        "Percent of the writers named rightly, {} (in brackets: how many were named wrongly)\n\n\
         | writer | pyhookwatch | fatrace | /proc reader |\n|---|---|---|---|\n",
        Mode::ALL.map(Mode::word).join(" / "),
    );
    let mut shapes: Vec<_> = rows.iter().map(|row| (row.shape, row.title)).collect();
    let mut seen = BTreeSet::new();
    shapes.retain(|(shape, _)| seen.insert(*shape));
    for (shape, title) in shapes {
        let line = cells(rows, |row| row.shape == shape);
        let _ = writeln!(text, "| {title} | {line} |");
    }
    let line = cells(rows, |_| true).replace(" | ", "** | **");
    let _ = writeln!(text, "| **all** | **{line}** |");
    text
}

/// What each of the three reached in these rows, mode by mode.
fn cells(rows: &[Row], is_wanted: impl Fn(&Row) -> bool) -> String {
    let cell = |who: usize, mode: Mode| {
        let mut sum = Score::default();
        for row in rows.iter().filter(|row| row.mode == mode && is_wanted(row)) {
            let [fatrace, reader] = &row.peers;
            sum.add_all([&row.daemon, fatrace, reader][who]);
        }
        match (sum.writes(), sum.wrong) {
            (0, _) => "-".into(),
            (_, 0) => sum.percent().to_string(),
            (_, wrong) => format!("{} ({wrong})", sum.percent()),
        }
    };
    [0, 1, 2].map(|who| Mode::ALL.map(|mode| cell(who, mode)).join(" / ")).join(" | ")
}

/// Why writers are unknown, with the shapes that had some.
fn reasons(rows: &[Row]) -> String {
    let mut reasons: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.daemon.unknown > 0) {
        let reason = match required(row.shape, row.mode) {
            Required::Right => "must not be, the records can know",
            Required::RightOrUnknown(reason) => reason,
        };
        reasons.entry(reason).or_default().insert(row.title);
    }
    let list = |titles: BTreeSet<&str>| titles.into_iter().collect::<Vec<_>>().join("; ");
    reasons.into_iter().map(|(reason, titles)| format!("unknown, {reason}:\n    {}\n", list(titles))).collect()
}

fn tsv(rows: &[Row]) -> String {
    let mut text = String::from(
        "shape\tmode\twrites\tright\tunknown\twrong\tlost\tevidence\t\
         fatrace_right\tfatrace_unknown\tfatrace_wrong\tproc_right\tproc_unknown\tproc_wrong\n",
    );
    for Row { shape, mode, daemon, peers, .. } in rows {
        let Score { right, unknown, wrong, lost, .. } = daemon;
        let (writes, mode, evidence) = (daemon.writes(), mode.word(), evidence(daemon));
        let _ = write!(text, "{shape}\t{mode}\t{writes}\t{right}\t{unknown}\t{wrong}\t{lost}\t{evidence}");
        for Score { right, unknown, wrong, .. } in peers {
            let _ = write!(text, "\t{right}\t{unknown}\t{wrong}");
        }
        text.push('\n');
    }
    text
}
