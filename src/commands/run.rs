//! `pyhookwatch run`.

use super::{Exit, Overrides, complain};
use crate::alert::sink::OutputError;
use crate::daemon::{self, Failure};
use std::io::ErrorKind;

/// Watches until SIGTERM.
pub fn run(overrides: Overrides) -> Exit {
    let failure = match daemon::run(&|| overrides.configure()) {
        Ok(()) => return Exit::Fine,
        Err(failure) => failure,
    };
    match &failure {
        Failure::Configuration(problems) => {
            problems.iter().for_each(|problem| complain(format_args!("error: {problem}")))
        }
        other => complain(format_args!("error: {}", crate::escape::one_line(&other.to_string()))),
    }
    match failure {
        Failure::Configuration(_) => Exit::Configuration,
        Failure::Refused(_) => Exit::NoPermission,
        Failure::Output(OutputError::Open { reason, .. }) if reason.kind() == ErrorKind::PermissionDenied => {
            Exit::NoPermission
        }
        Failure::Output(_) => Exit::Configuration,
        Failure::NoOutput | Failure::Watching(_) | Failure::Start(_) => Exit::Failed,
    }
}
