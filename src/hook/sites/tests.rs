use super::file_names::FileNames;
use super::scan::MAX_PARTS;
use super::*;
use crate::event::{HookForm, HookKind, HookLocation};
use crate::hook::content;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Instant;

struct Tree(tempfile::TempDir);

impl Tree {
    fn new(files: &[&str]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        files.iter().for_each(|file| tree.file(file, ""));
        tree
    }

    fn root(&self) -> PathBuf {
        self.0.path().canonicalize().unwrap()
    }

    fn inside(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    fn file(&self, path: &str, text: &str) {
        fs::create_dir_all(self.inside(path).parent().unwrap()).unwrap();
        fs::write(self.inside(path), text).unwrap();
    }

    /// `target` is absolute for a process with this root.
    fn link(&self, target: &str, path: &str) {
        fs::create_dir_all(self.inside(path).parent().unwrap()).unwrap();
        symlink(target, self.inside(path)).unwrap();
    }

    fn inventory(&self) -> Inventory {
        take_inventory(&self.root(), &[self.root()], &|_| {})
    }
}

fn hooks(inventory: &Inventory) -> Vec<(&str, HookKind, HookLocation)> {
    inventory
        .hooks
        .iter()
        .map(|found| (found.path.to_str().unwrap(), found.hook_path.kind, found.hook_path.location))
        .collect()
}

#[test]
fn pythons_are_grouped_from_libraries_programs_and_environments() {
    let tree = Tree::new(&[
        "/usr/bin/python3.11",
        "/usr/lib/python3.11/os.py",
        "/usr/lib/python3.11/encodings/__init__.py",
        "/usr/lib/python3/dist-packages/x.pth",
        "/usr/local/lib/python3.11/dist-packages/y.pth",
        "/etc/python3.11/sitecustomize.py",
        "/home/u/.local/lib/python3.11/site-packages/usercustomize.py",
        "/root/.local/lib/python3.11/site-packages/z.pth",
        "/srv/venv/pyvenv.cfg",
        "/srv/venv/lib/python3.12/site-packages/a.pth",
        "/opt/py/pyvenv.cfg",
        "/opt/py/lib/python3.12/os.py",
        "/opt/shim/bin/python3",
    ]);
    tree.link("python3.11", "/usr/bin/python3");
    tree.link("/usr/bin/python3.11", "/srv/venv/bin/python");
    let inventory = tree.inventory();
    let pythons: Vec<_> = inventory
        .pythons
        .iter()
        .map(|python| (python.prefix.to_str().unwrap(), python.version, python.role, python.programs.len()))
        .collect();
    assert_eq!(
        pythons,
        [
            ("/home/u/.local", Some((3, 11)), PythonRole::UserBase, 0),
            ("/opt/py", Some((3, 12)), PythonRole::Installation, 0),
            ("/opt/shim", None, PythonRole::Programs, 1),
            ("/root/.local", Some((3, 11)), PythonRole::UserBase, 0),
            ("/srv/venv", Some((3, 12)), PythonRole::VirtualEnvironment, 1),
            ("/usr", None, PythonRole::Packages, 0),
            ("/usr", Some((3, 11)), PythonRole::Installation, 2),
            ("/usr/local", Some((3, 11)), PythonRole::Packages, 0),
        ]
    );
    let user = &inventory.pythons[0].directories;
    assert_eq!(
        user.iter().map(|site| (site.path.to_str().unwrap(), site.location)).collect::<Vec<_>>(),
        [
            ("/home/u/.local/lib/python3.11", HookLocation::Stdlib),
            ("/home/u/.local/lib/python3.11/site-packages", HookLocation::UserSite)
        ]
    );
    // A pyvenv.cfg above a standard library belongs to no virtual environment.
    let found = hooks(&inventory);
    assert!(found.contains(&("/opt/py/pyvenv.cfg", HookKind::InterpreterConfig, HookLocation::Program)));
    assert!(found.contains(&("/srv/venv/pyvenv.cfg", HookKind::VenvConfig, HookLocation::Program)));
    assert_eq!(prefix(Path::new("/etc/python3.11/sitecustomize.py"), HookKind::Sitecustomize), Some("/usr".into()));
}

#[test]
fn every_start_up_file_is_listed_once_and_nothing_else() {
    let tree = Tree::new(&[
        "/usr/lib/python3.11/sitecustomize/__init__.py",
        "/usr/lib/python3.11/__pycache__/sitecustomize.cpython-311.pyc",
        "/usr/lib/python311.zip/encodings/__init__.py",
        "/usr/lib/python3.11/email/__init__.py",
        "/etc/environment",
        "/etc/cron.d/any-name",
        "/home/u/models/resnet.pth",
        "/site.py",
        "/a/b/c/d/e/f/lib/python3.11/site-packages/deep.pth",
    ]);
    let inventory = tree.inventory();
    assert_eq!(
        hooks(&inventory),
        [
            ("/a/b/c/d/e/f/lib/python3.11/site-packages/deep.pth", HookKind::Pth, HookLocation::Site),
            ("/etc/cron.d/any-name", HookKind::Environment, HookLocation::System),
            ("/etc/environment", HookKind::Environment, HookLocation::System),
            ("/home/u/models/resnet.pth", HookKind::Pth, HookLocation::Elsewhere),
            ("/site.py", HookKind::Site, HookLocation::Elsewhere),
            (
                "/usr/lib/python3.11/__pycache__/sitecustomize.cpython-311.pyc",
                HookKind::Sitecustomize,
                HookLocation::Stdlib
            ),
            ("/usr/lib/python3.11/sitecustomize/__init__.py", HookKind::Sitecustomize, HookLocation::Stdlib),
            ("/usr/lib/python311.zip", HookKind::StdlibZip, HookLocation::Archive),
            ("/usr/lib/python311.zip/encodings/__init__.py", HookKind::StdlibBoot, HookLocation::Archive),
        ]
    );
    assert_eq!((inventory.unreadable, inventory.truncated), (0, false));
    assert_eq!(inventory.hooks[7].hook_path.form, HookForm::Directory);
    // One top inside the other.
    let again = take_inventory(&tree.root(), &[tree.root(), tree.inside("/usr/lib")], &|_| {});
    assert_eq!(hooks(&again), hooks(&inventory));
    let part = take_inventory(&tree.root(), &[tree.inside("/home"), tree.inside("/site.py")], &|_| {});
    assert_eq!(part.hooks.len(), 2);
}

#[test]
fn a_link_in_place_of_a_searched_directory_is_followed_below_the_root() {
    let tree =
        Tree::new(&["/opt/hidden/evil.pth", "/opt/hidden/usercustomize/__init__.py", "/usr/lib/python3.11/os.py"]);
    tree.link("/opt/hidden", "/usr/lib/python3.11/dist-packages");
    tree.link("../../../../../../../../../../../opt/hidden", "/root/.local/lib/python3.11/site-packages");
    tree.link("/nowhere", "/v/lib/python3.11/site-packages");
    tree.link("site-packages", "/w/lib/python3.11/dist-packages");
    tree.file("/w/lib/python3.11/site-packages/w.pth", "");
    tree.link("/", "/loop/lib/python3.11/site-packages");
    let inventory = tree.inventory();
    let found = hooks(&inventory);
    for path in ["/usr/lib/python3.11/dist-packages/evil.pth", "/root/.local/lib/python3.11/site-packages/evil.pth"] {
        let hook = inventory.hooks.iter().find(|hook| hook.path == Path::new(path)).unwrap();
        assert_eq!(hook.real_path.as_deref(), Some(Path::new("/opt/hidden/evil.pth")));
        assert_eq!(content::metadata(&inventory.open(hook).unwrap()).size, Some(0));
    }
    assert!(found.contains(&(
        "/usr/lib/python3.11/dist-packages/usercustomize/__init__.py",
        HookKind::Usercustomize,
        HookLocation::Site
    )));
    assert_eq!(found.iter().filter(|(path, ..)| path.starts_with("/w/")).count(), 1);
    let leads: Vec<_> = inventory
        .pythons
        .iter()
        .flat_map(|python| &python.directories)
        .filter(|site| site.is_link)
        .map(|site| (site.path.to_str().unwrap(), site.real_path.as_deref().and_then(Path::to_str)))
        .collect();
    assert_eq!(
        leads,
        [
            ("/loop/lib/python3.11/site-packages", Some("/")),
            ("/root/.local/lib/python3.11/site-packages", Some("/opt/hidden")),
            ("/usr/lib/python3.11/dist-packages", Some("/opt/hidden")),
            ("/v/lib/python3.11/site-packages", None),
            ("/w/lib/python3.11/dist-packages", Some("/w/lib/python3.11/site-packages")),
        ]
    );
}

#[test]
fn a_directory_that_is_added_to_the_path_is_listed_one_level_deep() {
    let tree = Tree::new(&[
        "/v/lib/python3.11/site-packages/x.pth",
        "/tmp/added/usercustomize.py",
        "/tmp/added/sitecustomize/__init__.py",
        "/tmp/added/__pycache__/usercustomize.cpython-311.pyc",
        "/tmp/added/deeper/usercustomize.py",
        "/tmp/added/x.pth",
    ]);
    let mut inventory = tree.inventory();
    let site = Path::new("/v/lib/python3.11/site-packages");
    let real = inventory.search_directory(site, b"../../../../tmp/added").unwrap();
    assert_eq!(real, Path::new("/tmp/added"));
    assert_eq!(inventory.search_directory(site, b"/nowhere"), None);
    assert_eq!(inventory.search_directory(site, b"x.pth"), None);
    let searched: Vec<_> = hooks(&inventory)
        .into_iter()
        .filter(|(.., place)| *place == HookLocation::SearchPath)
        .map(|found| found.0)
        .collect();
    assert_eq!(
        searched,
        [
            "/tmp/added/__pycache__/usercustomize.cpython-311.pyc",
            "/tmp/added/sitecustomize/__init__.py",
            "/tmp/added/usercustomize.py"
        ]
    );
}

#[test]
fn imported_modules_are_found_in_every_form() {
    let tree = Tree::new(&[
        "/v/lib/python3.11/site-packages/x.pth",
        "/v/lib/python3.11/site-packages/_telemetry.py",
        "/v/lib/python3.11/site-packages/other.py",
        "/v/lib/python3.11/site-packages/pack/__init__.py",
        "/v/lib/python3.11/site-packages/pack/_telemetry.py",
        "/v/lib/python3.11/site-packages/native.abi3.so",
        "/v/lib/python3.11/site-packages/__pycache__/_telemetry.cpython-311.pyc",
    ]);
    let mut inventory = tree.inventory();
    let names = ["_telemetry", "pack", "native", "os"].map(OsString::from).into_iter().collect();
    inventory.find_modules(Path::new("/v/lib/python3.11/site-packages"), HookLocation::Site, &names);
    let modules: Vec<_> = inventory
        .hooks
        .iter()
        .filter(|hook| hook.hook_path.kind == HookKind::Module)
        .map(|hook| {
            (hook.path.strip_prefix("/v/lib/python3.11/site-packages").unwrap().to_str().unwrap(), hook.hook_path.form)
        })
        .collect();
    assert_eq!(
        modules,
        [
            ("__pycache__/_telemetry.cpython-311.pyc", HookForm::Bytecode),
            ("_telemetry.py", HookForm::Module),
            ("native.abi3.so", HookForm::Extension),
            ("pack/__init__.py", HookForm::Package),
        ]
    );
}

#[test]
fn the_walk_does_not_leave_the_root_by_a_link() {
    let outside = Tree::new(&["/lib/python3.11/site-packages/out.pth", "/flat/out.pth"]);
    let tree = Tree::new(&["/usr/lib/python3.11/os.py"]);
    tree.link(outside.inside("/lib").to_str().unwrap(), "/usr/local");
    tree.link(outside.inside("/flat").to_str().unwrap(), "/usr/lib/python3.11/dist-packages");
    let inventory = tree.inventory();
    assert_eq!(hooks(&inventory).len(), 1, "{:?}", hooks(&inventory));
    let mut inventory = inventory;
    assert_eq!(inventory.search_directory(Path::new("/usr"), outside.inside("/flat").as_os_str().as_bytes()), None);
}

#[test]
fn a_directory_with_more_than_max_parts_directories_is_walked_as_one_part() {
    let tree = Tree::new(&[]);
    for number in 0..MAX_PARTS + 10 {
        fs::create_dir_all(tree.inside(&format!("/home/u{number}/lib/python3.11/site-packages"))).unwrap();
        tree.file(&format!("/home/u{number}/lib/python3.11/site-packages/x.pth"), "");
    }
    assert_eq!(tree.inventory().hooks.len(), MAX_PARTS + 10);
    let many = take_inventory(&tree.root(), &[tree.inside("/home")], &|_| {});
    assert_eq!(many.hooks.len(), MAX_PARTS + 10);
}

#[test]
fn the_filter_passes_every_name_of_a_start_up_file() {
    let names = FileNames::new();
    for name in
        ["sitecustomize.py", "x.pth", ".pth", "__init__.pyc", "os.py", "python3.11", "python311.zip", "pyvenv.cfg"]
    {
        assert!(names.contains(name.as_bytes()), "{name}");
    }
    for name in ["", "foo.py", "x.pth~", "README", "setup.cfg"] {
        assert!(!names.contains(name.as_bytes()), "{name}");
    }
}

/// 100,000 directories in less than 3 seconds. Run by hand, in release.
#[test]
#[ignore = "makes 100,000 directories"]
fn a_large_tree_is_walked_in_seconds() {
    let tree = Tree::new(&["/usr/lib/python3.11/site-packages/x.pth"]);
    for number in 0..100_000 {
        let path = format!("/srv/{}/{}/{}", number % 10, number / 10 % 100, number / 1000);
        fs::create_dir_all(tree.inside(&path)).unwrap();
        for file in ["__init__.py", "a.py", "b.txt"] {
            fs::write(tree.inside(&path).join(file), "").unwrap();
        }
    }
    let start = Instant::now();
    let inventory = tree.inventory();
    let took = start.elapsed();
    assert!(inventory.directories > 100_000 && took.as_secs() < 3, "{took:?} {}", inventory.directories);
}
