//! The words of the project: no name that the glossary replaced, plain prose, a short README.

use crate::source::{TextFile, Token, read, rust_sources, text_files, tokens};

/// A name that was replaced.
struct Replaced {
    kind: &'static str,
    old: &'static str,
    new: &'static str,
    /// The directory or file that the line is about; empty for all of the code.
    within: &'static str,
}

impl Replaced {
    fn is_about(&self, path: &str, kind: &str, name: &str) -> bool {
        self.kind == kind && self.old == name && path.starts_with(self.within)
    }
}

fn replaced_names() -> impl Iterator<Item = Replaced> {
    let lines = include_str!("replaced_names.tsv").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let mut columns = line.split('\t');
        let mut column = || columns.next().unwrap_or_else(|| panic!("too few columns: {line}"));
        Replaced { kind: column(), old: column(), new: column(), within: columns.next().unwrap_or("") }
    })
}

/// The Rust code of the product and of its tests.
fn rust_code() -> Vec<TextFile> {
    let mut files = text_files(&["tests", "fuzz/fuzz_targets"]);
    files.retain(|file| file.path.ends_with(".rs"));
    files.extend(rust_sources());
    files
}

/// The names that a file defines: what kind each is, and the name.
fn defined_names(file: &TextFile) -> Vec<(&'static str, String)> {
    let stem = file.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
    let mut names = vec![("module", stem.to_owned())];
    let tokens = tokens(&file.text);
    for pair in tokens.windows(2) {
        let [Token::Word(keyword), Token::Word(name)] = pair else { continue };
        let kind = match keyword.as_str() {
            "struct" | "enum" | "trait" | "type" | "union" => "type",
            "mod" => "module",
            "fn" => "fn",
            _ => continue,
        };
        names.push((kind, name.clone()));
    }
    names
}

#[test]
fn no_name_that_the_glossary_replaced_is_left() {
    let mut left = String::new();
    let replaced: Vec<Replaced> = replaced_names().collect();
    for file in rust_code() {
        for (kind, name) in defined_names(&file) {
            for replaced in replaced.iter().filter(|replaced| replaced.is_about(&file.path, kind, &name)) {
                left += &format!("{}: {kind} `{name}`, now called `{}`\n", file.path, replaced.new);
            }
        }
    }
    assert!(left.is_empty(), "{left}");
}

/// Where documents are made, described or published.
const JSON: [&str; 7] = ["src/alert", "src/commands", "src/daemon", "config", "docs", "packaging/man", "tests/golden"];

/// Lines that may name an old key, because older configurations and receivers know it.
fn is_about_the_old_name(line: &str) -> bool {
    line.contains("0.1.0") || line.contains("formerly")
}

#[test]
fn no_key_of_a_document_that_was_replaced_is_left() {
    let mut left = String::new();
    for replaced in replaced_names().filter(|replaced| replaced.kind == "json") {
        let old = replaced.old;
        let shapes =
            [format!("\"{old}\""), format!("`{old}`"), format!("`{old}["), format!(".{old}`"), format!("/{old}\"")];
        for file in text_files(&JSON).iter().filter(|file| file.path.starts_with(replaced.within)) {
            for (index, line) in file.text.lines().enumerate() {
                if shapes.iter().any(|shape| line.contains(shape)) && !is_about_the_old_name(line) {
                    left += &format!("{}:{}: `{old}`, now `{}`\n", file.path, index + 1, replaced.new);
                }
            }
        }
    }
    assert!(left.is_empty(), "{left}");
}

/// The last keys of the paths that a cell of the CHANGELOG's table has between backquotes. `event.action` and
/// `event.dataset` kept their names; their values follow them.
fn last_keys(cell: &str) -> Vec<&str> {
    let quoted = cell.split('`').skip(1).step_by(2).filter(|path| !path.starts_with("event."));
    quoted.map(|path| path.trim_end_matches("[]").rsplit('.').next().unwrap_or(path)).collect()
}

#[test]
fn the_keys_that_the_changelog_replaced_are_in_the_list() {
    let known: Vec<Replaced> = replaced_names().filter(|replaced| replaced.kind == "json").collect();
    let changelog = read("CHANGELOG.md");
    let rows: Vec<Vec<&str>> = changelog.lines().map(|line| line.split('|').map(str::trim).collect()).collect();
    let mut count = 0;
    let mut missing = String::new();
    for row in &rows {
        let [_, document, old, new, _] = row[..] else { continue };
        let (old, new) = (last_keys(old), last_keys(new));
        for key in old.iter().filter(|key| document != "rule field" && !new.contains(key)) {
            count += 1;
            if !known.iter().any(|replaced| replaced.old == *key && new.contains(&replaced.new)) {
                missing += &format!("{document}: `{key}`, now one of {new:?}\n");
            }
        }
    }
    assert!(missing.is_empty(), "not in tests/project/replaced_names.tsv:\n{missing}");
    assert!(count > 20, "{count} keys found in the table");
}

