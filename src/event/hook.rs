//! Values of the hook stage: what a changed file is, what it would run, and which package owns it.

use super::words::words;
use std::path::PathBuf;
use std::time::SystemTime;

words! {
    /// Which start-up hook a path is (`HookKind`, `pyhookwatch.hook.kind`).
    HookKind {
        /// `sitecustomize`: run by every Python that finds it on its path.
        Sitecustomize = "sitecustomize",
        /// `usercustomize`: the same, after it.
        Usercustomize = "usercustomize",
        /// `*.pth` path configuration file: its import lines run, its path lines extend the path.
        Pth = "pth",
        /// `*.start` of Python 3.15 (PEP 829): it names functions that Python calls.
        Start = "start",
        /// The `site.py` of the standard library, or a file of that name elsewhere.
        Site = "site",
        /// `encodings/{__init__,aliases,utf_8,...}`: run before everything else, even with `-I -S`.
        StdlibBoot = "stdlib-boot",
        /// Another module of the standard library that Python up to 3.10 runs at every start.
        StdlibFile = "stdlib-file",
        /// `pythonXY.zip`, first on the path, as a file or a directory.
        StdlibZip = "stdlib-zip",
        /// `pythonX.Y._pth`, `pybuilddir.txt`, or a `pyvenv.cfg` beside or above an interpreter outside virtual
        /// environments.
        InterpreterConfig = "interpreter-config",
        /// `pyvenv.cfg` of a virtual environment.
        VenvConfig = "venv-config",
        /// A module that a hook imports.
        Module = "module",
        /// The script that PYTHONSTARTUP names.
        StartupScript = "startup-script",
        /// A wheel that `ensurepip` installs into every new virtual environment.
        BundledWheel = "bundled-wheel",
        /// The interpreter, or a program of its name.
        Interpreter = "interpreter",
        /// A directory that Python searches for modules and hooks.
        SiteDirectory = "site-directory",
        /// A file that sets environment variables for later processes.
        Environment = "environment",
        /// Any other file that a local rule matches.
        Other = "other",
    }
}

impl HookKind {
    /// Whether the file can lead Python to modules and directories that are tracked from then on.
    pub fn leads_on(self) -> bool {
        matches!(self, Self::Pth | Self::Start | Self::Sitecustomize | Self::Usercustomize)
    }
}

words! {
    /// The form of the file (`HookForm`).
    HookForm {
        /// A source file.
        Module = "module",
        /// The `__init__` of a package directory.
        Package = "package",
        /// A shared object.
        Extension = "extension",
        /// A compiled file in `__pycache__`.
        Bytecode = "bytecode",
        /// A compiled file outside `__pycache__`, beside or in place of its source.
        Sourceless = "sourceless",
        /// A zip file.
        Archive = "archive",
        /// A directory.
        Directory = "directory",
        /// A text file of another format.
        File = "file",
    }
}

words! {
    /// The role of the directory for Python (`HookLocation`).
    HookLocation {
        /// The standard library: `lib/pythonX.Y`.
        Stdlib = "stdlib",
        /// `site-packages` or `dist-packages`.
        Site = "site",
        /// `site-packages` below a user's base directory.
        UserSite = "user-site",
        /// Inside `pythonXY.zip`.
        Archive = "archive",
        /// `/etc/pythonX.Y`, with the targets of links in the standard library of Debian.
        Etc = "etc",
        /// A directory that a `.pth` file, PYTHONPATH or a link adds to the path.
        SearchPath = "search-path",
        /// Beside or above an interpreter.
        Program = "program",
        /// An environment file for every user.
        System = "system",
        /// An environment file for one user.
        User = "user",
        /// A directory that Python does not search at start-up.
        Elsewhere = "elsewhere",
    }
}

words! {
    /// What the content would do (`ContentClass`).
    ContentClass {
        /// The content runs nothing.
        Inert = "inert",
        /// Code without any sign of an attack.
        Neutral = "neutral",
        /// Code of a kind that is rare in benign hooks.
        Suspicious = "suspicious",
        /// Code of a kind that no known benign hook contains.
        Hostile = "hostile",
        /// Machine code or bytecode, which is not analysed.
        Opaque = "opaque",
        /// The content was not read, or only in part.
        Unknown = "unknown",
    }
}

