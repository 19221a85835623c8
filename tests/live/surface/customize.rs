//! `sitecustomize` and `usercustomize` in every form and place.

use super::{PAYLOAD, SurfaceTest};
use crate::fixture::Fixture;
use crate::support::{needs, succeed};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SITE: &str = "SITECUSTOMIZE_MODIFIED";
const USER: &str = "USERCUSTOMIZE_MODIFIED";

/// A shared object that runs the payload when it is imported, and then fails. No header is needed for it.
pub fn extension(fixture: &Fixture, module: &str) -> Option<PathBuf> {
    let source = fixture.outside().join(format!("{module}.c"));
    let payload = PAYLOAD.trim_end();
    let text = format!(
        "int PyRun_SimpleString(const char *);\nvoid *PyInit_{module}(void) {{ PyRun_SimpleString(\"{payload}\"); return 0; }}\n"
    );
    fs::write(&source, text).unwrap();
    let object = source.with_extension("so");
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-w", "-o"]).arg(&object).arg(&source);
    let is_built = command.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    is_built.then_some(object)
}

/// Bytecode of this code, which Python takes for that of the file `source`.
pub fn bytecode(fixture: &Fixture, source: &Path, mode: &str, code: &str) -> PathBuf {
    let (evil, compiled) = (fixture.outside().join("evil.py"), fixture.outside().join(format!("{mode}.pyc")));
    fs::write(&evil, code).unwrap();
    let program = "
import os, py_compile, struct, sys
evil, compiled, source, mode = sys.argv[1:]
if mode == 'sourceless':
    py_compile.compile(evil, compiled, doraise=True)
else:
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    timestamp = py_compile.PycInvalidationMode.TIMESTAMP
    py_compile.compile(evil, compiled, doraise=True, invalidation_mode=unchecked if mode == 'unchecked' else timestamp)
if mode == 'forged':
    found = os.stat(source)
    with open(compiled, 'r+b') as file:
        file.seek(8)
        file.write(struct.pack('<II', int(found.st_mtime) & 0xffffffff, found.st_size & 0xffffffff))
";
    let mut command = Command::new("/usr/bin/python3");
    succeed(command.args(["-I", "-S", "-c", program]).args([&evil, &compiled]).arg(source).arg(mode));
    compiled
}

#[test]
fn a_sitecustomize_of_every_form_is_reported_where_it_runs() {
    needs!(Fanotify, SystemPython);
    let mut test = SurfaceTest::new(|fixture, version| {
        let library = format!("/usr/lib/python{version}");
        let etc = format!("/etc/python{version}/sitecustomize.py");
        // As Debian has it, whatever this machine has.
        fs::write(fixture.at(&etc), "try:\n    import apport_python_hook\nexcept ImportError:\n    pass\n").unwrap();
        let link = fixture.at(&format!("{library}/sitecustomize.py"));
        let _ = fs::remove_file(&link);
        symlink(&etc, &link).unwrap();
        fs::create_dir_all(fixture.at(&format!("{library}/__pycache__/x")).parent().unwrap()).unwrap();
    });
    let version = test.version();
    let (library, tag) = (format!("/usr/lib/python{version}"), version.replace('.', ""));
    let etc = format!("/etc/python{version}/sitecustomize.py");
    let original = fs::read(test.session.at(&etc)).unwrap();

    test.row("Debian's file appended to", &[(&etc, SITE, "high")], |test| test.append(&etc, PAYLOAD));
    for options in [&[][..], &["-I"], &["-E", "-s"]] {
        test.runs("Debian's file appended to", true, options);
    }
    test.runs("Debian's file appended to, -S", false, &["-S"]);
    test.back("Debian's file", &[&etc], |test| test.write(&etc, &original));

    let link = format!("{library}/sitecustomize.py");
    let elsewhere = "/srv/other.py";
    test.row("the link leads elsewhere", &[(&link, SITE, "high")], |test| {
        test.write(elsewhere, PAYLOAD);
        symlink(elsewhere, test.at("/srv/link")).unwrap();
        fs::rename(test.at("/srv/link"), test.at(&link)).unwrap();
    });
    test.runs("the link leads elsewhere", true, &[]);
    test.row("the file at its end", &[(elsewhere, SITE, "high")], |test| test.append(elsewhere, "import os\n"));
    test.back("the link", &[&link], |test| {
        symlink(&etc, test.at("/srv/link")).unwrap();
        fs::rename(test.at("/srv/link"), test.at(&link)).unwrap();
    });

    let package = format!("{library}/sitecustomize/__init__.py");
    test.row("a package", &[(&package, SITE, "high")], |test| test.write(&package, PAYLOAD));
    test.runs("a package", true, &[]);
    test.remove(&format!("{library}/sitecustomize"));

    let object = extension(&test.session.fixture, "sitecustomize");
    let endings = [format!("cpython-{tag}-x86_64-linux-gnu.so"), "abi3.so".into(), "so".into()];
    for ending in endings {
        let path = format!("{library}/sitecustomize.{ending}");
        test.row(&path, &[(&path, SITE, "critical")], |test| match &object {
            Some(object) => test.copy(object, &path),
            None => test.write(&path, b"\x7fELF"),
        });
        if object.is_some() && (cfg!(target_arch = "x86_64") || !ending.contains("x86_64")) {
            test.runs(&path, true, &[]);
        }
        test.remove(&path);
    }

    let cached = format!("{library}/__pycache__/sitecustomize.cpython-{tag}.pyc");
    let source = test.session.at(&etc);
    for mode in ["unchecked", "forged"] {
        let compiled = bytecode(&test.session.fixture, &source, mode, PAYLOAD);
        let row = format!("bytecode, {mode}");
        test.row(&row, &[(&cached, SITE, "critical")], |test| test.copy(&compiled, &cached));
        test.runs(&row, true, &[]);
        test.remove(&cached);
    }

    let beside = format!("{library}/sitecustomize.pyc");
    let compiled = bytecode(&test.session.fixture, &source, "sourceless", PAYLOAD);
    test.row("bytecode beside its source", &[(&beside, SITE, "critical")], |test| test.copy(&compiled, &beside));
    test.runs("bytecode beside its source", false, &[]);
    test.remove(&link);
    test.runs("bytecode without its source", true, &[]);
    test.remove(&beside);

    test.row("created", &[(&link, SITE, "high")], |test| test.write(&link, PAYLOAD));
    test.runs("created", true, &["-I"]);
    test.row("appended to", &[(&link, SITE, "high")], |test| test.append(&link, "import os\n"));
    test.finish();
}

