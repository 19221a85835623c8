//! What the names of Python's library do: one row for each name, and rules for whole modules.

use super::effect::Effect::{self, *};
use std::cmp::Ordering;

/// Names with an effect, as `module.name`, and builtins without a dot. Sorted.
///
/// A row also holds for that name in a submodule: `urllib.urlopen` is `urllib.request.urlopen` too.
/// Modules that do the same share the rows of one of them, see [`MODULES`].
static EFFECTS: &[(&str, Effect)] = &[
    ("__import__", Import),
    ("_thread.start_joinable_thread", Thread),
    ("_thread.start_new", Thread),
    ("_thread.start_new_thread", Thread),
    ("asyncio.create_connection", Network),
    ("asyncio.create_subprocess_exec", Spawn),
    ("asyncio.create_subprocess_shell", Spawn),
    ("asyncio.open_connection", Network),
    ("asyncio.open_unix_connection", Network),
    ("asyncio.start_server", Network),
    ("asyncio.subprocess_exec", Spawn),
    ("asyncio.subprocess_shell", Spawn),
    ("breakpoint", Console),
    ("bytearray.fromhex", Decode),
    ("bytes.fromhex", Decode),
    ("code.InteractiveConsole", Console),
    ("code.interact", Console),
    ("codecs.decode", Decode),
    ("codecs.escape_decode", Decode),
    ("codecs.getdecoder", Decode),
    ("codecs.getreader", Decode),
    ("codecs.raw_unicode_escape_decode", Decode),
    ("codecs.unicode_escape_decode", Decode),
    ("codecs.utf_7_decode", Decode),
    ("codeop.compile_command", Compile),
    ("compile", Compile),
    ("ctypes.CFUNCTYPE", NativeMemory),
    ("ctypes.PYFUNCTYPE", NativeMemory),
    ("ctypes.VirtualAlloc", NativeMemory),
    ("ctypes.WINFUNCTYPE", NativeMemory),
    ("ctypes.from_buffer", NativeMemory),
    ("ctypes.memmove", NativeMemory),
    ("ctypes.mmap", NativeMemory),
    ("ctypes.mprotect", NativeMemory),
    ("ctypes.pythonapi", NativeMemory),
    ("ctypes.string_at", NativeMemory),
    ("distutils.spawn.spawn", Spawn),
    ("eval", Execute),
    ("exec", Execute),
    ("execfile", RunFile),
    ("http.AsyncClient", Network),
    ("http.Client", Network),
    ("http.ClientSession", Network),
    ("http.Curl", Network),
    ("http.FTP", Network),
    ("http.FTP_TLS", Network),
    ("http.HTTPConnection", Network),
    ("http.HTTPSConnection", Network),
    ("http.HTTPServer", Network),
    ("http.Http", Network),
    ("http.IMAP4", Network),
    ("http.IMAP4_SSL", Network),
    ("http.NNTP", Network),
    ("http.POP3", Network),
    ("http.PoolManager", Network),
    ("http.Request", Network),
    ("http.SMTP", Network),
    ("http.SMTP_SSL", Network),
    ("http.SSHClient", Network),
    ("http.ServerProxy", Network),
    ("http.Session", Network),
    ("http.TCPServer", Network),
    ("http.Telnet", Network),
    ("http.Transport", Network),
    ("http.UDPServer", Network),
    ("http.WebSocketApp", Network),
    ("http.build_opener", Network),
    ("http.connect", Network),
    ("http.create_connection", Network),
    ("http.delete", Network),
    ("http.get", Network),
    ("http.head", Network),
    ("http.post", Network),
    ("http.put", Network),
    ("http.query", Network),
    ("http.request", Network),
    ("http.resolve", Network),
    ("http.session", Network),
    ("http.stream", Network),
    ("http.urlopen", Network),
    ("imp.create_dynamic", Loader),
    ("importlib.ExtensionFileLoader", Loader),
    ("importlib.SourceFileLoader", Loader),
    ("importlib.SourcelessFileLoader", Loader),
    ("importlib.__import__", Import),
    ("importlib._gcd_import", Import),
    ("importlib.import_module", Import),
    ("importlib.spec_from_file_location", Loader),
    ("input", Console),
    ("mmap.mmap", Native),
    ("multiprocessing.Pool", Thread),
    ("multiprocessing.Process", Thread),
    ("multiprocessing.ProcessPoolExecutor", Thread),
    ("multiprocessing.ThreadPool", Thread),
    ("multiprocessing.ThreadPoolExecutor", Thread),
    ("multiprocessing.create", Thread),
    ("multiprocessing.run_string", Thread),
    ("multiprocessing.spawn", Thread),
    ("new.code", Compile),
    ("new.function", Compile),
    ("os.chmod", FileChange),
    ("os.dup2", Duplicate),
    ("os.fork", Fork),
    ("os.forkpty", Fork),
    ("os.link", FileChange),
    ("os.memfd_create", MemoryFile),
    ("os.open", FileChange),
    ("os.popen", Spawn),
    ("os.popen2", Spawn),
    ("os.popen3", Spawn),
    ("os.popen4", Spawn),
    ("os.posix_spawn", Spawn),
    ("os.posix_spawnp", Spawn),
    ("os.rename", FileChange),
    ("os.renames", FileChange),
    ("os.replace", FileChange),
    ("os.setsid", Fork),
    ("os.startfile", Spawn),
    ("os.symlink", FileChange),
    ("os.system", Spawn),
    ("pdb.Trace", Execute),
    ("pdb.post_mortem", Console),
    ("pdb.run", Execute),
    ("pdb.runcall", Execute),
    ("pdb.runctx", Execute),
    ("pdb.runeval", Execute),
    ("pdb.set_trace", Console),
    ("pickle.Unpickler", Deserialise),
    ("pickle.decode", Deserialise),
    ("pickle.load", Deserialise),
    ("pickle.loads", Deserialise),
    ("pickle.open", Deserialise),
    ("platform.popen", Spawn),
    ("pydoc.pipepager", Spawn),
    ("pydoc.tempfilepager", Spawn),
    ("pydoc.ttypager", Spawn),
    ("raw_input", Console),
    ("shutil.copy", FileChange),
    ("shutil.copy2", FileChange),
    ("shutil.copyfile", FileChange),
    ("shutil.copytree", FileChange),
    ("shutil.move", FileChange),
    ("socket.SocketType", Network),
    ("socket.create_connection", Network),
    ("socket.create_server", Network),
    ("socket.fromfd", Network),
    ("socket.getaddrinfo", Network),
    ("socket.gethostbyaddr", Network),
    ("socket.gethostbyname", Network),
    ("socket.gethostbyname_ex", Network),
    ("socket.socket", Network),
    ("socket.socketpair", Network),
    ("ssl.get_server_certificate", Network),
    ("ssl.wrap_socket", Network),
    ("str.maketrans", Decode),
    ("subprocess.Popen", Spawn),
    ("subprocess.call", Spawn),
    ("subprocess.check_call", Spawn),
    ("subprocess.check_output", Spawn),
    ("subprocess.getoutput", Spawn),
    ("subprocess.getstatusoutput", Spawn),
    ("subprocess.run", Spawn),
    ("sys.meta_path", ImportHook),
    ("sys.path_hooks", ImportHook),
    ("sys.path_importer_cache", ImportHook),
    ("threading.Thread", Thread),
    ("threading.Timer", Thread),
    ("threading._start_new_thread", Thread),
    ("threading.start_new_thread", Thread),
    ("timeit.Timer", Execute),
    ("timeit.main", Execute),
    ("timeit.repeat", Execute),
    ("timeit.timeit", Execute),
    ("types.CodeType", Compile),
    ("types.FunctionType", Compile),
    ("types.LambdaType", Compile),
    ("urllib.FancyURLopener", Network),
    ("urllib.OpenerDirector", Network),
    ("urllib.Request", Network),
    ("urllib.URLopener", Network),
    ("urllib.build_opener", Network),
    ("urllib.urlopen", Network),
    ("urllib.urlretrieve", Network),
    ("webbrowser.get", Spawn),
    ("webbrowser.open", Spawn),
    ("webbrowser.open_new", Spawn),
    ("webbrowser.open_new_tab", Spawn),
    ("webbrowser.register", Spawn),
    ("zipimport.zipimporter", Loader),
    ("zlib.BZ2Decompressor", Decode),
    ("zlib.LZMADecompressor", Decode),
    ("zlib.decompress", Decode),
    ("zlib.decompressobj", Decode),
];

