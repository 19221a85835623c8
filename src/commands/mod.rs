//! The subcommands, one file each.

mod check;
mod coverage;
mod explain;
mod rule_tests;
mod run;
mod scan;
mod selftest;
mod status;
mod style;

pub use check::check;
pub use coverage::{Request as CoverageRequest, coverage};
pub use explain::{Question, explain, parse_field};
pub use run::run;
pub use scan::{Request as ScanRequest, scan};
pub use selftest::{Step, help as selftest_helper, selftest};
pub use status::status;

use crate::alert::Format;
use crate::alert::sink::OutputSettings;
use crate::config::Config;
use crate::diagnostic::{Diagnostic, DiagnosticKind};
use crate::source::Backend;
use crate::source::mounts;
use serde_json::Value;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The configuration file that is read when none is named; it may be missing.
const CONFIG_FILE: &str = "/etc/pyhookwatch/pyhookwatch.toml";

/// Exit codes, after `sysexits(3)`: an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Fine.
    Fine = 0,
    /// No rule matched (`explain`), something hostile was found (`scan`), something was not told (`selftest`),
    /// something is blind or degraded (`coverage`).
    Finding = 1,
    /// Wrong usage of the command line.
    Usage = 64,
    /// No daemon answers (`status`).
    Unreachable = 69,
    /// Watching ended, or could not start, for a reason that is not the administrator's.
    Failed = 70,
    /// The kernel or a file's mode refused.
    NoPermission = 77,
    /// A mistake in the configuration or the rules.
    Configuration = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// The command line's word over the configuration file.
#[derive(Clone, Default)]
pub struct Overrides {
    /// Configuration file.
    pub config: Option<PathBuf>,
    /// More rule directories, read last.
    pub rules: Vec<PathBuf>,
    /// Another root.
    pub root: Option<PathBuf>,
    /// Another backend.
    pub backend: Option<Backend>,
    /// These outputs instead of the configured ones.
    pub outputs: Vec<OutputSettings>,
    /// This format for every output.
    pub format: Option<Format>,
}

impl Overrides {
    /// The configuration as it is to be used.
    ///
    /// # Errors
    /// Every mistake in the file, and a root that is no directory.
    pub fn configure(&self) -> Result<Config, Vec<Diagnostic>> {
        let mut config = match &self.config {
            Some(path) => Config::load(path)?,
            None if is_missing(Path::new(CONFIG_FILE)) => Config::default(),
            None => Config::load(Path::new(CONFIG_FILE))?,
        };
        config.rules.directories.extend(self.rules.iter().cloned());
        if let Some(root) = &self.root {
            config.source.root = root.clone();
        }
        // The kernel tells paths without links: the root must be compared in the same form.
        config.source.root = canonical_root(&config.source.root).map_err(|problem| vec![problem])?;
        if let Some(backend) = self.backend {
            config.source.backend = backend;
        }
        if !self.outputs.is_empty() {
            config.outputs = self.outputs.clone();
        }
        if let Some(format) = self.format {
            crate::daemon::set_format(&mut config, format);
        }
        Ok(config)
    }
}

fn is_missing(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn canonical_root(root: &Path) -> Result<PathBuf, Diagnostic> {
    let refused = |reason: &io::Error| {
        Diagnostic::new(root, None, format!("cannot be the root: {reason}; name an existing directory"))
    };
    let canonical = root.canonicalize().map_err(|error| refused(&error).because_of(&error))?;
    if canonical.is_dir() { Ok(canonical) } else { Err(refused(&io::Error::other("not a directory"))) }
}

/// The root, and one mount point below it of each other filesystem of this machine.
fn trees_of_machine(root: &Path) -> Vec<PathBuf> {
    let mut tops = vec![root.to_path_buf()];
    let all = mounts::read().unwrap_or_default();
    let own = mounts::holding(&all, root).map(|mount| mount.device);
    for (device, mounts) in mounts::by_device(all) {
        let here = mounts.iter().find(|mount| {
            // What a container's overlay shows lies in its upper and lower directories too.
            let is_local = mounts::class(&mount.fs_type) == mounts::Class::Local && mount.fs_type != "overlay";
            is_local && mount.mount_point.starts_with(root) && mount.mount_point.is_dir()
        });
        tops.extend(here.filter(|_| Some(device) != own).map(|mount| mount.mount_point.clone()));
    }
    tops
}

/// Prints the problems; the exit code tells mistakes from files that may not be read.
fn complain_of(problems: &[Diagnostic]) -> Exit {
    problems.iter().for_each(|problem| complain(format_args!("error: {problem}")));
    if problems.iter().any(|problem| problem.kind != DiagnosticKind::Invalid) {
        Exit::NoPermission
    } else {
        Exit::Configuration
    }
}

/// What stands there in a document, `a/b` below `a`; null where nothing does.
fn at<'v>(document: &'v Value, path: &str) -> &'v Value {
    path.split('/').fold(document, |value, key| {
        let item = || value.get(key.parse::<usize>().ok()?);
        value.get(key).or_else(item).unwrap_or(&Value::Null)
    })
}

/// Writes to standard output; a reader that has gone is no error of ours.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

/// Writes one line to standard error.
fn complain(line: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "pyhookwatch: {line}");
}
