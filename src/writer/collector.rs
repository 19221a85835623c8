//! Reads the kernel's queues of records about processes into the [`ProcessTable`], and detects losses.

use super::clock::now;
use super::process::{self, Pinned};
use super::process_record::{Observed, Program};
use super::process_table::ProcessTable;
use super::program::ProgramLocator;
use super::records::connector::{Connector, ProcessEvent};
use super::records::netlink::Drained;
use super::records::taskstats::{Exit, Taskstats};
use super::records::{RecordSource, RecordSources};
use crate::event::{LossCause, LossReport};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Shortest time between two readings of all processes from `/proc` after losses of records.
const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(5);
/// Attempts to open a process connector that does not answer. Another process can have lowered the kernel's count of
/// listeners, and each attempt raises it.
const ATTEMPTS: usize = 3;

/// Owns the queues and the table. See the module.
pub struct Collector {
    /// The processes, from the records read so far.
    pub table: ProcessTable,
    connector: Option<Connector>,
    exits: Option<Taskstats>,
    /// When the queues were last read.
    collected_at: u64,
    /// When records were last lost.
    lost_at: Option<u64>,
    /// Every later fork is in the table.
    known_since: u64,
    snapshot_at: Option<Instant>,
    /// Processes from before the last loss are not in the table yet.
    snapshot_is_due: bool,
    sources: Arc<RecordSources>,
}

/// The queues that a [`Collector`] reads.
#[derive(Clone, Copy)]
enum Queue {
    Exits,
    Forks,
}

/// The numbers of lost records.
#[derive(Default)]
struct Lost {
    exits: u64,
    forks: u64,
}

impl Collector {
    /// Opens the queues that this kernel and these privileges allow; none is required. Then reads every process from
    /// `/proc`. Returns too which queues are available, and why others are not.
    pub fn open() -> (Self, Arc<RecordSources>) {
        let connector = (0..ATTEMPTS).fold(Connector::open(), |opened, _| match opened {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Connector::open(),
            opened => opened,
        });
        let exits = Taskstats::open();
        let sources = vec![RecordSource::forks(&connector), RecordSource::exits(&exits)];
        let sources = Arc::new(RecordSources::new(sources));
        let mut collector = Self {
            connector: connector.ok(),
            exits: exits.ok(),
            table: ProcessTable::default(),
            collected_at: now(),
            lost_at: None,
            known_since: now(),
            snapshot_at: None,
            snapshot_is_due: false,
            sources: sources.clone(),
        };
        collector.snapshot();
        (collector, sources)
    }

