//! Old names of fields in a rule: accepted until the next release, with a warning.

use super::selection::{field_of, has_modifier};
use crate::rules::fields;
use serde_norway::Value;

/// An old name of a field in a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OldName {
    pub old: &'static str,
    pub new: &'static str,
    /// The same map has the new name too.
    pub is_twice: bool,
}

/// Replaces the old names of fields in a selection, and returns each of them.
pub(super) fn replace_old_names(selection: &mut Value) -> Vec<OldName> {
    let mut found = Vec::new();
    replace(selection, &mut found);
    found
}

fn replace(selection: &mut Value, found: &mut Vec<OldName>) {
    match selection {
        Value::Sequence(maps) => maps.iter_mut().for_each(|map| replace(map, found)),
        Value::Mapping(map) => {
            for (key, mut value) in std::mem::take(map) {
                let key = match key.as_str() {
                    Some(key) => {
                        if has_modifier(key, "fieldref") {
                            replace_references(&mut value, found);
                        }
                        current_key(key, found).into()
                    }
                    None => key,
                };
                let is_twice = map.insert(key, value).is_some();
                if let (true, Some(last)) = (is_twice, found.last_mut()) {
                    last.is_twice = true;
                }
            }
        }
        _ => {}
    }
}

/// `HookPlace|contains` becomes `HookLocation|contains`.
fn current_key(key: &str, found: &mut Vec<OldName>) -> String {
    let field = field_of(key);
    let Some((old, new)) = fields::renamed(field) else { return key.to_owned() };
    found.push(OldName { old, new, is_twice: false });
    key.replacen(field, new, 1)
}

/// The values of `fieldref` are names of fields.
fn replace_references(value: &mut Value, found: &mut Vec<OldName>) {
    match value {
        Value::Sequence(names) => names.iter_mut().for_each(|name| replace_references(name, found)),
        Value::String(name) => *name = current_key(name, found),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(yaml: &str) -> (Value, Vec<(&'static str, bool)>) {
        let mut selection = serde_norway::from_str(yaml).unwrap();
        let found = replace_old_names(&mut selection);
        (selection, found.into_iter().map(|found| (found.new, found.is_twice)).collect())
    }

    #[test]
    fn old_names_are_replaced_as_keys_and_as_references() {
        for (yaml, current) in [
            ("{HookPlace: site}", "{HookLocation: site}"),
            ("[{HookPlace|contains: site, Image: x}]", "[{HookLocation|contains: site, Image: x}]"),
            ("{Image|fieldref: HookPlace}", "{Image|fieldref: HookLocation}"),
            ("{Image|fieldref: [User, HookPlace]}", "{Image|fieldref: [User, HookLocation]}"),
        ] {
            let expected = serde_norway::from_str(current).unwrap();
            assert_eq!(replaced(yaml), (expected, vec![("HookLocation", false)]), "{yaml}");
        }
    }

    #[test]
    fn values_and_current_names_stay() {
        for yaml in ["{HookLocation: HookPlace}", "[HookPlace]", "HookPlace", "{3: HookPlace}"] {
            assert_eq!(replaced(yaml), (serde_norway::from_str(yaml).unwrap(), Vec::new()), "{yaml}");
        }
    }

    #[test]
    fn one_map_with_the_old_and_the_new_name_is_reported() {
        for (yaml, is_twice) in [
            ("{HookPlace: site, HookLocation: etc}", true),
            ("{HookLocation: site, HookPlace: etc}", true),
            ("{HookLocation|contains: site, HookPlace: etc}", false),
            ("[{HookLocation: site}, {HookPlace: etc}]", false),
        ] {
            assert_eq!(replaced(yaml).1, [("HookLocation", is_twice)], "{yaml}");
        }
    }
}
