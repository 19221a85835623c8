//! Which evidence about writers is available, and why some is missing. Found by opening it, never by comparing
//! versions.

use super::connector::Connector;
use super::taskstats::Taskstats;
use std::io;
use std::sync::{Mutex, PoisonError};

/// One source of evidence about writers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSource {
    /// The word for it in reports: `pidfd`, `exec-records`, `fork-records`, `exit-records`, `processes`,
    /// `host-programs`.
    pub name: &'static str,
    /// Whether it works on this machine.
    pub available: Available,
}

/// Whether a source works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Available {
    /// It works; perhaps with a remark.
    Full(Option<String>),
    /// It works, but this is missing.
    Partly(String),
    /// It does not work, for this reason.
    Missing(String),
}

impl RecordSource {
    /// Process descriptors in events.
    pub fn pidfds(there: bool) -> Self {
        let missing = "pidfds in file events: this kernel supplies none (they need Linux 5.15)";
        Self::new("pidfd", if there { Available::Full(None) } else { Available::Missing(missing.into()) })
    }

    /// Exec records, which come in the queue of the writes.
    pub fn starts(there: bool) -> Self {
        let missing = "exec records: no filesystem could be marked";
        Self::new("exec-records", if there { Available::Full(None) } else { Available::Missing(missing.into()) })
    }

    /// Forks and execs.
    pub fn forks(opened: &io::Result<Connector>) -> Self {
        let available = match opened {
            Ok(connector) if connector.is_filtered() => full("filtered by the kernel"),
            Ok(_) => full("not filtered by the kernel: it sends other events too (before Linux 6.6)"),
            Err(error) => Available::Missing(format!("fork records (process connector): {error}")),
        };
        Self::new("fork-records", available)
    }

    /// The ends of processes.
    pub fn exits(opened: &io::Result<Taskstats>) -> Self {
        let available = match opened {
            Ok(exits) if exits.has_executables() => full("with device and inode of the executable"),
            Ok(_) => Available::Partly("executables in exit records (taskstats): they need Linux 5.19".into()),
            Err(error) => Available::Missing(format!("exit records (taskstats): {error}")),
        };
        Self::new("exit-records", available)
    }

    /// `/proc` of other users' processes.
    pub fn processes(available: Available) -> Self {
        Self::new("processes", available)
    }

    /// Looking up this host's file at the path of an executable without waiting for a server.
    pub fn host_programs(looked_up: io::Result<()>) -> Self {
        let available = match looked_up {
            Ok(()) => Available::Full(None),
            Err(error) => Available::Partly(format!(
                "this host's files at the paths of executables, without which no exclusion of a rule counts (openat2 \
                 with RESOLVE_CACHED, Linux 5.12): {error}"
            )),
        };
        Self::new("host-programs", available)
    }

    fn new(name: &'static str, available: Available) -> Self {
        Self { name, available }
    }

    /// What is missing, and why.
    pub fn missing(&self) -> Option<&str> {
        match &self.available {
            Available::Full(_) => None,
            Available::Partly(missing) | Available::Missing(missing) => Some(missing),
        }
    }
}

fn full(detail: &str) -> Available {
    Available::Full(Some(detail.into()))
}

/// The sources of a running watcher. One can fail while it runs.
#[derive(Debug, Default)]
pub struct RecordSources(Mutex<Vec<RecordSource>>);

impl RecordSources {
    /// With these sources.
    pub fn new(sources: Vec<RecordSource>) -> Self {
        Self(Mutex::new(sources))
    }

    /// Inserts sources before all others.
    pub fn begin_with(&self, first: impl IntoIterator<Item = RecordSource>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).splice(0..0, first);
    }

    /// Adds a source.
    pub fn add(&self, source: RecordSource) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(source);
    }

    /// Their state at this moment.
    pub fn all(&self) -> Vec<RecordSource> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Marks a source as failed.
    pub fn fail(&self, name: &str, reason: String) {
        let mut sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = sources.iter_mut().find(|source| source.name == name) {
            source.available = Available::Missing(reason);
        }
    }
}
