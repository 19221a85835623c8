//! The interpreter itself, and the small files that report it where its library is.

use super::python::SystemPython;
use super::{PAYLOAD, SurfaceTest};
use crate::fixture::Fixture;
use crate::support::needs;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

const PLANTED: &str = "INTERPRETER_CONFIG_PLANTED";

/// A standard library like the real one, but for its `encodings`; and the directory of an interpreter beside it.
fn evil_library(fixture: &Fixture, version: &str) {
    let real = fixture.root().join(format!("usr/lib/python{version}"));
    let evil = fixture.root().join(format!("srv/evil/lib/python{version}"));
    fs::create_dir_all(&evil).unwrap();
    fs::create_dir_all(fixture.root().join("srv/evil/bin")).unwrap();
    for entry in fs::read_dir(&real).unwrap().flatten().filter(|entry| entry.file_name() != "encodings") {
        let end = std::path::Path::new("/usr/lib").join(format!("python{version}")).join(entry.file_name());
        symlink(end, evil.join(entry.file_name())).unwrap();
    }
    fs::create_dir(evil.join("encodings")).unwrap();
    for entry in fs::read_dir(real.join("encodings")).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().ends_with(".py") {
            fs::copy(entry.path(), evil.join("encodings").join(entry.file_name())).unwrap();
        }
    }
    let package = evil.join("encodings/__init__.py");
    let own = fs::read_to_string(&package).unwrap_or_default();
    fs::write(package, [&own, PAYLOAD].concat()).unwrap();
}

fn prepare(fixture: &Fixture, version: &str) {
    evil_library(fixture, version);
    fs::write(fixture.at("/srv/build/usercustomize.py"), PAYLOAD).unwrap();
    for name in ["venv", "other"] {
        let place = fixture.at(&format!("/srv/{name}/pyvenv.cfg"));
        fs::write(&place, "home = /usr/bin\ninclude-system-site-packages = false\nversion = 3\n").unwrap();
        fs::create_dir_all(fixture.at(&format!("/srv/{name}/lib/python{version}/site-packages/x")).parent().unwrap())
            .unwrap();
        symlink(format!("/usr/bin/python{version}"), fixture.at(&format!("/srv/{name}/bin/python3"))).unwrap();
    }
    let user = fixture.at(&format!("/root/.local/lib/python{version}/site-packages/usercustomize.py"));
    fs::write(user, PAYLOAD).unwrap();
    fs::create_dir_all(fixture.at("/home/u/.local/bin/x").parent().unwrap()).unwrap();
    fs::create_dir_all(fixture.at("/usr/local/bin/x").parent().unwrap()).unwrap();
}

#[test]
fn a_file_that_moves_the_library_of_an_interpreter_is_reported() {
    needs!(Fanotify);
    let mut test = SurfaceTest::new(prepare);
    let version = test.version();
    let (major, minor) = version.split_once('.').unwrap();
    let is_3_11 = major == "3" && minor.parse::<u32>().unwrap() >= 11;
    // What runs without the planted file must not count.
    let options = ["-I", "-S"];
    test.runs("nothing planted", false, &options);
    for path in ["/usr/bin/pyvenv.cfg", "/usr/pyvenv.cfg"] {
        test.row(path, &[(path, PLANTED, "critical")], |test| test.write(path, "home = /srv/evil/bin\n"));
        test.runs(path, true, &options);
        test.remove(path);
    }
    let path = format!("/usr/bin/python{version}._pth");
    test.row(&path, &[(&path, PLANTED, "critical")], |test| {
        test.write(&path, format!("/srv/evil/lib/python{version}\n/usr/lib/python{version}/lib-dynload\n"));
    });
    test.runs(&path, is_3_11, &options);
    test.remove(&path);
    let path = "/usr/bin/pybuilddir.txt";
    test.row(path, &[(path, PLANTED, "critical")], |test| test.write(path, "../../srv/build\n"));
    test.remove(path);
    for path in [
        "/usr/bin/python3._pth",
        "/usr/local/bin/pyvenv.cfg",
        "/usr/local/pyvenv.cfg",
        "/root/.pyenv/versions/3.13.0/pyvenv.cfg",
        "/root/.pyenv/versions/3.13.0/bin/python3.13._pth",
        "/opt/conda/pyvenv.cfg",
        "/home/u/.local/share/uv/python/cpython-3.13.1-linux-x86_64-gnu/bin/pybuilddir.txt",
        "/srv/venv/bin/pyvenv.cfg",
    ] {
        test.row(path, &[(path, PLANTED, "critical")], |test| test.write(path, "home = /srv/evil/bin\n"));
        test.remove(path);
    }
    // Nothing starts there.
    for path in ["/srv/app/python311._pth", "/srv/app/pybuilddir.txt"] {
        test.write(path, "x\n");
    }
    test.finish();
}

