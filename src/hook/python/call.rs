//! Calls: what the functions of the library give back, and what calling them says.

use super::decode;
use super::expression::MAX_ITEMS;
use super::names::{self, Effect};
use super::state::{FOREIGN, HOSTILE, MILD, ODD_LINE, STRONG, mark};
use super::statement::{Machine, representative};
use super::text;
use super::value::{self, Kind, Value};
use crate::event::Signal;

/// A module under the name it is known by here.
pub fn canonical(path: &str) -> String {
    let path = path.get(..path.len().min(128)).unwrap_or_default();
    let (root, rest) = path.split_once('.').unwrap_or((path, ""));
    let root = match root {
        "__builtin__" | "builtins" if !rest.is_empty() => return canonical(rest),
        "__builtin__" => "builtins",
        "posix" | "nt" => "os",
        "_socket" => "socket",
        "_io" | "io" if rest == "open" => return "open".to_owned(),
        "codecs" if rest == "open" => return "open".to_owned(),
        "six" if rest.starts_with("moves.") => return canonical(rest.strip_prefix("moves.").unwrap_or(rest)),
        "importlib" if rest == "__import__" => return "__import__".to_owned(),
        other => other,
    };
    if rest.is_empty() { root.to_owned() } else { format!("{root}.{rest}") }
}

/// The dotted name of an attribute; `None` when it becomes too long to matter.
pub fn attribute_path(path: &str, name: &str) -> Option<String> {
    if path.len() + name.len() > 120 {
        return None;
    }
    let plain = name.trim_start_matches('_');
    Some(match name {
        "__dict__" => path.to_owned(),
        "__builtins__" => "builtins".to_owned(),
        "__globals__" => "globals()".to_owned(),
        "__getattribute__" | "__getattr__" => format!("{path}.__getattribute__"),
        "__call__" => path.to_owned(),
        _ if path == "globals()" => format!("globals().{name}"),
        // Modules hold the modules they import: `shutil.os`, `random._os`.
        _ if names::is_core_module(plain) && !path.starts_with("asyncio") && plain != path => plain.to_owned(),
        _ => canonical(&format!("{path}.{name}")),
    })
}

impl Machine<'_, '_> {
    /// The value of a call.
    pub fn call(&mut self, callee: &Value, arguments: &[Value], named: &[(String, Value)]) -> Value {
        let everything = arguments.iter().chain(named.iter().map(|(_, value)| value));
        let taint = everything.clone().fold(0, |taint, value| taint | value.taint);
        // A function that is handed on will be called with what is handed on beside it.
        if !matches!(
            callee.as_path(),
            Some("getattr" | "callable" | "isinstance" | "hasattr" | "print" | "str" | "repr")
        ) {
            self.handed_on(arguments, named);
        }
        match &callee.kind {
            Kind::Path(path) => {
                let path = path.clone();
                self.library(&path, callee, arguments, named, taint)
            }
            Kind::Method(method) => {
                let (of, name) = (&method.0, &*method.1);
                self.method(of, name, arguments, named, taint)
            }
            Kind::Lambda(lambda) if lambda.source == self.number && self.state.fuel > 0 => {
                let lambda = lambda.clone();
                for (name, value) in lambda.parameters.iter().zip(arguments) {
                    self.bind(super::expression::Place::Name(name.to_string()), value.clone());
                }
                if self.state.depth > 40 { Value::unknown(taint) } else { self.replay(lambda.body) }
            }
            Kind::Function(number) => self.own_function(*number, arguments, named, taint),
            _ => Value::unknown(callee.taint | taint),
        }
    }

    fn own_function(
        &mut self,
        number: u32,
        arguments: &[Value],
        named: &[(String, Value)],
        taint: value::Taint,
    ) -> Value {
        let Some(function) = self.state.functions.get(usize::try_from(number).unwrap_or(0)) else {
            return Value::unknown(taint);
        };
        let parameters = function.parameters.clone();
        let result = function.result.clone();
        // A method is called without its first parameter.
        let skip = usize::from(parameters.first().is_some_and(|first| matches!(&**first, "self" | "cls")));
        let positional = parameters.iter().skip(skip).zip(arguments);
        let by_name =
            named.iter().filter_map(|(name, value)| parameters.iter().find(|p| ***p == **name).map(|p| (p, value)));
        for (name, value) in positional.chain(by_name) {
            let old = self.state.lookup(&[number], name).map_or(0, |old| old.taint);
            self.state.bind(number, name, value.clone().tainted(old));
        }
        match result {
            Some(result) => result.tainted(taint & !value::PIECED),
            None => Value::unknown(taint),
        }
    }

