//! `pyhookwatch selftest`: plants harmless hooks in a scratch tree, in every class of place that is guarded, and sees
//! whether the real watcher tells them, how fast, and with the right writer.
//!
//! The watcher is a child that runs this very program's `run`, because that is what users run: arguments, privileges,
//! outputs and all. It is told to take the scratch tree for `/`, with the embedded rules alone, so that neither the
//! machine's rules nor its load decide. A daemon that watches the whole machine sees the planted hooks too: they say
//! what they are in their path and content, and hold nothing that runs, which its rules call informational. Nothing
//! excludes them there, or an attacker would use it.

mod helper;
mod places;
mod report;
mod stage;
mod trial;
mod watcher;

pub use helper::{Step as HelperStep, help as selftest_helper};

use super::exit::Exit;
use super::output::{print, print_error};
use super::status;
use crate::escape;
use crate::event::Level;
use places::{Outcome, Result as PlaceResult};
use std::path::Path;
use std::time::Duration;
use std::time::Instant;
use trial::Trial;

/// Longest wait for one thing: enough for an emulated processor that is twenty times slower.
const PATIENCE: Duration = Duration::from_secs(20);
/// Once something did not come in time, the rest is given no more than this.
const IMPATIENCE: Duration = Duration::from_secs(2);

/// Everything that is told.
pub struct Report {
    /// What became of each place, in the order they were tried.
    results: Vec<PlaceResult>,
    /// Without this right most places could not be tried.
    no_permission: Option<String>,
    /// What the daemon that watches this machine told of it, if one answers.
    daemon: Option<Daemon>,
    /// Time from the start to the end.
    took: Duration,
}

/// A running daemon, which sees the planted hooks too.
pub struct Daemon {
    /// Its process id.
    pid: u32,
    /// Alerts on planted hooks, among the last that it keeps.
    told: usize,
    /// Their highest level.
    level: Option<Level>,
}

impl Daemon {
    /// Asks the daemon of this machine what it told of what lies below this directory.
    fn ask(base: &Path) -> Option<Self> {
        let status = status::query(&status::configured_socket().ok()?).ok()?;
        let base = escape::reversible(base.as_os_str().as_encoded_bytes());
        let alerts: Vec<_> = status.recent_alerts.iter().filter(|alert| alert.path.starts_with(&base)).collect();
        let level = alerts.iter().filter_map(|alert| alert.level).max();
        Some(Self { pid: status.pid, told: alerts.len(), level })
    }
}

impl Report {
    fn count(&self, outcome: Outcome) -> usize {
        self.results.iter().filter(|result| result.outcome == outcome).count()
    }

    fn exit(&self) -> Exit {
        // inotify at least passes wherever anything could be tried: a test in which nothing did shows nothing.
        if self.count(Outcome::Failed) > 0 || self.count(Outcome::Passed) == 0 {
            Exit::Finding
        } else if self.no_permission.is_some() {
            Exit::NoPermission
        } else {
            Exit::Fine
        }
    }
}

/// Tries every place, or only what is written through an overlay, and prints what became of it.
pub fn selftest(json: bool, overlay_only: bool) -> Exit {
    let started = Instant::now();
    let (report, signal) = match Trial::begin() {
        Err(reason) => {
            print_error(format_args!("the self-test cannot begin: {reason}"));
            return Exit::Failed;
        }
        Ok(trial) => trial.run(started, overlay_only),
    };
    // Everything is gone by now. Whoever sent the signal is to see that it had its effect.
    if let Some(signal) = signal {
        let _ = signal_hook::low_level::emulate_default_handler(signal);
        return Exit::Failed;
    }
    print(&if json { report::json(&report) } else { report::text(&report, &super::style::Style::of_output()) });
    report.exit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::placing::Mechanism;

    #[test]
    fn a_test_in_which_nothing_could_be_tried_does_not_pass() {
        let result = |outcome| PlaceResult {
            place: "root".into(),
            description: String::new(),
            fs_type: None,
            mechanism: Mechanism::Fanotify,
            outcome,
            latency_us: None,
            writer: None,
            reason: None,
        };
        let exit = |outcomes: &[Outcome]| {
            let results = outcomes.iter().map(|outcome| result(*outcome)).collect();
            Report { results, no_permission: None, daemon: None, took: Duration::ZERO }.exit()
        };
        assert_eq!(exit(&[Outcome::Passed, Outcome::NotTried, Outcome::Degraded]), Exit::Fine);
        assert_eq!(exit(&[Outcome::Passed, Outcome::Failed]), Exit::Finding);
        assert_eq!(exit(&[Outcome::NotTried; 3]), Exit::Finding);
        assert_eq!(exit(&[]), Exit::Finding);
    }
}
