//! The configuration file: TOML in, the settings of each stage out.
//!
//! A stage gets its own small settings, never the whole [`Config`]. Without a file the defaults
//! run; `config/pyhookwatch.toml` shows every key with its default and its reason. All errors of a
//! file are reported at once, each with its line and the way out. A file with an error is refused as a
//! whole: with half of its settings the daemon would watch the wrong things.

mod default_outputs;
mod output;
mod reader;
#[cfg(test)]
mod tests;

pub use output::{FORMATS, local_syslog, output, parse_output, repeated};

use crate::alert::Format;
use crate::alert::sink::OutputSettings;
use crate::diagnostic::Diagnostic;
use crate::rules;
use crate::secure_open;
use crate::source;
use crate::source::Backend;
use default_outputs::default_outputs;
use reader::{Report, Table, absolute_path};
use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use toml::de::DeTable;

/// The words for [`Backend`].
pub const BACKENDS: [(&str, Backend); 3] =
    [("auto", Backend::Auto), ("fanotify", Backend::Fanotify), ("inotify", Backend::Inotify)];

/// Largest file that is read.
const MAX_FILE: u64 = 64 * 1024;

/// Where Python, its packages, its users' packages and the files that set its environment live.
const TREES: [&str; 8] = ["/etc", "/usr/lib", "/usr/lib64", "/usr/local", "/opt", "/home", "/root", "/srv"];

/// The default socket of `pyhookwatch status`.
pub const STATUS_SOCKET: &str = "/run/pyhookwatch/status.sock";

/// Where the daemon answers `pyhookwatch status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StatusSocket {
    /// At [`STATUS_SOCKET`], if the daemon watches the whole machine: a watcher of another root must not take its place.
    #[default]
    Usual,
    /// There, whatever it watches.
    At(PathBuf),
    /// Nowhere.
    Off,
}

impl StatusSocket {
    /// Its path for a daemon that watches this root.
    pub fn path(&self, root: &Path) -> Option<&Path> {
        match self {
            Self::Usual => Some(Path::new(STATUS_SOCKET)).filter(|_| root.parent().is_none()),
            Self::At(path) => Some(path),
            Self::Off => None,
        }
    }
}

/// Everything an administrator can set.
#[derive(Clone)]
pub struct Config {
    /// What to watch.
    pub source: source::Settings,
    /// Which rules to load.
    pub rules: rules::Settings,
    /// Where alerts go. Empty: the daemon picks syslog if its socket answers, and the terminal if
    /// standard output is one.
    pub outputs: Vec<OutputSettings>,
    /// Warnings: others could have written the file.
    pub warnings: Vec<Diagnostic>,
    /// Where the daemon answers `pyhookwatch status`.
    pub status: StatusSocket,
}

impl Default for Config {
    /// What runs with no file.
    fn default() -> Self {
        Self {
            source: source::Settings {
                backend: Backend::Auto,
                root: PathBuf::from("/"),
                trees: TREES.map(PathBuf::from).to_vec(),
            },
            rules: rules::Settings { directories: vec![PathBuf::from(rules::SITE_RULES)], disabled: Vec::new() },
            outputs: Vec::new(),
            warnings: Vec::new(),
            status: StatusSocket::Usual,
        }
    }
}

impl Config {
    /// The configured outputs, or the default ones.
    pub fn outputs_or_default(&self) -> Vec<OutputSettings> {
        if self.outputs.is_empty() { default_outputs() } else { self.outputs.clone() }
    }

    /// Sets the format of every output, the default ones too.
    pub fn set_format(&mut self, format: Format) {
        self.outputs = self.outputs_or_default();
        self.outputs.iter_mut().for_each(|output| output.format = Some(format));
    }