/// Programs do not speak: data is alerted, reported, logged, recorded or supplied.
const VERBS_OF_SPEECH: [&str; 3] = ["told", "tell", "tells"];

/// What people read, and the names that tests and functions have.
const PROSE: [&str; 13] = [
    "src",
    "tests",
    "docs",
    "config",
    "packaging",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "Cargo.toml",
    "clippy.toml",
    "fuzz/fuzz_targets",
    "benches",
];

/// Code of attackers and of others, the lists of words themselves, and licences.
const NOT_OURS: [&str; 5] = [
    "tests/content/",
    "tests/data/",
    "tests/project/words.rs",
    "tests/project/replaced_names.tsv",
    "packaging/debian/copyright",
];

#[test]
fn no_prose_uses_verbs_of_speech_for_data() {
    let mut found = String::new();
    for file in text_files(&PROSE).iter().filter(|file| !NOT_OURS.iter().any(|prefix| file.path.starts_with(prefix))) {
        // The CHANGELOG's table names the old keys.
        let is_table = |line: &str| file.path == "CHANGELOG.md" && line.starts_with('|');
        for (index, line) in file.text.lines().enumerate().filter(|(_, line)| !is_table(line)) {
            let mut words = line.split(|letter: char| !letter.is_ascii_alphabetic());
            if let Some(word) = words.find(|word| VERBS_OF_SPEECH.contains(&word.to_lowercase().as_str())) {
                found += &format!("{}:{}: `{word}` in: {}\n", file.path, index + 1, line.trim());
            }
        }
    }
    assert!(found.is_empty(), "{found}");
}

const MAX_README_LINES: usize = 150;
const MAX_MEAN_WORDS: f64 = 18.0;

/// The sentences of a Markdown text: of its paragraphs and lists, not of code, tables and headings.
fn sentences(text: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut paragraph = String::new();
    let mut is_code = false;
    for line in text.lines().chain([""]) {
        let line = line.trim();
        if line.starts_with("```") {
            is_code = !is_code;
        }
        let begins =
            line.starts_with("* ") || line.starts_with("- ") || line.starts_with(|first: char| first.is_ascii_digit());
        let is_prose = !is_code && !line.is_empty() && !line.starts_with(['|', '#', '`', '<']);
        if begins || !is_prose {
            let ended = std::mem::take(&mut paragraph);
            let parts = ended.split_inclusive([' ']).fold(vec![String::new()], |mut parts, word| {
                parts.last_mut().unwrap().push_str(word);
                if word.trim_end().ends_with(['.', '!', '?', ':']) {
                    parts.push(String::new());
                }
                parts
            });
            sentences.extend(parts.into_iter().filter(|sentence| !sentence.trim().is_empty()));
        }
        if is_prose {
            paragraph = format!("{paragraph}{} ", line.trim_start_matches(['*', '-', ' ']));
        }
    }
    sentences
}

#[test]
fn the_readme_is_short_and_its_sentences_are_too() {
    let readme = read("README.md");
    let lines = readme.lines().count();
    let sentences = sentences(&readme);
    let count = |sentence: &String| sentence.split_whitespace().count();
    let words: usize = sentences.iter().map(count).sum();
    #[allow(clippy::cast_precision_loss, reason = "a few thousand words")]
    let mean = words as f64 / sentences.len() as f64;
    let mut longest = sentences.clone();
    longest.sort_by_key(|sentence| std::cmp::Reverse(count(sentence)));
    longest.truncate(5);
    assert!(lines <= MAX_README_LINES, "README.md has {lines} lines, at most {MAX_README_LINES}");
    assert!(mean <= MAX_MEAN_WORDS, "README.md: {mean:.1} words a sentence, at most {MAX_MEAN_WORDS}:\n{longest:#?}");
}

#[test]
fn sentences_are_counted_without_code_tables_and_headings() {
    let text = "# A b c\nOne two three. Four\nfive.\n\n* six seven\n* eight\n\n```\nx y\n```\n| a | b |\n";
    assert_eq!(
        sentences(text).iter().map(|text| text.trim()).collect::<Vec<_>>(),
        ["One two three.", "Four five.", "six seven", "eight"]
    );
}
