//! Names of Python's library and what reaching for them means.

/// What a name does when it is called or passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Runs its argument as code.
    Execute,
    /// Makes code of its argument.
    Compile,
    /// Runs a file or a module as code.
    RunFile,
    /// Gives a prompt or a debugger, or what was typed.
    Console,
    /// Decodes or decompresses.
    Decode,
    /// Loads marshalled or pickled objects.
    Deserialise,
    /// Starts a process.
    Spawn,
    /// Makes a copy of this process.
    Fork,
    /// Puts a descriptor in the place of another.
    Duplicate,
    /// A file without a name in a directory.
    MemoryFile,
    /// Talks to the network.
    Network,
    /// Calls native code.
    Native,
    /// Makes memory for native code.
    NativeMemory,
    /// Starts a thread.
    Thread,
    /// Imports by name.
    Import,
    /// Loads a module from a file.
    Loader,
    /// How modules are found.
    ImportHook,
    /// Writes, moves or links files.
    FileChange,
}

/// What a canonical dotted name does. `whole` counts everything in a module that exists for one purpose,
/// else only the names that do it.
pub fn effect(path: &str, whole: bool) -> Option<Effect> {
    let (root, rest) = path.split_once('.').unwrap_or((path, ""));
    let last = rest.rsplit('.').next().unwrap_or_default();
    let found = match root {
        "exec" | "eval" if rest.is_empty() => Effect::Execute,
        "execfile" if rest.is_empty() => Effect::RunFile,
        "compile" if rest.is_empty() => Effect::Compile,
        "__import__" if rest.is_empty() => Effect::Import,
        "input" | "raw_input" | "breakpoint" if rest.is_empty() => Effect::Console,
        "os" => return os(rest),
        "subprocess" | "subprocess32" => match last {
            "Popen" | "run" | "call" | "check_call" | "check_output" | "getoutput" | "getstatusoutput" => Effect::Spawn,
            _ => return None,
        },
        "commands" | "popen2" | "_posixsubprocess" | "pexpect" | "plumbum" if !rest.is_empty() => Effect::Spawn,
        "pty" if !rest.is_empty() => Effect::Spawn,
        "asyncio" => match last {
            "create_subprocess_exec" | "create_subprocess_shell" | "subprocess_exec" | "subprocess_shell" => {
                Effect::Spawn
            }
            "open_connection" | "start_server" | "open_unix_connection" | "create_connection" => Effect::Network,
            _ => return None,
        },
        "platform" if last == "popen" => Effect::Spawn,
        "webbrowser" if matches!(last, "open" | "open_new" | "open_new_tab" | "get" | "register") => Effect::Spawn,
        "antigravity" => Effect::Spawn,
        "distutils" if rest == "spawn.spawn" => Effect::Spawn,
        "posix_spawn" => Effect::Spawn,
        "socket" => match last {
            "socket" | "create_connection" | "create_server" | "socketpair" | "getaddrinfo" | "gethostbyname"
            | "gethostbyname_ex" | "gethostbyaddr" | "fromfd" | "SocketType" => Effect::Network,
            _ if whole && !rest.is_empty() => Effect::Network,
            _ => return None,
        },
        "urllib" => match last {
            "urlopen" | "urlretrieve" | "Request" | "build_opener" | "OpenerDirector" | "URLopener"
            | "FancyURLopener" => Effect::Network,
            _ => return None,
        },
        "urllib2" | "http" | "httplib" | "ftplib" | "smtplib" | "telnetlib" | "poplib" | "imaplib" | "nntplib"
        | "xmlrpclib" | "xmlrpc" | "requests" | "httpx" | "aiohttp" | "urllib3" | "paramiko" | "websocket"
        | "websockets" | "pycurl" | "socketserver" | "SocketServer" | "BaseHTTPServer" | "dns" | "curl_cffi"
        | "httplib2" | "niquests" => {
            let callable = matches!(
                last,
                "urlopen"
                    | "Request"
                    | "HTTPConnection"
                    | "HTTPSConnection"
                    | "FTP"
                    | "FTP_TLS"
                    | "SMTP"
                    | "SMTP_SSL"
                    | "Telnet"
                    | "POP3"
                    | "IMAP4"
                    | "IMAP4_SSL"
                    | "NNTP"
                    | "ServerProxy"
                    | "get"
                    | "post"
                    | "put"
                    | "request"
                    | "Session"
                    | "session"
                    | "Client"
                    | "AsyncClient"
                    | "ClientSession"
                    | "PoolManager"
                    | "SSHClient"
                    | "Transport"
                    | "connect"
                    | "create_connection"
                    | "WebSocketApp"
                    | "Curl"
                    | "TCPServer"
                    | "HTTPServer"
                    | "resolve"
                    | "query"
                    | "Http"
                    | "head"
                    | "delete"
                    | "build_opener"
                    | "stream"
                    | "UDPServer"
            );
            if callable || whole && !rest.is_empty() { Effect::Network } else { return None }
        }
        "ssl" if matches!(last, "wrap_socket" | "get_server_certificate") => Effect::Network,
        "base64" | "binascii" | "quopri" | "uu" | "binhex" => match last {
            "crc32" | "crc_hqx" | "Error" | "Incomplete" | "" => return None,
            name if name.contains("encode") || name.starts_with("b2a") || name == "hexlify" => {
                if whole {
                    Effect::Decode
                } else {
                    return None;
                }
            }
            _ => Effect::Decode,
        },
        "zlib" | "lzma" | "bz2" | "gzip" | "_lzma" | "_bz2" | "zstandard" | "brotli" | "compression" => match last {
            "decompress" | "decompressobj" | "LZMADecompressor" | "BZ2Decompressor" => Effect::Decode,
            _ if whole && !rest.is_empty() => Effect::Decode,
            _ => return None,
        },
        "bytes" | "bytearray" if rest == "fromhex" => Effect::Decode,
        "str" if matches!(rest, "maketrans") => Effect::Decode,
        "codecs" => match last {
            "decode"
            | "getdecoder"
            | "escape_decode"
            | "unicode_escape_decode"
            | "utf_7_decode"
            | "getreader"
            | "raw_unicode_escape_decode" => Effect::Decode,
            _ => return None,
        },
        "encodings" if rest.starts_with("rot_13") => Effect::Decode,
        "marshal" | "pickle" | "_pickle" | "cPickle" | "dill" | "cloudpickle" | "joblib" | "shelve" | "jsonpickle" => {
            match last {
                "loads" | "load" | "Unpickler" | "open" | "decode" => Effect::Deserialise,
                _ if whole && !rest.is_empty() => Effect::Deserialise,
                _ => return None,
            }
        }
        "ctypes" | "_ctypes" | "cffi" | "cppyy" | "_cffi_backend" => match last {
            "" => return None,
            "mmap" | "memmove" | "CFUNCTYPE" | "PYFUNCTYPE" | "WINFUNCTYPE" | "mprotect" | "string_at"
            | "from_buffer" | "VirtualAlloc" | "pythonapi" => Effect::NativeMemory,
            _ => Effect::Native,
        },
        "mmap" if rest == "mmap" || whole && !rest.is_empty() => Effect::Native,
        "threading" => match last {
            "Thread" | "Timer" | "_start_new_thread" | "start_new_thread" => Effect::Thread,
            _ if whole && !rest.is_empty() => Effect::Thread,
            _ => return None,
        },
        "_thread" | "thread" | "dummy_threading" | "_dummy_thread" => match last {
            "start_new_thread" | "start_new" | "start_joinable_thread" => Effect::Thread,
            _ if whole && !rest.is_empty() => Effect::Thread,
            _ => return None,
        },
        "multiprocessing" | "concurrent" | "gevent" | "eventlet" | "_interpreters" => match last {
            "Process"
            | "Pool"
            | "ThreadPool"
            | "ThreadPoolExecutor"
            | "ProcessPoolExecutor"
            | "spawn"
            | "create"
            | "run_string" => Effect::Thread,
            _ if whole && !rest.is_empty() => Effect::Thread,
            _ => return None,
        },
        "importlib" => match last {
            "import_module" | "__import__" | "_gcd_import" => Effect::Import,
            "SourceFileLoader" | "SourcelessFileLoader" | "ExtensionFileLoader" | "spec_from_file_location" => {
                Effect::Loader
            }
            _ => return None,
        },
        "imp" | "_imp" if last.starts_with("load_") || matches!(last, "create_dynamic") => Effect::Loader,
        "zipimport" if last == "zipimporter" => Effect::Loader,
        "runpy" if !rest.is_empty() => Effect::RunFile,
        "timeit" if matches!(last, "timeit" | "repeat" | "Timer" | "main") => Effect::Execute,
        "trace" | "cProfile" | "profile" | "bdb" | "pdb" | "doctest" => match last {
            "run" | "runctx" | "runeval" | "runcall" | "Trace" => Effect::Execute,
            "set_trace" | "post_mortem" => Effect::Console,
            _ => return None,
        },
        "code" => match last {
            "interact" | "InteractiveConsole" => Effect::Console,
            "" => return None,
            _ => Effect::Execute,
        },
        "codeop" if last == "compile_command" => Effect::Compile,
        "types" if matches!(last, "CodeType" | "FunctionType" | "LambdaType") => Effect::Compile,
        "new" if matches!(last, "code" | "function") => Effect::Compile,
        "pydoc" if matches!(last, "pipepager" | "tempfilepager" | "ttypager") => Effect::Spawn,
        "sys" if matches!(last, "meta_path" | "path_hooks" | "path_importer_cache") => Effect::ImportHook,
        "shutil" if matches!(last, "copy" | "copy2" | "copyfile" | "move" | "copytree") => Effect::FileChange,
        _ => return None,
    };
    Some(found)
}

