//! Builtin functions, and modules that are known without an import.

/// Builtins that matter here. A definition of the same name does not hide them. Sorted.
#[rustfmt::skip]
static BUILTINS: &[&str] = &[
    "__builtins__", "__import__", "__loader__", "__spec__", "all", "any", "apply", "breakpoint", "bytearray", "bytes",
    "chr", "compile", "delattr", "dict", "enumerate", "eval", "exec", "execfile", "file", "filter", "format",
    "getattr", "globals", "help", "hex", "input", "int", "iter", "len", "list", "locals", "map", "max", "memoryview",
    "min", "next", "object", "open", "ord", "print", "range", "raw_input", "reload", "repr", "reversed", "set",
    "setattr", "sorted", "str", "sum", "tuple", "type", "unichr", "unicode", "vars", "xrange", "zip",
];

/// Modules that others import (`shutil.os`), or that `site` has imported already. Sorted.
#[rustfmt::skip]
static CORE_MODULES: &[&str] = &[
    "base64", "binascii", "builtins", "codecs", "ctypes", "importlib", "marshal", "os", "pickle", "pty", "runpy",
    "socket", "subprocess", "sys", "threading", "urllib", "zlib",
];

/// Whether this is a builtin of [`BUILTINS`].
pub fn is_builtin(name: &str) -> bool {
    BUILTINS.binary_search(&name).is_ok()
}

/// Whether this is a module of [`CORE_MODULES`].
pub fn is_core_module(name: &str) -> bool {
    CORE_MODULES.binary_search(&name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        assert!(BUILTINS.is_sorted_by(|a, b| a < b));
        assert!(CORE_MODULES.is_sorted_by(|a, b| a < b));
    }
}