#[test]
fn a_changed_configuration_of_a_virtual_environment_is_reported() {
    needs!(Fanotify);
    let mut test = SurfaceTest::new(|fixture, version| {
        prepare(fixture, version);
        // For a home that everybody may write.
        symlink("/srv/evil", fixture.root().join("tmp/evil")).unwrap();
    });
    let ran = |test: &mut SurfaceTest, row: &str, expected: bool, options: &[&str]| {
        let by = |python: &SystemPython| python.runs_hook_by("/srv/venv/bin/python3", options, &[]);
        if let Some((ran, said)) = test.python.as_ref().map(by)
            && ran != expected
        {
            test.note(&format!("{row}: the real Python did {}run it: {said}", if ran { "" } else { "not " }));
        }
    };
    let path = "/srv/venv/pyvenv.cfg";
    ran(&mut test, "as it was", false, &[]);
    for (row, home, level, options) in [
        ("home in a temporary directory", "/tmp/evil/bin", "high", &["-I", "-S"][..]),
        ("home elsewhere", "/srv/evil/bin", "high", &["-I", "-S"]),
    ] {
        test.row(row, &[(path, "PYVENV_CFG_MODIFIED", level)], |test| {
            test.write(path, format!("home = {home}\ninclude-system-site-packages = false\n"));
        });
        ran(&mut test, row, true, options);
    }
    let row = "the packages of the system and of the user switched on";
    // Back from where it had moved.
    test.row(row, &[(path, "PYVENV_CFG_MODIFIED", "high")], |test| {
        test.write(path, "home = /usr/bin\ninclude-system-site-packages = true\n");
    });
    ran(&mut test, row, true, &[]);
    // As sed -i and editors do it.
    let other = "/srv/other/pyvenv.cfg";
    test.row("renamed over it", &[(other, "PYVENV_CFG_MODIFIED", "medium")], |test| {
        test.write("/srv/other/sedXYZ", "home = /usr/bin\ninclude-system-site-packages = true\n");
        fs::rename(test.at("/srv/other/sedXYZ"), test.at(other)).unwrap();
    });
    let new = "/tmp/new/pyvenv.cfg";
    test.row("a new one with such a home", &[(new, "PYVENV_CFG_MODIFIED", "high")], |test| {
        test.write(new, "home = /tmp/evil/bin\n");
    });
    test.write("/srv/another/pyvenv.cfg", "home = /usr/bin\n");
    test.finish();
}

#[test]
fn an_interpreter_that_is_replaced_or_comes_before_the_real_one_is_reported() {
    needs!(Fanotify);
    let mut test = SurfaceTest::new(|fixture, version| {
        prepare(fixture, version);
        let wrapper = format!("#!/usr/bin/python{version}\nprint('ran=1')\n");
        for name in ["wrapper", "renamed"] {
            let path = fixture.at(&format!("/srv/{name}"));
            fs::write(&path, &wrapper).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    });
    const TYPE: &str = "INTERPRETER_REPLACED";
    let version = test.version();
    for (path, level) in [
        ("/usr/local/bin/python3", "high"),
        (&*format!("/usr/local/bin/python{version}"), "high"),
        ("/home/u/.local/bin/python3", "medium"),
        ("/root/.local/bin/python3", "medium"),
    ] {
        test.row(path, &[(path, TYPE, level)], |test| {
            let wrapper = test.at("/srv/wrapper");
            test.copy(&wrapper, path);
        });
        let run = test.python.as_ref().map(|python| python.runs_hook_by(path, &[], &[]));
        if run.is_some_and(|(ran, _)| !ran) {
            test.note(&format!("{path}: it does not run"));
        }
        if path.starts_with("/usr/local/bin/python3") {
            // The first of this name in PATH.
            let name = path.rsplit('/').next().unwrap();
            if test.python.as_ref().is_some_and(|python| !python.runs_hook_by(name, &["-I", "-S"], &[]).0) {
                test.note(&format!("{path}: it is not what PATH finds"));
            }
        }
        test.remove(path);
    }
    let path = "/usr/bin/python3";
    test.row("the link replaced", &[(path, TYPE, "high")], |test| {
        fs::rename(test.at("/srv/renamed"), test.at(path)).unwrap();
    });
    let path = "/srv/venv/bin/python3";
    test.row("a link replaced by rename", &[(path, TYPE, "medium")], |test| {
        symlink("/srv/wrapper", test.at("/srv/link")).unwrap();
        fs::rename(test.at("/srv/link"), test.at(path)).unwrap();
    });
    let path = &*format!("/usr/bin/python{version}");
    test.row("written to", &[(path, TYPE, "high")], |test| test.append(path, "\n"));
    // Not the interpreter, nor where it would be found.
    for path in ["/usr/bin/python3-config", "/srv/python3", "/usr/bin/pythonic"] {
        test.write(path, "#!/bin/sh\n");
    }
    test.finish();
}