    /// `map(exec, texts)`, `Thread(target=system, args=...)`, `partial(exec, text)`.
    fn handed_on(&mut self, arguments: &[Value], named: &[(String, Value)]) {
        let all = || arguments.iter().chain(named.iter().map(|(_, value)| value));
        let Some(function) = all().find(|value| value.as_path().and_then(|path| names::effect(path, false)).is_some())
        else {
            return;
        };
        let Some(path) = function.as_path().map(str::to_owned) else { return };
        if !matches!(
            names::effect(&path, false),
            Some(Effect::Execute | Effect::Spawn | Effect::Compile | Effect::Import)
        ) {
            return;
        }
        let rest: Vec<Value> =
            all().filter(|value| value.as_path() != Some(&*path)).map(representative_or_self).collect();
        if path == "exec" || path == "eval" {
            self.state.hit(Signal::Execute, MILD);
        }
        self.library(&path, &Value::path(&path), &rest, &[], 0);
    }

    /// A function of the library.
    fn library(
        &mut self,
        path: &str,
        callee: &Value,
        arguments: &[Value],
        named: &[(String, Value)],
        taint: value::Taint,
    ) -> Value {
        let first = arguments.first().or_else(|| named.first().map(|(_, value)| value));
        let unknown = Value::unknown(0);
        let one = first.unwrap_or(&unknown);
        let effect = names::effect(path, self.state.is_line());
        if taint & value::WHOLE_ENVIRON != 0 && effect == Some(Effect::Network) {
            self.state.hit(Signal::Credentials, HOSTILE);
        }
        match effect {
            Some(Effect::Execute) => {
                self.execute(path, one);
                if callee.taint & (value::PIECED | value::HIDDEN) != 0 {
                    self.state.hit(Signal::Obfuscated, HOSTILE);
                }
                return match (path, one.bytes()) {
                    ("eval", Some(text)) => self.evaluated(&text.clone(), one.taint),
                    _ => Value::unknown(taint),
                };
            }
            Some(Effect::Compile) => {
                if path != "compile" && path != "codeop.compile_command" {
                    // Functions made of code objects.
                    if taint & value::HIDDEN != 0 {
                        self.state.hit(Signal::ExecuteDecoded, HOSTILE);
                    }
                    self.state.hit(Signal::Execute, MILD);
                    return Value::unknown(taint);
                }
                if let Some(text) = one.bytes() {
                    self.state.read_later(&text.clone(), one.taint & value::HIDDEN != 0);
                }
                return one.clone();
            }
            Some(Effect::RunFile) => {
                if one.bytes().is_some_and(|text| text::scan(text) & (text::TEMPORARY | text::HIDDEN) != 0) {
                    self.state.hit(Signal::Execute, STRONG);
                }
                if path == "execfile" || path.starts_with("runpy") {
                    self.state.hit(Signal::Execute, MILD);
                }
                return Value::unknown(taint | value::FILE);
            }
            Some(Effect::Console) => {
                self.state.effect(Effect::Console);
                // What somebody types is no payload.
                return Value::unknown(0);
            }
            Some(Effect::Import) => return self.import_call(one),
            Some(Effect::Loader) => {
                for argument in arguments {
                    let odd = |text| text::scan(text) & (text::TEMPORARY | text::HIDDEN) != 0;
                    if argument.bytes().is_some_and(|text| odd(text)) {
                        self.state.hit(Signal::DynamicImport, STRONG);
                    }
                    if argument.taint & value::HIDDEN != 0 {
                        self.state.hit(Signal::DynamicImport, FOREIGN);
                    }
                }
                return Value::unknown(taint);
            }
            Some(Effect::Spawn) => {
                let all: Vec<&Value> = arguments.iter().chain(named.iter().map(|(_, value)| value)).collect();
                self.spawned(&all);
                if callee.taint & (value::PIECED | value::HIDDEN) != 0 {
                    self.state.hit(Signal::Obfuscated, HOSTILE);
                }
                return Value::unknown(value::OUTSIDE | taint & value::HIDDEN);
            }
            Some(Effect::Decode) => return self.decoded(path, arguments, named, taint),
            Some(Effect::Deserialise) => {
                let is_written_here = one.bytes().is_some_and(|bytes| bytes.len() > 3);
                if is_written_here || taint & value::HIDDEN != 0 && taint & value::FILE == 0 {
                    self.state.marks |= mark::EXECUTES;
                    self.state.hit(Signal::Deserialise, if is_written_here { HOSTILE } else { STRONG });
                }
                return Value::unknown(taint | if taint & value::HIDDEN != 0 { value::DECODED } else { 0 });
            }
            Some(Effect::Network) => {
                if path.ends_with("urlretrieve") {
                    self.state.marks |= mark::WRITES_FETCHED;
                }
                return Value::unknown(taint | value::NETWORK);
            }
            Some(Effect::FileChange) => {
                self.written(arguments);
                return Value::unknown(taint);
            }
            Some(_) => return Value::unknown(taint),
            None => {}
        }
        self.builtin(path, one, arguments, named, taint)
    }

