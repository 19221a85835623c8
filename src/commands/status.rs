//! `pyhookwatch status`: asks the running daemon how it does.

use super::style::{Style, Urgency};
use super::{Exit, Overrides, at, complain, print};
use crate::config::StatusSocket;
use crate::escape;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde_json::Value;
use std::io;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest wait for a place in the daemon's queue, and for more of the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer taken.
const MAX_ANSWER: u64 = 16 << 20;
/// Samples shown of each sort.
const SHOWN: usize = 5;

/// Why there is no answer, and what to do.
pub struct NoAnswer {
    /// 69 or 77.
    pub exit: Exit,
    /// In words.
    pub reason: String,
}

/// The socket that the configuration names, as far as it can be read; else the usual one.
pub fn configured_socket() -> Result<PathBuf, NoAnswer> {
    let status = Overrides::default().configure().map(|config| config.status).unwrap_or_default();
    match status {
        StatusSocket::Off => Err(NoAnswer {
            exit: Exit::Unreachable,
            reason: "the configuration switches the status socket off ([status] socket = \"off\")".into(),
        }),
        other => Ok(other.path(Path::new("/")).map(Path::to_path_buf).unwrap_or_default()),
    }
}

/// Asks the daemon at this socket.
pub fn ask(socket: &Path) -> Result<Value, NoAnswer> {
    let place = escape::reversible(socket.as_os_str().as_encoded_bytes());
    let failed = |error: &io::Error| {
        let (exit, words) = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                (Exit::NoPermission, "only root and the daemon's own user may ask: run it as root".to_owned())
            }
            io::ErrorKind::NotFound => (
                Exit::Unreachable,
                "no daemon answers there: start it (systemctl start pyhookwatch), or name its socket with --socket"
                    .to_owned(),
            ),
            io::ErrorKind::ConnectionRefused => (
                Exit::Unreachable,
                "the daemon that made it has ended: start it again (systemctl start pyhookwatch)".to_owned(),
            ),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => (
                Exit::Unreachable,
                "the daemon does not answer: it hangs, or is held up (its log may tell why)".to_owned(),
            ),
            _ => (Exit::Unreachable, error.to_string()),
        };
        NoAnswer { exit, reason: format!("{place}: {words}") }
    };
    let stream = connect(socket).map_err(|error| failed(&error))?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).map_err(|error| failed(&error))?;
    if answer.is_empty() {
        let reason = format!("{place}: the daemon gave no answer: too many ask at once, or this user may not");
        return Err(NoAnswer { exit: Exit::Unreachable, reason });
    }
    let broken =
        |_| NoAnswer { exit: Exit::Unreachable, reason: format!("{place}: what answers there is not pyhookwatch") };
    let document: Value = serde_json::from_slice(&answer).map_err(broken)?;
    match at(&document, "pid").is_u64() {
        true => Ok(document),
        false => {
            Err(NoAnswer { exit: Exit::Unreachable, reason: format!("{place}: what answers there is not pyhookwatch") })
        }
    }
}

/// Connects within [`PATIENCE`], which holds for each read too. A daemon that hangs takes nobody from its queue, and
/// connecting to a full one waits.
fn connect(socket: &Path) -> io::Result<UnixStream> {
    let ours = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    for direction in [Timeout::Send, Timeout::Recv] {
        set_socket_timeout(&ours, direction, Some(PATIENCE))?;
    }
    rustix::net::connect(&ours, &SocketAddrUnix::new(socket)?)?;
    Ok(UnixStream::from(ours))
}

/// Asks and prints.
pub fn status(socket: Option<PathBuf>, json: bool) -> Exit {
    match socket.map_or_else(configured_socket, Ok).and_then(|socket| ask(&socket)) {
        Ok(document) => {
            print(&if json { format!("{document:#}\n") } else { text(&document, &Style::of_output()) });
            Exit::Fine
        }
        Err(NoAnswer { exit, reason }) => {
            complain(format_args!("error: {}", escape::one_line(&reason)));
            exit
        }
    }
}

/// A line of words that may be bad.
struct Line(Urgency, String);

