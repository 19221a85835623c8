//! Dotted names: one canonical name for everything that Python offers under several.

use super::names::is_core_module;

/// Longest name that is followed.
const MAX_PATH: usize = 128;
/// Longest dotted name of an attribute.
const MAX_ATTRIBUTE_PATH: usize = 120;

/// The name under which `super::effect` knows this one.
pub fn canonical(path: &str) -> String {
    let path = path.get(..path.len().min(MAX_PATH)).unwrap_or_default();
    let (root, rest) = path.split_once('.').unwrap_or((path, ""));
    let root = match root {
        "__builtin__" | "builtins" if !rest.is_empty() => return canonical(rest),
        "__builtin__" => "builtins",
        "posix" | "nt" => "os",
        "_socket" => "socket",
        "_io" | "io" | "codecs" if rest == "open" => return "open".to_owned(),
        "six" if rest.starts_with("moves.") => return canonical(rest.strip_prefix("moves.").unwrap_or(rest)),
        "importlib" if rest == "__import__" => return "__import__".to_owned(),
        other => other,
    };
    if rest.is_empty() { root.to_owned() } else { format!("{root}.{rest}") }
}

/// The canonical name of an attribute; `None` if it is too long to matter.
pub fn attribute_path(path: &str, name: &str) -> Option<String> {
    if path.len() + name.len() > MAX_ATTRIBUTE_PATH {
        return None;
    }
    let plain = name.trim_start_matches('_');
    Some(match name {
        "__dict__" | "__call__" => path.to_owned(),
        "__builtins__" => "builtins".to_owned(),
        "__globals__" => "globals()".to_owned(),
        "__getattribute__" | "__getattr__" => format!("{path}.__getattribute__"),
        _ if path == "globals()" => format!("globals().{name}"),
        // Modules hold the modules they import: `shutil.os`, `random._os`.
        _ if is_core_module(plain) && !path.starts_with("asyncio") && plain != path => plain.to_owned(),
        _ => canonical(&format!("{path}.{name}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_have_one_name() {
        for (alias, name) in [
            ("posix.system", "os.system"),
            ("builtins.exec", "exec"),
            ("io.open", "open"),
            ("six.moves.builtins.eval", "eval"),
            ("importlib.__import__", "__import__"),
        ] {
            assert_eq!(canonical(alias), name);
        }
    }

    #[test]
    fn a_module_is_reached_through_one_that_imports_it() {
        assert_eq!(attribute_path("shutil", "os").as_deref(), Some("os"));
        assert_eq!(attribute_path("random", "_os").as_deref(), Some("os"));
        assert_eq!(attribute_path("os", "path").as_deref(), Some("os.path"));
        assert_eq!(attribute_path("a", &"b".repeat(MAX_ATTRIBUTE_PATH)), None);
    }
}
