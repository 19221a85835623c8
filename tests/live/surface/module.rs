//! Modules that hooks import: the hook stays as it is, and what it runs is another thing.

use super::{PAYLOAD, SurfaceTest, wait_until_learned};
use crate::support::needs;
use crate::surface::customize::{bytecode, extension};
use std::fs;

const CHANGED: &str = "HOOK_MODULE_MODIFIED";

#[test]
fn a_module_that_a_stock_hook_imports_is_reported_wherever_python_finds_it() {
    needs!(Fanotify);
    let mut test = SurfaceTest::new(|fixture, version| {
        let etc = fixture.at(&format!("/etc/python{version}/sitecustomize.py"));
        fs::write(etc, "try:\n    import apport_python_hook\nexcept ImportError:\n    pass\n").unwrap();
        let packages = "/usr/lib/python3/dist-packages";
        fs::write(
            fixture.at(&format!("{packages}/distutils-precedence.pth")),
            "import os; var = 'SETUPTOOLS_USE_DISTUTILS'; enabled = os.environ.get(var, 'local') == 'local'; \
             enabled and __import__('_distutils_hack').add_shim();\n",
        )
        .unwrap();
        fs::write(fixture.at(&format!("{packages}/_distutils_hack/__init__.py")), "def add_shim():\n    pass\n")
            .unwrap();
    });
    let version = test.version();
    let user = format!("/root/.local/lib/python{version}/site-packages");
    let system = format!("/usr/local/lib/python{version}/dist-packages");

    let hack = "/usr/lib/python3/dist-packages/_distutils_hack/__init__.py";
    test.row("_distutils_hack appended to", &[(hack, CHANGED, "high")], |test| test.append(hack, PAYLOAD));
    test.runs("_distutils_hack appended to", true, &[]);
    test.back("_distutils_hack", &[hack], |test| test.write(hack, "def add_shim():\n    pass\n"));
    let shadow = format!("{user}/_distutils_hack.py");
    let content = format!("{PAYLOAD}def add_shim():\n    pass\n");
    test.row("before it for one user", &[(&shadow, CHANGED, "high")], |test| test.write(&shadow, &content));
    test.runs("before it for one user", true, &[]);
    test.remove(&shadow);

    // Only Debian's and Ubuntu's sitecustomize imports it.
    let imports_apport = fs::read_link(test.session.at(&format!("/usr/lib/python{version}/sitecustomize.py"))).is_ok();
    for directory in [&user, &system, "/usr/lib/python3/dist-packages"] {
        let path = format!("{directory}/apport_python_hook.py");
        test.row(&path, &[(&path, CHANGED, "high")], |test| test.write(&path, PAYLOAD));
        if imports_apport {
            test.runs(&path, true, &[]);
        }
        test.remove(&path);
    }
    for path in [
        "/home/u/v/lib/python3.12/site-packages/_virtualenv.py",
        "/home/u/v/lib/python3.12/site-packages/__editable___shop_1_0_finder.py",
        "/home/u/.local/lib/python3.10/site-packages/apport_python_hook/__init__.py",
    ] {
        test.row(path, &[(path, CHANGED, "high")], |test| test.write(path, PAYLOAD));
    }
    // Nothing imports these.
    for path in ["/usr/lib/python3/dist-packages/module.py", "/srv/apport_python_hook.py", "/usr/bin/_virtualenv.py"] {
        test.write(path, PAYLOAD);
    }
    test.finish();
}

