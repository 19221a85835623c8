//! Reads the kernel's queues of records about processes into the [`ProcessTable`], and notices what is lost.

use super::clock::now;
use super::process::{self, Pinned};
use super::process_record::{Observed, Program};
use super::process_table::ProcessTable;
use super::program::ProgramLocator;
use super::records::connector::{Connector, ProcessEvent};
use super::records::taskstats::{Exit, Taskstats};
use super::records::{RecordSource, RecordSources};
use crate::event::{LossCause, LossReport};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a look at the process table counts before another loss of records makes a new one worth
/// its time.
const SNAPSHOT_REST: Duration = Duration::from_secs(5);

/// Attempts to open a process connector that does not answer: each brings the kernel's count of listeners,
/// which another process can have lowered, nearer to what it should be.
const ATTEMPTS: usize = 3;

/// See the module.
pub struct Collector {
    /// What has been read.
    pub ledger: ProcessTable,
    connector: Option<Connector>,
    exits: Option<Taskstats>,
    /// The records were read then.
    collected_at: u64,
    /// Records were lost then.
    lost_at: Option<u64>,
    /// Every process that began later is told of.
    known_since: u64,
    snapshot_at: Option<Instant>,
    /// The processes of before the last loss are not known yet.
    snapshot_is_due: bool,
    sources: Arc<RecordSources>,
}

impl Collector {
    /// Opens the queues of records that this kernel and these privileges give; none is needed. Then
    /// looks at every process there is. The exec records come with the writes, so the marks must be
    /// placed before. Tells too which there are, and why others are missing.
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
            ledger: ProcessTable::default(),
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

    /// Readable when records about processes wait to be collected.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let connector = self.connector.as_ref().map(AsFd::as_fd);
        connector.into_iter().chain(self.exits.as_ref().map(AsFd::as_fd))
    }

    /// Whether forks and execs are told.
    pub fn counts_execs(&self) -> bool {
        self.connector.is_some()
    }

    /// Exec records were lost.
    pub fn lose(&mut self) {
        self.lost_at = Some(now());
    }

    /// Whether every record since this time has been read.
    pub fn has_all_since(&self, time: u64) -> bool {
        self.lost_at.is_none_or(|lost| lost < time)
    }

    /// Reads what waits. Tells whether there was anything.
    pub fn collect(&mut self, resolver: &mut ProgramLocator<'_>, report: &mut dyn FnMut(LossReport)) -> bool {
        let since = self.collected_at;
        let (mut count, mut lost) = (0, Vec::new());
        // The exits first, then the forks: so the fork of whatever has ended is known.
        let mut ended: Vec<Exit> = Vec::new();
        if let Some(exits) = &mut self.exits {
            match exits.drain(&mut |exit| ended.push(exit)) {
                Ok(drained) => {
                    count += drained.records;
                    lost.push((drained.lost, "exit records"));
                }
                Err(error) => self.give_up(&error, "exit records"),
            }
        }
        let ledger = &mut self.ledger;
        if let Some(connector) = &mut self.connector {
            let drained = connector.drain(&mut |event| match event {
                ProcessEvent::Fork { parent, child, time } => ledger.fork(parent, child, time),
                ProcessEvent::Exec { pid, time } => ledger.exec(pid, time),
                ProcessEvent::Thread { process, .. } => ledger.thread(process),
            });
            match drained {
                Ok(drained) => {
                    count += drained.records;
                    lost.push((drained.lost, "fork records"));
                }
                Err(error) => self.give_up(&error, "fork records"),
            }
        }
        let time = now();
        let mut untold = 0;
        for exit in ended {
            let age = exit.elapsed_us.map(|elapsed| elapsed.saturating_mul(1000));
            let is_known = self.ledger.exit(exit, since, time);
            let began_since = age.is_some_and(|age| since.saturating_sub(age) > self.known_since);
            untold += u64::from(!is_known && began_since);
        }
        self.collected_at = time;
        if untold > 0 && self.connector.is_some() {
            self.listen_again();
            lost.push((untold, "fork records"));
        }
        lost.retain(|(lost, _)| *lost > 0);
        if !lost.is_empty() {
            self.lost_at = Some(time);
            self.ledger.reset(time);
            self.known_since = time;
            self.snapshot_is_due = true;
            let lost: Vec<String> = lost.into_iter().map(|(count, what)| format!("{count} {what}")).collect();
            let detail = format!(
                "{} were lost: writers that are gone may stay unknown, and what was known of processes before is \
                 not used to exclude anybody",
                lost.join(" and ")
            );
            report(LossReport { cause: LossCause::Attribution, count: None, detail });
        }
        if self.snapshot_is_due && self.snapshot_at.is_none_or(|at| at.elapsed() >= SNAPSHOT_REST) {
            self.snapshot();
        }
        if self.connector.is_some() {
            self.ledger.assign(&mut |program| resolver.locate(program).is_script);
        }
        count > 0 || self.snapshot_is_due
    }

    /// Processes end whose forks were not told: another process has made the connector fall silent (any
    /// can, see [`super::records`]).
    fn listen_again(&mut self) {
        match Connector::open() {
            // Whoever silenced the old one took it from the kernel's count already.
            Ok(connector) => {
                if let Some(silent) = self.connector.replace(connector) {
                    silent.leave_uncounted();
                }
            }
            // Kept: each attempt brings the kernel's count of listeners nearer to what it should be.
            Err(error) => log::warn!("the process connector has fallen silent and cannot be opened anew yet: {error}"),
        }
    }

    /// A queue that cannot be read any more is done without.
    fn give_up(&mut self, error: &io::Error, what: &str) {
        log::error!("{what} cannot be read any more: {error}");
        match what {
            "exit records" => {
                self.exits = None;
                self.sources.fail("exit-records", format!("{what} cannot be read any more: {error}"));
            }
            _ => {
                self.connector = None;
                self.sources.fail("fork-records", format!("{what} cannot be read any more: {error}"));
            }
        }
    }

    /// Looks at every process there is.
    fn snapshot(&mut self) {
        self.snapshot_at = Some(Instant::now());
        self.snapshot_is_due = false;
        if self.connector.is_none() {
            return;
        }
        for pid in process::all() {
            let Ok(pinned) = Pinned::open(pid) else { continue };
            let Some((start_time, parent)) = pinned.origin() else { continue };
            // None: a thread of the kernel, or one that has ended and is not waited for.
            let Some((path, id)) = pinned.program() else { continue };
            let program = Some(self.ledger.intern(Program::Seen { path, id }));
            let observed = Observed { time: now(), program, start_time: Some(start_time), parent };
            self.ledger.observe(pid, observed);
        }
        self.ledger.link_parents();
    }
}
