//! What Python code would do, by its source alone: nothing is run, imported or looked up.
//!
//! * `lexer` reads tokens, literals and coding comments, and decodes what is encoded.
//! * `effects` has the tables: what the library's functions do, what strings mention.
//! * `eval` computes constants as Python would, within a budget.
//! * `report` collects findings, weighs them and chooses the lines to show.
//! * `interpreter` reads the statements in order and uses all of these.
//!
//! Each imports only the ones before it in this list. Dead code counts as live, and all branches count: the question
//! is what a file contains.
//!
//! Sources: the language references of Python 2.7 to 3.15 (lexical analysis, expressions), PEP 263, 498, 701
//! and 3131.

mod effects;
mod eval;
mod interpreter;
mod lexer;
mod report;
#[cfg(test)]
mod tests;

use crate::event::{ContentReport, Signal};
use interpreter::{Analysis, Machine};
use lexer::{Encoding, declared_encoding};
use report::{Report, Severity};

pub(crate) use effects::mentions::{BLOB, CREDENTIALS, DOWNLOAD, PERSISTENCE, REVERSE_SHELL, TEMPORARY, mentions};
pub use report::Strictness;

/// Most bytes read. A longer source is reported as truncated.
pub const MAX_SOURCE: usize = 1 << 20;
/// Names are known from the first pass on, so a function may use what is defined below it.
const PASSES: usize = 2;

/// What this source would do. Time is linear in its size, of which at most [`MAX_SOURCE`] bytes are read; memory is a
/// few MiB at most.
pub fn analyse(source: &[u8], strictness: Strictness) -> ContentReport {
    let kept = source.get(..MAX_SOURCE).unwrap_or(source);
    let mut analysis = Analysis::new(strictness, kept.len());
    record_encoding(&mut analysis.report, declared_encoding(kept));
    for _ in 0..PASSES {
        analysis.report.begin_pass();
        Machine::new(&mut analysis, kept, 0).run();
        read_pending(&mut analysis);
    }
    let is_truncated = kept.len() < source.len();
    if is_truncated {
        analysis.report.record(Signal::Truncated, Severity::BEYOND_LIMIT);
    }
    let mut report = analysis.report.finish(kept);
    report.truncated |= is_truncated;
    report
}

/// Records a codec that makes other code of the source.
fn record_encoding(report: &mut Report, encoding: Encoding) {
    match encoding {
        Encoding::Plain => {}
        Encoding::Preprocessor => report.record(Signal::Obfuscated, Severity::Low),
        Encoding::Other(code) => {
            report.record(Signal::Obfuscated, Severity::Critical);
            if let Some(code) = code {
                report.read_later(&code.into(), true);
            }
        }
    }
}

/// Reads the pending texts, and those found in them.
fn read_pending(analysis: &mut Analysis) {
    let mut number = 0;
    while let Some(pending) = analysis.report.begin_pending() {
        number += 1;
        let before = analysis.report.class();
        Machine::new(analysis, &pending.text, number).run();
        analysis.report.end_pending(&pending, before);
    }
}
