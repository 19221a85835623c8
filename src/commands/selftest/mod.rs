//! `pyhookwatch selftest`: plants harmless hooks in a scratch tree, one for each way to write. It checks that each
//! raises an alert, how fast, and which writer the alert names.
//!
//! The watcher is a child process that runs this program's `run`, with the arguments, privileges and outputs of a real
//! one. Its root is the scratch tree, and it loads the embedded rules only, so the result does not depend on the
//! machine's rules or load. A daemon that watches the machine sees the planted hooks too. No rule excludes them,
//! because an attacker could use the exclusion; their content runs nothing, so the alerts are informational.

mod cases;
mod helper;
mod inbox;
mod plant;
mod report;
mod scratch_tree;
mod self_test;
mod setup;
mod text;
mod verdict;
mod watcher;
mod watchers;

pub use helper::{HelperAction, run as selftest_helper};
pub use report::{CaseResult, Outcome, SelfTestReport};

use super::exit::Exit;
use super::output::{print, print_error, print_json};
use super::style::Style;
use self_test::SelfTest;
use std::time::Instant;

/// Runs every test case, or only those of the overlay, and prints the results.
pub fn selftest(json: bool, overlay_only: bool) -> Exit {
    let started = Instant::now();
    let (report, signal) = match SelfTest::open() {
        Ok(test) => test.run(started, overlay_only),
        Err(reason) => {
            print_error(format_args!("the self-test cannot begin: {reason}"));
            return Exit::Failed;
        }
    };
    // Everything is removed by now. The parent must see that the signal ended this process.
    if let Some(signal) = signal {
        let _ = signal_hook::low_level::emulate_default_handler(signal);
        return Exit::Failed;
    }
    if json {
        print_json(&report);
    } else {
        print(&text::render(&report, &Style::of_output()));
    }
    report.exit()
}