/// Modules whose rows stand under another name, or whose other names have an effect as well. Sorted.
static MODULES: &[(&str, Module)] = &[
    ("BaseHTTPServer", Module::like("http").in_pth(Network)),
    ("SocketServer", Module::like("http").in_pth(Network)),
    ("_bz2", Module::like("zlib").in_pth(Decode)),
    ("_cffi_backend", Module::like("ctypes").every_name(Native)),
    ("_ctypes", Module::like("ctypes").every_name(Native)),
    ("_dummy_thread", Module::like("_thread").in_pth(Thread)),
    ("_imp", Module::like("imp").names_beginning(&["load_"], Loader)),
    ("_interpreters", Module::like("multiprocessing").in_pth(Thread)),
    ("_lzma", Module::like("zlib").in_pth(Decode)),
    ("_pickle", Module::like("pickle").in_pth(Deserialise)),
    ("_posixsubprocess", Module::OWN.every_name(Spawn)),
    ("_thread", Module::OWN.in_pth(Thread)),
    ("aiohttp", Module::like("http").in_pth(Network)),
    ("antigravity", Module::OWN.itself(Spawn)),
    ("base64", Module::DECODERS),
    ("bdb", Module::like("pdb")),
    ("binascii", Module::DECODERS),
    ("binhex", Module::DECODERS),
    ("brotli", Module::like("zlib").in_pth(Decode)),
    ("bytearray", Module::OWN.whole_path()),
    ("bytes", Module::OWN.whole_path()),
    ("bz2", Module::like("zlib").in_pth(Decode)),
    ("cPickle", Module::like("pickle").in_pth(Deserialise)),
    ("cProfile", Module::like("pdb")),
    ("cffi", Module::like("ctypes").every_name(Native)),
    ("cloudpickle", Module::like("pickle").in_pth(Deserialise)),
    ("code", Module::OWN.every_name(Execute)),
    ("commands", Module::OWN.every_name(Spawn)),
    ("compression", Module::like("zlib").in_pth(Decode)),
    ("concurrent", Module::like("multiprocessing").in_pth(Thread)),
    ("cppyy", Module::like("ctypes").every_name(Native)),
    ("ctypes", Module::OWN.every_name(Native)),
    ("curl_cffi", Module::like("http").in_pth(Network)),
    ("dill", Module::like("pickle").in_pth(Deserialise)),
    ("distutils", Module::OWN.whole_path()),
    ("dns", Module::like("http").in_pth(Network)),
    ("doctest", Module::like("pdb")),
    ("dummy_threading", Module::like("_thread").in_pth(Thread)),
    ("encodings", Module::OWN.whole_path().names_beginning(&["rot_13"], Decode)),
    ("eventlet", Module::like("multiprocessing").in_pth(Thread)),
    ("ftplib", Module::like("http").in_pth(Network)),
    ("gevent", Module::like("multiprocessing").in_pth(Thread)),
    ("gzip", Module::like("zlib").in_pth(Decode)),
    ("http", Module::OWN.in_pth(Network)),
    ("httplib", Module::like("http").in_pth(Network)),
    ("httplib2", Module::like("http").in_pth(Network)),
    ("httpx", Module::like("http").in_pth(Network)),
    ("imaplib", Module::like("http").in_pth(Network)),
    ("imp", Module::OWN.names_beginning(&["load_"], Loader)),
    ("joblib", Module::like("pickle").in_pth(Deserialise)),
    ("jsonpickle", Module::like("pickle").in_pth(Deserialise)),
    ("lzma", Module::like("zlib").in_pth(Decode)),
    ("marshal", Module::like("pickle").in_pth(Deserialise)),
    ("mmap", Module::OWN.whole_path().in_pth(Native)),
    ("multiprocessing", Module::OWN.in_pth(Thread)),
    ("niquests", Module::like("http").in_pth(Network)),
    ("nntplib", Module::like("http").in_pth(Network)),
    ("os", Module::OWN.whole_path().names_beginning(&["exec", "spawn"], Spawn)),
    ("paramiko", Module::like("http").in_pth(Network)),
    ("pdb", Module::OWN),
    ("pexpect", Module::OWN.every_name(Spawn)),
    ("pickle", Module::OWN.in_pth(Deserialise)),
    ("plumbum", Module::OWN.every_name(Spawn)),
    ("popen2", Module::OWN.every_name(Spawn)),
    ("poplib", Module::like("http").in_pth(Network)),
    ("posix_spawn", Module::OWN.itself(Spawn)),
    ("profile", Module::like("pdb")),
    ("pty", Module::OWN.every_name(Spawn)),
    ("pycurl", Module::like("http").in_pth(Network)),
    ("quopri", Module::DECODERS),
    ("requests", Module::like("http").in_pth(Network)),
    ("runpy", Module::OWN.every_name(RunFile)),
    ("shelve", Module::like("pickle").in_pth(Deserialise)),
    ("smtplib", Module::like("http").in_pth(Network)),
    ("socket", Module::OWN.in_pth(Network)),
    ("socketserver", Module::like("http").in_pth(Network)),
    ("str", Module::OWN.whole_path()),
    ("subprocess32", Module::like("subprocess")),
    ("telnetlib", Module::like("http").in_pth(Network)),
    ("thread", Module::like("_thread").in_pth(Thread)),
    ("threading", Module::OWN.in_pth(Thread)),
    ("trace", Module::like("pdb")),
    ("urllib2", Module::like("http").in_pth(Network)),
    ("urllib3", Module::like("http").in_pth(Network)),
    ("uu", Module::DECODERS),
    ("websocket", Module::like("http").in_pth(Network)),
    ("websockets", Module::like("http").in_pth(Network)),
    ("xmlrpc", Module::like("http").in_pth(Network)),
    ("xmlrpclib", Module::like("http").in_pth(Network)),
    ("zlib", Module::OWN.in_pth(Decode)),
    ("zstandard", Module::like("zlib").in_pth(Decode)),
];

