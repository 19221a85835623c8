//! Delivery to the local syslog daemon, one datagram an alert.
//!
//! The transport is not that of the `syslog` crate: the daemon may restart, stall or take only short messages, and none
//! of that may lose or reorder alerts. A lost connection is opened again, a full socket is waited for, and a message that
//! is too long for the socket is shortened.

use super::header::{Header, LocalOffset};
use super::settings::SyslogSettings;
use super::worker::{Failure, Sink};
use crate::alert::{Alert, Format};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixDatagram;

/// Shortest limit tried when the socket refuses a message as too long, in bytes.
const MIN_MESSAGE: usize = 1024;

/// How long to wait for room in the daemon's socket before connecting anew: by then the path may belong to another
/// daemon.
const STALLED_AFTER: Duration = Duration::from_secs(1);

/// The local syslog daemon.
pub(super) struct Syslog {
    path: PathBuf,
    message: Message,
    connection: Option<Connection>,
}

struct Connection {
    socket: UnixDatagram,
    /// Longest message that this socket may still take, in bytes.
    limit: usize,
}

impl Syslog {
    /// Connects at once, inside a tokio runtime. A missing daemon is only logged: it may start later.
    pub fn new(settings: SyslogSettings, format: Format, local_offset: LocalOffset) -> Self {
        let header = Header::new(&settings, local_offset);
        let path = settings.socket.clone();
        let mut sink = Self { path, message: Message { header, settings, format }, connection: None };
        match sink.connect() {
            Ok(connection) => sink.connection = Some(connection),
            Err(error) => log::warn!("{}; alerts wait until it is", sink.explain(&error)),
        }
        sink
    }

    fn connect(&self) -> io::Result<Connection> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(&self.path)?;
        Ok(Connection { socket, limit: self.message.settings.max_message })
    }

    /// The error in a sentence, with the way out where there is one.
    fn explain(&self, error: &io::Error) -> String {
        let path = self.path.display();
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ECONNREFUSED | libc::ENOTCONN | libc::EPIPE) => {
                format!("syslog socket {path} is not served ({error}): is the syslog daemon running?")
            }
            Some(libc::EPROTOTYPE) => format!(
                "syslog socket {path} is a stream socket, only datagram sockets are supported: \
                 set the syslog daemon or the output to a datagram socket"
            ),
            Some(libc::EACCES | libc::EPERM) => {
                format!("syslog socket {path} may not be used ({error}): check its mode and the service's sandbox")
            }
            _ => format!("syslog socket {path}: {error}"),
        }
    }
}

impl Sink for Syslog {
    async fn deliver(&mut self, alert: &Arc<Alert>) -> Result<(), Failure> {
        // Put back only while it works.
        let taken = self.connection.take().map_or_else(|| self.connect(), Ok);
        let mut connection = taken.map_err(|error| Failure::Later(self.explain(&error)))?;
        loop {
            let datagram =
                self.message.of(alert, connection.limit).map_err(|error| Failure::Later(error.to_string()))?;
            let Ok(sent) = tokio::time::timeout(STALLED_AFTER, connection.socket.send(&datagram)).await else {
                let path = self.path.display();
                return Err(Failure::Stalled(format!("syslog socket {path} is full: the daemon does not read it")));
            };
            let Err(error) = sent else {
                self.connection = Some(connection);
                return Ok(());
            };
            match error.raw_os_error() {
                Some(libc::EMSGSIZE) if datagram.len() > MIN_MESSAGE => {
                    connection.limit = (connection.limit.min(datagram.len()) / 2).max(MIN_MESSAGE);
                }
                // The kernel is short of memory; the connection works.
                Some(libc::ENOBUFS | libc::ENOMEM) => {
                    self.connection = Some(connection);
                    return Err(Failure::Later(self.explain(&error)));
                }
                _ => return Err(Failure::Later(self.explain(&error))),
            }
        }
    }
}

/// Makes the datagrams.
struct Message {
    header: Header,
    settings: SyslogSettings,
    format: Format,
}

impl Message {
    /// Header and message, together at most `limit` bytes.
    fn of(&self, alert: &Alert, limit: usize) -> Result<Vec<u8>, syslog::Error> {
        let mut datagram = self.header.of(alert, self.settings.severity(alert.level))?;
        let room = limit.saturating_sub(datagram.len());
        let whole = match self.format {
            Format::Ecs => alert.json(None),
            Format::Text => one_line(&alert.text(false)),
        };
        let shortened = whole.len() > room;
        let text = match (shortened, self.format) {
            (false, _) => whole,
            (true, Format::Ecs) => alert.json(Some(room)),
            (true, Format::Text) => cut(whole, room),
        };
        datagram.extend_from_slice(without_controls(&text).as_bytes());
        Ok(datagram)
    }
}

/// Syslog messages are one line.
fn one_line(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join(" | ")
}

/// At most `room` bytes of `text`, the end marked as missing.
fn cut(mut text: String, room: usize) -> String {
    const MARK: &str = "...";
    let mut end = room.saturating_sub(MARK.len()).min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text + MARK
}

/// A second defence behind the escaping: a control character could forge a line in a log, so it becomes `?`. That keeps
/// the length and leaves JSON valid.
fn without_controls(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains(char::is_control) { text.replace(char::is_control, "?").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_one_line_without_empty_ones() {
        assert_eq!(one_line("high: x\n  by pip\n\nruns y\n"), "high: x | by pip | runs y");
    }

    #[test]
    fn a_cut_text_fits_says_so_and_ends_between_characters() {
        assert_eq!(cut("abcdefgh".to_owned(), 6), "abc...");
        assert_eq!(cut("ab\u{e9}\u{e9}".to_owned(), 6), "ab...", "a character of two bytes is not halved");
    }

    #[test]
    fn control_characters_never_reach_the_socket() {
        assert_eq!(without_controls("a\nb\u{1b}[31m\u{7f}\u{85}c\0"), "a?b?[31m??c?");
        assert!(matches!(without_controls("plain \u{e9}"), std::borrow::Cow::Borrowed(_)));
    }

    #[tokio::test]
    async fn a_stream_socket_is_named_as_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let settings = SyslogSettings {
            socket: path,
            protocol: crate::alert::sink::Protocol::Rfc3164,
            facility: ::syslog::Facility::LOG_USER,
            severities: [::syslog::Severity::LOG_INFO; 5],
            max_message: 8192,
        };
        let sink = Syslog::new(settings, Format::Ecs, |_| time::UtcOffset::UTC);
        let reason = sink.connect().map(drop).unwrap_err();
        assert!(sink.explain(&reason).contains("is a stream socket"), "{reason}");
    }
}
