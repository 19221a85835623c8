//! Delivery to standard output.

use super::file::{Records, record};
use super::worker::{Failure, Sink};
use crate::alert::{Alert, Format};
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// Standard output, or its stand-in in a test.
pub(super) struct Stdout {
    records: Records,
    format: Format,
    color: bool,
    terminal: bool,
}

impl Stdout {
    /// Standard output. Without a format: text on a terminal, ECS elsewhere. Colour only on a terminal, and not when
    /// `NO_COLOR` is set and not empty (no-color.org).
    ///
    /// # Errors
    /// The descriptor cannot be duplicated.
    pub fn new(format: Option<Format>) -> io::Result<Self> {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        let color = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let default = if terminal { Format::Text } else { Format::Ecs };
        Ok(Self::on(stdout.as_fd().try_clone_to_owned()?, format.unwrap_or(default), color, terminal))
    }

    /// Writes to the descriptor directly: nothing is buffered, and a closed pipe is an error, where `println!` panics.
    fn on(descriptor: OwnedFd, format: Format, color: bool, terminal: bool) -> Self {
        Self { records: Records::new(File::from(descriptor)), format, color, terminal }
    }
}

impl Sink for Stdout {
    async fn deliver(&mut self, alert: &Arc<Alert>) -> Result<(), Failure> {
        let (format, color) = (self.format, self.color);
        let written = self.records.write(alert, || record(alert, format, color)).await;
        match written {
            Ok(()) => Ok(()),
            Err(error) => Err(match error.raw_os_error() {
                Some(libc::EPIPE) => Failure::Gone("the reader of standard output has closed it".to_owned()),
                Some(libc::EIO) if self.terminal => Failure::Gone("the terminal has been closed".to_owned()),
                _ => Failure::Later(format!("cannot write to standard output: {error}")),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Level;
    use std::io::Read;
    use std::time::SystemTime;

    fn alert() -> Arc<Alert> {
        Arc::new(Alert::new(Level::High, SystemTime::UNIX_EPOCH, &serde_json::json!({"a": 1})))
    }

    #[tokio::test]
    async fn an_alert_is_one_line_of_json() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut sink = Stdout::on(writer.into(), Format::Ecs, false, false);
        sink.deliver(&alert()).await.unwrap();
        drop(sink);
        let mut line = String::new();
        reader.read_to_string(&mut line).unwrap();
        assert_eq!(line, "{\"a\":1}\n");
    }

    #[tokio::test]
    async fn a_closed_pipe_ends_the_output_without_a_panic() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut sink = Stdout::on(writer.into(), Format::Ecs, false, false);
        assert!(matches!(sink.deliver(&alert()).await, Err(Failure::Gone(_))));
    }
}
