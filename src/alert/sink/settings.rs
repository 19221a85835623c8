//! The settings of the outputs.

use crate::alert::Format;
use crate::event::Level;
use ::syslog::{Facility, Severity};
use std::path::PathBuf;

/// One output of the configuration.
#[derive(Clone)]
pub struct OutputSettings {
    /// Where alerts go.
    pub target: Target,
    /// How they are written. `None`: text on a terminal, ECS elsewhere.
    pub format: Option<Format>,
    /// Alerts kept in memory while the output does not take them; 1 to 1,000,000.
    pub queue: usize,
}

/// Where alerts go.
#[derive(Clone)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file, appended to, created with mode 0640, reopened on SIGHUP.
    File(PathBuf),
    /// The local syslog daemon.
    Syslog(SyslogSettings),
}

/// The local syslog daemon and how to talk to it.
#[derive(Clone)]
pub struct SyslogSettings {
    /// Its datagram socket, normally `/dev/log`.
    pub socket: PathBuf,
    /// Header format.
    pub protocol: Protocol,
    /// Facility, normally `authpriv`.
    pub facility: Facility,
    /// Severity for each level, in the order of [`Level::ALL`].
    pub severities: [Severity; 5],
    /// Longest message in bytes, header included; longer alerts are shortened. 1,024 to 1,048,576.
    pub max_message: usize,
}

impl SyslogSettings {
    /// The syslog severity of a level.
    pub fn severity(&self, level: Level) -> Severity {
        let [informational, low, medium, high, critical] = self.severities;
        match level {
            Level::Informational => informational,
            Level::Low => low,
            Level::Medium => medium,
            Level::High => high,
            Level::Critical => critical,
        }
    }
}

/// The header before the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The traditional one that every local daemon reads: `<PRI>Mmm dd hh:mm:ss tag[pid]: `.
    Rfc3164,
    /// The structured one: `<PRI>1 time host app pid msgid - `.
    Rfc5424,
}