    /// Functions that only make values.
    fn builtin(
        &mut self,
        path: &str,
        one: &Value,
        arguments: &[Value],
        named: &[(String, Value)],
        taint: value::Taint,
    ) -> Value {
        let second = arguments.get(1);
        match path {
            "getattr" | "builtins.getattr" | "operator.getitem" => self.getattr(one, second, arguments.get(2)),
            "operator.attrgetter" | "operator.methodcaller" => {
                if let Some(effect) =
                    one.as_str().and_then(|name| names::telling_method(name.rsplit('.').next().unwrap_or(name)))
                {
                    self.state.effect(effect);
                    self.state.hit(Signal::Obfuscated, STRONG);
                }
                Value::unknown(taint)
            }
            "globals" | "locals" => Value::path("globals()"),
            "vars" => {
                if arguments.is_empty() {
                    Value::path("globals()")
                } else {
                    one.clone()
                }
            }
            "sys.modules.get" | "sys.modules.pop" | "sys.modules.setdefault" | "sys.modules.__getitem__" => {
                let value = self.item(&Value::path("sys.modules"), one);
                if path.ends_with("setdefault") {
                    value.or(second.cloned().unwrap_or_else(|| Value::unknown(0)))
                } else {
                    value
                }
            }
            "globals().get" | "globals().__getitem__" | "globals().pop" => self.item(&Value::path("globals()"), one),
            "builtins.get" | "get" | "__getitem__" => self.item(&Value::path("builtins"), one),
            "sys._getframe" => Value::unknown(0),
            "chr" => match one.as_integer().and_then(|code| u32::try_from(code).ok()) {
                Some(code) => {
                    let mut text = Vec::new();
                    super::literal::push(&mut text, code, true);
                    Value::text(text).tainted(taint | value::CRYPTIC)
                }
                None => Value::unknown(taint | value::CRYPTIC),
            },
            "ord" => {
                let character = one.as_str().and_then(|text| text.chars().next());
                character.map_or_else(
                    || Value::unknown(taint),
                    |c| Value::of(Kind::Integer(i64::from(u32::from(c)))).tainted(taint),
                )
            }
            "int" => {
                let radix = second
                    .and_then(Value::as_integer)
                    .and_then(|radix| u32::try_from(radix).ok())
                    .filter(|r| (2..=36).contains(r));
                let number = match (&one.kind, one.as_str()) {
                    (Kind::Integer(number), _) => Some(*number),
                    (_, Some(text)) => {
                        i64::from_str_radix(text.trim().trim_start_matches("0x"), radix.unwrap_or(10)).ok()
                    }
                    _ => None,
                };
                number.map_or_else(|| Value::unknown(taint), |number| Value::of(Kind::Integer(number)).tainted(taint))
            }
            "int.from_bytes" | "int.to_bytes" => Value::unknown(taint | value::CRYPTIC),
            "bytes" | "bytearray" | "memoryview" => self.bytes_of(one, taint),
            "str" | "unicode" | "repr" | "format" | "ascii" => match super::fold::shown(one) {
                Some(text) if self.state.spend(text.len()) => Value::text(text).tainted(taint),
                _ => {
                    if one.as_path() == Some("os.environ") {
                        self.state.marks |= mark::HARVEST;
                        return Value::unknown(value::WHOLE_ENVIRON);
                    }
                    Value::unknown(taint)
                }
            },
            "list"
            | "tuple"
            | "iter"
            | "set"
            | "frozenset"
            | "sorted"
            | "dict"
            | "next"
            | "reversed"
            | "enumerate"
            | "json.dumps"
            | "urllib.parse.urlencode"
            | "urllib.urlencode"
            | "pickle.dumps"
            | "marshal.dumps"
            | "copy.copy"
            | "copy.deepcopy" => self.sequence(path, one, taint),
            "range" | "xrange" => self.range(arguments),
            "map" | "itertools.starmap" | "filter" => self.mapped(path, arguments, taint),
            "zip" => Value::unknown(taint),
            "functools.reduce" | "reduce" | "functools.partial" | "partial" => {
                let rest = arguments.get(1..).unwrap_or_default();
                match &one.kind {
                    Kind::Lambda(_) | Kind::Function(_) => {
                        self.call(one, &rest.iter().map(representative_or_self).collect::<Vec<_>>(), named)
                    }
                    Kind::Path(_) if path.ends_with("partial") => one.clone(),
                    _ => Value::unknown(taint),
                }
            }
            "len" => match one.bytes() {
                Some(bytes) => Value::of(Kind::Integer(i64::try_from(bytes.len()).unwrap_or(0))),
                None => Value::unknown(0),
            },
            "open" | "file" | "pathlib.Path.open" => self.opened(one, second, named),
            "os.environ.get" | "os.getenv" | "os.getenvb" | "os.environ.setdefault" | "os.environ.pop" => {
                if one.bytes().is_some_and(|name| text::scan(name) & text::LOADER_VARIABLE != 0)
                    && path.ends_with("setdefault")
                {
                    self.state.hit(Signal::Persistence, MILD);
                }
                Value::unknown(value::ENVIRON)
            }
            "os.environ.items" | "os.environ.values" | "os.environ.copy" => {
                self.state.marks |= mark::HARVEST;
                Value::unknown(value::WHOLE_ENVIRON)
            }
            "os.path.join" | "posixpath.join" | "pathlib.Path" | "pathlib.PosixPath" | "pathlib.PurePath" => {
                let mut joined = one.clone();
                for part in arguments.iter().skip(1) {
                    joined = self.combine(b"/", joined, part.clone());
                }
                if let Some(text) = joined.bytes() {
                    self.says |= text::scan(text);
                }
                joined
            }
            "os.path.expanduser"
            | "os.path.expandvars"
            | "os.path.abspath"
            | "os.path.realpath"
            | "textwrap.dedent"
            | "str.encode"
            | "shlex.split"
            | "os.fsencode"
            | "os.fsdecode"
            | "inspect.cleandoc"
            | "pathlib.Path.expanduser" => one.clone(),
            "tokenize.open"
            | "linecache.getlines"
            | "linecache.getline"
            | "pkgutil.get_data"
            | "inspect.getsource"
            | "pathlib.Path.read_text"
            | "tempfile.mkstemp" => Value::unknown(value::FILE),
            "str.join" | "bytes.join" => match second {
                Some(pieces) => self.join(one, pieces),
                None => Value::unknown(taint),
            },
            "str.format" => self.format(one, arguments.get(1..).unwrap_or_default(), named),
            "type" => Value::unknown(0),
            _ if path.ends_with(".__getattribute__") => {
                let base = path.strip_suffix(".__getattribute__").unwrap_or(path);
                self.getattr(&Value::path(base), Some(one), None)
            }
            _ if path.ends_with(".get") || path.ends_with(".__getitem__") => {
                let base = path.rsplit_once('.').map_or(path, |(base, _)| base);
                self.item(&Value::path(base), one)
            }
            _ => Value::unknown(taint),
        }
    }