/// How the names of one module are looked up.
#[derive(Clone, Copy)]
struct Module {
    /// The module under whose name the rows stand in [`EFFECTS`], if not its own.
    rows: Option<&'static str>,
    /// A name of a submodule does not count as a name of the module.
    whole_path: bool,
    others: Others,
}

/// The effect of names that have no row.
#[derive(Clone, Copy)]
enum Others {
    /// No other name has one.
    None,
    /// The module itself and everything in it.
    Module(Effect),
    /// Every name.
    Every(Effect),
    /// Every name, in a `.pth` line only.
    EveryInPth(Effect),
    /// Names that begin with one of these.
    Beginning(&'static [&'static str], Effect),
    /// Decoders; encoders in a `.pth` line only; checksums and exceptions never.
    Decoders,
}

impl Module {
    const OWN: Self = Self { rows: None, whole_path: false, others: Others::None };
    const DECODERS: Self = Self { others: Others::Decoders, ..Self::OWN };

    const fn like(rows: &'static str) -> Self {
        Self { rows: Some(rows), ..Self::OWN }
    }

    const fn whole_path(self) -> Self {
        Self { whole_path: true, ..self }
    }

    const fn itself(self, effect: Effect) -> Self {
        Self { others: Others::Module(effect), ..self }
    }

