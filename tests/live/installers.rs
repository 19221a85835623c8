//! Real installers, each with a small package of the test's own that ships a `.pth`.

use crate::expect::{Alert, By, Expected};
use crate::fixture::{Backend, Fixture, Session};
use crate::support::{needs, needs::python, succeed};
use crate::with_each_backend;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the wheel of this version, out of the watcher's sight.
fn wheel(fixture: &Fixture, version: &str) -> PathBuf {
    let mut command = Command::new(python().unwrap());
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/wheel.py")).arg(fixture.outside()).arg(version);
    PathBuf::from(succeed(&mut command).trim())
}

/// Makes an empty virtual environment and gives the path of its packages, as seen from the root.
fn environment(fixture: &Fixture, path: &str) -> String {
    let place = fixture.at(path);
    succeed(Command::new(python().unwrap()).args(["-m", "venv", "--without-pip"]).arg(&place));
    let version = fs::read_dir(place.join("lib")).unwrap().next().unwrap().unwrap().file_name();
    format!("{path}/lib/{}/site-packages", version.to_str().unwrap())
}

/// Any of the programs that installing with Python may run.
fn by_python() -> By {
    By::Perhaps(vec![python().unwrap().canonicalize().unwrap()])
}

fn pth(action: &'static str, directory: &str) -> Expected {
    // An installer may pause before the close, on a loaded machine.
    Expected::new(action, format!("{directory}/hooktest.pth"), "PTH_FILE_CREATED").complete(None)
}

/// The installers that an alert names: of the writer, and of its ancestors. `None` when the writer had ended
/// before it could be read.
fn installers(alert: &Alert) -> Option<(Option<&str>, Option<&str>)> {
    let is_known = alert.text("/pyhookwatch/writer/evidence") == Some("proc");
    is_known
        .then(|| (alert.text("/pyhookwatch/writer/installer"), alert.text("/pyhookwatch/writer/ancestor_installer")))
}

/// Every writer that was read alive is this installer.
fn expect_installer(alerts: &[Alert], name: &str) {
    for found in alerts.iter().filter_map(installers) {
        assert_eq!(found.0, Some(name), "{alerts:#?}");
    }
}

fn pip_install(session: &Session, environment: &str, wheel: &Path) {
    let mut command = Command::new(needs::tool("pip").unwrap());
    command.arg("--python").arg(session.at(environment).join("bin/python"));
    command.args(["--disable-pip-version-check", "install", "--no-index", "--no-deps", "--no-cache-dir"]);
    succeed(command.arg(wheel).env("TMPDIR", session.fixture.outside()));
}

