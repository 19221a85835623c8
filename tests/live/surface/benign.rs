//! What must not alarm anybody: environments, editable installs, packages' own hooks, Python's own bytecode.

use super::hostile::{pip_install, severity, uv_install, wheel};
use super::{PAYLOAD, SurfaceTest, brief, make_parent};
use crate::expect::Alert;
use crate::installers;
use crate::support::{needs, print, succeed};
use std::fs;
use std::path::Path;
use std::process::Command;

const MEDIUM: u64 = 3;
const LOW: u64 = 2;

/// Whatever was reported until now is at most of this level, and no interpreter was taken for replaced.
fn at_most(test: &mut SurfaceTest, row: &str, most: u64) -> Vec<Alert> {
    let alerts = test.session.alerts_before_a_sentinel();
    for alert in &alerts {
        let is_interpreter = alert.text("/pyhookwatch/detection_type") == Some("INTERPRETER_REPLACED");
        if severity(alert) > most || (is_interpreter && severity(alert) > LOW) {
            test.note(&format!("{row}: {}", brief(alert)));
        }
    }
    alerts
}

fn python() -> Command {
    Command::new(needs::python().unwrap())
}

#[test]
fn a_new_virtual_environment_is_at_most_medium_and_replaces_no_interpreter() {
    needs!(Fanotify, Venv, Uv);
    let mut test = SurfaceTest::new(|_, _| ());
    let place = |test: &SurfaceTest, name: &str| test.session.at("/srv").join(name);
    for again in ["new", "again"] {
        succeed(python().args(["-m", "venv", "--clear"]).arg(place(&test, "venv")));
        at_most(&mut test, &format!("python -m venv, {again}"), MEDIUM);
        let mut command = Command::new(needs::tool("uv").unwrap());
        command.args(["venv", "--quiet", "--offline", "--no-config", "--allow-existing", "--python"]);
        command.arg(needs::python().unwrap()).arg(place(&test, "uv"));
        succeed(command.env("UV_CACHE_DIR", test.session.fixture.outside().join("cache")));
        at_most(&mut test, &format!("uv venv, {again}"), MEDIUM);
    }
    succeed(python().args(["-m", "venv", "--upgrade", "--without-pip"]).arg(place(&test, "venv")));
    at_most(&mut test, "python -m venv --upgrade", MEDIUM);
    fs::rename(place(&test, "uv"), place(&test, "moved")).unwrap();
    at_most(&mut test, "an environment moved", MEDIUM);
    let virtualenv = Command::new("virtualenv").arg("--version").output().is_ok_and(|output| output.status.success());
    if virtualenv {
        succeed(Command::new("virtualenv").arg("--quiet").arg(place(&test, "virtualenv")));
        at_most(&mut test, "virtualenv", MEDIUM);
    } else {
        print("no virtualenv here: not run\n");
    }
    test.finish();
}

/// A project that can be installed without anything else, as a path line or by a finder.
fn project(place: &Path) {
    let files = [
        (
            "pyproject.toml",
            "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n\
                            [project]\nname = \"shop\"\nversion = \"1.0\"\n",
        ),
        ("src/shop.py", "VERSION = 1\n"),
        (
            "backend.py",
            "import os, zipfile
def build_wheel(directory, config_settings=None, metadata_directory=None):
    name = 'shop-1.0-py3-none-any.whl'
    source = '/home/u/shop/src'
    finder = '''import sys
from importlib.machinery import PathFinder
MAPPING = {}
class _EditableFinder:
    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        if fullname in MAPPING:
            return PathFinder.find_spec(fullname, path=[MAPPING[fullname]])
        return None
def install():
    if not any(finder == _EditableFinder for finder in sys.meta_path):
        sys.meta_path.append(_EditableFinder)
'''
    with zipfile.ZipFile(os.path.join(directory, name), 'w') as wheel:
        info = 'shop-1.0.dist-info/'
        wheel.writestr('__editable__.shop-1.0.pth', source + '\\n')
        line = 'import __editable___shop_1_0_finder; __editable___shop_1_0_finder.install()'
        wheel.writestr('__editable__.shop_finder-1.0.pth', line)
        wheel.writestr('__editable___shop_1_0_finder.py', finder)
        wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: shop\\nVersion: 1.0\\n')
        wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
        wheel.writestr(info + 'RECORD', '')
    return name
build_editable = build_wheel
",
        ),
    ];
    for (name, content) in files {
        make_parent(&place.join(name));
        fs::write(place.join(name), content).unwrap();
    }
}