fn os(rest: &str) -> Option<Effect> {
    Some(match rest {
        "system" | "popen" | "popen2" | "popen3" | "popen4" | "startfile" | "posix_spawn" | "posix_spawnp" => {
            Effect::Spawn
        }
        "fork" | "forkpty" | "setsid" => Effect::Fork,
        "dup2" => Effect::Duplicate,
        "memfd_create" => Effect::MemoryFile,
        "rename" | "replace" | "symlink" | "link" | "renames" | "open" | "chmod" => Effect::FileChange,
        _ if rest.starts_with("exec") || rest.starts_with("spawn") => Effect::Spawn,
        _ => return None,
    })
}

/// Method names that are as telling as the functions, when it is not known whose they are.
pub fn telling_method(name: &str) -> Option<Effect> {
    Some(match name {
        "system"
        | "popen"
        | "Popen"
        | "check_output"
        | "check_call"
        | "posix_spawn"
        | "fork_exec"
        | "create_subprocess_shell"
        | "create_subprocess_exec"
        | "getstatusoutput" => Effect::Spawn,
        "b64decode" | "b32decode" | "b85decode" | "a85decode" | "b16decode" | "urlsafe_b64decode" | "a2b_base64"
        | "unhexlify" | "fromhex" => Effect::Decode,
        "urlopen" | "urlretrieve" | "create_connection" => Effect::Network,
        "memfd_create" => Effect::MemoryFile,
        "run_path" => Effect::RunFile,
        _ => return None,
    })
}