fn text(document: &Value, style: &Style) -> String {
    let mut lines = heading(document);
    lines.extend(watching(document));
    lines.extend(counters(document));
    lines.extend(outputs(document));
    lines.extend(samples(document, "recent_alerts", "alert"));
    lines.extend(samples(document, "recent_excluded", "excluded"));
    lines.into_iter().map(|Line(urgency, words)| style.paint(urgency, style.fit(&escape::one_line(&words)))).collect()
}

fn heading(document: &Value) -> Vec<Line> {
    let text = |key: &str| at(document, key).as_str().unwrap_or("?");
    let uptime = duration(at(document, "uptime_seconds").as_u64().unwrap_or_default());
    let rules = at(document, "rules");
    let warnings = at(rules, "warnings").as_u64().unwrap_or_default();
    let reload = at(rules, "last_reload");
    let (mut urgency, mut loaded) = (Urgency::None, String::new());
    if let Some(time) = at(reload, "time").as_str() {
        let result = at(reload, "result").as_str().unwrap_or("?");
        loaded = format!(", last reload {time}: {result}");
        if result != "loaded" {
            urgency = Urgency::High;
            loaded += " (the old ones stay in force; see `pyhookwatch check`)";
        }
    }
    if warnings > 0 {
        urgency = if urgency == Urgency::None { Urgency::Some } else { urgency };
        loaded = format!(", {warnings} warnings{loaded}");
    }
    vec![
        Line(
            Urgency::None,
            format!(
                "pyhookwatch {}, process {}, up {uptime}, watching {}",
                text("version"),
                at(document, "pid"),
                text("root")
            ),
        ),
        Line(urgency, format!("rules       {} loaded{loaded}", at(rules, "loaded"))),
    ]
}

fn watching(document: &Value) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(reason) = at(document, "fanotify/reason").as_str() {
        lines.push(Line(
            Urgency::High,
            format!("DEGRADED    fanotify is refused ({reason}): inotify alone, no writer can be named"),
        ));
    }
    for filesystem in list(at(document, "filesystems")) {
        let places: Vec<&str> = list(at(filesystem, "mount_points")).iter().filter_map(Value::as_str).collect();
        let mechanism = at(filesystem, "mechanism").as_str().unwrap_or("?");
        let matters = at(filesystem, "in_watch_trees").as_bool() == Some(true);
        let (urgency, word) = match mechanism {
            "fanotify" => (Urgency::None, "ok"),
            "inotify" => (Urgency::Some, "DEGRADED"),
            _ if matters => (Urgency::High, "BLIND"),
            _ => (Urgency::None, "-"),
        };
        let reason = at(filesystem, "reason").as_str().map_or_else(String::new, |reason| format!(", {reason}"));
        let more = if places.len() > 1 { format!(" and {} more places", places.len() - 1) } else { String::new() };
        let place = places.first().unwrap_or(&"?");
        let fs_type = at(filesystem, "fs_type").as_str().unwrap_or("?");
        lines.push(Line(urgency, format!("{word:<12}{place} ({fs_type}){more}: {mechanism}{reason}")));
    }
    for tree in list(at(document, "inotify")) {
        let failed = at(tree, "failed").as_u64().unwrap_or_default();
        let urgency = if failed > 0 { Urgency::High } else { Urgency::None };
        let why = at(tree, "example/reason").as_str().map_or_else(String::new, |reason| format!(" ({reason})"));
        let place = at(tree, "tree").as_str().unwrap_or("?");
        lines.push(Line(
            urgency,
            format!("inotify     {place}: {} directories watched, {failed} not{why}", at(tree, "watched")),
        ));
    }
    for source in list(at(document, "evidence")).iter().filter(|source| at(source, "available") != "full") {
        let words = at(source, "detail").as_str().unwrap_or("?");
        lines.push(Line(Urgency::Some, format!("DEGRADED    writers: no {words}")));
    }
    lines
}

