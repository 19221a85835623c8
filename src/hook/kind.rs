//! Which start-up hook a path is, by its name and directory. Pure.

use super::env;
use crate::event::{HookForm, HookKind, HookPlace, Whereabouts};
use std::path::Path;

/// The hook that this path is. Case matters as it does for Python.
pub fn of(path: &Path) -> HookKind {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let by_name = [HookKind::Site, HookKind::Sitecustomize, HookKind::Usercustomize, HookKind::Pth];
    match by_name.into_iter().find(|kind| has_name_of(name, kind.as_str())) {
        Some(kind) => kind,
        None if env::is_environment_file(path) => HookKind::Environment,
        None => HookKind::Other,
    }
}

/// TEMPORARY.
pub fn whereabouts(kind: HookKind) -> Whereabouts {
    Whereabouts { kind, form: HookForm::File, place: HookPlace::Elsewhere, version: None }
}

/// Whether a file of this name can be a hook of this kind, by [`names`].
fn has_name_of(name: &[u8], kind: &str) -> bool {
    names(kind).iter().any(|pattern| match pattern.strip_prefix('*') {
        Some(ending) => name.ends_with(ending.as_bytes()),
        None => name == pattern.as_bytes(),
    })
}

/// File names that a kind of hook can have, also for the name filter: exact, or `*` and an ending. Empty
/// for a kind that is not known by its name.
pub fn names(kind: &str) -> &'static [&'static str] {
    match kind {
        "sitecustomize" => &["sitecustomize.py", "sitecustomize.pyc", "sitecustomize.pyo"],
        "usercustomize" => &["usercustomize.py", "usercustomize.pyc", "usercustomize.pyo"],
        "pth" => &["*.pth"],
        "site" => &["site.py"],
        "environment" => &env::NAMES,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hooks_are_known_by_their_names() {
        for (path, kind) in [
            ("/usr/lib/python3.11/sitecustomize.py", HookKind::Sitecustomize),
            ("/usr/lib/python3.11/sitecustomize.pyc", HookKind::Sitecustomize),
            ("/usr/lib/python2.7/sitecustomize.pyo", HookKind::Sitecustomize),
            ("/usr/lib/python3.11/sitecustomize.py~", HookKind::Other),
            ("/usr/lib/python3.11/sitecustomize.pyi", HookKind::Other),
            ("/usr/lib/python3.11/xsitecustomize.py", HookKind::Other),
            ("/home/u/.local/lib/python3.11/site-packages/usercustomize.py", HookKind::Usercustomize),
            ("/v/lib/python3/site-packages/a.pth", HookKind::Pth),
            ("/v/lib/python3/site-packages/a.PTH", HookKind::Other),
            ("/usr/lib/python3.11/site.py", HookKind::Site),
            ("/etc/environment", HookKind::Environment),
            ("/x/mysite.py", HookKind::Other),
        ] {
            assert_eq!(of(Path::new(path)), kind, "{path}");
        }
    }

    #[test]
    fn every_kind_that_has_names_recognises_them() {
        for kind in ["sitecustomize", "usercustomize", "pth", "site"] {
            for name in names(kind) {
                let path = Path::new("/x").join(name.replace('*', "a"));
                assert_eq!(of(&path).as_str(), kind, "{name}");
            }
        }
    }

    fn path() -> impl Strategy<Value = String> {
        let directory = prop_oneof![
            Just("/etc"),
            Just("/etc/zsh"),
            Just("/etc/security"),
            Just("/etc/default"),
            Just("/etc/profile.d"),
            Just("/home/u/.config/environment.d"),
            Just("/home/u/.config/fish"),
            Just("/home/u"),
        ];
        let known: Vec<String> = ["sitecustomize", "usercustomize", "pth", "site", "environment"]
            .into_iter()
            .flat_map(names)
            .map(|name| name.replace('*', "a"))
            .collect();
        let stem = prop_oneof![
            3 => prop::sample::select(known),
            1 => Just("sitecustomize.py".to_owned()),
            1 => Just("usercustomize".to_owned()),
            1 => "[.a-z]{0,12}",
        ];
        let ending = prop_oneof![4 => Just(""), 1 => Just("c"), 1 => Just("~"), 1 => Just(".sh"), 1 => Just(".conf"), 1 => Just(".py")];
        (directory, stem, ending).prop_map(|(directory, stem, ending)| format!("{directory}/{stem}{ending}"))
    }

    /// The patterns as the name filter reads them, apart from the code above.
    fn is_listed(name: &str, kind: &str) -> bool {
        names(kind).iter().any(|pattern| *pattern == name || pattern.starts_with('*') && name.ends_with(&pattern[1..]))
    }

    proptest! {
        /// What the name filter would drop is no hook of that kind.
        #[test]
        fn a_hook_has_a_name_of_its_kind(path in path()) {
            let path = Path::new(&path);
            let name = path.file_name().unwrap_or_default().to_str().unwrap();
            let kind = of(path).as_str();
            let of_any_name = env::directories().any(|directory| path.parent() == Some(Path::new(directory)));
            prop_assert!(names(kind).is_empty() || of_any_name || is_listed(name, kind), "{kind}");
            prop_assert!(!env::is_environment_file(path) || of_any_name || is_listed(name, "environment"));
        }
    }
}
