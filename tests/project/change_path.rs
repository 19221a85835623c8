//! `docs/architecture.md` against the code: the path of a change, and which part may use which.

use crate::architecture::{EVERYONE_MAY_USE, MAY_USE};
use crate::source::{Token, product_tokens, project, read};
use std::collections::BTreeMap;

const MAX_STEPS: usize = 25;

/// The rows of the first table after a heading: the cells of each, without back quotes.
fn table(document: &str, heading: &str) -> Vec<Vec<String>> {
    let section = document.split_once(&format!("\n## {heading}\n")).map(|(_, rest)| rest);
    let section = section.unwrap_or_else(|| panic!("no section `{heading}`"));
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
    rows.skip(2).map(cells).collect()
}

fn has_function(code: &str, name: &str) -> bool {
    product_tokens(code).windows(2).any(|pair| pair[0].is_word("fn") && pair[1] == Token::Word(name.to_owned()))
}

#[test]
fn every_step_of_a_change_names_a_function_of_its_file() {
    let steps = table(&read("docs/architecture.md"), "The path of a change");
    assert!(!steps.is_empty(), "the table has no rows");
    assert!(steps.len() <= MAX_STEPS, "{} steps, at most {MAX_STEPS}", steps.len());
    let mut wrong = String::new();
    for step in &steps {
        let [_, file, function, _] = &step[..] else { panic!("a row with {} cells: {step:?}", step.len()) };
        if !project().join(file).is_file() {
            wrong += &format!("{file} does not exist\n");
        } else if !has_function(&read(file), function) {
            wrong += &format!("{file} has no function `{function}`\n");
        }
    }
    assert!(wrong.is_empty(), "docs/architecture.md: {wrong}");
}

#[test]
fn the_document_lists_what_each_part_may_use() {
    let document = read("docs/architecture.md");
    let words = |text: &str| -> Vec<String> {
        let mut words: Vec<String> = text.split(", ").map(str::to_owned).collect();
        words.sort();
        words
    };
    let written: BTreeMap<String, Vec<String>> =
        table(&document, "Which part may use which").iter().map(|row| (row[0].clone(), words(&row[1]))).collect();
    let checked: BTreeMap<String, Vec<String>> = MAY_USE
        .iter()
        .filter(|(_, used)| !used.is_empty())
        .map(|(part, used)| ((*part).to_owned(), words(&used.join(", "))))
        .collect();
    assert_eq!(written, checked);
    let everyone = EVERYONE_MAY_USE.map(|part| format!("`{part}`"));
    assert!(document.contains(&format!("may use {}, {} and {}.", everyone[0], everyone[1], everyone[2])));
}

#[test]
fn a_missing_function_and_an_empty_table_are_found() {
    assert!(has_function("impl A {\n    pub fn take(&self) {}\n}", "take"));
    assert!(!has_function("// fn take\nstruct take;", "take"));
    assert!(table("# A\n\n## B\n\n| a | b |\n|---|---|\n\n## C\n", "B").is_empty());
    assert_eq!(table("# A\n\n## B\n\n| a |\n|---|\n| `x` |\n", "B"), [["x"]]);
}
