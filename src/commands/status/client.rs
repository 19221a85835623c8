//! The client of the status socket.

use crate::commands::exit::Exit;
use crate::commands::overrides::Overrides;
use crate::config::StatusSocket;
use crate::daemon::status_report::StatusReport;
use crate::escape;
use crate::event::{DocumentHeader, SCHEMA_VERSION};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde::Deserialize;
use std::io;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest wait for a free slot in the daemon's queue, and for each part of the answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer that is read.
const MAX_ANSWER: u64 = 16 << 20;

/// Why there is no status.
#[derive(Debug)]
pub struct QueryError {
    /// 69 or 77.
    pub exit: Exit,
    /// The reason, and what to do.
    pub reason: String,
}

impl QueryError {
    fn unreachable(reason: String) -> Self {
        Self { exit: Exit::Unreachable, reason }
    }
}

/// The part of the document that no version changes. Before schema version 1 the daemon sent no header.
#[derive(Deserialize)]
struct AnyVersion {
    version: String,
    #[serde(default)]
    pyhookwatch: Option<DocumentHeader>,
}

/// The socket that the configuration names. Without a readable configuration it is the default one.
///
/// # Errors
/// The configuration disables the socket.
pub fn configured_socket() -> Result<PathBuf, QueryError> {
    let status = Overrides::default().configure().map(|config| config.status).unwrap_or_default();
    match status {
        StatusSocket::Off => Err(QueryError::unreachable(
            "the configuration disables the status socket ([status] socket = \"off\")".into(),
        )),
        other => Ok(other.path(Path::new("/")).map(Path::to_path_buf).unwrap_or_default()),
    }
}

/// Reads the status of the daemon at this socket.
///
/// # Errors
/// No daemon answers in time, the user may not connect, or the answer is not a status of this version.
pub fn query(socket: &Path) -> Result<StatusReport, QueryError> {
    let name = escape::reversible(socket.as_os_str().as_encoded_bytes());
    let mut answer = Vec::new();
    let received = connect(socket).and_then(|stream| stream.take(MAX_ANSWER).read_to_end(&mut answer));
    received.map_err(|error| {
        let (exit, reason) = explain_error(&error);
        QueryError { exit, reason: format!("{name}: {reason}") }
    })?;
    parse(&answer).map_err(|reason| QueryError::unreachable(format!("{name}: {reason}")))
}

fn explain_error(error: &io::Error) -> (Exit, String) {
    let reason = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            let reason = "only root and the daemon's user may connect: run it as root";
            return (Exit::NoPermission, reason.into());
        }
        io::ErrorKind::NotFound => {
            "no daemon answers there: start it (systemctl start pyhookwatch), or name its socket with --socket"
        }
        io::ErrorKind::ConnectionRefused => {
            "the daemon that created it has ended: start it again (systemctl start pyhookwatch)"
        }
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            "the daemon does not answer: it hangs or is overloaded; see its log"
        }
        _ => return (Exit::Unreachable, error.to_string()),
    };
    (Exit::Unreachable, reason.into())
}

fn parse(answer: &[u8]) -> Result<StatusReport, String> {
    if answer.is_empty() {
        return Err("the daemon closed the connection: it has too many clients, or this user may not query it".into());
    }
    let Ok(AnyVersion { version, pyhookwatch }) = serde_json::from_slice(answer) else {
        return Err("the answer is not from pyhookwatch".into());
    };
    let schema = pyhookwatch.map_or(0, |header| header.schema_version);
    if schema != SCHEMA_VERSION {
        return Err(format!(
            "the versions differ: the daemon {version} sends schema version {schema}, this program {} reads \
             {SCHEMA_VERSION}: restart the daemon (systemctl restart pyhookwatch)",
            env!("CARGO_PKG_VERSION")
        ));
    }
    serde_json::from_slice(answer).map_err(|error| {
        format!(
            "the status of the daemon {version} is incomplete or damaged ({error}): restart the daemon (systemctl \
             restart pyhookwatch)"
        )
    })
}

/// Connects within [`TIMEOUT`], which also bounds each read. Connecting to a socket with a full queue blocks, so the
/// timeout is set first.
fn connect(socket: &Path) -> io::Result<UnixStream> {
    let client = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    for direction in [Timeout::Send, Timeout::Recv] {
        set_socket_timeout(&client, direction, Some(TIMEOUT))?;
    }
    rustix::net::connect(&client, &SocketAddrUnix::new(socket)?)?;
    Ok(UnixStream::from(client))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::status_report::tests::example;
    use serde_json::{Value, json};

    #[test]
    fn a_query_of_a_hanging_daemon_times_out_with_room_in_its_queue_and_without() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("status.sock");
        let hanging = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&hanging, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        rustix::net::listen(&hanging, 0).unwrap();
        let queries = [(); 2].map(|()| {
            let path = path.clone();
            std::thread::spawn(move || query(&path))
        });
        for thread in queries {
            let error = thread.join().unwrap().unwrap_err();
            assert!(error.exit == Exit::Unreachable && error.reason.contains("it hangs"), "{}", error.reason);
        }
    }

    fn document() -> Value {
        serde_json::to_value(example()).unwrap()
    }

    fn parsed(document: &Value) -> Result<StatusReport, String> {
        parse(document.to_string().as_bytes())
    }

    #[test]
    fn the_report_that_was_sent_is_the_report_that_is_read() {
        assert_eq!(parsed(&document()), Ok(example()));
    }

    #[test]
    fn a_field_of_a_newer_daemon_is_ignored() {
        let mut newer = document();
        newer["counters"]["of_tomorrow"] = 1.into();
        assert_eq!(parsed(&newer), Ok(example()));
    }

    #[test]
    fn another_schema_version_or_none_is_a_difference_of_versions() {
        let mut other = document();
        other["version"] = "0.0.1".into();
        other["pyhookwatch"]["schema_version"] = 2.into();
        let reason = parsed(&other).unwrap_err();
        assert!(reason.contains("the daemon 0.0.1 sends schema version 2"), "{reason}");
        other.as_object_mut().unwrap().remove("pyhookwatch");
        let reason = parsed(&other).unwrap_err();
        assert!(reason.contains("the daemon 0.0.1 sends schema version 0"), "{reason}");
    }

    #[test]
    fn a_missing_field_is_named() {
        let mut damaged = document();
        damaged.as_object_mut().unwrap().remove("counters");
        let reason = parsed(&damaged).unwrap_err();
        assert!(reason.contains("incomplete") && reason.contains("`counters`"), "{reason}");
    }

    #[test]
    fn an_answer_of_something_else_is_named_so() {
        for answer in [json!({"pid": 1}), json!([]), json!("x")] {
            assert_eq!(parsed(&answer).unwrap_err(), "the answer is not from pyhookwatch");
        }
        assert!(parse(b"").unwrap_err().contains("closed the connection"));
    }
}
