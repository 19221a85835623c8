//! A directory that Python searches is replaced: what is in it now came without an event of its own.

use super::python::SystemPython;
use super::{PAYLOAD, SurfaceTest, YOUNG_DIRECTORY, make_parent};
use crate::fixture::Fixture;
use crate::support::{Helper, OWN_MOUNTS, needs, py, wait_until_older};
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
fn a_site_directory_replaced_by_a_rename_or_a_link_is_reported() {
    needs!(Fanotify);
    let mut test = SurfaceTest::new(|fixture, version| {
        prepare(fixture, version);
        wait_until_older(&fixture.at(&format!("/etc/python{version}")), YOUNG_DIRECTORY);
    });
    let version = test.version();
    let site = format!("/usr/local/lib/python{version}/dist-packages");
    let inside = format!("{site}/evil.pth");
    test.row(
        "another directory renamed in",
        &[(&site, TYPE, "high"), (&inside, "PTH_FILE_CREATED", "medium")],
        |test| {
            fs::rename(test.at(&site), test.at("/srv/aside")).unwrap();
            fs::rename(test.at("/srv/whole"), test.at(&site)).unwrap();
        },
    );
    test.runs("another directory renamed in", true, &["-I"]);
    let later = format!("{site}/later.pth");
    test.row("written there later", &[(&later, "PTH_FILE_CREATED", "medium")], |test| test.write(&later, PAYLOAD));
    test.remove(&site);

    let site = "/usr/lib/python3/dist-packages";
    test.row("a link in its place", &[(site, TYPE, "high")], |test| {
        test.remove(site);
        symlink("/srv/link", test.session.at(site)).unwrap();
    });
    test.runs("a link in its place", true, &["-I"]);
    test.remove("/srv/link/evil.pth");
    for (name, reported) in [
        ("late.pth", ("PTH_FILE_CREATED", "medium")),
        ("usercustomize.py", ("USERCUSTOMIZE_MODIFIED", "high")),
        ("_distutils_hack/__init__.py", ("HOOK_MODULE_MODIFIED", "high")),
    ] {
        let path = format!("/srv/link/{name}");
        let row = format!("{name} at the real place");
        test.row(&row, &[(&path, reported.0, reported.1)], |test| test.write(&path, PAYLOAD));
        if !name.contains('/') {
            test.runs(&row, true, &[]);
            test.remove(&path);
        }
    }
    // A package's own file, one level below it.
    test.write("/srv/link/torchvision/weights.pth", "import os\n");
    test.write("/srv/link/module.py", PAYLOAD);

    // A prepared home: the kernel reports only the rename of its top.
    let path = format!("/root/.local/lib/python{version}/site-packages/usercustomize.py");
    test.row("a home renamed in", &[(&path, "USERCUSTOMIZE_MODIFIED", "high")], |test| {
        fs::rename(test.at("/root/.local"), test.at("/srv/aside-home")).unwrap();
        fs::rename(test.at("/srv/home"), test.at("/root/.local")).unwrap();
    });
    test.runs("a home renamed in", true, &[]);

    let link = "/home/u/.local/lib/python3.12/site-packages";
    test.row("a link for one user", &[(link, TYPE, "high")], |test| symlink("/srv/mount", test.at(link)).unwrap());
    let path = "/srv/mount/late.pth";
    test.row("late, for one user", &[(path, "PTH_FILE_CREATED", "medium")], |test| test.write(path, PAYLOAD));
    let library = "/opt/py/lib/python3.12";
    test.row("a standard library", &[(library, TYPE, "high")], |test| symlink("/srv/aside", test.at(library)).unwrap());
    let cache = "/usr/lib/python3.12/encodings/__pycache__";
    test.row("a link for bytecode", &[(cache, TYPE, "high")], |test| symlink("/srv/aside", test.at(cache)).unwrap());
    test.finish();
}

#[test]
fn a_mount_over_a_hook_or_a_directory_of_hooks_is_reported() {
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
    let mut test = SurfaceTest::within(&helper, fixture, python);
    let root = test.session.fixture.root();
    let mut bind = |test: &mut SurfaceTest, row: &str, from: &str, to: &str, detection: &str| {
        let below = |path: &str| root.join(path.trim_start_matches('/'));
        test.row(row, &[(to, detection, "high")], |_| {
            helper.run(&format!("mount('--bind', {}, {})", py(&below(from)), py(&below(to))));
        });
    };
    let etc = format!("/etc/python{version}/sitecustomize.py");
    // Its own rule matches too, and comes first.
    bind(&mut test, "over a file", "/srv/mounted.py", &etc, "SITECUSTOMIZE_MODIFIED");
    if test.session.at(&format!("/usr/lib/python{version}/sitecustomize.py")).symlink_metadata().is_ok() {
        test.runs("over a file", true, &["-I"]);
    }
    bind(&mut test, "over a .pth", "/srv/mounted.py", "/usr/lib/python3/dist-packages/own.pth", TYPE);
    let site = format!("/usr/local/lib/python{version}/dist-packages");
    bind(&mut test, "over a directory", "/srv/mount", &site, TYPE);
    test.runs("over a directory", true, &[]);
    // A place of no interest.
    make_parent(&test.session.at("/srv/nothing/x"));
    let (from, to) = (root.join("srv/whole"), root.join("srv/nothing"));
    helper.run(&format!("mount('--bind', {}, {})", py(&from), py(&to)));
    test.finish();
}
