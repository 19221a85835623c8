//! A real rsyslogd on a socket of the test's own, ended by its own id.

use crate::output::lines_of;
use crate::support::needs::RSYSLOGD;
use crate::support::{Running, eventually, spawn};
use rustix::process::Signal;
use std::fs::{self, OpenOptions};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How rsyslogd is set up.
#[derive(Clone, Copy)]
pub struct Setup {
    /// Its parser for the local socket, which knows RFC 3164 only.
    pub special_parser: bool,
    /// Larger messages than by default.
    pub large: bool,
}

pub struct Rsyslog {
    directory: PathBuf,
    process: Running,
    /// What it wrote to its standard output and error.
    log: PathBuf,
}

impl Rsyslog {
    /// The socket that it serves when it was started in this directory.
    pub fn socket(directory: &Path) -> PathBuf {
        directory.join("log")
    }

    /// Starts it and waits until it listens. Messages of an earlier run stay in its file.
    pub fn start(directory: &Path, setup: Setup) -> Self {
        fs::create_dir_all(directory.join("work")).unwrap();
        let path = directory.display();
        let size = if setup.large { "global(maxMessageSize=\"64k\")\n" } else { "" };
        let parser = if setup.special_parser { "" } else { " useSpecialParser=\"off\"" };
        let configuration = format!(
            "{size}global(workDirectory=\"{path}/work\")\n\
             module(load=\"imuxsock\" SysSock.Use=\"off\")\n\
             input(type=\"imuxsock\" Socket=\"{path}/log\"{parser})\n\
             template(name=\"all\" type=\"string\" \
             string=\"%syslogfacility-text%|%syslogseverity-text%|%programname%|%procid%|%msg%\\n\")\n\
             action(type=\"omfile\" file=\"{path}/messages\" template=\"all\")\n"
        );
        let file = directory.join("rsyslog.conf");
        fs::write(&file, configuration).unwrap();
        let log = directory.join("rsyslogd.log");
        let output = OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut command = Command::new(RSYSLOGD);
        command
            .args(["-n", "-i"])
            .arg(directory.join("pid"))
            .arg("-f")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output);
        let child = spawn(&mut command);
        let running = Self { directory: directory.to_owned(), process: Running(child), log };
        let socket = Self::socket(directory);
        eventually("rsyslogd listens", || UnixDatagram::unbound().unwrap().connect(&socket).ok());
        running
    }

    /// Waits for so many messages in all.
    pub fn messages(&self, count: usize) -> Vec<Message> {
        lines_of(&self.directory.join("messages"), count).iter().map(|line| Message::of(line)).collect()
    }

    /// Ends it. It writes accepted messages first, so wait for them before.
    pub fn stop(mut self) {
        self.process.signal(Signal::TERM);
        let status = self.process.wait();
        assert!(status.success(), "rsyslogd: {status}: {}", fs::read_to_string(&self.log).unwrap());
    }
}

/// One message as rsyslogd understood it.
#[derive(Debug)]
pub struct Message {
    pub facility: String,
    pub severity: String,
    pub program: String,
    pub pid: String,
    pub text: String,
}

impl Message {
    fn of(line: &str) -> Self {
        let mut parts = line.splitn(5, '|').map(str::to_owned);
        let mut part = || parts.next().unwrap_or_else(|| panic!("not of the template: {line}"));
        // RFC 3164 leaves the blank after the tag in the message.
        let [facility, severity, program, pid] = [part(), part(), part(), part()];
        Self { facility, severity, program, pid, text: part().trim_start().to_owned() }
    }
}
