//! The manual pages, the exit codes in the documentation and the shell completions match the program, the configuration and the
//! schema of the alert.
//!
//! After a change of the command line `PYHOOKWATCH_WRITE=1 cargo test --test project manual` writes the completions anew.

use clap_complete::Shell;
use pyhookwatch::commands::EXIT_CODES;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const PROGRAM_PAGE: &str = "packaging/man/pyhookwatch.1";
const CONFIGURATION_PAGE: &str = "packaging/man/pyhookwatch.toml.5";
const ALERT_PAGE: &str = "packaging/man/pyhookwatch-alert.5";

fn in_tree(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(in_tree(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// One paragraph's tag (after `.TP`) with the headings above it.
#[derive(Debug)]
struct Tag {
    section: String,
    subsection: String,
    text: String,
}

/// What a line of roff shows: no macro, no font changes, no escapes.
fn shown(line: &str) -> String {
    let (macro_name, rest) = match line.strip_prefix('.') {
        Some(line) => line.split_once(' ').unwrap_or((line, "")),
        None => ("", line),
    };
    // Macros of two letters put their arguments together without blanks; quotes keep blanks in them.
    let joined = if matches!(macro_name, "BR" | "RB" | "BI" | "IB" | "IR" | "RI") {
        let mut text = String::new();
        let mut quoted = false;
        for character in rest.chars() {
            match character {
                '"' => quoted = !quoted,
                ' ' if !quoted => {}
                other => text.push(other),
            }
        }
        text
    } else {
        rest.replace('"', "")
    };
    let mut text = joined.replace("\\(dq", "\"").replace("\\(aq", "'").replace("\\-", "-");
    for font in ["\\fB", "\\fI", "\\fR", "\\fP", "\\|"] {
        text = text.replace(font, "");
    }
    text
}

fn tags(page: &str) -> Vec<Tag> {
    let text = read(page);
    let (mut section, mut subsection, mut tags) = (String::new(), String::new(), Vec::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with(".SH ") {
            (section, subsection) = (shown(line), String::new());
        } else if line.starts_with(".SS ") {
            subsection = shown(line);
        } else if line == ".TP" {
            let text = shown(lines.next().unwrap());
            tags.push(Tag { section: section.clone(), subsection: subsection.clone(), text });
        }
    }
    assert!(!tags.is_empty(), "{page}");
    tags
}

/// Every word of a page, as shown.
fn words(page: &str) -> BTreeSet<String> {
    let text: Vec<String> = read(page).lines().map(shown).collect();
    let text = text.join("\n");
    text.split(|character: char| !(character.is_alphanumeric() || matches!(character, '-' | '_')))
        .map(str::to_owned)
        .collect()
}

/// Every option and argument of each command, as the page must show it.
fn command_line() -> BTreeMap<String, BTreeSet<String>> {
    let mut root = pyhookwatch::cli::command();
    root.build();
    let commands = root.get_subcommands().filter(|command| command.get_name() != "help" && !command.is_hide_set());
    commands
        .map(|command| {
            let arguments = command.get_arguments();
            let shown =
                arguments.filter(|argument| argument.get_id() != "help" && !argument.is_hide_set()).map(|argument| {
                    let value = argument.get_value_names().and_then(<[_]>::first).map(|name| name.to_string());
                    match (argument.get_long(), argument.get_action().takes_values(), value) {
                        (None, _, Some(value)) => value,
                        (Some(long), true, Some(value)) => format!("--{long} {value}"),
                        (Some(long), false, _) => format!("--{long}"),
                        other => panic!("{}: {other:?}", argument.get_id()),
                    }
                });
            (command.get_name().to_owned(), shown.collect())
        })
        .collect()
}

#[test]
fn the_page_of_the_program_has_every_command_with_exactly_its_options() {
    let mut documented: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let headings = read(PROGRAM_PAGE);
    let mut in_commands = false;
    for line in headings.lines() {
        if line.starts_with(".SH ") {
            in_commands = line == ".SH COMMANDS";
        } else if in_commands && line.starts_with(".SS ") && line != ".SS All commands" {
            for command in names_in(&shown(line)) {
                documented.entry(command).or_default();
            }
        }
    }
    let options = tags(PROGRAM_PAGE).into_iter();
    for tag in options.filter(|tag| tag.section == "COMMANDS" && tag.subsection != "All commands") {
        for command in names_in(&tag.subsection) {
            let new = documented.entry(command.clone()).or_default().insert(tag.text.clone());
            assert!(new, "{} stands twice for {command}", tag.text);
        }
    }
    assert_eq!(documented, command_line(), "left: {PROGRAM_PAGE}, right: the command line");
}

/// `run, explain and check` are three.
fn names_in(heading: &str) -> Vec<String> {
    heading.replace(" and ", ", ").split(", ").map(str::to_owned).collect()
}

/// The meanings of each exit code, as `--help` lists them: `scan: a hook is hostile`.
fn exit_codes() -> BTreeMap<String, BTreeSet<String>> {
    let meaning = |(command, meaning): &(&str, &str)| match *command {
        "" => (*meaning).to_owned(),
        command => format!("{command}: {meaning}"),
    };
    let codes = EXIT_CODES.iter();
    codes.map(|(exit, meanings)| ((*exit as u8).to_string(), meanings.iter().map(meaning).collect())).collect()
}

#[test]
fn the_page_of_the_program_has_every_exit_code_with_its_meanings() {
    let text = read(PROGRAM_PAGE);
    let section = text.split(".SH EXIT STATUS\n").nth(1).unwrap().split(".SH ").next().unwrap();
    let documented: BTreeMap<String, BTreeSet<String>> = section
        .split(".TP\n")
        .skip(1)
        .map(|paragraph| {
            let (code, meanings) = paragraph.split_once('\n').unwrap();
            let text = |meaning: &str| meaning.lines().map(shown).collect::<Vec<_>>().join(" ");
            (shown(code), meanings.split(".br\n").map(text).collect())
        })
        .collect();
    assert_eq!(documented, exit_codes(), "left: {PROGRAM_PAGE}, right: EXIT_CODES");
}

/// The page of a command explains at least the codes with a meaning of its own, and none that it cannot return.
#[test]
fn the_page_of_a_command_has_its_exit_codes() {
    for command in ["scan", "coverage", "selftest", "status"] {
        let page = read(&format!("docs/{command}.md"));
        let table = page.lines().skip_while(|line| !line.starts_with("| exit code |")).skip(2);
        let documented: BTreeSet<String> =
            table.map_while(|line| Some(line.strip_prefix("| ")?.split(' ').next()?.to_owned())).collect();
        let of = |wanted: &[&str]| -> BTreeSet<String> {
            let codes =
                EXIT_CODES.iter().filter(|(_, meanings)| meanings.iter().any(|(name, _)| wanted.contains(name)));
            codes.map(|(exit, _)| (*exit as u8).to_string()).collect()
        };
        assert!(documented.is_superset(&of(&[command])), "docs/{command}.md has only {documented:?}");
        assert!(documented.is_subset(&of(&[command, ""])), "docs/{command}.md has {documented:?}");
    }
}

#[test]
fn the_page_of_the_configuration_has_every_key_with_its_default() {
    let mut keys = BTreeSet::new();
    let (mut table, mut of_type) = (String::new(), None);
    for line in read("config/pyhookwatch.toml").lines() {
        // Prose has a blank after the number sign, keys have none.
        let line = line.strip_prefix('#').unwrap_or(line);
        if line.starts_with('[') {
            (table, of_type) = (line.to_owned(), None);
        } else if !line.starts_with(' ')
            && let Some((key, value)) = line.split_once(" = ")
        {
            if table == "[[output]]" && of_type.is_none() {
                assert_eq!(key, "type", "first of an output");
                of_type = Some(format!("{table} {line}"));
            } else {
                keys.insert(format!("{}: {key} = {value}", of_type.as_ref().unwrap_or(&table)));
            }
        }
    }
    assert!(keys.len() > 15, "{keys:?}");
    let documented = tags(CONFIGURATION_PAGE).into_iter().filter(|tag| tag.section == "KEYS");
    let documented: BTreeSet<_> = documented.map(|tag| format!("{}: {}", tag.subsection, tag.text)).collect();
    assert_eq!(documented, keys, "left: {CONFIGURATION_PAGE}, right: config/pyhookwatch.toml");
}

/// Paths of all fields without fields of their own, and all words that a field can be.
struct Schema {
    root: Value,
    fields: BTreeSet<String>,
    words: BTreeSet<String>,
}

impl Schema {
    fn read() -> Self {
        let root: Value = serde_json::from_str(&read("config/alert.schema.json")).unwrap();
        let mut schema = Self { root: root.clone(), fields: BTreeSet::new(), words: BTreeSet::new() };
        schema.walk(&root, "");
        // What one part of the schema leaves open and another describes has fields of its own.
        let all = schema.fields.clone();
        schema.fields.retain(|field| !all.iter().any(|other| other.starts_with(&format!("{field}."))));
        schema
    }

    fn walk(&mut self, node: &Value, path: &str) {
        if let Some(name) = node["$ref"].as_str() {
            let target = self.root.pointer(name.strip_prefix('#').unwrap()).unwrap().clone();
            return self.walk(&target, path);
        }
        for word in node["enum"].as_array().into_iter().flatten() {
            self.words.insert(word.as_str().unwrap().to_owned());
        }
        for part in ["if", "then", "else"].map(|part| &node[part]) {
            self.walk_object(part, path);
        }
        for part in ["allOf", "anyOf", "oneOf"].iter().filter_map(|part| node[*part].as_array()).flatten() {
            self.walk_object(part, path);
        }
        let items = &node["items"];
        if items["properties"].is_object() || items["$ref"].is_string() {
            return self.walk(items, &format!("{path}[]"));
        }
        self.walk_object(items, path);
        match node["properties"].as_object() {
            Some(properties) => {
                for (name, property) in properties {
                    let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    self.walk(property, &below);
                }
            }
            None if !path.is_empty() => drop(self.fields.insert(path.to_owned())),
            None => {}
        }
    }

    fn walk_object(&mut self, node: &Value, path: &str) {
        if node.is_object() {
            self.walk(node, path);
        }
    }
}

#[test]
fn the_page_of_the_alert_has_every_field_and_none_that_there_is_not() {
    let schema = Schema::read();
    assert!(schema.fields.len() > 120);
    let mut documented = BTreeSet::new();
    for tag in tags(ALERT_PAGE) {
        // The words of one field, indented below it.
        if !tag.text.contains(['.', '@']) && tag.text != "message" {
            assert!(schema.words.contains(&tag.text), "{} is neither a field nor a word of one", tag.text);
            continue;
        }
        let mut object = String::new();
        for field in tag.text.split(", ") {
            let field = match field.strip_prefix('.') {
                Some(field) => format!("{object}.{field}"),
                None => {
                    object = field.rsplit_once('.').map_or(String::new(), |(object, _)| object.to_owned());
                    field.to_owned()
                }
            };
            assert!(documented.insert(field.clone()), "{field} stands twice");
        }
    }
    let missing: Vec<_> = schema.fields.difference(&documented).collect();
    let wrong: Vec<_> = documented.difference(&schema.fields).collect();
    assert!(missing.is_empty() && wrong.is_empty(), "missing: {missing:?}; not in the schema: {wrong:?}");
}

#[test]
fn the_page_of_the_alert_has_every_word_that_a_field_can_be() {
    let schema = Schema::read();
    assert!(schema.words.len() > 100);
    let shown = words(ALERT_PAGE);
    let missing: Vec<_> =
        schema.words.iter().filter(|word| !word.split(' ').all(|part| shown.contains(part))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_pages_are_of_this_version() {
    for page in [PROGRAM_PAGE, CONFIGURATION_PAGE, ALERT_PAGE] {
        let head = format!("\"pyhookwatch {}\"", env!("CARGO_PKG_VERSION"));
        assert!(read(page).lines().any(|line| line.starts_with(".TH ") && line.contains(&head)), "{page}: {head}");
    }
}

#[test]
fn the_completions_are_those_of_this_command_line() {
    let shells = [(Shell::Bash, "pyhookwatch.bash"), (Shell::Zsh, "_pyhookwatch"), (Shell::Fish, "pyhookwatch.fish")];
    for (shell, name) in shells {
        let mut now = Vec::new();
        clap_complete::generate(shell, &mut pyhookwatch::cli::command(), "pyhookwatch", &mut now);
        let path = format!("packaging/completions/{name}");
        if std::env::var_os("PYHOOKWATCH_WRITE").is_some() {
            std::fs::write(in_tree(&path), &now).unwrap();
        }
        assert!(read(&path) == String::from_utf8(now).unwrap(), "{path} is old: PYHOOKWATCH_WRITE=1 writes it anew");
    }
}
