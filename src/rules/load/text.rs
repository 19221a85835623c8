//! A text of rules, one YAML document each.

use super::origin::Origin;
use super::reader::RuleReader;
use crate::diagnostic::Diagnostic;
use crate::rules::filter::KnownNames;
use crate::rules::rule::Rule;
use serde::Deserialize;
use serde_norway::Value;

/// Most opening brackets of one file: the YAML parser's time grows with the square of their nesting.
const MAX_BRACKETS: usize = 4_000;

/// Parses the rules of one text, several when `---` separates them. Returns them with their diagnostics.
pub fn text_of_rules(text: &str, origin: &Origin<'_>, known: KnownNames) -> (Vec<Rule>, Vec<Diagnostic>) {
    let (mut rules, mut diagnostics) = (Vec::new(), Vec::new());
    if text.bytes().filter(|byte| b"[{".contains(byte)).count() > MAX_BRACKETS {
        let message = format!("more than {MAX_BRACKETS} opening brackets; split the file");
        return (rules, vec![Diagnostic::new(origin.file, None, message)]);
    }
    let starts = document_starts(text);
    for (number, document) in serde_norway::Deserializer::from_str(text).enumerate() {
        let value = match Value::deserialize(document) {
            Ok(Value::Null) => continue,
            Ok(value) => value,
            Err(error) => {
                let line = error.location().map(|location| location.line());
                diagnostics.push(Diagnostic::new(origin.file, line, format!("not valid YAML: {error}")));
                // The parser cannot find the next document after a syntax error.
                break;
            }
        };
        let first_line = starts.get(number).copied().unwrap_or_default();
        let (rule, more) = RuleReader::new(text, first_line, origin).rule(value, known);
        rules.extend(rule);
        diagnostics.extend(more);
    }
    if rules.is_empty() && diagnostics.is_empty() {
        diagnostics.push(Diagnostic::new(origin.file, None, "the file holds no rule; remove it"));
    }
    (rules, diagnostics)
}

/// The line, from 0, at which each YAML document of a text begins.
fn document_starts(text: &str) -> Vec<usize> {
    let mut starts = vec![0];
    let mut is_first = true;
    for (number, line) in text.lines().enumerate() {
        let is_marker = line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
        if is_marker && !is_first {
            starts.push(number);
        }
        // A marker before anything else begins the first document, it does not end one.
        is_first &= !is_marker && (line.trim().is_empty() || line.starts_with(['#', '%']));
    }
    starts
}