    pub fn getattr(&mut self, of: &Value, name: Option<&Value>, default: Option<&Value>) -> Value {
        let Some(name) = name else { return Value::unknown(of.taint) };
        let Some(text) = name.as_str().map(str::to_owned) else {
            if of.as_path().is_some_and(names::is_core_module) {
                self.state.hit(Signal::Obfuscated, if name.taint & value::HIDDEN != 0 { STRONG } else { MILD });
            }
            return Value::unknown(of.taint | name.taint);
        };
        let found = self.attribute(of, &text);
        let found = found.tainted(name.taint & (value::PIECED | value::HIDDEN));
        let is_telling = found.as_path().is_some_and(|path| names::effect(path, false).is_some());
        if is_telling && name.taint & (value::PIECED | value::HIDDEN) != 0 {
            self.state.hit(Signal::Obfuscated, HOSTILE);
        } else if is_telling && text != "open" {
            // The name could have been written with a dot.
            self.state.hit(Signal::Obfuscated, [STRONG[0], MILD[1], MILD[2]]);
        }
        match default {
            Some(default) => found.or(default.clone()),
            None => found,
        }
    }

    pub fn import_call(&mut self, name: &Value) -> Value {
        let Some(text) = name.as_str().map(str::to_owned) else {
            let grade = if name.taint & value::HIDDEN != 0 { STRONG } else { ODD_LINE };
            self.state.hit(Signal::DynamicImport, grade);
            return Value::unknown(name.taint);
        };
        if text.len() > 120 {
            return Value::unknown(name.taint);
        }
        self.imported(&text);
        if name.taint & (value::PIECED | value::HIDDEN) != 0 {
            self.state.hit(Signal::DynamicImport, super::state::NEUTRAL);
            let grade = if names::is_standard(text.split('.').next().unwrap_or_default()) { HOSTILE } else { FOREIGN };
            self.state.hit(Signal::Obfuscated, grade);
        }
        Value::path(&canonical(&text))
    }

