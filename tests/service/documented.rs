//! The fields of a command's JSON document against the table on its page.

use serde_json::Value;
use std::collections::BTreeSet;

/// Every word in the first column of the page's tables: `summary.trees`, `trees[].path`.
fn documented(page: &str) -> BTreeSet<String> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    rows.flat_map(|cell| cell.split(", ")).map(|field| field.trim_matches('`').to_owned()).collect()
}

/// The paths of all values of a document that are no objects.
fn leaves(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                leaves(member, &if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, found);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter().for_each(|item| leaves(item, &format!("{path}[]"), found));
        }
        _ => drop(found.insert(path.to_owned())),
    }
}

/// Panics if the page does not have a field of the document. A field of the page may stand for all that are below it.
pub fn assert_documented(document: &Value, page: &str) {
    let documented = documented(page);
    let mut fields = BTreeSet::new();
    leaves(document, "", &mut fields);
    assert!(fields.len() > 10, "{document:#}");
    for field in &fields {
        let has_it = documented.iter().any(|known| {
            let is_below = |inner: &str, outer: &str| {
                inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            };
            // The second: an object or a list that is `null` or empty here.
            is_below(field, known) || is_below(known, field)
        });
        assert!(has_it, "{field} is not documented");
    }
}
