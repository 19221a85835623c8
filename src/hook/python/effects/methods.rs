//! Method names that reveal what they do on any object.

use super::effect::Effect::{self, *};

/// Sorted by name.
static METHODS: &[(&str, Effect)] = &[
    ("Popen", Spawn),
    ("a2b_base64", Decode),
    ("a85decode", Decode),
    ("b16decode", Decode),
    ("b32decode", Decode),
    ("b64decode", Decode),
    ("b85decode", Decode),
    ("check_call", Spawn),
    ("check_output", Spawn),
    ("create_connection", Network),
    ("create_subprocess_exec", Spawn),
    ("create_subprocess_shell", Spawn),
    ("fork_exec", Spawn),
    ("fromhex", Decode),
    ("getstatusoutput", Spawn),
    ("memfd_create", MemoryFile),
    ("popen", Spawn),
    ("posix_spawn", Spawn),
    ("run_path", RunFile),
    ("system", Spawn),
    ("unhexlify", Decode),
    ("urlopen", Network),
    ("urlretrieve", Network),
    ("urlsafe_b64decode", Decode),
];

/// Methods that start a program, with names that no other method has. Sorted.
static STARTS_PROGRAM: &[&str] = &["Popen", "check_call", "check_output", "getstatusoutput", "system"];

/// What a method of this name does on an object of unknown type.
pub fn method_effect(name: &str) -> Option<Effect> {
    let at = METHODS.binary_search_by_key(&name, |(known, _)| known).ok()?;
    METHODS.get(at).map(|(_, effect)| *effect)
}

/// Whether a method of this name starts a program on any object.
pub fn starts_program(name: &str) -> bool {
    STARTS_PROGRAM.binary_search(&name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        assert!(METHODS.is_sorted_by(|a, b| a.0 < b.0));
        assert!(STARTS_PROGRAM.is_sorted_by(|a, b| a < b));
        assert!(STARTS_PROGRAM.iter().all(|name| method_effect(name) == Some(Spawn)));
    }
}