    /// The value of a text that is evaluated.
    fn evaluated(&mut self, text: &[u8], taint: value::Taint) -> Value {
        let name = std::str::from_utf8(text).unwrap_or_default().trim();
        let is_name = !name.is_empty()
            && name.len() < 64
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.');
        if is_name && name.split('.').all(|part| !part.is_empty()) {
            let mut parts = name.split('.');
            let first = parts.next().unwrap_or_default();
            let mut value = match names::is_builtin(first) || names::is_core_module(first) {
                true => Value::path(&canonical(first)),
                false => self.state.lookup(&self.scope, first).cloned().unwrap_or_else(|| Value::unknown(0)),
            };
            for part in parts {
                value = self.attribute(&value, part);
            }
            return value.tainted(taint);
        }
        Value::unknown(taint)
    }

    fn bytes_of(&mut self, one: &Value, taint: value::Taint) -> Value {
        match &one.kind {
            Kind::List(items) => {
                let numbers: Option<Vec<u8>> =
                    items.iter().map(|item| item.as_integer().and_then(|number| u8::try_from(number).ok())).collect();
                numbers.map_or_else(
                    || Value::unknown(taint | value::CRYPTIC),
                    |bytes| Value::binary(bytes).tainted(taint | value::CRYPTIC),
                )
            }
            Kind::Text(bytes) | Kind::Binary(bytes) => Value::binary(bytes.clone()).tainted(taint),
            _ => Value::unknown(taint),
        }
    }

    fn sequence(&mut self, path: &str, one: &Value, taint: value::Taint) -> Value {
        if one.as_path() == Some("os.environ") {
            self.state.marks |= mark::HARVEST;
            return Value::unknown(value::WHOLE_ENVIRON);
        }
        if path == "next" {
            return representative(one);
        }
        let reversed = path == "reversed";
        match one.items(MAX_ITEMS) {
            Some(mut items) if self.state.spend(items.len()) => {
                if reversed {
                    items.reverse();
                }
                // A list turned round is a list; a text turned round was meant not to be read.
                Value::list(items).tainted(if reversed && one.bytes().is_some() { value::CRYPTIC } else { 0 })
            }
            _ => Value::unknown(taint),
        }
    }

