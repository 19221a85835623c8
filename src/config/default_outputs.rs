//! The outputs when the configuration names none.

use super::output::{local_syslog, output};
use crate::alert::Format;
use crate::alert::sink::{OutputSettings, Target};
use std::io::IsTerminal;
use std::os::unix::net::UnixDatagram;

use super::Config;

impl Config {
    /// The configured outputs; without any, syslog if its socket answers and standard output if it is a terminal or
    /// syslog does not answer.
    pub fn outputs_or_default(&self) -> Vec<OutputSettings> {
        if !self.outputs.is_empty() {
            return self.outputs.clone();
        }
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

    /// Sets the format of every output, the default ones too.
    pub fn set_format(&mut self, format: Format) {
        self.outputs = self.outputs_or_default();
        self.outputs.iter_mut().for_each(|output| output.format = Some(format));
    }
}
