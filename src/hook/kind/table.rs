//! The start-up files that are known by name. A new module goes into [`MODULES`], a new kind of file into [`FILE_NAMES`] and
//! into `BY_EXTENSION` of the parent.
//!
//! The lists hold what was seen to run on CPython 2.7 to 3.15 and on PyPy.

use crate::event::HookKind;

/// From which directory a start-up module is imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportedFrom {
    /// A file counts anywhere, because PYTHONPATH can add its directory; a directory counts where Python searches.
    AnyDirectory,
    /// The standard library; a source file counts anywhere.
    StdlibOrAnySource,
    /// The standard library.
    Stdlib,
    /// The package `encodings` of the standard library, and that package itself.
    Encodings,
    /// Any directory that Python searches by default.
    SearchedDirectory,
}

/// Modules of one kind.
pub struct StartupModules {
    pub kind: HookKind,
    pub imported_from: ImportedFrom,
    /// Import names without their package.
    pub names: &'static [&'static str],
    /// Every import name that begins so.
    pub prefix: Option<&'static str>,
    /// Patterns of the file names that they can have, see [`FILE_NAMES`].
    pub file_names: &'static [&'static str],
}

impl StartupModules {
    pub fn contains(&self, name: &[u8]) -> bool {
        self.names.iter().any(|known| known.as_bytes() == name)
            || self.prefix.is_some_and(|prefix| name.starts_with(prefix.as_bytes()))
    }
}

/// One [`StartupModules`] from its import names and what else can be a file name of them.
macro_rules! modules {
    ($kind:ident, $imported_from:ident, [$($name:literal)*], $prefix:expr, [$($pattern:literal)*]) => {
        StartupModules {
            kind: HookKind::$kind,
            imported_from: ImportedFrom::$imported_from,
            names: &[$($name),*],
            prefix: $prefix,
            file_names: &[$($name, concat!($name, ".*"),)* "__init__.*", $($pattern),*],
        }
    };
}

/// What start-up files of common packages import: apport's `sitecustomize`, `distutils-precedence.pth` of setuptools,
/// `_virtualenv.pth` of virtualenv, `__editable___NAME_finder` of an editable install (PEP 660).
pub static IMPORTED: StartupModules = modules!(
    Module, SearchedDirectory, ["apport_python_hook" "_distutils_hack" "_virtualenv"], Some("__editable__"),
    ["__editable__*"]
);

pub static MODULES: [&StartupModules; 6] = [
    // execsitecustomize() and execusercustomize() of CPython's Lib/site.py.
    &modules!(Sitecustomize, AnyDirectory, ["sitecustomize"], None, ["sitecustomizemodule.so"]),
    &modules!(Usercustomize, AnyDirectory, ["usercustomize"], None, ["usercustomizemodule.so"]),
    &modules!(Site, StdlibOrAnySource, ["site"], None, []),
    // `encodings` and what Python/codecs.c imports of it before anything else: the codec of the locale among them.
    &modules!(
        StdlibBoot, Encodings, ["encodings" "aliases" "utf_8" "ascii" "latin_1" "utf_8_sig"], None, []
    ),
    // What Python 2.7 to 3.10 import at every start; later ones have most of them frozen (Python/frozen.c).
    &modules!(
        StdlibFile, Stdlib,
        ["os" "io" "codecs" "abc" "posixpath" "genericpath" "stat" "_collections_abc" "_sitebuiltins" "_bootlocale"
         "_weakrefset" "sysconfig" "UserDict" "_abcoll" "_sysconfigdata" "copy_reg" "linecache" "re" "sre_compile"
         "sre_constants" "sre_parse" "traceback" "types" "warnings"],
        None, []
    ),
    &IMPORTED,
];

/// File names of the other kinds: exact, `*` and an ending, or a beginning and `*`.
pub static FILE_NAMES: [(HookKind, &[&str]); 9] = [
    // addpackage() of CPython's Lib/site.py.
    (HookKind::Pth, &["*.pth"]),
    // PEP 829.
    (HookKind::Start, &["*.start"]),
    (HookKind::StdlibZip, &["python*"]),
    // Modules/getpath.py of CPython.
    (HookKind::InterpreterConfig, &["pyvenv.cfg", "*._pth", "pybuilddir.txt"]),
    // PEP 405.
    (HookKind::VenvConfig, &["pyvenv.cfg"]),
    (HookKind::BundledWheel, &["*.whl"]),
    (HookKind::Interpreter, &["python*", "pypy*"]),
    (HookKind::SiteDirectory, &["python*", "pypy*", "site-packages", "dist-packages", "lib-dynload", "__pycache__"]),
    // PYTHONSTARTUP can name any file; these are usual.
    (HookKind::StartupScript, &[".pythonrc", ".pythonrc.py", ".pythonstartup"]),
];

/// Directories of wheels that are installed into every new virtual environment, by their last components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WheelOwner {
    /// Debian's `python-wheels`, used by `ensurepip` in place of its own.
    System,
    /// `ensurepip` of the standard library.
    Stdlib,
    /// A package in a searched directory.
    Package,
}

pub static WHEEL_DIRECTORIES: [(&str, WheelOwner); 3] = [
    ("share/python-wheels", WheelOwner::System),
    ("ensurepip/_bundled", WheelOwner::Stdlib),
    ("virtualenv/seed/wheels/embed", WheelOwner::Package),
];

/// Directories of interpreters that are started directly: a `pyvenv.cfg` there makes an interpreter of the system believe
/// that it is in a virtual environment. No tool writes one. Last components of the path.
pub static PROGRAM_DIRECTORIES: [&[u8]; 2] = [b"bin", b"sbin"];

/// Prefixes of conda's base installation, as its installers name them.
pub static CONDA_PREFIXES: [&[u8]; 5] = [b"conda", b"anaconda3", b"miniconda3", b"miniforge3", b"mambaforge"];