    fn mapped(&mut self, path: &str, arguments: &[Value], taint: value::Taint) -> Value {
        let (Some(function), Some(over)) = (arguments.first(), arguments.get(1)) else { return Value::unknown(taint) };
        let items = match over.items(8192) {
            Some(items) if path != "filter" => items,
            Some(items) => return Value::list(items),
            None => {
                let result = self.call(function, &[representative(over)], &[]);
                return Value::unknown(taint | result.taint);
            }
        };
        let mut results = Vec::with_capacity(items.len());
        for item in items {
            if !self.state.spend(48) {
                break;
            }
            results.push(self.call(function, &[item], &[]));
        }
        Value::list(results)
    }

    /// A file is opened.
    pub fn opened(&mut self, path: &Value, mode: Option<&Value>, named: &[(String, Value)]) -> Value {
        let mode = mode.or_else(|| named.iter().find(|(name, _)| name == "mode").map(|(_, value)| value));
        let writes = mode.and_then(Value::as_str).is_some_and(|mode| mode.contains(['w', 'a', 'x', '+']));
        if writes {
            self.written(std::slice::from_ref(path));
            return Value::unknown(value::FILE);
        }
        Value::unknown(value::FILE | path.taint)
    }

    /// Something is written to these paths.
    pub fn written(&mut self, paths: &[Value]) {
        self.state.marks |= mark::WRITES;
        for path in paths {
            let Some(text) = path.bytes() else { continue };
            let says = text::scan(text);
            let is_hook = text.ends_with(b".pth") || text.ends_with(b"customize.py") || text.ends_with(b".start");
            if says & text::PERSISTENCE != 0 || is_hook {
                self.state.marks |= mark::WRITES_PERSISTENCE;
                self.state.hit(Signal::Persistence, STRONG);
            }
        }
    }

    /// A decoder of the library.
    fn decoded(&mut self, path: &str, arguments: &[Value], named: &[(String, Value)], taint: value::Taint) -> Value {
        let one = arguments.first().or_else(|| named.first().map(|(_, value)| value));
        let name = path.rsplit('.').next().unwrap_or_default();
        let Some(data) = one.and_then(Value::bytes).cloned() else { return Value::unknown(taint | value::DECODED) };
        if !self.state.spend(data.len() * 2) {
            return Value::unknown(taint | value::DECODED);
        }
        let out = match name {
            "b64decode" | "standard_b64decode" | "urlsafe_b64decode" | "decodebytes" | "decodestring"
            | "a2b_base64" => decode::base64(&data),
            "b32decode" | "b32hexdecode" => decode::base32(&data),
            "b16decode" | "unhexlify" | "a2b_hex" | "fromhex" => decode::hexadecimal(&data),
            "b85decode" | "z85decode" => decode::base85(&data),
            "a85decode" => decode::ascii85(&data),
            "decompress" if path.starts_with("zlib") || path.starts_with("gzip") => decode::inflate(&data),
            "decode" => {
                let codec = arguments.get(1).or_else(|| named.iter().find(|(n, _)| n == "encoding").map(|(_, v)| v));
                match codec.and_then(Value::as_str).and_then(|codec| decode::by_codec(codec, &data)) {
                    Some(out) => out,
                    None => return Value::text(data).tainted(taint),
                }
            }
            _ => None,
        };
        self.hidden(out, taint)
    }

    /// A text that was hidden, or could not be had.
    pub fn hidden(&mut self, out: Option<Vec<u8>>, taint: value::Taint) -> Value {
        let Some(out) = out else { return Value::unknown(taint | value::DECODED) };
        let value = Value::binary(out).tainted(taint | value::DECODED);
        if let Some(text) = value.bytes().filter(|text| decode::is_text(text)) {
            self.says |= text::scan(text);
            self.state.read_later(&text.clone(), true);
        }
        value
    }
}

fn representative_or_self(value: &Value) -> Value {
    if matches!(value.kind, Kind::List(_)) { representative(value) } else { value.clone() }
}