    /// Reads a file of at most 64 KiB.
    pub fn load(path: &Path) -> Result<Self, Vec<Diagnostic>> {
        let (bytes, insecure_because) = read_file(path).map_err(|diagnostic| vec![diagnostic])?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => {
                let warnings = insecure_because.iter().map(|why| Diagnostic::insecure(path, why)).collect();
                Ok(Self { warnings, ..Self::parse(text, path)? })
            }
            Err(error) => {
                let before = bytes.iter().take(error.valid_up_to());
                let line = before.filter(|byte| **byte == b'\n').count() + 1;
                Err(vec![Diagnostic::new(path, Some(line), "not UTF-8 text: save the file as UTF-8")])
            }
        }
    }

    /// Reads a file's text. `Err` holds every diagnostic, in the order of the file.
    pub fn parse(text: &str, file_name: &Path) -> Result<Self, Vec<Diagnostic>> {
        let (document, errors) = DeTable::parse_recoverable(text);
        let report = Report::new(file_name, text, &errors);
        let config = read_config(&mut Table::new("at the top level", 0..0, document.get_ref(), &report));
        let diagnostics = report.into_diagnostics();
        if diagnostics.is_empty() { Ok(config) } else { Err(diagnostics) }
    }
}

fn read_config(top: &mut Table<'_>) -> Config {
    let mut config = Config::default();
    if let Some(mut watch) = top.table("watch", "in [watch]", "a table: write [watch]") {
        read_watch(&mut watch, &mut config.source);
    }
    if let Some(mut rules) = top.table("rules", "in [rules]", "a table: write [rules]") {
        read_rules(&mut rules, &mut config.rules);
    }
    if let Some(mut status) = top.table("status", "in [status]", "a table: write [status]") {
        if let Some(path) = status.path("socket", socket_path) {
            config.status = if path == Path::new("off") { StatusSocket::Off } else { StatusSocket::At(path) };
        }
        status.finish();
    }
    config.outputs = output::read_all(top);
    top.finish();
    config
}

fn read_watch(watch: &mut Table<'_>, settings: &mut source::Settings) {
    if let Some(backend) = watch.word("backend", &BACKENDS) {
        settings.backend = backend;
    }
    if let Some(root) = watch.path("root", absolute_path) {
        settings.root = root;
    }
    if let Some(trees) = watch.some_paths("trees") {
        settings.trees = trees;
    }
    watch.finish();
}

/// An absolute path, or the word `off`.
fn socket_path(text: &str) -> Result<PathBuf, &'static str> {
    match text {
        "off" => Ok(PathBuf::from(text)),
        _ if !text.starts_with('/') => Err("it must be an absolute path, beginning with `/`, or `off`"),
        path => absolute_path(path),
    }
}

fn read_rules(rules: &mut Table<'_>, settings: &mut rules::Settings) {
    if let Some(directories) = rules.paths("directories") {
        settings.directories = directories;
    }
    let mut seen = BTreeSet::new();
    if let Some(disabled) = rules.texts("disabled") {
        for id in &disabled {
            if !seen.insert(id.text) {
                rules.twice("disabled", id);
            }
        }
        settings.disabled = disabled.iter().map(|id| id.text.to_owned()).collect();
    }
    rules.finish();
}

/// The content of a regular file, and why others could have written it. A pipe or a device could block or never end.
fn read_file(path: &Path) -> Result<(Vec<u8>, Option<String>), Diagnostic> {
    let secure_open::Opened { file, insecure_because } =
        secure_open::open(path).map_err(|error| advice(path, &error))?;
    if !file.metadata().map_err(|error| advice(path, &error))?.is_file() {
        return Err(Diagnostic::new(path, None, "not a regular file: give the path of a TOML file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| advice(path, &error))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Diagnostic::new(path, None, "larger than 64 KiB: this cannot be a configuration file"));
    }
    Ok((bytes, insecure_because))
}

/// Why a file could not be read, and what to do.
fn advice(path: &Path, error: &io::Error) -> Diagnostic {
    let way_out = match error.kind() {
        ErrorKind::NotFound => "create it, or run without a configuration file for the defaults",
        ErrorKind::PermissionDenied => "run as root, or make the file readable for this user",
        _ => "check the path and the file",
    };
    Diagnostic::new(path, None, format!("cannot be read ({error}): {way_out}")).because_of(error)
}
