//! The outputs when the configuration names none.

use super::output::{local_syslog, output};
use crate::alert::sink::{OutputSettings, Target};
use std::io::IsTerminal;
use std::os::unix::net::UnixDatagram;

/// Syslog if its socket answers; standard output if it is a terminal or syslog does not answer.
pub fn default_outputs() -> Vec<OutputSettings> {
    let syslog = local_syslog();
    let mut outputs = Vec::new();
    if UnixDatagram::unbound().is_ok_and(|probe| probe.connect(&syslog.socket).is_ok()) {
        outputs.push(output(Target::Syslog(syslog)));
    }
    if std::io::stdout().is_terminal() || outputs.is_empty() {
        outputs.push(output(Target::Stdout));
    }
    outputs
}