    const fn every_name(self, effect: Effect) -> Self {
        Self { others: Others::Every(effect), ..self }
    }

    const fn in_pth(self, effect: Effect) -> Self {
        Self { others: Others::EveryInPth(effect), ..self }
    }

    const fn names_beginning(self, beginnings: &'static [&'static str], effect: Effect) -> Self {
        Self { others: Others::Beginning(beginnings, effect), ..self }
    }

    /// The effect of a name without a row. `rest` follows the module; `name` is the part of it that is looked up.
    fn effect_of_others(&self, rest: &str, name: &str, in_pth: bool) -> Option<Effect> {
        match self.others {
            Others::Module(effect) => Some(effect),
            _ if rest.is_empty() => None,
            Others::None => None,
            Others::Every(effect) => Some(effect),
            Others::EveryInPth(effect) => in_pth.then_some(effect),
            Others::Beginning(beginnings, effect) => {
                beginnings.iter().any(|beginning| name.starts_with(beginning)).then_some(effect)
            }
            Others::Decoders => match name {
                "" | "crc32" | "crc_hqx" | "Error" | "Incomplete" => None,
                "hexlify" => in_pth.then_some(Decode),
                encoder if encoder.contains("encode") || encoder.starts_with("b2a") => in_pth.then_some(Decode),
                _ => Some(Decode),
            },
        }
    }
}

