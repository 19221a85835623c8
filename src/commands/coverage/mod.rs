//! `pyhookwatch coverage`: how each place of a start-up hook is watched, what is blind there and why, and which sources
//! of records can name writers.
//!
//! Nothing is concluded from version numbers. The command places every mark and watch as `run` does
//! ([`watch_plan::probe`]), opens every source of records, and removes all of it again.

mod filesystems;
mod finding;
mod json;
mod other_namespaces;
mod overlay;
mod report;
mod running_daemon;
mod table;
mod trees;

use super::exit::Exit;
use super::local_filesystems;
use super::output::{print, print_diagnostics, print_error, print_json};
use super::overrides::Overrides;
use super::style::Style;
use crate::config::StatusSocket;
use crate::daemon::watch_plan::{self, Probe};
use crate::hook::sites;
use crate::source::mounts;
use crate::source::{Guarded, Settings};
use report::Report;

/// What to report.
pub struct CoverageRequest {
    /// Configuration and root, as `run` takes them.
    pub settings: Overrides,
    /// JSON instead of a table.
    pub json: bool,
}

/// Probes the machine and prints the report.
pub fn coverage(request: &CoverageRequest) -> Exit {
    let (settings, socket) = match request.settings.configure() {
        Ok(config) => (config.source, config.status),
        Err(problems) => return print_diagnostics(&problems),
    };
    let probe = match watch_plan::probe(&settings) {
        Ok(probe) => probe,
        Err(error) => {
            print_error(format_args!("the machine cannot be probed: {error}"));
            let is_refused = error.raw_os_error() == Some(libc::EPERM);
            return if is_refused { Exit::NoPermission } else { Exit::Failed };
        }
    };
    let report = probe_places(settings, &socket, probe);
    if request.json {
        print_json(&json::of(&report));
    } else {
        print(&table::of(&report, &Style::of_output()));
    }
    report.exit()
}

fn probe_places(settings: Settings, socket: &StatusSocket, probe: Probe) -> Report {
    let mounted = mounts::read().unwrap_or_default();
    let inventory = sites::take_inventory(&settings.root, &local_filesystems::below(&settings.root), &|_| ());
    let other_namespaces = other_namespaces::examine(&settings, &probe, &mounted);
    let has_overlay = probe.guards.iter().any(|guard| matches!(guard.by, Guarded::ThroughUpper(_)));
    let overlay = (has_overlay || other_namespaces.has_overlay).then(overlay::try_out);
    let trees = trees::judge(&settings, &probe, &mounted, &inventory, overlay.as_ref());
    let filesystems = filesystems::judge(&settings, &probe, &mounted, &trees);
    let daemon = running_daemon::compare(socket, &settings, &probe, &filesystems);
    let skipped = (inventory.unreadable, inventory.unreadable_paths);
    let truncated = inventory.truncated;
    Report { settings, probe, filesystems, trees, other_namespaces, overlay, skipped, truncated, daemon }
}
