//! The shape of the code: which module may know which, where `unsafe` stands, how long files and
//! functions are.

use crate::source::{Token, is_test_code, product_tokens, rust_sources, text_files, tokens};
use std::collections::{BTreeMap, BTreeSet};

/// The parts of the crate that each part may use, besides itself and [`EVERYONE_MAY_USE`]. `daemon`,
/// `commands` and `cli` wire the stages and may use all.
pub const MAY_USE: [(&str, &[&str]); 16] = [
    ("event", &[]),
    ("escape", &[]),
    ("diagnostic", &[]),
    ("sys", &[]),
    ("secure_open", &[]),
    ("users", &[]),
    ("walk", &[]),
    ("logger", &[]),
    ("privileges", &["sys"]),
    ("handles", &["sys"]),
    ("source", &["handles", "sys", "walk"]),
    // A thread that it starts drops the privileges that only the reader keeps.
    ("writer", &["handles", "privileges", "sys"]),
    ("hook", &["walk"]),
    ("rules", &["secure_open"]),
    ("alert", &[]),
    // The settings that it reads belong to the stages.
    ("config", &["source", "rules", "alert", "secure_open"]),
];

pub const EVERYONE_MAY_USE: [&str; 3] = ["event", "escape", "diagnostic"];
const WIRING: [&str; 5] = ["daemon", "commands", "cli", "main", "lib"];
const MAX_FILE_LINES: usize = 600;
const MAX_FUNCTION_LINES: usize = 80;

/// A path to an item, such as `crate::event::Hook`, with the name that a `use` gives it.
struct Reference {
    segments: Vec<String>,
    name: Option<String>,
}

/// One file of the crate.
struct Module {
    children: BTreeSet<String>,
    references: Vec<Reference>,
}

/// The crate's modules by their paths below `crate`, such as `["hook", "python"]`.
struct Modules(BTreeMap<Vec<String>, Module>);

impl Modules {
    /// Reads the product's code.
    fn read() -> Self {
        let files = rust_sources().into_iter().filter(|file| !is_test_code(&file.path) && file.path != "src/main.rs");
        Self(files.map(|file| (module_path(&file.path), Module::parse(&file.text))).collect())
    }

    /// The module that defines what a path names, seen from `from`; `None` for another crate's item.
    fn resolve(&self, from: &[String], segments: &[String], budget: usize) -> Option<Vec<String>> {
        let budget = budget.checked_sub(1)?;
        let mut at = from.to_vec();
        for (index, segment) in segments.iter().enumerate() {
            match segment.as_str() {
                "crate" => at.clear(),
                "self" => {}
                "super" => drop(at.pop()),
                _ => {
                    let module = self.0.get(&at)?;
                    if module.children.contains(segment) {
                        at.push(segment.clone());
                        continue;
                    }
                    let imported = module.references.iter().find(|reference| reference.name.as_ref() == Some(segment));
                    return match imported {
                        Some(import) => {
                            let whole: Vec<_> = import.segments.iter().chain(&segments[index + 1..]).cloned().collect();
                            self.resolve(&at, &whole, budget)
                        }
                        // A first word that is no module and no import names another crate or an item of this file.
                        None => (index > 0).then_some(at),
                    };
                }
            }
        }
        Some(at)
    }

    /// What each module uses: its children, which it declares, and every module whose items it names.
    fn graph(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut graph = BTreeMap::new();
        for (path, module) in &self.0 {
            let mut used: BTreeSet<String> = BTreeSet::new();
            // The crate's root declares everything and defines nothing.
            if !path.is_empty() {
                used.extend(module.children.iter().map(|child| format!("{}::{child}", path.join("::"))));
            }
            let targets = module.references.iter().filter_map(|reference| self.resolve(path, &reference.segments, 20));
            used.extend(targets.filter(|target| !target.is_empty() && target != path).map(|target| target.join("::")));
            graph.insert(path.join("::"), used);
        }
        graph
    }
}

impl Module {
    fn parse(code: &str) -> Self {
        let tokens = product_tokens(code);
        let mut module = Self { children: BTreeSet::new(), references: Vec::new() };
        let mut at = 0;
        while at < tokens.len() {
            let is_first = at == 0 || tokens[at - 1] != Token::Path;
            match (&tokens[at], tokens.get(at + 1)) {
                (Token::Word(word), Some(Token::Word(child))) if word == "mod" => {
                    module.children.insert(child.clone());
                }
                (Token::Word(word), _) if word == "use" => {
                    at = module.add_use(&tokens, at + 1, &[]);
                    continue;
                }
                (Token::Word(_), Some(Token::Path)) if is_first => {
                    module.references.push(Reference { segments: path_at(&tokens, at), name: None });
                }
                _ => {}
            }
            at += 1;
        }
        module
    }