words! {
    /// A finding in the content (`ContentSignals`).
    Signal {
        /// Decodes base64, base85, hex, rot13, compressed data and the like.
        Decode = "decode",
        /// Runs text as code.
        Execute = "execute",
        /// Runs decoded or computed text as code.
        ExecuteDecoded = "hidden-code",
        /// Loads marshalled or pickled objects.
        Deserialise = "deserialise",
        /// Starts a process.
        Spawn = "spawn",
        /// Talks to the network.
        Network = "network",
        /// Names a downloader, or the network device of a shell.
        Download = "download",
        /// Names a file of keys, tokens or passwords.
        Credentials = "credentials",
        /// Names a world-writable directory.
        TemporaryPath = "temporary-path",
        /// Calls native code (ctypes, cffi).
        NativeCode = "native-code",
        /// Starts a thread.
        Thread = "thread",
        /// Builds names or texts from parts so that they cannot be read.
        Obfuscated = "obfuscated",
        /// Imports a module by a computed name.
        DynamicImport = "dynamic-import",
        /// Names files that run or grant access later: units, crontabs, profiles, authorized keys, other hooks.
        Persistence = "persistence",
        /// Changes how modules are found, or modules that others have imported.
        ImportHook = "import-hook",
        /// Contains a long text that looks random.
        Entropy = "entropy",
        /// Larger than any known benign file of the kind.
        Large = "large",
        /// Adds a world-writable directory to the path.
        PathTemporary = "path-temporary",
        /// Adds a hidden directory to the path.
        PathHidden = "path-hidden",
        /// Adds a relative directory to the path, or one with `..` in it.
        PathRelative = "path-relative",
        /// An empty element adds the current directory to the path.
        PathEmpty = "path-empty",
        /// Adds an ordinary directory to the path.
        PathAdded = "path-added",
        /// The name begins with a dot: `ls` hides the file, and some interpreters read it.
        HiddenName = "hidden-name",
        /// An import line follows a separator that editors do not show.
        OddSeparator = "odd-separator",
        /// An import line follows a byte order mark.
        ByteOrderMark = "byte-order-mark",
        /// An import line is indented: only Python 3.15 and later run it.
        Indented = "indented",
        /// The file is not UTF-8: most interpreters stop at it with an error.
        Undecodable = "undecodable",
        /// Bytecode that Python runs without comparing it with its source.
        UncheckedBytecode = "unchecked-bytecode",
        /// An empty `.start` file: Python skips the import lines of the `.pth` file of the same name.
        SuppressesPth = "suppresses-pth",
        /// The file holds weights of a model; it is no path configuration file.
        ModelWeights = "model-weights",
        /// The content cannot be parsed as Python.
        SyntaxError = "syntax-error",
        /// The interpreter configuration names a temporary, hidden or relative directory, or `home` has changed.
        HomeMoved = "home-moved",
        /// The virtual environment uses the packages of the system and of the user.
        SystemSitePackages = "system-site-packages",
        /// Only a part was read.
        Truncated = "truncated",
        /// The analyser panicked on this content; treat it as crafted.
        AnalysisFailed = "analysis-failed",
    }
}

/// A set of signals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals(u64);

impl Signals {
    /// Adds one.
    pub fn insert(&mut self, signal: Signal) {
        self.0 |= 1 << signal as u32;
    }

    /// Takes one away.
    pub fn remove(&mut self, signal: Signal) {
        self.0 &= !(1 << signal as u32);
    }

