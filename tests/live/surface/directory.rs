//! A directory that Python searches is replaced: what is in it now came without an event of its own.

use super::python::SystemPython;
use super::{PAYLOAD, Stage, let_directories_grow_old, make_parent};
use crate::fixture::Fixture;
use crate::support::{Helper, OWN_MOUNTS, needs, py};
use std::fs;
use std::os::unix::fs::symlink;

const TYPE: &str = "SITE_DIR_REPLACED";

fn prepare(fixture: &Fixture, version: &str) {
    for path in [
        format!("/usr/local/lib/python{version}/dist-packages/own.py"),
        format!("/root/.local/lib/python{version}/site-packages/own.py"),
        "/usr/lib/python3/dist-packages/own.py".to_owned(),
        "/srv/whole/evil.pth".to_owned(),
        "/srv/link/evil.pth".to_owned(),
        format!("/srv/home/lib/python{version}/site-packages/usercustomize.py"),
        "/srv/mount/evil.pth".to_owned(),
        "/srv/mounted.py".to_owned(),
        format!("/etc/python{version}/sitecustomize.py"),
    ] {
        let content = if path.ends_with("own.py") || path.starts_with("/etc") { "import os\n" } else { PAYLOAD };
        fs::write(fixture.at(&path), content).unwrap();
    }
}

#[test]
fn a_site_directory_replaced_by_a_rename_or_a_link_is_told() {
    needs!(Fanotify);
    let mut stage = Stage::new(|fixture, version| {
        prepare(fixture, version);
        let_directories_grow_old();
    });
    let version = stage.version();
    let site = format!("/usr/local/lib/python{version}/dist-packages");
    let inside = format!("{site}/evil.pth");
    stage.row(
        "another directory renamed in",
        &[(&site, TYPE, "high"), (&inside, "PTH_FILE_CREATED", "medium")],
        |stage| {
            fs::rename(stage.at(&site), stage.at("/srv/aside")).unwrap();
            fs::rename(stage.at("/srv/whole"), stage.at(&site)).unwrap();
        },
    );
    stage.runs("another directory renamed in", true, &["-I"]);
    let later = format!("{site}/later.pth");
    stage.row("written there later", &[(&later, "PTH_FILE_CREATED", "medium")], |stage| stage.write(&later, PAYLOAD));
    stage.remove(&site);

    let site = "/usr/lib/python3/dist-packages";
    stage.row("a link in its place", &[(site, TYPE, "high")], |stage| {
        stage.remove(site);
        symlink("/srv/link", stage.session.at(site)).unwrap();
    });
    stage.runs("a link in its place", true, &["-I"]);
    stage.remove("/srv/link/evil.pth");
    for (name, told) in [
        ("late.pth", ("PTH_FILE_CREATED", "medium")),
        ("usercustomize.py", ("USERCUSTOMIZE_MODIFIED", "high")),
        ("_distutils_hack/__init__.py", ("HOOK_MODULE_MODIFIED", "high")),
    ] {
        let path = format!("/srv/link/{name}");
        let row = format!("{name} at the real place");
        stage.row(&row, &[(&path, told.0, told.1)], |stage| stage.write(&path, PAYLOAD));
        if !name.contains('/') {
            stage.runs(&row, true, &[]);
            stage.remove(&path);
        }
    }
    // A package's own file, one level below it.
    stage.write("/srv/link/torchvision/weights.pth", "import os\n");
    stage.write("/srv/link/module.py", PAYLOAD);

    // A prepared home: the kernel tells only the rename of its top.
    let path = format!("/root/.local/lib/python{version}/site-packages/usercustomize.py");
    stage.row("a home renamed in", &[(&path, "USERCUSTOMIZE_MODIFIED", "high")], |stage| {
        fs::rename(stage.at("/root/.local"), stage.at("/srv/aside-home")).unwrap();
        fs::rename(stage.at("/srv/home"), stage.at("/root/.local")).unwrap();
    });
    stage.runs("a home renamed in", true, &[]);

    let link = "/home/u/.local/lib/python3.12/site-packages";
    stage.row("a link for one user", &[(link, TYPE, "high")], |stage| symlink("/srv/mount", stage.at(link)).unwrap());
    let path = "/srv/mount/late.pth";
    stage.row("late, for one user", &[(path, "PTH_FILE_CREATED", "medium")], |stage| stage.write(path, PAYLOAD));
    let library = "/opt/py/lib/python3.12";
    stage.row("a standard library", &[(library, TYPE, "high")], |stage| {
        symlink("/srv/aside", stage.at(library)).unwrap()
    });
    let cache = "/usr/lib/python3.12/encodings/__pycache__";
    stage.row("a link for bytecode", &[(cache, TYPE, "high")], |stage| symlink("/srv/aside", stage.at(cache)).unwrap());
    stage.finish();
}

#[test]
fn a_mount_over_a_hook_or_a_directory_of_hooks_is_told() {
    needs!(Fanotify, MountNamespace, Python);
    let fixture = Fixture::new().with_all_rules();
    let python = SystemPython::copy_to(&fixture.root());
    let version = super::version(python.as_ref());
    prepare(&fixture, &version);
    fs::write(fixture.at("/usr/lib/python3/dist-packages/own.pth"), "import os\n").unwrap();
    let mut helper = Helper::python(&OWN_MOUNTS);
    helper.run("import subprocess\ndef mount(*words):\n    subprocess.run([b'mount', *words], check=True)");
    let prefix = ["nsenter", "-m", "-t", &helper.pid().to_string()].map(str::to_owned).to_vec();
    let python = python.map(|python| python.through(prefix, fixture.root()));
    let mut stage = Stage::within(&helper, fixture, python);
    let root = stage.session.fixture.root();
    let mut bind = |stage: &mut Stage, row: &str, from: &str, to: &str, detection: &str| {
        let below = |path: &str| root.join(path.trim_start_matches('/'));
        stage.row(row, &[(to, detection, "high")], |_| {
            helper.run(&format!("mount('--bind', {}, {})", py(&below(from)), py(&below(to))));
        });
    };
    let etc = format!("/etc/python{version}/sitecustomize.py");
    // Its own rule matches too, and comes first.
    bind(&mut stage, "over a file", "/srv/mounted.py", &etc, "SITECUSTOMIZE_MODIFIED");
    if stage.session.at(&format!("/usr/lib/python{version}/sitecustomize.py")).symlink_metadata().is_ok() {
        stage.runs("over a file", true, &["-I"]);
    }
    bind(&mut stage, "over a .pth", "/srv/mounted.py", "/usr/lib/python3/dist-packages/own.pth", TYPE);
    let site = format!("/usr/local/lib/python{version}/dist-packages");
    bind(&mut stage, "over a directory", "/srv/mount", &site, TYPE);
    stage.runs("over a directory", true, &[]);
    // A place of no interest.
    make_parent(&stage.session.at("/srv/nothing/x"));
    let (from, to) = (root.join("srv/whole"), root.join("srv/nothing"));
    helper.run(&format!("mount('--bind', {}, {})", py(&from), py(&to)));
    stage.finish();
}