    /// Adds the tree of a `use` that begins at `at`; returns the index after it.
    fn add_use(&mut self, tokens: &[Token], mut at: usize, before: &[String]) -> usize {
        let mut segments = before.to_vec();
        let mut name = None;
        while let Some(token) = tokens.get(at) {
            match token {
                Token::Word(word) if word == "as" => {
                    if let Some(Token::Word(other)) = tokens.get(at + 1) {
                        name = Some(other.clone());
                    }
                    at += 1;
                }
                Token::Word(word) if word == "self" && !segments.is_empty() => {}
                Token::Word(word) => segments.push(word.clone()),
                Token::Sign('{') => loop {
                    at = self.add_use(tokens, at + 1, &segments);
                    if !tokens.get(at).is_some_and(|token| token.is_sign(',')) {
                        return at + 1;
                    }
                },
                Token::Sign(',' | '}' | ';') => break,
                _ => {}
            }
            at += 1;
        }
        if segments.len() > before.len() || !before.is_empty() {
            let name = name.or_else(|| segments.last().cloned());
            self.references.push(Reference { segments, name });
        }
        at
    }
}

/// The path that begins at a token.
fn path_at(tokens: &[Token], start: usize) -> Vec<String> {
    let mut segments = Vec::new();
    let mut at = start;
    while let Some(Token::Word(word)) = tokens.get(at) {
        segments.push(word.clone());
        if tokens.get(at + 1) != Some(&Token::Path) {
            break;
        }
        at += 2;
    }
    segments
}

fn module_path(file: &str) -> Vec<String> {
    let below = file.trim_start_matches("src/").trim_end_matches(".rs");
    let below = below.trim_end_matches("/mod");
    if below == "lib" { Vec::new() } else { below.split('/').map(str::to_owned).collect() }
}

/// Every module that can be reached from `from`.
fn reachable<'g>(graph: &'g BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<&'g str> {
    let mut reached = BTreeSet::new();
    let mut pending: Vec<&str> = graph.get(from).into_iter().flatten().map(String::as_str).collect();
    while let Some(module) = pending.pop() {
        if reached.insert(module) {
            pending.extend(graph.get(module).into_iter().flatten().map(String::as_str));
        }
    }
    reached
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let graph = Modules::read().graph();
    let reach: BTreeMap<&str, BTreeSet<&str>> =
        graph.keys().map(|module| (module.as_str(), reachable(&graph, module))).collect();
    let mut circles = BTreeSet::new();
    for (module, reached) in &reach {
        if reached.contains(module) {
            let circle = reached.iter().filter(|other| reach.get(*other).is_some_and(|back| back.contains(module)));
            circles.insert(circle.copied().collect::<Vec<_>>());
        }
    }
    let describe = |circle: &Vec<&str>| {
        let mut text = String::from("a circle of imports:\n");
        for module in circle {
            let uses: Vec<_> = graph[*module].iter().map(String::as_str).filter(|used| circle.contains(used)).collect();
            text += &format!("    {module} uses {}\n", uses.join(", "));
        }
        text
    };
    let circles: String = circles.iter().map(describe).collect();
    assert!(circles.is_empty(), "{circles}");
}

