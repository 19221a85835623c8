//! Which start-up hook a path is, by its name and directory. Pure.

use super::env;
use crate::event::HookKind;
use std::path::Path;

/// The hook that this path is. Case matters as it does for Python.
pub fn of(path: &Path) -> HookKind {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    match name {
        b"site.py" => HookKind::Site,
        _ if is_module(name, b"sitecustomize") => HookKind::Sitecustomize,
        _ if is_module(name, b"usercustomize") => HookKind::Usercustomize,
        _ if name.ends_with(b".pth") => HookKind::Pth,
        _ if env::is_environment_file(path) => HookKind::Environment,
        _ => HookKind::Other,
    }
}

/// `NAME.py`, `NAME.pyc` and the like: a module of this name.
fn is_module(name: &[u8], module: &[u8]) -> bool {
    name.strip_prefix(module).is_some_and(|rest| rest.starts_with(b".py"))
}

/// File names that a kind of hook can have, for the name filter: exact, or `*` and an ending. Empty
/// for a kind that is not known by its name.
pub fn names(kind: &str) -> &'static [&'static str] {
    match kind {
        "sitecustomize" => &["sitecustomize.py", "sitecustomize.pyc"],
        "usercustomize" => &["usercustomize.py", "usercustomize.pyc"],
        "pth" => &["*.pth"],
        "site" => &["site.py"],
        "environment" => &env::NAMES,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_are_known_by_their_names() {
        for (path, kind) in [
            ("/usr/lib/python3.11/sitecustomize.py", HookKind::Sitecustomize),
            ("/usr/lib/python3.11/sitecustomize.pyc", HookKind::Sitecustomize),
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
}
