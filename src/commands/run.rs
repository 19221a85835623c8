//! `pyhookwatch run`.

use super::exit::Exit;
use super::output::{print_diagnostics, print_error};
use super::overrides::Overrides;
use crate::alert::sink::OutputError;
use crate::daemon::{self, Failure};
use std::io::ErrorKind;

/// Watches until SIGTERM.
pub fn run(overrides: Overrides) -> Exit {
    let failure = match daemon::run(&|| overrides.configure()) {
        Ok(()) => return Exit::Fine,
        Err(failure) => failure,
    };
    if let Failure::Configuration(problems) = &failure {
        return print_diagnostics(problems);
    }
    print_error(&failure);
    match failure {
        Failure::Refused(_) => Exit::NoPermission,
        Failure::Output(OutputError::Open { reason, .. }) if reason.kind() == ErrorKind::PermissionDenied => {
            Exit::NoPermission
        }
        Failure::Configuration(_) | Failure::Output(_) => Exit::Configuration,
        Failure::NoOutput | Failure::Watching(_) | Failure::Start(_) => Exit::Failed,
    }
}