#[test]
fn a_sitecustomize_that_python_does_not_find_is_nothing() {
    needs!(Fanotify);
    let mut test = SurfaceTest::new(|fixture, version| {
        let own = fixture.at(&format!("/usr/lib/python{version}/sitecustomize.py"));
        if !own.exists() {
            fs::write(own, "").unwrap();
        }
        // The tree of the other tests would be a second version without one.
        if version != "3.12" {
            fs::remove_dir_all(fixture.at("/usr/lib/python3.12")).unwrap();
        }
    });
    let version = test.version();
    for directory in [format!("/usr/local/lib/python{version}/dist-packages"), "/usr/lib/python3/dist-packages".into()]
    {
        let path = format!("{directory}/sitecustomize.py");
        test.row(&path, &[(&path, "STARTUP_FILE_INERT", "informational")], |test| test.write(&path, PAYLOAD));
        test.runs(&path, false, &[]);
        test.remove(&path);
    }
    for path in ["/home/u/.config/python/usercustomize.py", "/srv/app/sitecustomize.py"] {
        test.row(path, &[(path, "STARTUP_FILE_INERT", "informational")], |test| test.write(path, PAYLOAD));
    }
    // An upstream Python has none of its own.
    let path = "/home/u/.pyenv/versions/3.13.0/lib/python3.13/site-packages/sitecustomize.py";
    test.row("upstream", &[(path, SITE, "high")], |test| test.write(path, PAYLOAD));
    test.finish();
}

#[test]
fn a_usercustomize_of_every_form_is_reported_in_every_directory_of_the_path() {
    needs!(Fanotify, SystemPython);
    let mut test = SurfaceTest::new(|fixture, version| {
        for directory in ["root/.local/lib/pythonV/site-packages", "usr/local/lib/pythonV/dist-packages"] {
            fs::create_dir_all(fixture.root().join(directory.replace('V', version))).unwrap();
        }
    });
    let version = test.version();
    let tag = version.replace('.', "");
    for (directory, is_system) in [
        (format!("/root/.local/lib/python{version}/site-packages"), false),
        (format!("/usr/lib/python{version}"), true),
        (format!("/usr/lib/python{version}/lib-dynload"), true),
        (format!("/usr/local/lib/python{version}/dist-packages"), true),
        ("/usr/lib/python3/dist-packages".to_owned(), true),
    ] {
        let path = format!("{directory}/usercustomize.py");
        test.row(&path, &[(&path, USER, "high")], |test| test.write(&path, PAYLOAD));
        test.runs(&path, true, &[]);
        // It is imported only where the user's directory is used at all.
        test.runs(&format!("{path} -I"), false, &["-I"]);
        test.runs_with(&format!("{path}, none wanted"), false, &[], &[("PYTHONNOUSERSITE", "1")]);
        test.remove(&path);
        let path = format!("{directory}/usercustomize/__init__.py");
        test.row(&path, &[(&path, USER, "high")], |test| test.write(&path, PAYLOAD));
        test.runs(&path, true, &[]);
        test.remove(&format!("{directory}/usercustomize"));
        if !is_system {
            continue;
        }
        let compiled = bytecode(&test.session.fixture, &test.session.at("/"), "sourceless", PAYLOAD);
        let path = format!("{directory}/usercustomize.pyc");
        test.row(&path, &[(&path, USER, "critical")], |test| test.copy(&compiled, &path));
        test.runs(&path, true, &[]);
        test.remove(&path);
        let path = format!("{directory}/usercustomize.cpython-{tag}-x86_64-linux-gnu.so");
        test.row(&path, &[(&path, USER, "critical")], |test| test.write(&path, b"\x7fELF"));
        test.remove(&path);
    }
    for path in [
        "/home/u/.local/lib/python3.13/site-packages/usercustomize.py",
        "/home/u/app/.venv/lib/python3.12/site-packages/usercustomize.py",
        "/home/u/.pyenv/versions/3.13.0/lib/python3.13/usercustomize.py",
        "/opt/conda/lib/python3.10/site-packages/usercustomize.py",
    ] {
        test.row(path, &[(path, USER, "high")], |test| test.write(path, PAYLOAD));
    }
    test.finish();
}
