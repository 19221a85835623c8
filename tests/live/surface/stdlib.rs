//! The standard library: what of it runs at every start, and what replaces it.

use super::{PAYLOAD, SurfaceTest, YOUNG_DIRECTORY};
use crate::fixture::{Fixture, make_directories};
use crate::support::{Helper, OWN_MOUNTS, needs, print, py, succeed, wait_until_older};
use crate::surface::customize::bytecode;
use crate::surface::python::SystemPython;
use std::fs;
use std::process::{Command, Stdio};

const BOOT: &str = "STDLIB_BOOT_MODIFIED";

/// Below the root of a filesystem of its own, on which every directory is two years old: one that was made a moment
/// ago is taken for a Python that is being installed.
fn old_tree(prepare: impl FnOnce(&Fixture)) -> Option<(SurfaceTest, Helper)> {
    let fixture = Fixture::new().with_all_rules();
    let source = fixture.outside().join("tree");
    fs::create_dir(&source).unwrap();
    make_directories(&source);
    let python = SystemPython::copy_to(&source);
    for (path, content) in [
        ("usr/share/python-wheels/setuptools-66.1.1-py3-none-any.whl", "PK"),
        ("usr/lib/python3.9/os.py", "import abc\n"),
        ("usr/lib/python3.9/site.py", "import os\n"),
        ("usr/lib/python3.9/encodings/__init__.py", "import codecs\n"),
        ("usr/lib/python3.9/ensurepip/_bundled/pip-23.0-py3-none-any.whl", "PK"),
        ("usr/lib/python3.12/encodings/utf_8.py", "import codecs\n"),
    ] {
        let path = source.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    prepare(&fixture);
    let image = fixture.outside().join("image");
    let mut command = Command::new("/usr/sbin/mkfs.ext4");
    command.args(["-q", "-d"]).arg(&source).arg(&image).arg("192M").env("E2FSPROGS_FAKE_TIME", "1700000000");
    let made = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let mut helper = Helper::python(&OWN_MOUNTS);
    helper.run(&format!(
        "import subprocess
mounted = {made} and subprocess.run([b'mount', b'-o', b'loop', {image}, {root}]).returncode == 0",
        made = if made.is_ok_and(|status| status.success()) { "True" } else { "False" },
        image = py(&image),
        root = py(&fixture.root()),
    ));
    let is_mounted = helper.sees(&fixture.root()).join("usr/lib/python3.9/os.py").is_file();
    if !is_mounted {
        print("SKIPPED (needs mkfs.ext4 and loop devices): an old standard library\n");
        return None;
    }
    let prefix = ["nsenter", "-m", "-t", &helper.pid().to_string()].map(str::to_owned).to_vec();
    let python = python.map(|python| python.through(prefix, fixture.root()));
    Some((SurfaceTest::within(&helper, fixture, python), helper))
}

#[test]
fn a_changed_boot_module_is_reported_and_so_are_its_bytecode_and_the_older_ones_modules() {
    needs!(Fanotify, MountNamespace, Python, SystemPython);
    let Some((mut test, _actor)) = old_tree(|_| ()) else { return };
    let version = test.version();
    let (library, tag) = (format!("/usr/lib/python{version}"), version.replace('.', ""));
    for module in ["__init__", "aliases", "utf_8"] {
        let path = format!("{library}/encodings/{module}.py");
        let original = fs::read(test.at(&path)).unwrap_or_default();
        test.row(&path, &[(&path, BOOT, "critical")], |test| {
            fs::write(test.at(&path), [&original, PAYLOAD.as_bytes()].concat()).unwrap();
        });
        test.runs(&path, true, &[]);
        test.runs(&format!("{path} -I -S"), true, &["-I", "-S"]);
        test.back(&path, &[&path], |test| test.write(&path, &original));
        let cached = format!("{library}/encodings/__pycache__/{module}.cpython-{tag}.pyc");
        for mode in ["unchecked", "forged"] {
            let row = format!("{cached}, {mode}");
            let (source, code) = (test.at(&path), [&String::from_utf8_lossy(&original), PAYLOAD].concat());
            let compiled = bytecode(&test.session.fixture, &source, mode, &code);
            test.row(&row, &[(&cached, BOOT, "critical")], |test| test.copy(&compiled, &cached));
            test.runs(&row, true, &["-I", "-S"]);
            test.remove(&cached);
        }
    }
    let library = "/usr/lib/python3.9";
    for (path, detection, level) in [
        (format!("{library}/encodings/__init__.py"), BOOT, "critical"),
        (format!("{library}/os.py"), "STDLIB_FILE_MODIFIED", "critical"),
        (format!("{library}/site.py"), "STDLIB_FILE_MODIFIED", "critical"),
        (format!("/usr/lib/python{version}/os.py"), "STDLIB_FILE_MODIFIED", "medium"),
        (format!("/usr/lib/python{version}/site.py"), "STDLIB_FILE_MODIFIED", "medium"),
        (format!("{library}/ensurepip/_bundled/pip-23.0-py3-none-any.whl"), "ENSUREPIP_WHEEL_MODIFIED", "high"),
        ("/usr/share/python-wheels/setuptools-66.1.1-py3-none-any.whl".to_owned(), "ENSUREPIP_WHEEL_MODIFIED", "high"),
    ] {
        test.row(&path, &[(&path, detection, level)], |test| test.append(&path, PAYLOAD));
    }
    // Frozen into these.
    test.runs("os.py and site.py", false, &[]);
    test.finish();
}

#[test]
fn the_zip_before_the_standard_library_is_reported_as_a_file_and_as_a_directory() {
    needs!(Fanotify);
    let mut test = SurfaceTest::new(|fixture, _| {
        fs::write(fixture.at("/srv/staged/sitecustomize.py"), PAYLOAD).unwrap();
        wait_until_older(&fixture.at("/srv/staged"), YOUNG_DIRECTORY);
    });
    let zip = format!("/usr/lib/python{}.zip", test.version().replace('.', ""));
    let said = (zip.as_str(), "STDLIB_ZIP_CREATED", "critical");
    if test.python.is_some() {
        let built = test.session.fixture.outside().join("built.zip");
        let program =
            "import sys, zipfile; zipfile.ZipFile(sys.argv[1], 'w').writestr('sitecustomize.py', sys.argv[2])";
        succeed(Command::new("/usr/bin/python3").args(["-c", program]).arg(&built).arg(PAYLOAD));
        test.row("a zip file", &[said], |test| test.copy(&built, &zip));
        test.runs("a zip file", true, &["-I"]);
    } else {
        test.row("a zip file", &[said], |test| test.write(&zip, "PK"));
    }
    test.remove(&zip);
    for (name, detection) in
        [("sitecustomize.py", said.1), ("usercustomize.py", said.1), ("encodings/__init__.py", BOOT), ("os.py", said.1)]
    {
        let path = format!("{zip}/{name}");
        let row = format!("a directory with {name}");
        // Of two rules of one level the first gives the type.
        test.row(&row, &[(&path, detection, said.2)], |test| test.write(&path, PAYLOAD));
        if name.ends_with("customize.py") {
            test.runs(&row, true, &[]);
        }
        test.remove(&zip);
    }
    test.row("a directory renamed in", &[(&format!("{zip}/sitecustomize.py"), said.1, said.2), said], |test| {
        fs::rename(test.at("/srv/staged"), test.at(&zip)).unwrap();
    });
    test.runs("a directory renamed in", true, &[]);
    test.finish();
}

#[test]
fn a_python_that_is_being_unpacked_is_not_reported_as_changed() {
    needs!(Fanotify);
    let test = SurfaceTest::new(|_, _| ());
    for path in [
        "encodings/__init__.py",
        "encodings/aliases.py",
        "os.py",
        "io.py",
        "ensurepip/_bundled/pip-23.0-py3-none-any.whl",
    ] {
        test.write(&format!("/opt/python/lib/python3.13/{path}"), "import codecs\n");
    }
    test.finish();
}