with_each_backend! {
    [Pip]
    fn pip_install_is_one_alert_and_its_upgrade_another(fixture, backend) {
        let packages = environment(&fixture, "/srv/env");
        let (first, second) = (wheel(&fixture, "1.0"), wheel(&fixture, "2.0"));
        let mut session = fixture.start(backend);
        pip_install(&session, "/srv/env", &first);
        expect_installer(&session.expect_alerts(&[pth("creation", &packages).by(by_python())]), "pip");
        if backend == Backend::Inotify {
            // What is moved aside below may be watched or not before it is removed.
            return session.stop();
        }
        // pip moves the old files aside, to `~ite-packages`, and removes them at its end. How much of that is
        // seen depends on who is faster, so the daemon looks when pip has ended.
        session.while_held(|| pip_install(&session, "/srv/env", &second));
        let alerts = session.expect_alerts(&[pth("creation", &packages).by(by_python())]);
        assert_eq!(alerts[0].0["pyhookwatch"]["content"]["lines"][0], "import hooktest  # 2.0");
        session.stop();
    }

    /// By default uv links from its cache and never closes what it links.
    [Uv, Python]
    fn uv_install_is_one_alert_whether_it_links_or_copies(fixture, backend) {
        // Not `clone`: where the filesystem cannot, uv makes a file, removes it and links another.
        let modes = ["hardlink", "copy", "symlink"];
        let wheel = wheel(&fixture, "1.0");
        let packages = modes.map(|mode| environment(&fixture, &format!("/srv/{mode}")));
        let mut session = fixture.start(backend);
        for (mode, packages) in modes.iter().zip(&packages) {
            let mut command = Command::new(needs::tool("uv").unwrap());
            command.args(["pip", "install", "--quiet", "--offline", "--no-config", "--no-index", "--no-deps"]);
            command.args(["--link-mode", mode, "--python"]).arg(session.at(&format!("/srv/{mode}/bin/python")));
            succeed(command.arg(&wheel).env("UV_CACHE_DIR", session.fixture.outside().join("cache")));
            let by = By::Perhaps(vec![needs::tool("uv").unwrap().canonicalize().unwrap()]);
            let expected = if *mode == "copy" { pth("rename", packages).renamed_beside() } else { pth("creation", packages) };
            expect_installer(&session.expect_alerts(&[expected.by(by)]), "uv");
        }
        session.stop();
    }

    /// What it brings depends on the Python; every hook that is there afterwards was reported once.
    [Venv]
    fn a_new_virtual_environment_is_reported_for_the_hooks_it_has_and_no_more(fixture, backend) {
        let mut session = fixture.start(backend);
        let place = session.at("/srv/env");
        succeed(Command::new(python().unwrap()).args(["-m", "venv"]).arg(&place));
        let found = succeed(Command::new("find").arg(&place).args(["-name", "*.pth", "-o", "-name", "*site.py"]));
        let expected: Vec<_> = found.lines().map(|path| {
            let path = format!("/{}", Path::new(path).strip_prefix(session.fixture.root()).unwrap().display());
            let detection =
                if path.ends_with(".pth") { "PTH_FILE_CREATED" } else { "PYTHON_STARTUP_FILE_MODIFIED" };
            Expected::new("creation", path, detection).by(by_python()).complete(None)
        }).collect();
        // The process that installs runs a program text; the one that started it is `python -m ensurepip`.
        for found in session.expect_alerts(&expected).iter().filter_map(installers) {
            assert_eq!(found, (None, Some("pip")));
        }
        session.stop();
    }

    /// dpkg unpacks to another name and renames.
    [Dpkg]
    fn dpkg_is_one_alert_and_so_is_its_upgrade(fixture, backend) {
        let path = "/usr/lib/python3/dist-packages/hooktest.pth";
        prepare_dpkg(&fixture);
        let packages = ["1.0", "2.0"].map(|version| package(&fixture, version, path));
        let mut session = fixture.start(backend);
        for package in &packages {
            let mut command = Command::new("dpkg");
            // It wants ldconfig and start-stop-daemon to be there.
            command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").arg("--root").arg(session.fixture.root()).args(["--force-script-chrootless", "--force-not-root"]);
            succeed(command.arg("--install").arg(package).env("DEBIAN_FRONTEND", "noninteractive"));
            let by = By::Perhaps(vec![Path::new("/usr/bin/dpkg").canonicalize().unwrap()]);
            let expected = Expected::new("rename", path, "PTH_FILE_CREATED");
            expect_installer(&session.expect_alerts(&[expected.from(format!("{path}.dpkg-new")).by(by)]), "dpkg");
        }
        session.stop();
    }
}

/// What dpkg wants of a root.
pub fn prepare_dpkg(fixture: &Fixture) {
    for directory in ["info", "updates", "triggers"] {
        fs::create_dir_all(fixture.root().join("var/lib/dpkg").join(directory)).unwrap();
    }
    fs::write(fixture.at("/var/lib/dpkg/status"), "").unwrap();
}

/// Installs until the writer was read alive, which is nearly always at once: in a new environment each time,
/// with the program and its arguments made from that environment. Gives what the alert says.
fn installed_alive(install: impl Fn(&Session, &str, &Path)) -> Alert {
    const ATTEMPTS: usize = 20;
    let fixture = Fixture::new();
    let wheel = wheel(&fixture, "1.0");
    let names: Vec<String> = (0..ATTEMPTS).map(|number| format!("/srv/{number}")).collect();
    // Each attempt has its packages in a directory of its own.
    let mut session = fixture.start(Backend::Fanotify);
    for name in &names {
        let packages = environment(&session.fixture, name);
        install(&session, name, &wheel);
        let mut alert = session.next();
        while alert.text("/file/path") != Some(&format!("{packages}/hooktest.pth")) {
            alert = session.next();
        }
        if installers(&alert).is_some() {
            session.stop_with_alerts();
            return alert;
        }
    }
    session.fail("no attempt was read alive");
}

fn environment_python(session: &Session, environment: &str) -> PathBuf {
    session.at(environment).join("bin/python")
}

