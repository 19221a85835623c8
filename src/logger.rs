//! The log on standard error: one printable line for each message, with the priority prefix of sd-daemon(3) for
//! journald.

use crate::escape;
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::io::Write;

struct Stderr {
    for_journal: bool,
}

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Info && metadata.target().starts_with("pyhookwatch")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let (priority, word) = match record.level() {
            Level::Error => (3, "error: "),
            Level::Warn => (4, "warning: "),
            _ => (6, ""),
        };
        let prefix = if self.for_journal { format!("<{priority}>") } else { String::new() };
        let line = format!("{prefix}pyhookwatch: {word}{}\n", escape::one_line(&record.args().to_string()));
        // An error of the log itself cannot be logged.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

/// Sends the messages of `log`'s macros to standard error.
pub fn install() {
    let for_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    if log::set_boxed_logger(Box::new(Stderr { for_journal })).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}
