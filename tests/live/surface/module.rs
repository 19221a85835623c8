//! Modules that hooks import: the hook stays as it is, and what it runs is another thing.

use super::{PAYLOAD, Stage, wait_until_learned};
use crate::support::needs;
use crate::surface::customize::{bytecode, extension};
use std::fs;

const CHANGED: &str = "HOOK_MODULE_MODIFIED";

#[test]
fn a_module_that_a_stock_hook_imports_is_told_wherever_python_finds_it() {
    needs!(Fanotify);
    let mut stage = Stage::new(|fixture, version| {
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
    let version = stage.version();
    let user = format!("/root/.local/lib/python{version}/site-packages");
    let system = format!("/usr/local/lib/python{version}/dist-packages");

    let hack = "/usr/lib/python3/dist-packages/_distutils_hack/__init__.py";
    stage.row("_distutils_hack appended to", &[(hack, CHANGED, "high")], |stage| stage.append(hack, PAYLOAD));
    stage.runs("_distutils_hack appended to", true, &[]);
    stage.back("_distutils_hack", &[hack], |stage| stage.write(hack, "def add_shim():\n    pass\n"));
    let shadow = format!("{user}/_distutils_hack.py");
    let content = format!("{PAYLOAD}def add_shim():\n    pass\n");
    stage.row("before it for one user", &[(&shadow, CHANGED, "high")], |stage| stage.write(&shadow, &content));
    stage.runs("before it for one user", true, &[]);
    stage.remove(&shadow);

    // Only Debian's and Ubuntu's sitecustomize imports it.
    let imports_apport = fs::read_link(stage.session.at(&format!("/usr/lib/python{version}/sitecustomize.py"))).is_ok();
    for directory in [&user, &system, "/usr/lib/python3/dist-packages"] {
        let path = format!("{directory}/apport_python_hook.py");
        stage.row(&path, &[(&path, CHANGED, "high")], |stage| stage.write(&path, PAYLOAD));
        if imports_apport {
            stage.runs(&path, true, &[]);
        }
        stage.remove(&path);
    }
    for path in [
        "/home/u/v/lib/python3.12/site-packages/_virtualenv.py",
        "/home/u/v/lib/python3.12/site-packages/__editable___shop_1_0_finder.py",
        "/home/u/.local/lib/python3.10/site-packages/apport_python_hook/__init__.py",
    ] {
        stage.row(path, &[(path, CHANGED, "high")], |stage| stage.write(path, PAYLOAD));
    }
    // Nothing imports these.
    for path in ["/usr/lib/python3/dist-packages/module.py", "/srv/apport_python_hook.py", "/usr/bin/_virtualenv.py"] {
        stage.write(path, PAYLOAD);
    }
    stage.finish();
}

#[test]
fn a_module_is_watched_from_the_moment_that_a_hook_imports_it() {
    needs!(Fanotify);
    let mut stage = Stage::new(|_, _| ());
    let version = stage.version();
    let (directory, tag) = (format!("/usr/local/lib/python{version}/dist-packages"), version.replace('.', ""));
    let at = |name: &str| format!("{directory}/{name}");
    // No hook names it yet.
    stage.write(&at("_site_telemetry.py"), "");
    let hook = at("telemetry.pth");
    stage.row("23 bytes", &[(&hook, "PTH_FILE_CREATED", "medium")], |stage| {
        stage.write(&hook, "import _site_telemetry\n")
    });
    stage.runs("23 bytes", false, &[]);
    let module = at("_site_telemetry.py");
    stage.row("its module", &[(&module, CHANGED, "high")], |stage| stage.write(&module, PAYLOAD));
    stage.runs("its module", true, &[]);
    stage.row("its module again", &[(&module, CHANGED, "high")], |stage| stage.append(&module, "import os\n"));

    if stage.python.is_some() {
        let cached = at(&format!("__pycache__/_site_telemetry.cpython-{tag}.pyc"));
        let source = stage.at(&module);
        stage.write(&module, "import os\n");
        stage.expect("its module without it", &[(&module, CHANGED, "high")]);
        for mode in ["unchecked", "forged"] {
            let row = format!("its bytecode, {mode}");
            let compiled = bytecode(&stage.session.fixture, &source, mode, PAYLOAD);
            stage.row(&row, &[(&cached, CHANGED, "high")], |stage| stage.copy(&compiled, &cached));
            stage.runs(&row, true, &[]);
            stage.remove(&cached);
        }
    }
    if let (Some(object), true) = (extension(&stage.session.fixture, "_site_telemetry"), stage.python.is_some()) {
        let path = at("_site_telemetry.abi3.so");
        stage.row("as a shared object", &[(&path, CHANGED, "high")], |stage| stage.copy(&object, &path));
        stage.runs("as a shared object", true, &[]);
        stage.remove(&path);
    }
    stage.remove(&module);
    let package = at("_site_telemetry/__init__.py");
    stage.row("as a package", &[(&package, CHANGED, "high")], |stage| stage.write(&package, PAYLOAD));
    stage.runs("as a package", true, &[]);
    stage.remove(&at("_site_telemetry"));

    // In a directory that another path file adds.
    let hook = at("adds.pth");
    stage.row("adds", &[(&hook, "PTH_FILE_CREATED", "informational")], |stage| {
        fs::create_dir_all(stage.at("/opt/lib/x").parent().unwrap()).unwrap();
        stage.write(&hook, "/opt/lib\n");
    });
    let module = "/opt/lib/_site_telemetry.py";
    stage.row("in an added directory", &[(module, CHANGED, "high")], |stage| stage.write(module, PAYLOAD));
    stage.runs("in an added directory", true, &[]);

    let hook = at("sitecustomize_usercustomize.pth");
    stage.row("several", &[(&hook, "PTH_FILE_CREATED", "medium")], |stage| {
        stage.write(&hook, "import first, second.part as x; from third import y\n");
    });
    for name in ["first", "second", "third"] {
        let path = at(&format!("{name}.py"));
        stage.row(name, &[(&path, CHANGED, "high")], |stage| stage.write(&path, PAYLOAD));
    }
    stage.finish();
}

#[test]
fn a_module_of_a_hook_that_was_there_before_the_start_is_watched() {
    needs!(Fanotify);
    let mut stage = Stage::new(|fixture, version| {
        let directory = format!("/usr/local/lib/python{version}/dist-packages");
        fs::write(fixture.at(&format!("{directory}/early.pth")), "import probe, early\n").unwrap();
        fs::write(fixture.at(&format!("{directory}/early.py")), "import os\n").unwrap();
        fs::write(fixture.at(&format!("{directory}/tool.start")), "entry.point:go\n").unwrap();
        fs::write(fixture.at("/srv/site/usercustomize.py"), "import later\n").unwrap();
        fs::write(fixture.at(&format!("{directory}/way.pth")), "/srv/site\n").unwrap();
    });
    let directory = format!("/usr/local/lib/python{}/dist-packages", stage.version());
    let at = |name: &str| format!("{directory}/{name}.py");
    let probe = at("probe");
    wait_until_learned(&mut stage, &probe, |stage| stage.write(&probe, "import os\n"));
    stage.row("appended to", &[(&at("early"), CHANGED, "high")], |stage| stage.append(&at("early"), PAYLOAD));
    stage.runs("appended to", true, &[]);
    stage.row("of a .start", &[(&at("entry"), CHANGED, "high")], |stage| stage.write(&at("entry"), PAYLOAD));
    let there = "/srv/site/usercustomize.py";
    stage.row("in a directory added before", &[(there, "USERCUSTOMIZE_MODIFIED", "high")], |stage| {
        stage.append(there, PAYLOAD);
    });
    stage.runs("in a directory added before", true, &[]);
    stage.finish();
}
