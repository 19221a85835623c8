//! The interpreter itself, and the small files that tell it where its library is.

use super::python::SystemPython;
use super::{PAYLOAD, Stage};
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
fn a_file_that_moves_the_library_of_an_interpreter_is_told() {
    needs!(Fanotify);
    let mut stage = Stage::new(prepare);
    let version = stage.version();
    let (major, minor) = version.split_once('.').unwrap();
    let is_3_11 = major == "3" && minor.parse::<u32>().unwrap() >= 11;
    // What runs without the planted file must not count.
    let options = ["-I", "-S"];
    stage.runs("nothing planted", false, &options);
    for path in ["/usr/bin/pyvenv.cfg", "/usr/pyvenv.cfg"] {
        stage.row(path, &[(path, PLANTED, "critical")], |stage| stage.write(path, "home = /srv/evil/bin\n"));
        stage.runs(path, true, &options);
        stage.remove(path);
    }
    let path = format!("/usr/bin/python{version}._pth");
    stage.row(&path, &[(&path, PLANTED, "critical")], |stage| {
        stage.write(&path, format!("/srv/evil/lib/python{version}\n/usr/lib/python{version}/lib-dynload\n"));
    });
    stage.runs(&path, is_3_11, &options);
    stage.remove(&path);
    let path = "/usr/bin/pybuilddir.txt";
    stage.row(path, &[(path, PLANTED, "critical")], |stage| stage.write(path, "../../srv/build\n"));
    stage.remove(path);
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
        stage.row(path, &[(path, PLANTED, "critical")], |stage| stage.write(path, "home = /srv/evil/bin\n"));
        stage.remove(path);
    }
    // Nothing starts there.
    for path in ["/srv/app/python311._pth", "/srv/app/pybuilddir.txt"] {
        stage.write(path, "x\n");
    }
    stage.finish();
}

#[test]
fn a_changed_configuration_of_a_virtual_environment_is_told() {
    needs!(Fanotify);
    let mut stage = Stage::new(|fixture, version| {
        prepare(fixture, version);
        // For a home that everybody may write.
        symlink("/srv/evil", fixture.root().join("tmp/evil")).unwrap();
    });
    let ran = |stage: &mut Stage, row: &str, expected: bool, options: &[&str]| {
        let by = |python: &SystemPython| python.runs_hook_by("/srv/venv/bin/python3", options, &[]);
        if let Some((ran, said)) = stage.python.as_ref().map(by)
            && ran != expected
        {
            stage.note(&format!("{row}: the real Python did {}run it: {said}", if ran { "" } else { "not " }));
        }
    };
    let path = "/srv/venv/pyvenv.cfg";
    ran(&mut stage, "as it was", false, &[]);
    for (row, home, level, options) in [
        ("home in a temporary directory", "/tmp/evil/bin", "high", &["-I", "-S"][..]),
        ("home elsewhere", "/srv/evil/bin", "high", &["-I", "-S"]),
    ] {
        stage.row(row, &[(path, "PYVENV_CFG_MODIFIED", level)], |stage| {
            stage.write(path, format!("home = {home}\ninclude-system-site-packages = false\n"));
        });
        ran(&mut stage, row, true, options);
    }
    let row = "the packages of the system and of the user switched on";
    // Back from where it had moved.
    stage.row(row, &[(path, "PYVENV_CFG_MODIFIED", "high")], |stage| {
        stage.write(path, "home = /usr/bin\ninclude-system-site-packages = true\n");
    });
    ran(&mut stage, row, true, &[]);
    // As sed -i and editors do it.
    let other = "/srv/other/pyvenv.cfg";
    stage.row("renamed over it", &[(other, "PYVENV_CFG_MODIFIED", "medium")], |stage| {
        stage.write("/srv/other/sedXYZ", "home = /usr/bin\ninclude-system-site-packages = true\n");
        fs::rename(stage.at("/srv/other/sedXYZ"), stage.at(other)).unwrap();
    });
    let new = "/tmp/new/pyvenv.cfg";
    stage.row("a new one with such a home", &[(new, "PYVENV_CFG_MODIFIED", "high")], |stage| {
        stage.write(new, "home = /tmp/evil/bin\n");
    });
    stage.write("/srv/another/pyvenv.cfg", "home = /usr/bin\n");
    stage.finish();
}

#[test]
fn an_interpreter_that_is_replaced_or_comes_before_the_real_one_is_told() {
    needs!(Fanotify);
    let mut stage = Stage::new(|fixture, version| {
        prepare(fixture, version);
        let wrapper = format!("#!/usr/bin/python{version}\nprint('ran=1')\n");
        for name in ["wrapper", "renamed"] {
            let path = fixture.at(&format!("/srv/{name}"));
            fs::write(&path, &wrapper).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    });
    const TYPE: &str = "INTERPRETER_REPLACED";
    let version = stage.version();
    for (path, level) in [
        ("/usr/local/bin/python3", "high"),
        (&*format!("/usr/local/bin/python{version}"), "high"),
        ("/home/u/.local/bin/python3", "medium"),
        ("/root/.local/bin/python3", "medium"),
    ] {
        stage.row(path, &[(path, TYPE, level)], |stage| {
            let wrapper = stage.at("/srv/wrapper");
            stage.copy(&wrapper, path);
        });
        let run = stage.python.as_ref().map(|python| python.runs_hook_by(path, &[], &[]));
        if run.is_some_and(|(ran, _)| !ran) {
            stage.note(&format!("{path}: it does not run"));
        }
        if path.starts_with("/usr/local/bin/python3") {
            // The first of this name in PATH.
            let name = path.rsplit('/').next().unwrap();
            if stage.python.as_ref().is_some_and(|python| !python.runs_hook_by(name, &["-I", "-S"], &[]).0) {
                stage.note(&format!("{path}: it is not what PATH finds"));
            }
        }
        stage.remove(path);
    }
    let path = "/usr/bin/python3";
    stage.row("the link replaced", &[(path, TYPE, "high")], |stage| {
        fs::rename(stage.at("/srv/renamed"), stage.at(path)).unwrap();
    });
    let path = "/srv/venv/bin/python3";
    stage.row("a link replaced by rename", &[(path, TYPE, "medium")], |stage| {
        symlink("/srv/wrapper", stage.at("/srv/link")).unwrap();
        fs::rename(stage.at("/srv/link"), stage.at(path)).unwrap();
    });
    let path = &*format!("/usr/bin/python{version}");
    stage.row("written to", &[(path, TYPE, "high")], |stage| stage.append(path, "\n"));
    // Not the interpreter, nor where it would be found.
    for path in ["/usr/bin/python3-config", "/srv/python3", "/usr/bin/pythonic"] {
        stage.write(path, "#!/bin/sh\n");
    }
    stage.finish();
}