#[test]
fn a_stage_uses_only_what_is_allowed() {
    let mut wrong = String::new();
    for (path, module) in &Modules::read().0 {
        let Some(part) = path.first().filter(|part| !WIRING.contains(&part.as_str())) else { continue };
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| name == part) else {
            wrong += &format!("`{part}` has no line in MAY_USE\n");
            continue;
        };
        for reference in &module.references {
            let mut absolute = path.clone();
            for segment in &reference.segments {
                match segment.as_str() {
                    "crate" => absolute.clear(),
                    "super" => drop(absolute.pop()),
                    "self" => {}
                    word => absolute.push(word.to_owned()),
                }
            }
            let Some(used) = absolute.first() else { continue };
            let is_allowed =
                used == part || EVERYONE_MAY_USE.contains(&used.as_str()) || allowed.contains(&used.as_str());
            if !is_allowed {
                wrong += &format!("{} uses crate::{used}, which `{part}` may not use\n", path.join("::"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn unsafe_stands_only_in_sys() {
    for file in rust_sources().iter().filter(|file| file.path != "src/sys.rs") {
        let is_unsafe =
            tokens(&file.text).iter().any(|token| token.is_word("unsafe")) || file.text.contains("allow(unsafe_code)");
        assert!(!is_unsafe, "{} contains unsafe code; it belongs into src/sys.rs", file.path);
    }
}

#[test]
fn nothing_uses_the_unsound_half_of_fanotify_rs() {
    for file in rust_sources() {
        for banned in ["high_level", "fanotify_read", "close_fd", "FanotifyEventMetadata"] {
            let is_used = product_tokens(&file.text).iter().any(|token| token.is_word(banned));
            assert!(!is_used, "{} uses {banned} of fanotify-rs, which is unsound", file.path);
        }
    }
}

/// Licence texts and lists of data are as long as they are.
#[test]
fn no_file_is_too_long_to_be_read_in_one_sitting() {
    let is_data = |path: &str| {
        ["tests/data/", "tests/content/", "tests/golden/", "packaging/debian/copyright"]
            .iter()
            .any(|prefix| path.starts_with(prefix))
    };
    let files = text_files(&["src", "tests", "fuzz/fuzz_targets", "benches", "docs", "packaging", "README.md"]);
    let long: String = files
        .iter()
        .filter(|file| !is_data(&file.path) && file.text.lines().count() > MAX_FILE_LINES)
        .map(|file| format!("{}: {} lines, at most {MAX_FILE_LINES}\n", file.path, file.text.lines().count()))
        .collect();
    assert!(long.is_empty(), "{long}");
}

/// The functions of a file that rustfmt has formatted: first line, name, number of lines.
fn functions(text: &str) -> Vec<(usize, String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut functions = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        let mut words = code.split_whitespace().skip_while(|word| {
            ["pub", "const", "async", "unsafe", "extern", "\"C\""].contains(word) || word.starts_with("pub(")
        });
        if words.next() != Some("fn") {
            continue;
        }
        let name: String = words
            .next()
            .unwrap_or_default()
            .chars()
            .take_while(|next| next.is_alphanumeric() || *next == '_')
            .collect();
        let end = format!("{indent}}}");
        let is_one_line = line.ends_with('}') || line.ends_with(';');
        let length =
            if is_one_line { 1 } else { lines[start..].iter().position(|line| *line == end).map_or(1, |at| at + 1) };
        functions.push((start + 1, name, length));
    }
    functions
}

#[test]
fn no_function_is_too_long_to_be_understood_at_once() {
    let mut long = String::new();
    for file in rust_sources() {
        for (line, name, length) in functions(&file.text) {
            if length > MAX_FUNCTION_LINES {
                long += &format!("{}:{line}: `{name}` has {length} lines, at most {MAX_FUNCTION_LINES}\n", file.path);
            }
        }
    }
    assert!(long.is_empty(), "{long}");
}

#[test]
fn the_functions_of_a_file_are_measured() {
    let found = functions("impl A {\n    pub(crate) fn a() {\n        1;\n    }\n}\nfn b() {}\n");
    assert_eq!(found, [(2, "a".to_owned(), 3), (6, "b".to_owned(), 1)]);
}

#[test]
fn a_circle_through_a_parent_or_a_reexport_is_found() {
    let path = |words: &str| words.split("::").map(str::to_owned).collect::<Vec<_>>();
    let modules = Modules(BTreeMap::from([
        (Vec::new(), Module::parse("pub mod a;")),
        (path("a"), Module::parse("mod b; mod c; pub use c::{C, D as E}; pub struct A;")),
        (path("a::b"), Module::parse("use super::{A, C}; fn f() { super::c::g() }")),
        (path("a::c"), Module::parse("use super::E; use std::fmt;")),
    ]));
    let graph = modules.graph();
    assert_eq!(graph["a::b"], BTreeSet::from(["a".to_owned(), "a::c".to_owned()]));
    assert_eq!(graph["a::c"], BTreeSet::new());
    assert!(reachable(&graph, "a::b").contains("a::b"));
    assert!(!reachable(&graph, "a::c").contains("a::c"));
}