fn counters(document: &Value) -> Vec<Line> {
    let counters = at(document, "counters");
    let pairs = |value: &Value| {
        let all = value.as_object().into_iter().flatten().filter(|(_, count)| count.as_u64() != Some(0));
        all.map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
    };
    let with = |words: String| if words.is_empty() { words } else { format!(" ({words})") };
    let mut lines = vec![Line(
        Urgency::None,
        format!(
            "counted     {} records, {} alerts{}, {} excluded, {} repeated, {} unresolved",
            at(counters, "records"),
            at(counters, "alerts"),
            with(pairs(at(counters, "alerts_by_level"))),
            at(counters, "excluded"),
            at(counters, "repeated"),
            at(counters, "unresolved"),
        ),
    )];
    if at(counters, "losses").as_u64().unwrap_or_default() > 0 {
        lines.push(Line(
            Urgency::Some,
            format!("LOSSES      {}{}", at(counters, "losses"), with(pairs(at(counters, "losses_by_cause")))),
        ));
    }
    if at(document, "capacity/tracked_paths_full").as_bool() == Some(true) {
        let words =
            "FULL        more modules and directories lead to hooks than are kept: changes of some are not told";
        lines.push(Line(Urgency::High, words.into()));
    }
    lines
}

fn outputs(document: &Value) -> Vec<Line> {
    let line = |output: &Value| {
        let dropped = at(output, "dropped").as_u64().unwrap_or_default();
        let is_there = at(output, "active").as_bool() == Some(true);
        let urgency = if dropped > 0 || !is_there { Urgency::High } else { Urgency::None };
        let gone = if is_there { "" } else { ", GONE" };
        let (name, delivered) = (at(output, "name").as_str().unwrap_or("?"), at(output, "delivered"));
        Line(
            urgency,
            format!(
                "output      {name}: {delivered} delivered, {} wait, {dropped} dropped{gone}",
                at(output, "waiting")
            ),
        )
    };
    list(at(document, "outputs")).iter().map(line).collect()
}

fn samples(document: &Value, key: &str, word: &str) -> Vec<Line> {
    let line = |sample: &Value| {
        let text = |key: &str| at(sample, key).as_str().unwrap_or("unknown");
        let rule = at(sample, "rules/0/name").as_str().unwrap_or("?");
        let level = at(sample, "level").as_str().map_or_else(String::new, |level| format!("{level} "));
        Line(
            Urgency::None,
            format!("{word:<12}{} {level}{} by {} ({rule})", text("time"), text("path"), text("executable")),
        )
    };
    list(at(document, key)).iter().rev().take(SHOWN).map(line).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Days, hours and minutes; seconds of what is young.
fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {} min", minutes % 60),
        (days, hours, _) => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_time_since_the_start_is_said_in_two_words() {
        for (seconds, words) in [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3725, "1 h 2 min"), (90_061, "1 d 1 h")] {
            assert_eq!(duration(seconds), words);
        }
    }

    #[test]
    fn a_daemon_that_takes_nobody_from_its_queue_is_given_up_whether_there_is_room_in_it_or_not() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("status.sock");
        let hanging = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&hanging, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        rustix::net::listen(&hanging, 0).unwrap();
        let asked = [(); 2].map(|()| {
            let path = path.clone();
            std::thread::spawn(move || ask(&path).err().map(|no_answer| (no_answer.exit, no_answer.reason)))
        });
        for asked in asked {
            let (exit, reason) = asked.join().unwrap().unwrap();
            assert!(exit == Exit::Unreachable && reason.contains("it hangs"), "{reason}");
        }
    }

    #[test]
    fn whatever_a_socket_answers_it_prints_as_lines_that_drive_no_terminal() {
        let hostile = json!({
            "pid": 1, "version": "\u{1b}[2J\n", "filesystems": [{ "mount_points": ["/\u{202e}"], "mechanism": 7 }, 3],
            "outputs": [{ "name": "\r\n" }], "evidence": [null], "recent_excluded": [{ "path": "\n" }], "inotify": "x",
        });
        let text = text(&hostile, &Style::of_output());
        assert!(text.chars().all(|character| character == '\n' || !character.is_control()), "{text:?}");
        assert!(!text.contains('\u{202e}'));
    }
}