#[test]
fn a_module_is_watched_from_the_moment_that_a_hook_imports_it() {
    needs!(Fanotify);
    let mut test = SurfaceTest::new(|_, _| ());
    let version = test.version();
    let (directory, tag) = (format!("/usr/local/lib/python{version}/dist-packages"), version.replace('.', ""));
    let at = |name: &str| format!("{directory}/{name}");
    // No hook names it yet.
    test.write(&at("_site_telemetry.py"), "");
    let hook = at("telemetry.pth");
    test.row("23 bytes", &[(&hook, "PTH_FILE_CREATED", "medium")], |test| {
        test.write(&hook, "import _site_telemetry\n")
    });
    test.runs("23 bytes", false, &[]);
    let module = at("_site_telemetry.py");
    test.row("its module", &[(&module, CHANGED, "high")], |test| test.write(&module, PAYLOAD));
    test.runs("its module", true, &[]);
    test.row("its module again", &[(&module, CHANGED, "high")], |test| test.append(&module, "import os\n"));

    if test.python.is_some() {
        let cached = at(&format!("__pycache__/_site_telemetry.cpython-{tag}.pyc"));
        let source = test.at(&module);
        test.write(&module, "import os\n");
        test.expect("its module without it", &[(&module, CHANGED, "high")]);
        for mode in ["unchecked", "forged"] {
            let row = format!("its bytecode, {mode}");
            let compiled = bytecode(&test.session.fixture, &source, mode, PAYLOAD);
            test.row(&row, &[(&cached, CHANGED, "high")], |test| test.copy(&compiled, &cached));
            test.runs(&row, true, &[]);
            test.remove(&cached);
        }
    }
    if let (Some(object), true) = (extension(&test.session.fixture, "_site_telemetry"), test.python.is_some()) {
        let path = at("_site_telemetry.abi3.so");
        test.row("as a shared object", &[(&path, CHANGED, "high")], |test| test.copy(&object, &path));
        test.runs("as a shared object", true, &[]);
        test.remove(&path);
    }
    test.remove(&module);
    let package = at("_site_telemetry/__init__.py");
    test.row("as a package", &[(&package, CHANGED, "high")], |test| test.write(&package, PAYLOAD));
    test.runs("as a package", true, &[]);
    test.remove(&at("_site_telemetry"));

    // In a directory that another path file adds.
    let hook = at("adds.pth");
    test.row("adds", &[(&hook, "PTH_FILE_CREATED", "informational")], |test| {
        fs::create_dir_all(test.at("/opt/lib/x").parent().unwrap()).unwrap();
        test.write(&hook, "/opt/lib\n");
    });
    let module = "/opt/lib/_site_telemetry.py";
    test.row("in an added directory", &[(module, CHANGED, "high")], |test| test.write(module, PAYLOAD));
    test.runs("in an added directory", true, &[]);

    let hook = at("sitecustomize_usercustomize.pth");
    test.row("several", &[(&hook, "PTH_FILE_CREATED", "medium")], |test| {
        test.write(&hook, "import first, second.part as x; from third import y\n");
    });
    for name in ["first", "second", "third"] {
        let path = at(&format!("{name}.py"));
        test.row(name, &[(&path, CHANGED, "high")], |test| test.write(&path, PAYLOAD));
    }
    test.finish();
}

#[test]
fn a_module_of_a_hook_that_was_there_before_the_start_is_watched() {
    needs!(Fanotify);
    let mut test = SurfaceTest::new(|fixture, version| {
        let directory = format!("/usr/local/lib/python{version}/dist-packages");
        fs::write(fixture.at(&format!("{directory}/early.pth")), "import probe, early\n").unwrap();
        fs::write(fixture.at(&format!("{directory}/early.py")), "import os\n").unwrap();
        fs::write(fixture.at(&format!("{directory}/tool.start")), "entry.point:go\n").unwrap();
        fs::write(fixture.at("/srv/site/usercustomize.py"), "import later\n").unwrap();
        fs::write(fixture.at(&format!("{directory}/way.pth")), "/srv/site\n").unwrap();
    });
    let directory = format!("/usr/local/lib/python{}/dist-packages", test.version());
    let at = |name: &str| format!("{directory}/{name}.py");
    let probe = at("probe");
    wait_until_learned(&mut test, &probe, |test| test.write(&probe, "import os\n"));
    test.row("appended to", &[(&at("early"), CHANGED, "high")], |test| test.append(&at("early"), PAYLOAD));
    test.runs("appended to", true, &[]);
    test.row("of a .start", &[(&at("entry"), CHANGED, "high")], |test| test.write(&at("entry"), PAYLOAD));
    let there = "/srv/site/usercustomize.py";
    test.row("in a directory added before", &[(there, "USERCUSTOMIZE_MODIFIED", "high")], |test| {
        test.append(there, PAYLOAD);
    });
    test.runs("in a directory added before", true, &[]);
    test.finish();
}
