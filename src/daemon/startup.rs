//! The steps of a start that a reload repeats or that need no other part of the daemon.

use super::status_socket::{NoSocket, StatusSocket};
use crate::alert::ecs::Composer;
use crate::alert::sink::{OutputError, Outputs};
use crate::config::{self, Config};
use crate::diagnostic::{self, Diagnostic};
use crate::event::{LossCause, LossReport};
use crate::hook;
use crate::privileges;
use crate::rules::RuleSet;
use crate::sys;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Limit of open files. A directory is open for each change in the channel, each waiting change and each queued
/// directory, and a pidfd for each record of a batch. The rest is a reserve.
const OPEN_FILES: u64 = 16_384;

/// Loads the rules of this configuration, and logs the warnings about both. Returns their number too.
///
/// # Errors
/// Mistakes in the rules; with privileges also the files that others could have written.
pub fn load_rules(config: &Config) -> Result<(RuleSet, usize), Vec<Diagnostic>> {
    let (rules, warnings) = RuleSet::load(&config.rules, hook::kind::names)?;
    let warnings = config.warnings.iter().cloned().chain(warnings).collect();
    let warnings = diagnostic::reject_insecure(warnings, privileges::is_privileged())?;
    warnings.iter().for_each(|warning| log::warn!("{warning}"));
    Ok((rules, warnings.len()))
}

/// Opens the outputs. Each gets a record of the alerts that it alone has dropped.
///
/// # Errors
/// See [`OutputError`].
pub fn start_outputs(config: &Config, composer: &Arc<Mutex<Composer>>) -> Result<Outputs, OutputError> {
    let composer = composer.clone();
    let on_dropped = move |dropped: u64, output: &str| {
        let detail = format!("the output {output} did not take alerts and its queue was full");
        let loss = LossReport::counted(LossCause::OutputDropped, dropped, detail);
        composer.lock().unwrap_or_else(PoisonError::into_inner).loss_of_one_output(&loss)
    };
    Outputs::start(&config.outputs_or_default(), on_dropped, local_offset)
}

/// Opens the socket for `pyhookwatch status`. The daemon also runs without it.
pub fn open_status_socket(config: &Config) -> Option<StatusSocket> {
    let path = config.status.path(&config.source.root)?;
    match StatusSocket::open(path) {
        Ok(socket) => Some(socket),
        // The default path often is not writable for a user who runs the daemon by hand, so this is no warning.
        Err(error) if config.status == config::StatusSocket::Usual && !matches!(error, NoSocket::Taken) => {
            log::info!("no status socket {}: {error}", path.display());
            None
        }
        Err(error) => {
            log::warn!("no status socket {}: {error}", path.display());
            None
        }
    }
}

/// Raises the soft limit of open files as far as the hard one allows.
pub fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let wanted = OPEN_FILES.min(hard);
        if soft < wanted { setrlimit(Resource::RLIMIT_NOFILE, wanted, hard) } else { Ok(()) }
    });
    if let Err(error) = raised {
        log::warn!("the limit of open files cannot be raised: {error}");
    }
}

fn local_offset(time: SystemTime) -> time::UtcOffset {
    time::UtcOffset::from_whole_seconds(sys::local_offset(time)).unwrap_or(time::UtcOffset::UTC)
}