/// Modules that no benign `.pth` line imports, and what importing them says there.
pub fn import_says(module: &str) -> Option<Effect> {
    let root = module.split('.').next().unwrap_or_default();
    Some(match root {
        "subprocess" | "subprocess32" | "pty" | "commands" | "popen2" | "webbrowser" | "pexpect" => Effect::Spawn,
        "antigravity" => Effect::Spawn,
        "socket" | "urllib2" | "http" | "httplib" | "ftplib" | "smtplib" | "telnetlib" | "requests" | "httpx"
        | "aiohttp" | "urllib3" | "paramiko" | "xmlrpc" | "xmlrpclib" | "ssl" | "socketserver" => Effect::Network,
        "urllib" if module == "urllib.request" => Effect::Network,
        "base64" | "binascii" | "zlib" | "lzma" | "bz2" | "gzip" | "quopri" | "uu" | "binhex" => Effect::Decode,
        "marshal" | "pickle" | "cPickle" | "dill" | "cloudpickle" | "shelve" => Effect::Deserialise,
        "ctypes" | "cffi" | "mmap" => Effect::Native,
        "threading" | "_thread" | "multiprocessing" | "concurrent" => Effect::Thread,
        "runpy" | "code" | "timeit" => Effect::RunFile,
        _ => return None,
    })
}

/// Modules that are reached through others (`shutil.os`) or known without an import in `site`.
pub fn is_core_module(name: &str) -> bool {
    matches!(
        name,
        "os" | "sys"
            | "builtins"
            | "subprocess"
            | "socket"
            | "base64"
            | "zlib"
            | "importlib"
            | "ctypes"
            | "codecs"
            | "marshal"
            | "binascii"
            | "threading"
            | "pickle"
            | "runpy"
            | "pty"
            | "urllib"
    )
}

/// Builtin functions that matter here: none of them is hidden by a definition of the same name.
pub fn is_builtin(name: &str) -> bool {
    matches!(
        name,
        "exec"
            | "eval"
            | "compile"
            | "__import__"
            | "getattr"
            | "setattr"
            | "globals"
            | "locals"
            | "vars"
            | "open"
            | "chr"
            | "unichr"
            | "ord"
            | "bytes"
            | "bytearray"
            | "str"
            | "int"
            | "list"
            | "tuple"
            | "set"
            | "map"
            | "filter"
            | "reversed"
            | "range"
            | "xrange"
            | "zip"
            | "sum"
            | "len"
            | "hex"
            | "execfile"
            | "input"
            | "raw_input"
            | "breakpoint"
            | "dict"
            | "iter"
            | "next"
            | "print"
            | "type"
            | "object"
            | "reload"
            | "apply"
            | "file"
            | "memoryview"
            | "repr"
            | "sorted"
            | "enumerate"
            | "__builtins__"
            | "__loader__"
            | "__spec__"
            | "unicode"
            | "format"
            | "min"
            | "max"
            | "any"
            | "all"
            | "delattr"
            | "help"
    )
}

/// Whether importing this needs nothing but Python.
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
    fn the_list_of_modules_can_be_searched() {
        assert!(STANDARD.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(is_standard("os") && is_standard("urllib2") && is_standard("annotationlib"));
        assert!(!is_standard("requests") && !is_standard("setuptools") && !is_standard("pip"));
    }

    #[test]
    fn exceptions_and_constants_of_a_module_are_no_effect() {
        for path in ["subprocess.PIPE", "subprocess.CalledProcessError", "socket.timeout", "os.path.join", "os.environ"]
        {
            assert_eq!(effect(path, false), None, "{path}");
        }
        assert_eq!(effect("subprocess.Popen", false), Some(Effect::Spawn));
        assert_eq!(effect("os.execvp", false), Some(Effect::Spawn));
        assert_eq!(effect("socket.AF_INET", true), Some(Effect::Network));
    }
}
