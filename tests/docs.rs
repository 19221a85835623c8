//! The lists in docs/rules.md and docs/alerts.md are those of the program.
//!
//! Tables between `<!-- NAME: ... -->` and `<!-- end -->` are made from the code: `UPDATE_DOCS=1 cargo test --test docs`
//! writes them anew. The other tables are compared by their first column.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

use pyhookwatch::event::{Action, Evidence, Level, LossCause, Signal};
use pyhookwatch::rules::EMBEDDED;
use pyhookwatch::rules::fields::FIELDS;
use serde::Deserialize;
use serde_norway::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const RULES: &str = "docs/rules.md";
const ALERTS: &str = "docs/alerts.md";

fn in_tree(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(in_tree(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The words of an enum that `words!` makes, each with its doc comment.
fn words(source: &str, name: &str) -> Vec<(String, String)> {
    let text = read(source);
    let start = text.find(&format!("    {name} {{\n")).unwrap_or_else(|| panic!("no {name} in {source}"));
    let (mut words, mut meaning) = (Vec::new(), Vec::new());
    for line in text[start..].lines().skip(1).map(str::trim).take_while(|line| *line != "}") {
        if let Some(comment) = line.strip_prefix("///") {
            meaning.push(comment.trim().to_owned());
        } else if let Some((_, word)) = line.split_once(" = ") {
            words.push((word.trim_matches([',', '"']).to_owned(), std::mem::take(&mut meaning).join(" ")));
        }
    }
    assert!(words.len() > 3, "{name}");
    words
}

fn word_table(source: &str, name: &str) -> String {
    let rows = words(source, name).into_iter().map(|(word, meaning)| format!("| `{word}` | {meaning} |\n"));
    format!("| word | meaning |\n|---|---|\n{}", rows.collect::<String>())
}

fn field_table() -> String {
    let rows = FIELDS.iter().map(|field| {
        let of = if field.of_writer { "writer" } else { "file" };
        format!("| `{}` | {of} | {} |\n", field.name, field.meaning)
    });
    format!("| field | describes the | holds |\n|---|---|---|\n{}", rows.collect::<String>())
}

/// Every embedded rule, as YAML, with the name of its file.
fn embedded() -> Vec<(&'static str, Value)> {
    let documents = EMBEDDED.iter().flat_map(|(file, text)| {
        serde_norway::Deserializer::from_str(text).map(|rule| (*file, Value::deserialize(rule).unwrap()))
    });
    documents.filter(|(_, rule)| !rule.is_null()).collect()
}

fn detection_types(rule: &Value) -> Vec<String> {
    match &rule["detection_type"] {
        Value::Sequence(cases) => cases.iter().map(|case| case["type"].as_str().unwrap().to_owned()).collect(),
        name => vec![name.as_str().unwrap().to_owned()],
    }
}

fn rule_table() -> String {
    let rules = embedded();
    let mut table = format!("{} rules in {} files:\n\n", rules.len(), EMBEDDED.len());
    table += "| rule | file | level | detection type |\n|---|---|---|---|\n";
    for (file, rule) in rules {
        let (title, level) = (rule["title"].as_str().unwrap(), rule["level"].as_str().unwrap());
        let types: Vec<_> = detection_types(&rule).iter().map(|name| format!("`{name}`")).collect();
        table += &format!("| {title} | `{file}` | {level} | {} |\n", types.join(", "));
    }
    table
}

/// The generated tables: file, name, content.
fn tables() -> Vec<(&'static str, &'static str, String)> {
    let hook = "src/event/hook.rs";
    vec![
        (RULES, "rules", rule_table()),
        (RULES, "fields", field_table()),
        (RULES, "EventAction", word_table("src/event/change.rs", "Action")),
        (RULES, "HookKind", word_table(hook, "HookKind")),
        (RULES, "HookForm", word_table(hook, "HookForm")),
        (RULES, "HookLocation", word_table(hook, "HookLocation")),
        (RULES, "ContentClass", word_table(hook, "ContentClass")),
        (RULES, "ContentSignals", word_table(hook, "Signal")),
        (ALERTS, "causes", word_table("src/event/loss.rs", "LossCause")),
    ]
}

#[test]
fn the_generated_tables_are_those_of_the_program() {
    for (file, name, content) in tables() {
        let text = read(file);
        let begin = format!("<!-- {name}: made by tests/docs.rs -->\n");
        let start = text.find(&begin).unwrap_or_else(|| panic!("{file} has no table {name}")) + begin.len();
        let end = start + text[start..].find("<!-- end -->").unwrap();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            // Other tests read the file meanwhile.
            let new = in_tree(&format!("{file}.new"));
            std::fs::write(&new, format!("{}{content}{}", &text[..start], &text[end..])).unwrap();
            std::fs::rename(new, in_tree(file)).unwrap();
        } else {
            assert!(text[start..end] == content, "{file}: table {name} is old: UPDATE_DOCS=1 writes it anew");
        }
    }
}

/// The source is read as text above: no word may be missed.
#[test]
fn the_tables_of_words_have_every_word() {
    let listed = |source, name| words(source, name).into_iter().map(|(word, _)| word).collect::<Vec<_>>();
    let signals: Vec<_> = Signal::ALL.iter().map(|signal| signal.as_str()).collect();
    assert_eq!(listed("src/event/hook.rs", "Signal"), signals);
    let causes: Vec<_> = LossCause::ALL.iter().map(|cause| cause.as_str()).collect();
    assert_eq!(listed("src/event/loss.rs", "LossCause"), causes);
    let actions: Vec<_> = Action::ALL.iter().map(|action| action.as_str()).collect();
    assert_eq!(listed("src/event/change.rs", "Action"), actions);
}

/// An alert with a word that the schema lacks would be refused by a receiver that validates it.
#[test]
fn the_schema_has_every_word() {
    let schema: serde_json::Value = serde_json::from_str(&read("config/alert.schema.json")).unwrap();
    let hook = "src/event/hook.rs";
    for (source, name, pointer) in [
        (hook, "HookKind", "/alert_facts/properties/hook/properties/kind"),
        (hook, "HookForm", "/alert_facts/properties/hook/properties/form"),
        (hook, "HookLocation", "/alert_facts/properties/hook/properties/location"),
        (hook, "ContentClass", "/content/properties/class"),
        (hook, "Signal", "/content/properties/signals/items"),
        ("src/event/change.rs", "Action", "/alert/properties/event/properties/action"),
        ("src/event/loss.rs", "LossCause", "/loss/properties/pyhookwatch/properties/loss/properties/cause"),
    ] {
        let pointer = format!("/$defs{pointer}/enum");
        let known =
            schema.pointer(&pointer).and_then(serde_json::Value::as_array).unwrap_or_else(|| panic!("{pointer}"));
        let known: BTreeSet<_> = known.iter().map(|word| word.as_str().unwrap().to_owned()).collect();
        let words: BTreeSet<_> = words(source, name).into_iter().map(|(word, _)| word).collect();
        assert_eq!(known, words, "left: config/alert.schema.json, right: {name} in {source}");
    }
}

/// The words in backticks in the first column of the table with this head.
fn first_column(file: &str, head: &str) -> BTreeSet<String> {
    let text = read(file);
    let rows =
        text.lines().skip_while(|line| !line.starts_with(head)).skip(2).map_while(|line| line.strip_prefix("| "));
    let found: BTreeSet<_> = rows
        .flat_map(|row| row.split(" |").next().unwrap().split(", ").map(|cell| cell.trim_matches('`').to_owned()))
        .collect();
    assert!(!found.is_empty(), "{file} has no table with the head {head}");
    found
}

#[test]
fn every_kind_of_evidence_is_explained() {
    let known = Evidence::ALL.iter().map(|evidence| evidence.as_str().to_owned()).collect();
    assert_eq!(first_column(ALERTS, "| evidence |"), known);
}

#[test]
fn every_level_has_its_severity() {
    let levels = Level::ALL.iter().map(|level| format!("{} {}", level.severity(), level.as_str()));
    let expected = levels.collect::<Vec<_>>().join(", ");
    assert!(read(ALERTS).contains(&expected), "{ALERTS} does not have: {expected}");
}

#[test]
fn every_detection_type_of_the_own_rules_is_explained() {
    let own = embedded().into_iter().filter(|(file, _)| file.starts_with("pyhookwatch-"));
    let known: BTreeSet<_> = own.flat_map(|(_, rule)| detection_types(&rule)).collect();
    assert_eq!(first_column(RULES, "| detection type | level | when |"), known);
    let text = read(RULES);
    for (file, rule) in embedded() {
        for name in detection_types(&rule) {
            assert!(text.contains(&format!("`{name}`")), "{file}: {name}");
        }
    }
}
