//! Standard output and standard error of the commands.

use super::exit::Exit;
use crate::diagnostic::{Diagnostic, DiagnosticKind};
use crate::escape;
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, Write};

/// Writes to standard output. A reader that has closed the pipe is no error.
pub fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

/// Writes a document to standard output as indented JSON.
pub fn print_json(document: &impl Serialize) {
    match serde_json::to_string_pretty(document) {
        Ok(text) => print(&(text + "\n")),
        Err(error) => print_error(format_args!("the document cannot be written as JSON: {error}")),
    }
}

/// Writes an error to standard error, as one escaped line.
pub fn print_error(message: impl Display) {
    print_line("error", message);
}

/// Writes a warning to standard error, as one escaped line.
pub fn print_warning(message: impl Display) {
    print_line("warning", message);
}

fn print_line(severity: &str, message: impl Display) {
    let _ = writeln!(io::stderr(), "pyhookwatch: {severity}: {}", escape::one_line(&message.to_string()));
}

/// Prints each diagnostic as an error. Returns the exit code: for a mistake in a file, or for a file that may not be
/// used.
pub fn print_diagnostics(diagnostics: &[Diagnostic]) -> Exit {
    diagnostics.iter().for_each(print_error);
    let is_refused =
        |diagnostic: &Diagnostic| matches!(diagnostic.kind, DiagnosticKind::NoPermission | DiagnosticKind::Insecure);
    if diagnostics.iter().any(is_refused) { Exit::NoPermission } else { Exit::Configuration }
}