#[test]
fn an_editable_install_is_at_most_medium() {
    needs!(Fanotify, Venv, Pip, Uv);
    let mut test = SurfaceTest::new(|fixture, _| {
        for name in ["pip", "uv"] {
            succeed(python().args(["-m", "venv", "--without-pip"]).arg(fixture.at(&format!("/home/u/{name}"))));
        }
        project(&fixture.at("/home/u/shop"));
    });
    let project = test.session.at("/home/u/shop");
    let outside = test.session.fixture.outside();
    let mut command = Command::new(needs::tool("pip").unwrap());
    command.arg("--python").arg(test.session.at("/home/u/pip/bin/python"));
    command.args(["--disable-pip-version-check", "install", "--no-index", "--no-deps", "--no-cache-dir", "--editable"]);
    succeed(command.arg(&project).env("TMPDIR", &outside));
    let mut reported = at_most(&mut test, "pip install -e", MEDIUM);
    let mut command = Command::new(needs::tool("uv").unwrap());
    command.args(["pip", "install", "--quiet", "--offline", "--no-config", "--no-index", "--no-deps", "--python"]);
    command.arg(test.session.at("/home/u/uv/bin/python")).arg("--editable").arg(&project);
    succeed(command.env("UV_CACHE_DIR", outside.join("cache")).env("TMPDIR", &outside));
    reported.extend(at_most(&mut test, "uv pip install -e", MEDIUM));
    for environment in ["pip", "uv"] {
        let is_of = |alert: &&Alert, name: &str| {
            let path = alert.text("/file/path").unwrap_or_default();
            path.starts_with(&format!("/home/u/{environment}/")) && path.ends_with(name)
        };
        for name in
            ["/__editable__.shop-1.0.pth", "/__editable__.shop_finder-1.0.pth", "/__editable___shop_1_0_finder.py"]
        {
            let found: Vec<_> = reported.iter().filter(|alert| is_of(alert, name)).map(brief).collect();
            if found.len() != 1 {
                test.note(&format!("{environment}: {name} was reported {} times: {found:#?}", found.len()));
            }
        }
    }
    test.finish();
}

#[test]
fn hooks_of_known_packages_are_at_most_medium_when_an_installer_brings_them() {
    needs!(Fanotify, Venv, Pip, Uv);
    let content = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/content/benign"));
    let mut test = SurfaceTest::new(|fixture, _| {
        for name in ["pip", "uv"] {
            succeed(python().args(["-m", "venv", "--without-pip"]).arg(fixture.at(&format!("/home/u/{name}"))));
        }
        let tree = fixture.outside().join("tree");
        for path in fs::read_dir(content).into_iter().flatten().flatten().map(|entry| entry.path()) {
            let name = path.file_name().unwrap().to_str().unwrap();
            // Directly beside the packages, or below one, as packages ship them; modules as those of a finder.
            let place = match (name.strip_suffix(".module.py"), name.strip_suffix(".py")) {
                (Some(module), _) => tree.join(format!("__editable___{module}_finder.py")),
                (None, Some(module)) => tree.join(module).join("sitecustomize.py"),
                (None, None) => tree.join(name),
            };
            make_parent(&place);
            fs::copy(&path, place).unwrap();
        }
    });
    let outside = test.session.fixture.outside();
    let wheel = wheel(&outside, "benign", &outside.join("tree"));
    pip_install(&test, "/home/u/pip", &wheel);
    let by_pip = at_most(&mut test, "pip", MEDIUM);
    uv_install(&test, "/home/u/uv", &wheel);
    let by_uv = at_most(&mut test, "uv", MEDIUM);
    let files = fs::read_dir(content).into_iter().flatten().count();
    for (installer, alerts) in [("pip", by_pip), ("uv", by_uv)] {
        // Until its RECORD is there nobody owns a file.
        let medium = alerts.iter().filter(|alert| severity(alert) > LOW).count();
        print(&format!("{installer}: {files} files, {} alerts, {medium} of them medium\n", alerts.len()));
        if alerts.len() < files / 2 {
            test.note(&format!("{installer}: only {} alerts for {files} files", alerts.len()));
        }
    }
    test.finish();
}

#[test]
fn bytecode_that_python_writes_for_an_unchanged_source_is_silent() {
    needs!(Fanotify, SystemPython);
    let mut test = SurfaceTest::new(|fixture, version| {
        let library = fixture.root().join(format!("usr/lib/python{version}"));
        for cached in ["__pycache__", "encodings/__pycache__"] {
            let _ = fs::remove_dir_all(library.join(cached));
        }
        let user = format!("/root/.local/lib/python{version}/site-packages");
        for (name, content) in
            [("usercustomize.py", PAYLOAD), ("hook.pth", "import of_hook\n"), ("of_hook.py", "import os\n")]
        {
            fs::write(fixture.at(&format!("{user}/{name}")), content).unwrap();
        }
        let path = fixture.root().join(format!("etc/python{version}/sitecustomize.py"));
        make_parent(&path);
        fs::write(path, "import os\n").unwrap();
    });
    let version = test.version();
    let Some(python) = &test.python else { return };
    let program = format!("/usr/bin/python{version}");
    let said = python.output_of(&program, &["-c", "import os, json, site"], &[("WRITES_BYTECODE", "1")]);
    let tag = version.replace('.', "");
    let user = format!("/root/.local/lib/python{version}/site-packages");
    let written = [
        format!("/usr/lib/python{version}/encodings/__pycache__/utf_8.cpython-{tag}.pyc"),
        format!("{user}/__pycache__/usercustomize.cpython-{tag}.pyc"),
        format!("{user}/__pycache__/of_hook.cpython-{tag}.pyc"),
    ];
    for path in written.iter().filter(|path| !test.session.at(path).exists()).cloned().collect::<Vec<_>>() {
        test.note(&format!("{path} was not written: {said}"));
    }
    test.finish();
}

