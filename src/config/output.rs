//! The outputs: the `[[output]]` tables of the file, and `--output` on the command line.

use super::reader::{Table, absolute_path};
use crate::alert::Format;
use crate::alert::sink::{OutputSettings, Protocol, SyslogSettings, Target};
use crate::diagnostic::quote;
use crate::event::Level;
use std::collections::BTreeSet;
use std::path::PathBuf;
use syslog::{Facility, Severity};

/// The words for [`Format`].
pub const FORMATS: [(&str, Format); 2] = [("ecs", Format::Ecs), ("text", Format::Text)];

const QUEUE: usize = 10_000;
const MAX_QUEUE: usize = 1_000_000;
const SOCKET: &str = "/dev/log";
/// rsyslog takes 8 KiB by default; a hundred bytes below leave room for what it adds.
const MAX_MESSAGE: usize = 8096;
const SMALLEST_MESSAGE: usize = 1024;
const LARGEST_MESSAGE: usize = 1_048_576;
/// Longest path of a socket (`sun_path` without its closing NUL).
const MAX_SOCKET_PATH: usize = 107;

#[derive(Clone, Copy)]
enum Kind {
    Syslog,
    File,
    Stdout,
}

const KINDS: [(&str, Kind); 3] = [("syslog", Kind::Syslog), ("file", Kind::File), ("stdout", Kind::Stdout)];

const PROTOCOLS: [(&str, Protocol); 2] = [("rfc3164", Protocol::Rfc3164), ("rfc5424", Protocol::Rfc5424)];

/// The words of syslog(3).
const FACILITIES: [(&str, Facility); 20] = [
    ("kern", Facility::LOG_KERN),
    ("user", Facility::LOG_USER),
    ("mail", Facility::LOG_MAIL),
    ("daemon", Facility::LOG_DAEMON),
    ("auth", Facility::LOG_AUTH),
    ("syslog", Facility::LOG_SYSLOG),
    ("lpr", Facility::LOG_LPR),
    ("news", Facility::LOG_NEWS),
    ("uucp", Facility::LOG_UUCP),
    ("cron", Facility::LOG_CRON),
    ("authpriv", Facility::LOG_AUTHPRIV),
    ("ftp", Facility::LOG_FTP),
    ("local0", Facility::LOG_LOCAL0),
    ("local1", Facility::LOG_LOCAL1),
    ("local2", Facility::LOG_LOCAL2),
    ("local3", Facility::LOG_LOCAL3),
    ("local4", Facility::LOG_LOCAL4),
    ("local5", Facility::LOG_LOCAL5),
    ("local6", Facility::LOG_LOCAL6),
    ("local7", Facility::LOG_LOCAL7),
];

const SEVERITIES: [(&str, Severity); 8] = [
    ("emerg", Severity::LOG_EMERG),
    ("alert", Severity::LOG_ALERT),
    ("crit", Severity::LOG_CRIT),
    ("err", Severity::LOG_ERR),
    ("warning", Severity::LOG_WARNING),
    ("notice", Severity::LOG_NOTICE),
    ("info", Severity::LOG_INFO),
    ("debug", Severity::LOG_DEBUG),
];

/// An output with defaults for all but its target.
pub fn output(target: Target) -> OutputSettings {
    OutputSettings { target, format: None, queue: QUEUE }
}

/// The local syslog daemon with every default.
pub fn local_syslog() -> SyslogSettings {
    SyslogSettings {
        socket: PathBuf::from(SOCKET),
        protocol: Protocol::Rfc3164,
        facility: Facility::LOG_AUTHPRIV,
        severities: [
            Severity::LOG_INFO,
            Severity::LOG_NOTICE,
            Severity::LOG_WARNING,
            Severity::LOG_ERR,
            Severity::LOG_CRIT,
        ],
        max_message: MAX_MESSAGE,
    }
}

/// Reads `--output`: `stdout`, `syslog`, `syslog:unix:PATH` or `file:PATH`, with defaults for the rest.
pub fn parse_output(text: &str) -> Result<OutputSettings, String> {
    let address = text.strip_prefix("syslog:").unwrap_or(text);
    if ["udp:", "tcp:", "tls:"].iter().any(|scheme| address.starts_with(scheme)) {
        let way_out = "this version hands alerts to the local syslog daemon only; use `syslog` and let rsyslog or \
            journald forward them over the network";
        return Err(format!("{}: {way_out}", quote(text)));
    }
    target(text).map(output)
}