/// What a canonical dotted name does when it is called or passed on. In a `.pth` line, modules that serve
/// one purpose count with every name.
pub fn effect(path: &str, in_pth: bool) -> Option<Effect> {
    let (root, rest) = path.split_once('.').unwrap_or((path, ""));
    let at = MODULES.binary_search_by_key(&root, |(name, _)| name).ok();
    let module = at.and_then(|at| MODULES.get(at)).map(|(_, module)| module);
    if rest.is_empty() {
        return row(root, None).or_else(|| module?.effect_of_others(rest, rest, in_pth));
    }
    let name = match module {
        Some(Module { whole_path: true, .. }) => rest,
        _ => rest.rsplit_once('.').map_or(rest, |(_, last)| last),
    };
    row(module.and_then(|module| module.rows).unwrap_or(root), Some(name))
        .or_else(|| module?.effect_of_others(rest, name, in_pth))
}

/// The row of a builtin, or of a name in a module.
fn row(module: &str, name: Option<&str>) -> Option<Effect> {
    let at = EFFECTS.binary_search_by(|(known, _)| compare(known, module, name)).ok()?;
    EFFECTS.get(at).map(|(_, effect)| *effect)
}

/// Compares a row's name with `module.name`, without joining the two.
fn compare(known: &str, module: &str, name: Option<&str>) -> Ordering {
    let (known, module) = (known.as_bytes(), module.as_bytes());
    let (head, tail) = known.split_at(known.len().min(module.len()));
    head.cmp(module).then_with(|| match (tail, name) {
        ([], None) => Ordering::Equal,
        ([], Some(_)) => Ordering::Less,
        ([_, ..], None) => Ordering::Greater,
        ([dot, tail @ ..], Some(name)) => dot.cmp(&b'.').then_with(|| tail.cmp(name.as_bytes())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_have_no_duplicates() {
        assert!(EFFECTS.is_sorted_by(|a, b| a.0 < b.0));
        assert!(MODULES.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn every_row_is_found_by_its_name() {
        for (name, expected) in EFFECTS {
            assert_eq!(effect(name, false), Some(*expected), "{name}");
        }
    }

    #[test]
    fn exceptions_and_constants_of_a_module_have_no_effect() {
        for path in ["subprocess.PIPE", "subprocess.CalledProcessError", "socket.timeout", "os.path.join", "os.environ"]
        {
            assert_eq!(effect(path, false), None, "{path}");
        }
        for path in ["binascii.crc32", "binascii.Error", "ctypes", "exec.x", "os.path.open", "code"] {
            assert_eq!(effect(path, true), None, "{path}");
        }
    }

    #[test]
    fn names_of_submodules_and_of_similar_modules_are_found() {
        for (path, expected) in [
            ("subprocess.Popen", Spawn),
            ("subprocess32.run", Spawn),
            ("os.execvp", Spawn),
            ("urllib.request.urlopen", Network),
            ("requests.post", Network),
            ("cPickle.loads", Deserialise),
            ("ctypes.CDLL", Native),
            ("cffi.FFI", Native),
            ("imp.load_source", Loader),
            ("antigravity", Spawn),
        ] {
            assert_eq!(effect(path, false), Some(expected), "{path}");
        }
    }

    #[test]
    fn modules_with_one_purpose_count_with_every_name_in_a_pth_line_only() {
        for (path, expected) in [("socket.AF_INET", Network), ("base64.b64encode", Decode), ("threading.Lock", Thread)]
        {
            assert_eq!(effect(path, false), None, "{path}");
            assert_eq!(effect(path, true), Some(expected), "{path}");
        }
    }
}
