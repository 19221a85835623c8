//! Modules: those of the standard library, and those that no benign `.pth` line imports.

use super::effect::Effect::{self, *};

/// Imports that are remarkable in a `.pth` line, by top-level module or by whole name. Sorted.
static PTH_IMPORTS: &[(&str, Effect)] = &[
    ("_thread", Thread),
    ("aiohttp", Network),
    ("antigravity", Spawn),
    ("base64", Decode),
    ("binascii", Decode),
    ("binhex", Decode),
    ("bz2", Decode),
    ("cPickle", Deserialise),
    ("cffi", Native),
    ("cloudpickle", Deserialise),
    ("code", RunFile),
    ("commands", Spawn),
    ("concurrent", Thread),
    ("ctypes", Native),
    ("dill", Deserialise),
    ("ftplib", Network),
    ("gzip", Decode),
    ("http", Network),
    ("httplib", Network),
    ("httpx", Network),
    ("lzma", Decode),
    ("marshal", Deserialise),
    ("mmap", Native),
    ("multiprocessing", Thread),
    ("paramiko", Network),
    ("pexpect", Spawn),
    ("pickle", Deserialise),
    ("popen2", Spawn),
    ("pty", Spawn),
    ("quopri", Decode),
    ("requests", Network),
    ("runpy", RunFile),
    ("shelve", Deserialise),
    ("smtplib", Network),
    ("socket", Network),
    ("socketserver", Network),
    ("ssl", Network),
    ("subprocess", Spawn),
    ("subprocess32", Spawn),
    ("telnetlib", Network),
    ("threading", Thread),
    ("timeit", RunFile),
    ("urllib.request", Network),
    ("urllib2", Network),
    ("urllib3", Network),
    ("uu", Decode),
    ("webbrowser", Spawn),
    ("xmlrpc", Network),
    ("xmlrpclib", Network),
    ("zlib", Decode),
];

/// What the import of this module means in a `.pth` line.
pub fn import_effect(module: &str) -> Option<Effect> {
    let find = |name: &str| PTH_IMPORTS.binary_search_by_key(&name, |(known, _)| known).ok();
    let top = module.split('.').next().unwrap_or_default();
    let (_, effect) = PTH_IMPORTS.get(find(top).or_else(|| find(module))?)?;
    Some(*effect)
}

/// Whether a top-level module belongs to the standard library of any Python.
pub fn is_standard(module: &str) -> bool {
    STANDARD.binary_search(&module).is_ok()
}