#[test]
fn uv_pip_install_is_named() {
    needs!(Fanotify, Uv, Python);
    let alert = installed_alive(|session, environment, wheel| {
        let mut command = Command::new(needs::tool("uv").unwrap());
        command.args(["pip", "install", "--quiet", "--offline", "--no-config", "--no-index", "--no-deps", "--python"]);
        command.arg(environment_python(session, environment)).arg(wheel);
        succeed(command.env("UV_CACHE_DIR", session.fixture.outside().join("cache")));
    });
    assert_eq!(installers(&alert), Some((Some("uv"), None)));
    assert_eq!(alert.text("/pyhookwatch/writer/script/name"), None);
}

/// The pip of an environment, as a script and as a module.
#[test]
fn the_pip_of_an_environment_is_named_as_a_script_and_as_a_module() {
    needs!(Fanotify, Venv);
    let bare = ["--disable-pip-version-check", "install", "--no-index", "--no-deps", "--no-cache-dir"];
    for is_module in [false, true] {
        let alert = installed_alive(|session, environment, wheel| {
            let python = environment_python(session, environment);
            succeed(Command::new(&python).args(["-m", "ensurepip", "--default-pip"]));
            let mut command =
                if is_module { Command::new(&python) } else { Command::new(python.with_file_name("pip")) };
            command.args(is_module.then_some(["-m", "pip"]).into_iter().flatten()).args(bare).arg(wheel);
            succeed(command.env("TMPDIR", session.fixture.outside()));
        });
        assert_eq!(installers(&alert), Some((Some("pip"), None)));
        let script = alert.text("/pyhookwatch/writer/script/name").unwrap();
        assert_eq!(alert.flag("/pyhookwatch/writer/script/module"), Some(if is_module { "true" } else { "false" }));
        assert!(if is_module { script == "pip" } else { script.ends_with("/bin/pip") }, "{script}");
    }
}

/// apt runs dpkg, which writes.
#[test]
fn dpkg_run_by_apt_is_named_with_apt() {
    needs!(Fanotify, Dpkg, Apt);
    let fixture = Fixture::new();
    let path = "/usr/lib/python3/dist-packages/hooktest.pth";
    prepare_dpkg(&fixture);
    let package = package(&fixture, "1.0", path);
    for directory in ["state/lists/partial", "cache/archives/partial", "etc", "log"] {
        fs::create_dir_all(fixture.outside().join("apt").join(directory)).unwrap();
    }
    let mut session = fixture.start(Backend::Fanotify);
    let mut command = Command::new("apt-get");
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("DEBIAN_FRONTEND", "noninteractive");
    let apt = session.fixture.outside().join("apt");
    for (option, value) in [
        ("Dir::State", apt.join("state")),
        ("Dir::Cache", apt.join("cache")),
        ("Dir::Etc", apt.join("etc")),
        ("Dir::Log", apt.join("log")),
        ("Dir::State::status", session.fixture.root().join("var/lib/dpkg/status")),
        ("APT::Sandbox::User", "root".into()),
        ("DPkg::Options::", format!("--root={}", session.fixture.root().display()).into()),
        ("DPkg::Options::", "--force-script-chrootless".into()),
    ] {
        command.arg("-o").arg(format!("{option}={}", value.display()));
    }
    succeed(command.args(["install", "--yes"]).arg(package));
    let by = By::Perhaps(vec![Path::new("/usr/bin/dpkg").canonicalize().unwrap()]);
    let expected = Expected::new("rename", path, "PTH_FILE_CREATED").from(format!("{path}.dpkg-new"));
    for found in session.expect_alerts(&[expected.by(by)]).iter().filter_map(installers) {
        assert_eq!(found, (Some("dpkg"), Some("apt")));
    }
    session.stop();
}

/// Builds a Debian package with one file.
pub fn package(fixture: &Fixture, version: &str, path: &str) -> PathBuf {
    let tree = fixture.outside().join(version);
    let (control, file) = (tree.join("DEBIAN/control"), tree.join(path.trim_start_matches('/')));
    for parent in [&control, &file].map(|path| path.parent().unwrap()) {
        fs::create_dir_all(parent).unwrap();
    }
    let fields = "Architecture: all\nMaintainer: Test <test@example.org>\nDescription: test\n";
    fs::write(control, format!("Package: hooktest\nVersion: {version}\n{fields}")).unwrap();
    fs::write(file, format!("import hooktest  # {version}\n")).unwrap();
    let built = fixture.outside().join(format!("hooktest_{version}_all.deb"));
    succeed(Command::new("dpkg-deb").args(["--root-owner-group", "--build"]).arg(&tree).arg(&built));
    built
}