#[test]
fn what_only_looks_like_a_hook_is_at_most_informational() {
    needs!(Fanotify);
    let mut test = SurfaceTest::new(|_, _| ());
    let packages = "/home/u/v/lib/python3.12/site-packages";
    let inert = ("STARTUP_FILE_INERT", "informational");
    for name in [
        "debugpy/_vendored/pydevd/pydev_sitecustomize/sitecustomize.py",
        "ddtrace/bootstrap/sitecustomize.py",
        "newrelic/bootstrap/sitecustomize.py",
        "opentelemetry/instrumentation/auto_instrumentation/sitecustomize.py",
        "elasticapm/instrumentation/wrapper/sitecustomize.py",
        "pdm/pep582/sitecustomize.py",
        "django/contrib/site.py",
    ] {
        let path = format!("{packages}/{name}");
        test.row(name, &[(&path, inert.0, inert.1)], |test| test.write(&path, PAYLOAD));
    }
    let path = "/srv/shop/site.py";
    test.row("an application's module", &[(path, inert.0, inert.1)], |test| test.write(path, PAYLOAD));
    let path = format!("{packages}/__editable__.shop-1.0.pth");
    test.row("an editable install", &[(&path, "PTH_FILE_CREATED", "informational")], |test| {
        test.write(&path, "/home/u/shop/src\n");
    });
    let path = format!("{packages}/nothing.pth");
    test.row("comments", &[(&path, "PTH_FILE_CREATED", "informational")], |test| test.write(&path, "# nothing\n\n"));
    test.finish();
}

#[test]
fn dpkg_that_brings_a_python_is_at_most_medium() {
    needs!(Fanotify, Dpkg);
    let mut test = SurfaceTest::new(|fixture, _| installers::prepare_dpkg(fixture));
    let build = |test: &SurfaceTest, version: &str| {
        let tree = test.session.fixture.outside().join(version);
        let mut sums = String::new();
        for path in [
            "etc/python3.14/sitecustomize.py",
            "usr/lib/python3.14/encodings/__init__.py",
            "usr/lib/python3.14/encodings/utf_8.py",
            "usr/lib/python3.14/os.py",
            "usr/lib/python3.14/site.py",
            "usr/lib/python3/dist-packages/_distutils_hack/__init__.py",
            "usr/lib/python3/dist-packages/distutils-precedence.pth",
            "usr/share/python-wheels/setuptools-66.1.1-py3-none-any.whl",
            "usr/bin/python3.14",
        ] {
            let place = tree.join(path);
            make_parent(&place);
            let ending = if path.ends_with(".pth") { "" } else { "VERSION = " };
            fs::write(&place, format!("import os; {ending}{}\n", if ending.is_empty() { "os.sep" } else { version }))
                .unwrap();
            let sum = succeed(Command::new("md5sum").arg(&place));
            sums += &format!("{}  {path}\n", sum.split_whitespace().next().unwrap());
        }
        make_parent(&tree.join("DEBIAN/control"));
        fs::write(tree.join("DEBIAN/md5sums"), sums).unwrap();
        fs::write(tree.join("DEBIAN/control"), format!(
            "Package: python-test\nVersion: {version}\nArchitecture: all\nMaintainer: T <t@example.org>\nDescription: t\n"
        )).unwrap();
        let built = test.session.fixture.outside().join(format!("python_{version}.deb"));
        succeed(Command::new("dpkg-deb").args(["--root-owner-group", "--build"]).arg(&tree).arg(&built));
        built
    };
    for version in ["1.0", "2.0"] {
        let built = build(&test, version);
        let mut command = Command::new("dpkg");
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("DEBIAN_FRONTEND", "noninteractive").arg("--root");
        command.arg(test.session.fixture.root()).args(["--force-script-chrootless", "--force-not-root", "--install"]);
        succeed(command.arg(built));
        // A .pth that no list has yet is medium.
        let reported = at_most(&mut test, &format!("dpkg, {version}"), MEDIUM);
        let is_path_file = |alert: &Alert| alert.text("/file/path").is_some_and(|path| path.ends_with(".pth"));
        for alert in reported.iter().filter(|alert| severity(alert) > LOW && !is_path_file(alert)) {
            test.note(&format!("dpkg, {version}: {}", brief(alert)));
        }
    }
    test.finish();
}