    /// Readable when records wait in the kernel.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let connector = self.connector.as_ref().map(AsFd::as_fd);
        connector.into_iter().chain(self.exits.as_ref().map(AsFd::as_fd))
    }

    /// Whether the kernel reports forks and execs.
    pub fn counts_execs(&self) -> bool {
        self.connector.is_some()
    }

    /// Exec records were lost.
    pub fn note_lost_starts(&mut self) {
        self.lost_at = Some(now());
    }

    /// Whether every record since this time has been read.
    pub fn has_all_since(&self, time: u64) -> bool {
        self.lost_at.is_none_or(|lost| lost < time)
    }

    /// Reads the records that wait. Returns whether there were any, or more are due.
    pub fn collect(&mut self, locator: &mut ProgramLocator<'_>, losses: &mut Vec<LossReport>) -> bool {
        let mut lost = Lost::default();
        // The exits first: then the fork of every ended process is known.
        let (exit_count, exits) = self.read_exits(&mut lost);
        let fork_count = self.read_forks(&mut lost);
        self.add_exits(exits, &mut lost);
        losses.extend(self.recover(&lost));
        if self.snapshot_is_due && self.snapshot_at.is_none_or(|at| at.elapsed() >= SNAPSHOT_INTERVAL) {
            self.snapshot();
        }
        if self.connector.is_some() {
            self.table.assign(&mut |program| locator.locate(program).is_script);
        }
        exit_count + fork_count > 0 || self.snapshot_is_due
    }

    fn read_exits(&mut self, lost: &mut Lost) -> (usize, Vec<Exit>) {
        let mut exits = Vec::new();
        let Some(queue) = &mut self.exits else { return (0, exits) };
        let drained = queue.drain(&mut |exit| exits.push(exit));
        let drained = self.or_close(Queue::Exits, drained);
        lost.exits += drained.lost;
        (drained.records, exits)
    }

    fn read_forks(&mut self, lost: &mut Lost) -> usize {
        let table = &mut self.table;
        let Some(connector) = &mut self.connector else { return 0 };
        let drained = connector.drain(&mut |event| match event {
            ProcessEvent::Fork { parent, child, time } => table.fork(parent, child, time),
            ProcessEvent::Exec { pid, time } => table.exec(pid, time),
            ProcessEvent::Thread { process, .. } => table.thread(process),
        });
        let drained = self.or_close(Queue::Forks, drained);
        lost.forks += drained.lost;
        drained.records
    }

    /// The result of a drain. A queue that can no longer be read is closed.
    fn or_close(&mut self, queue: Queue, drained: io::Result<Drained>) -> Drained {
        drained.unwrap_or_else(|error| {
            let (source, records) = match queue {
                Queue::Exits => ("exit-records", "exit records"),
                Queue::Forks => ("fork-records", "fork records"),
            };
            let reason = format!("{records} cannot be read any more: {error}");
            log::error!("{reason}");
            self.sources.fail(source, reason);
            match queue {
                Queue::Exits => self.exits = None,
                Queue::Forks => self.connector = None,
            }
            Drained::default()
        })
    }

    /// Adds exits to the table. An exit without a fork shows that another process has silenced the connector, which any
    /// local process can do.
    fn add_exits(&mut self, exits: Vec<Exit>, lost: &mut Lost) {
        let since = std::mem::replace(&mut self.collected_at, now());
        let mut without_fork = 0;
        for exit in exits {
            let age = exit.elapsed_us.map(|elapsed| elapsed.saturating_mul(1000));
            let is_known = self.table.exit(exit, since, self.collected_at);
            let forked_since = age.is_some_and(|age| since.saturating_sub(age) > self.known_since);
            without_fork += u64::from(!is_known && forked_since);
        }
        if without_fork > 0 && self.connector.is_some() {
            self.reopen_connector();
            lost.forks += without_fork;
        }
    }

    fn reopen_connector(&mut self) {
        match Connector::open() {
            // Silencing the old one lowered the kernel's count already.
            Ok(connector) => {
                if let Some(silent) = self.connector.replace(connector) {
                    silent.leave_uncounted();
                }
            }
            // Keeps the old socket, because each attempt raises the kernel's count of listeners.
            Err(error) => log::warn!("the process connector was silenced and cannot be opened again yet: {error}"),
        }
    }

    /// After a loss discards the table, and reads every process from `/proc` again.
    fn recover(&mut self, lost: &Lost) -> Option<LossReport> {
        let counts = [(lost.exits, "exit records"), (lost.forks, "fork records")];
        let counts: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, records)| format!("{count} {records}"))
            .collect();
        if counts.is_empty() {
            return None;
        }
        let time = self.collected_at;
        self.lost_at = Some(time);
        self.table.reset(time);
        self.known_since = time;
        self.snapshot_is_due = true;
        let detail = format!(
            "{} were lost: ended writers may stay unknown, and no exclusion uses earlier records",
            counts.join(" and ")
        );
        Some(LossReport::new(LossCause::Attribution, detail))
    }

    /// Reads every process from `/proc`.
    fn snapshot(&mut self) {
        self.snapshot_at = Some(Instant::now());
        self.snapshot_is_due = false;
        if self.connector.is_none() {
            return;
        }
        for pid in process::all() {
            let Ok(pinned) = Pinned::open(pid) else { continue };
            let Some((start_time, parent)) = pinned.origin() else { continue };
            // None: a kernel thread, or a zombie.
            let Some((path, id)) = pinned.program() else { continue };
            let program = Some(self.table.intern(Program::Seen { path, id }));
            let observed = Observed { time: now(), program, start_time: Some(start_time), parent };
            self.table.observe(pid, observed);
        }
        self.table.link_parents();
    }
}