    /// Adds all of another set.
    pub fn extend(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Whether the set contains it.
    pub fn contains(self, signal: Signal) -> bool {
        self.0 & (1 << signal as u32) != 0
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each, in the order of [`Signal::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Signal> {
        Signal::ALL.iter().copied().filter(move |signal| self.contains(*signal))
    }
}

impl FromIterator<Signal> for Signals {
    fn from_iter<I: IntoIterator<Item = Signal>>(signals: I) -> Self {
        let mut set = Self::default();
        signals.into_iter().for_each(|signal| set.insert(signal));
        set
    }
}

const _: () = assert!(Signal::ALL.len() <= 64);

/// What a path is to Python, by its name and directories alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HookPath {
    /// The kind of hook.
    pub kind: HookKind,
    /// The form of the file.
    pub form: HookForm,
    /// The role of its directory.
    pub location: HookLocation,
    /// Python's version, as (3, 11); `None` if the path does not contain it.
    pub version: Option<(u8, u8)>,
}

/// The package that owns a file (`Provenance`, `Package`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Provenance {
    /// The list of a package names it with this content.
    Owned(String),
    /// The list of a package names it with other content.
    Changed(String),
    /// No list of a package names it.
    Unowned,
    /// Not established.
    #[default]
    Unknown,
}

impl Provenance {
    /// The word used in rules and alerts.
    pub fn as_str(&self) -> &'static str {
        match self {
            Provenance::Owned(_) => "owned",
            Provenance::Changed(_) => "changed",
            Provenance::Unowned => "unowned",
            Provenance::Unknown => "unknown",
        }
    }

    /// The package that lists it, as `dpkg:python3-pip` or `wheel:coverage-7.6.1`.
    pub fn package(&self) -> Option<&str> {
        match self {
            Provenance::Owned(package) | Provenance::Changed(package) => Some(package),
            Provenance::Unowned | Provenance::Unknown => None,
        }
    }
}

/// A changed hook: the facts of one look at the file.
#[derive(Clone, Debug)]
pub struct Hook {
    /// What the path is.
    pub path: HookPath,
    /// The file's metadata when it was read.
    pub file: FileFacts,
    /// What its content would do.
    pub content: ContentReport,
    /// Real path of a symbolic link's target, as seen from the root.
    pub real_path: Option<PathBuf>,
    /// A file of the same import name that Python finds before this one.
    pub shadowed_by: Option<PathBuf>,
    /// The Python installation around it was created minutes ago: it is being installed.
    pub in_new_tree: bool,
    /// The package that owns it.
    pub provenance: Provenance,
}

impl Hook {
    /// Lines kept for the alert.
    pub const MAX_LINES: usize = 20;
    /// Bytes kept of one line.
    pub const MAX_LINE: usize = 512;
    /// Imported modules kept.
    pub const MAX_IMPORTS: usize = 64;

    /// A hook of which only the path is known.
    pub fn new(path: HookPath) -> Self {
        Self {
            path,
            file: FileFacts::default(),
            content: ContentReport::of(ContentClass::Unknown),
            real_path: None,
            shadowed_by: None,
            in_new_tree: false,
            provenance: Provenance::Unknown,
        }
    }
}

/// What the bytes of a file would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentReport {
    /// The judgement in one word.
    pub class: ContentClass,
    /// The findings behind it.
    pub signals: Signals,
    /// Lines that would run, raw, at most [`Hook::MAX_LINES`] of at most [`Hook::MAX_LINE`] bytes.
    pub runs: Vec<Vec<u8>>,
    /// More would run than `runs` holds, or the file was larger than the part that was parsed.
    pub truncated: bool,
    /// Code that was encoded in the content, decoded by one level; bounds as for `runs`.
    pub decoded: Vec<Vec<u8>>,
    /// Modules that it imports by name, as written; at most [`Hook::MAX_IMPORTS`].
    pub imports: Vec<String>,
    /// Directories that it adds to Python's path, raw, as written.
    pub paths: Vec<Vec<u8>>,
    /// The interpreters that run it, if not all do, as `3.15+`.
    pub interpreters: Option<&'static str>,
    /// Python's variables that an environment file sets and, as far as that is known, did not set before.
    pub settings: Vec<EnvironmentSetting>,
}

impl ContentReport {
    /// A report of this class without any finding.
    pub fn of(class: ContentClass) -> Self {
        Self {
            class,
            signals: Signals::default(),
            runs: Vec::new(),
            truncated: false,
            decoded: Vec::new(),
            imports: Vec::new(),
            paths: Vec::new(),
            interpreters: None,
            settings: Vec::new(),
        }
    }
}

/// A setting of an environment variable that Python reads at start-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentSetting {
    /// The variable, as `PYTHONPATH`.
    pub variable: &'static str,
    /// Line number, from 1.
    pub line: usize,
    /// The line, raw, at most [`Hook::MAX_LINE`] bytes.
    pub text: Vec<u8>,
    /// The value without the quotes of the file's grammar, raw, at most [`Hook::MAX_LINE`] bytes.
    pub value: Vec<u8>,
}

/// Metadata of a file, read through the directory of the event without following a symbolic link.
#[derive(Clone, Debug, Default)]
pub struct FileFacts {
    /// The type of the file, or why it was not read.
    pub state: FileState,
    /// Inode number.
    pub inode: Option<u64>,
    /// Device the inode is on, `major:minor`.
    pub device: Option<(u32, u32)>,
    /// Owner's user id.
    pub owner: Option<u32>,
    /// Owner's group id.
    pub group: Option<u32>,
    /// Permission bits, as in `chmod`.
    pub mode: Option<u32>,
    /// Size in bytes.
    pub size: Option<u64>,
    /// Hard links.
    pub links: Option<u64>,
    /// Last content change.
    pub modified: Option<SystemTime>,
    /// Last change of content or metadata (ctime), which programs cannot set.
    pub changed: Option<SystemTime>,
    /// SHA-256 of the whole content; `None` when it was not read to its end.
    pub sha256: Option<[u8; 32]>,
}

words! {
    /// A file that has no content to read (`file.type`).
    SpecialFile {
        /// A directory.
        Directory = "directory",
        /// A named pipe.
        Fifo = "fifo",
        /// A socket.
        Socket = "socket",
        /// The mark by which an overlay hides a file of a lower layer: for its users there is no file.
        Whiteout = "overlay whiteout",
        /// A character device.
        CharacterDevice = "character device",
        /// A block device.
        BlockDevice = "block device",
        /// A type that the kernel does not name.
        Unknown = "unknown",
    }
}

/// What the name refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FileState {
    /// A regular file that was read.
    Regular,
    /// A symbolic link; its target, raw. The target is not followed.
    SymbolicLink(PathBuf),
    /// No regular file and no link: it is not read.
    Special(SpecialFile),
    /// The file was gone before it could be read.
    Gone,
    /// Reading failed for this reason.
    Unreadable(String),
    /// The file was not read (`explain` without content).
    #[default]
    NotLooked,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rules look for signals with `contains`.
    #[test]
    fn no_signal_s_word_is_part_of_another_one() {
        for signal in Signal::ALL {
            let containing = Signal::ALL.iter().filter(|other| other.as_str().contains(signal.as_str()));
            assert_eq!(containing.count(), 1, "{}", signal.as_str());
        }
    }
}
