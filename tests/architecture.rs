//! The shape of the project, checked: where `unsafe` may stand, which stage may know which, how long a
//! file may be.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};

/// What each part of the crate may use besides `event`, `escape`, `problem` and itself. `daemon`,
/// `commands` and `cli` wire the stages and may use all.
const MAY_USE: [(&str, &[&str]); 15] = [
    ("event", &[]),
    ("escape", &[]),
    ("problem", &[]),
    ("sys", &[]),
    ("trust", &[]),
    ("users", &[]),
    ("walk", &[]),
    ("logger", &[]),
    ("privileges", &["sys"]),
    ("source", &["sys", "walk"]),
    // A thread that it starts gives up what the reader keeps.
    ("writer", &["sys", "privileges"]),
    ("hook", &["walk"]),
    ("rules", &["trust"]),
    ("alert", &[]),
    // The settings it reads are the stages' own.
    ("config", &["source", "rules", "alert", "trust"]),
];

const EVERYONE_MAY_USE: [&str; 3] = ["event", "escape", "problem"];
const WIRING: [&str; 5] = ["daemon", "commands", "cli", "main", "lib"];
const MAX_LINES: usize = 600;

fn sources() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut directories = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                files.push((path, text));
            }
        }
    }
    assert!(files.len() > 20);
    files
}

/// The part of the crate that a file belongs to: the first component below `src`.
fn part(path: &Path) -> String {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    below.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

fn is_test_code(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem == "tests")
}

/// The code without the tests at its end and without comments.
fn product_code(text: &str) -> String {
    let product = text.split("#[cfg(test)]").next().unwrap_or_default();
    product.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn unsafe_stands_only_in_sys() {
    for (path, text) in sources() {
        let uses = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .any(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe"));
        assert!(!uses || path.ends_with("src/sys.rs"), "{} contains unsafe", path.display());
        assert!(!text.contains("allow(unsafe_code)") || path.ends_with("src/sys.rs"), "{}", path.display());
    }
}

#[test]
fn a_stage_uses_only_what_is_allowed() {
    for (path, text) in sources().into_iter().filter(|(path, _)| !is_test_code(path)) {
        let part = part(&path);
        if WIRING.contains(&part.as_str()) {
            continue;
        }
        let (_, allowed) =
            MAY_USE.iter().find(|(name, _)| *name == part).unwrap_or_else(|| panic!("{part} is in no list"));
        let code = product_code(&text);
        assert!(
            !code.contains("crate::{"),
            "{}: one use of the crate a line, so that it can be checked",
            path.display()
        );
        for used in code.split("crate::").skip(1) {
            let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let fine = used == part || EVERYONE_MAY_USE.contains(&used.as_str()) || allowed.contains(&used.as_str());
            assert!(fine, "{} uses crate::{used}, which {part} must not know", path.display());
        }
    }
}

#[test]
fn nothing_uses_the_unsound_half_of_fanotify_rs() {
    for (path, text) in sources() {
        let code = product_code(&text);
        for banned in ["high_level", "fanotify_read", "close_fd", "FanotifyEventMetadata"] {
            assert!(!code.contains(banned), "{} uses {banned}", path.display());
        }
    }
}

#[test]
fn no_file_is_too_long_to_be_read_in_one_sitting() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines", path.display());
    }
}