/// Top-level modules of the standard libraries from 2.7 to 3.15, in order.
#[rustfmt::skip]
const STANDARD: &[&str] = &[
    "BaseHTTPServer", "Bastion", "CDROM", "CGIHTTPServer", "ConfigParser", "Cookie", "DLFCN", "DocXMLRPCServer",
    "HTMLParser", "IN", "MimeWriter", "Queue", "SimpleHTTPServer", "SimpleXMLRPCServer", "SocketServer", "StringIO",
    "TYPES", "UserDict", "UserList", "UserString", "_LWPCookieJar", "_MozillaCookieJar", "__builtin__", "__future__",
    "__hello__", "__main__", "__phello__", "_abc", "_abcoll", "_aix_support", "_android_support", "_ast", "_asyncio",
    "_bisect", "_blake2", "_bootlocale", "_bootsubprocess", "_bz2", "_codecs", "_codecs_cn", "_codecs_hk",
    "_codecs_iso2022", "_codecs_jp", "_codecs_kr", "_codecs_tw", "_collections", "_collections_abc", "_colorize",
    "_compat_pickle", "_compression", "_contextvars", "_crypt", "_csv", "_ctypes", "_ctypes_test", "_curses",
    "_curses_panel", "_datetime", "_dbm", "_decimal", "_dummy_thread", "_elementtree", "_frozen_importlib",
    "_frozen_importlib_external", "_functools", "_gdbm", "_hashlib", "_heapq", "_hotshot", "_imp", "_interpchannels",
    "_interpqueues", "_interpreters", "_io", "_ios_support", "_json", "_locale", "_lsprof", "_lzma", "_markupbase",
    "_md5", "_msi", "_multibytecodec", "_multiprocessing", "_opcode", "_opcode_metadata", "_operator", "_osx_support",
    "_overlapped", "_peg_parser", "_pickle", "_posixshmem", "_posixsubprocess", "_py_abc", "_pydatetime",
    "_pydecimal", "_pyio", "_pylong", "_pyrepl", "_queue", "_random", "_remote_debugging", "_scproxy", "_sha",
    "_sha1", "_sha2", "_sha256", "_sha3", "_sha512", "_signal", "_sitebuiltins", "_socket", "_sqlite3", "_sre",
    "_ssl", "_stat", "_statistics", "_string", "_strptime", "_struct", "_suggestions", "_symtable", "_sysconfig",
    "_thread", "_threading_local", "_tkinter", "_tokenize", "_tracemalloc", "_typing", "_uuid", "_warnings",
    "_weakref", "_weakrefset", "_winapi", "_wmi", "_zoneinfo", "abc", "aifc", "annotationlib", "antigravity",
    "anydbm", "argparse", "array", "ast", "asynchat", "asyncio", "asyncore", "atexit", "audiodev", "audioop",
    "base64", "bdb", "binascii", "binhex", "bisect", "bsddb", "builtins", "bz2", "cPickle", "cProfile", "cStringIO",
    "calendar", "cgi", "cgitb", "chunk", "cmath", "cmd", "code", "codecs", "codeop", "collections", "colorsys",
    "commands", "compileall", "compiler", "compression", "concurrent", "configparser", "contextlib", "contextvars",
    "cookielib", "copy", "copy_reg", "copyreg", "crypt", "csv", "ctypes", "curses", "dataclasses", "datetime",
    "dbhash", "dbm", "decimal", "difflib", "dircache", "dis", "distutils", "doctest", "dumbdbm", "dummy_thread",
    "dummy_threading", "email", "encodings", "ensurepip", "enum", "errno", "exceptions", "faulthandler", "fcntl",
    "filecmp", "fileinput", "fnmatch", "formatter", "fpformat", "fractions", "ftplib", "functools", "future_builtins",
    "gc", "genericpath", "getopt", "getpass", "gettext", "glob", "graphlib", "grp", "gzip", "hashlib", "heapq",
    "hmac", "hotshot", "html", "htmlentitydefs", "htmllib", "http", "httplib", "idlelib", "ihooks", "imaplib",
    "imghdr", "imp", "importlib", "imputil", "inspect", "io", "ipaddress", "itertools", "json", "keyword", "lib2to3",
    "linecache", "linuxaudiodev", "locale", "logging", "lzma", "macpath", "macurl2path", "mailbox", "mailcap",
    "markupbase", "marshal", "math", "md5", "mhlib", "mimetools", "mimetypes", "mimify", "mmap", "modulefinder",
    "msilib", "msvcrt", "multifile", "multiprocessing", "mutex", "netrc", "new", "nis", "nntplib", "nt", "ntpath",
    "nturl2path", "numbers", "opcode", "operator", "optparse", "os", "os2emxpath", "ossaudiodev", "parser", "pathlib",
    "pdb", "pickle", "pickletools", "pipes", "pkgutil", "platform", "plistlib", "popen2", "poplib", "posix",
    "posixfile", "posixpath", "pprint", "profile", "profiling", "pstats", "pty", "pwd", "py_compile", "pyclbr",
    "pydoc", "pydoc_data", "pyexpat", "queue", "quopri", "random", "re", "readline", "repr", "reprlib", "resource",
    "rexec", "rfc822", "rlcompleter", "robotparser", "runpy", "sched", "secrets", "select", "selectors", "sets",
    "sgmllib", "sha", "shelve", "shlex", "shutil", "signal", "site", "smtpd", "smtplib", "sndhdr", "socket",
    "socketserver", "spwd", "sqlite3", "sre", "sre_compile", "sre_constants", "sre_parse", "ssl", "stat",
    "statistics", "statvfs", "string", "stringold", "stringprep", "strop", "struct", "subprocess", "sunau",
    "sunaudio", "symbol", "symtable", "sys", "sysconfig", "syslog", "tabnanny", "tarfile", "telnetlib", "tempfile",
    "termios", "test", "textwrap", "this", "thread", "threading", "time", "timeit", "tkinter", "toaiff", "token",
    "tokenize", "tomllib", "trace", "traceback", "tracemalloc", "tty", "turtle", "turtledemo", "types", "typing",
    "unicodedata", "unittest", "urllib", "urllib2", "urlparse", "user", "uu", "uuid", "venv", "warnings", "wave",
    "weakref", "webbrowser", "whichdb", "winreg", "winsound", "wsgiref", "xdrlib", "xml", "xmllib", "xmlrpc",
    "xmlrpclib", "zipapp", "zipfile", "zipimport", "zlib", "zoneinfo",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        assert!(STANDARD.is_sorted_by(|a, b| a < b));
        assert!(PTH_IMPORTS.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn modules_of_every_python_are_standard() {
        assert!(is_standard("os") && is_standard("urllib2") && is_standard("annotationlib"));
        assert!(!is_standard("requests") && !is_standard("setuptools") && !is_standard("pip"));
    }

    #[test]
    fn a_pth_import_is_found_by_top_level_module_or_whole_name() {
        assert_eq!(import_effect("http.client"), Some(Network));
        assert_eq!(import_effect("urllib.request"), Some(Network));
        assert_eq!(import_effect("urllib.parse"), None);
    }
}
