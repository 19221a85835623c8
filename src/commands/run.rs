//! `pyhookwatch run`.

use super::{Exit, Overrides, complain, complain_of};
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
        return complain_of(problems);
    }
    complain(format_args!("error: {}", crate::escape::one_line(&failure.to_string())));
    match failure {
        Failure::Refused(_) => Exit::NoPermission,
        Failure::Output(OutputError::Open { reason, .. }) if reason.kind() == ErrorKind::PermissionDenied => {
            Exit::NoPermission
        }
        Failure::Configuration(_) | Failure::Output(_) => Exit::Configuration,
        Failure::NoOutput | Failure::Watching(_) | Failure::Start(_) => Exit::Failed,
    }
}
