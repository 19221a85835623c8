//! The configuration as a command uses it: the file, overridden by the command line.

use crate::alert::Format;
use crate::alert::sink::OutputSettings;
use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::source::Backend;
use std::io;
use std::path::{Path, PathBuf};

/// The configuration file that is read when none is named. It may be missing.
const CONFIG_FILE: &str = "/etc/pyhookwatch/pyhookwatch.toml";

/// Options of the command line that override the configuration file.
#[derive(Clone, Default)]
pub struct Overrides {
    /// Configuration file.
    pub config: Option<PathBuf>,
    /// More rule directories, read last.
    pub rules: Vec<PathBuf>,
    /// Directory that is treated as `/`.
    pub root: Option<PathBuf>,
    /// Backend.
    pub backend: Option<Backend>,
    /// Outputs that replace the configured ones.
    pub outputs: Vec<OutputSettings>,
    /// Format of every output.
    pub format: Option<Format>,
}

impl Overrides {
    /// Loads the configuration file and applies the overrides.
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
        // The kernel reports paths without symbolic links, so the root must have none either.
        config.source.root = canonical_root(&config.source.root).map_err(|diagnostic| vec![diagnostic])?;
        if let Some(backend) = self.backend {
            config.source.backend = backend;
        }
        if !self.outputs.is_empty() {
            config.outputs = self.outputs.clone();
        }
        if let Some(format) = self.format {
            config.set_format(format);
        }
        Ok(config)
    }
}

fn is_missing(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// The root directory without symbolic links.
///
/// # Errors
/// It does not exist, is no directory, or cannot be accessed.
pub fn canonical_root(root: &Path) -> Result<PathBuf, Diagnostic> {
    let refused = |reason: &io::Error| {
        Diagnostic::new(root, None, format!("cannot be the root: {reason}; name an existing directory"))
    };
    let canonical = root.canonicalize().map_err(|error| refused(&error).because_of(&error))?;
    if canonical.is_dir() { Ok(canonical) } else { Err(refused(&io::Error::other("not a directory"))) }
}