fn target(text: &str) -> Result<Target, String> {
    let refused = |reason: &str| format!("{}: {reason}", quote(text));
    if text == "stdout" {
        Ok(Target::Stdout)
    } else if text == "syslog" {
        Ok(Target::Syslog(local_syslog()))
    } else if let Some(path) = text.strip_prefix("syslog:unix:") {
        let socket = socket_path(path).map_err(refused)?;
        Ok(Target::Syslog(SyslogSettings { socket, ..local_syslog() }))
    } else if let Some(path) = text.strip_prefix("file:") {
        Ok(Target::File(file_path(path).map_err(refused)?))
    } else {
        Err(refused("use stdout, syslog, syslog:unix:PATH or file:PATH"))
    }
}

/// Reads the `[[output]]` tables.
pub(super) fn read_all(top: &mut Table<'_>) -> Vec<OutputSettings> {
    let form = "tables of their own: write [[output]] with two brackets";
    let mut seen = BTreeSet::new();
    let mut outputs = Vec::new();
    for mut table in top.tables("output", "in [[output]]", form) {
        let settings = read(&mut table);
        if let Some(settings) = &settings
            && !seen.insert(destination(&settings.target))
        {
            let message = "this [[output]] goes where an earlier one goes, every alert would arrive twice: remove one";
            table.report(&table.at, message.to_owned());
        }
        outputs.extend(settings);
    }
    outputs
}

fn read(table: &mut Table<'_>) -> Option<OutputSettings> {
    let format = table.word("format", &FORMATS);
    let queue = table.number("queue", 1..=MAX_QUEUE).unwrap_or(QUEUE);
    let target = match table.required_word("type", &KINDS)? {
        Kind::Syslog => {
            table.place = "in an [[output]] of type syslog";
            Some(Target::Syslog(read_syslog(table)))
        }
        Kind::File => {
            table.place = "in an [[output]] of type file";
            table.required_path("path", file_path).map(Target::File)
        }
        Kind::Stdout => {
            table.place = "in an [[output]] of type stdout";
            Some(Target::Stdout)
        }
    };
    table.finish();
    Some(OutputSettings { target: target?, format, queue })
}

fn read_syslog(table: &mut Table<'_>) -> SyslogSettings {
    let default = local_syslog();
    SyslogSettings {
        socket: table.path("socket", socket_path).unwrap_or(default.socket),
        protocol: table.word("protocol", &PROTOCOLS).unwrap_or(default.protocol),
        facility: table.word("facility", &FACILITIES).unwrap_or(default.facility),
        severities: read_severities(table, default.severities),
        max_message: table
            .number("max_message_bytes", SMALLEST_MESSAGE..=LARGEST_MESSAGE)
            .unwrap_or(default.max_message),
    }
}

fn read_severities(table: &mut Table<'_>, mut severities: [Severity; 5]) -> [Severity; 5] {
    let form = "a table of levels: { critical = \"crit\", high = \"err\" }";
    if let Some(mut levels) = table.table("severity", "in `severity`", form) {
        for (level, severity) in Level::ALL.iter().zip(&mut severities) {
            *severity = levels.word(level.as_str(), &SEVERITIES).unwrap_or(*severity);
        }
        levels.finish();
    }
    severities
}

/// What two outputs must not share. One syslog daemon under two facilities is two destinations.
fn destination(target: &Target) -> (Option<PathBuf>, Option<u8>) {
    match target {
        Target::Stdout => (None, None),
        Target::File(path) => (Some(path.clone()), None),
        Target::Syslog(syslog) => (Some(syslog.socket.clone()), Some(syslog.facility as u8)),
    }
}

/// Where two of these outputs go, if two go to the same place: every alert would arrive there twice.
pub fn repeated(outputs: &[OutputSettings]) -> Option<String> {
    let mut seen = BTreeSet::new();
    let twice = outputs.iter().find(|output| !seen.insert(destination(&output.target)))?;
    Some(match &twice.target {
        Target::Stdout => "stdout".to_owned(),
        Target::File(path) => path.display().to_string(),
        Target::Syslog(syslog) => syslog.socket.display().to_string(),
    })
}

/// The absolute path of a file that can be written.
fn file_path(text: &str) -> Result<PathBuf, &'static str> {
    if text.ends_with('/') {
        return Err("it names a directory; add the name of the file");
    }
    absolute_path(text)
}

/// The absolute path of a Unix socket.
fn socket_path(text: &str) -> Result<PathBuf, &'static str> {
    if text.len() > MAX_SOCKET_PATH {
        return Err("it is longer than the 107 bytes a socket's path can have");
    }
    absolute_path(text)
}
