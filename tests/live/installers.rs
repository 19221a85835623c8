//! Real installers, each with a small package of the test's own that ships a `.pth`.

use crate::actor::succeed;
use crate::expect::{By, Expected};
use crate::harness::{Scene, Watch};
use crate::needs;
use crate::with_each_backend;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// pip, as tests/prepare.sh installed it.
pub fn pip() -> Option<PathBuf> {
    tool("pip")
}

/// uv, as tests/prepare.sh installed it.
pub fn uv() -> Option<PathBuf> {
    tool("uv")
}

fn tool(name: &str) -> Option<PathBuf> {
    // Cargo gives the directory `tmp` in its target directory.
    let usual = || Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("test-tools");
    let tools = std::env::var_os("PYHOOKWATCH_TEST_TOOLS").map_or_else(usual, PathBuf::from);
    let path = tools.join("bin").join(name);
    path.is_file().then_some(path)
}

/// Builds the wheel of this version, out of the watcher's sight.
fn wheel(scene: &Scene, version: &str) -> PathBuf {
    let mut command = Command::new(needs::python().unwrap());
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/wheel.py")).arg(scene.outside()).arg(version);
    PathBuf::from(succeed(&mut command).trim())
}

/// Makes an empty virtual environment and gives the path of its packages, as seen from the root.
fn environment(scene: &Scene, path: &str) -> String {
    let place = scene.at(path);
    succeed(Command::new(needs::python().unwrap()).args(["-m", "venv", "--without-pip"]).arg(&place));
    let version = fs::read_dir(place.join("lib")).unwrap().next().unwrap().unwrap().file_name();
    format!("{path}/lib/{}/site-packages", version.to_str().unwrap())
}

/// Any of the programs that installing with Python may run.
fn by_python() -> By {
    By::Perhaps(vec![needs::python().unwrap().canonicalize().unwrap()])
}

fn pth(action: &'static str, directory: &str) -> Expected {
    // An installer may pause before the close, on a loaded machine.
    Expected::new(action, format!("{directory}/hooktest.pth"), "PTH_FILE_CREATED").complete(None)
}

fn pip_install(watch: &Watch, environment: &str, wheel: &Path) {
    let mut command = Command::new(pip().unwrap());
    command.arg("--python").arg(watch.at(environment).join("bin/python"));
    command.args(["--disable-pip-version-check", "install", "--no-index", "--no-deps", "--no-cache-dir"]);
    succeed(command.arg(wheel).env("TMPDIR", watch.scene.outside()));
}

with_each_backend! {
    [Pip]
    fn pip_install_is_one_alert_and_its_upgrade_one_more_for_what_it_moves_aside(scene, backend) {
        let packages = environment(&scene, "/srv/env");
        let (first, second) = (wheel(&scene, "1.0"), wheel(&scene, "2.0"));
        let mut watch = scene.watch(backend);
        pip_install(&watch, "/srv/env", &first);
        watch.expect_alerts(&[pth("creation", &packages).by(by_python())]);
        if backend == Backend::Inotify {
            // What is moved aside below lies in a directory that may be gone before it is watched.
            return watch.stop();
        }
        pip_install(&watch, "/srv/env", &second);
        // pip moves the old files aside until the new ones are in place, to a name that the Sumo rule
        // takes for a package directory (`lib/python`) and Python does not.
        let aside = packages.replace("/site-packages", "/~ite-packages");
        let alerts = watch.expect_alerts(&[
            pth("creation", &packages).by(by_python()),
            pth("rename", &aside).from(format!("{packages}/hooktest.pth")).by(by_python()),
        ]);
        assert_eq!(alerts[0].0["pyhookwatch"]["content"]["lines"][0], "import hooktest  # 2.0");
        watch.stop();
    }

    /// By default uv links from its cache and never closes what it links.
    [Uv, Python]
    fn uv_install_is_one_alert_whether_it_links_or_copies(scene, backend) {
        // Not `clone`: where the filesystem cannot, uv makes a file, removes it and links another.
        let modes = ["hardlink", "copy", "symlink"];
        let wheel = wheel(&scene, "1.0");
        let packages = modes.map(|mode| environment(&scene, &format!("/srv/{mode}")));
        let mut watch = scene.watch(backend);
        for (mode, packages) in modes.iter().zip(&packages) {
            let mut command = Command::new(uv().unwrap());
            command.args(["pip", "install", "--quiet", "--offline", "--no-config", "--no-index", "--no-deps"]);
            command.args(["--link-mode", mode, "--python"]).arg(watch.at(&format!("/srv/{mode}/bin/python")));
            succeed(command.arg(&wheel).env("UV_CACHE_DIR", watch.scene.outside().join("cache")));
            let by = By::Perhaps(vec![uv().unwrap().canonicalize().unwrap()]);
            let expected = if *mode == "copy" { pth("rename", packages).renamed_beside() } else { pth("creation", packages) };
            watch.expect_alerts(&[expected.by(by)]);
        }
        watch.stop();
    }

    /// What it brings depends on the Python; every hook that is there afterwards was reported once.
    [Venv]
    fn a_new_virtual_environment_is_reported_for_the_hooks_it_has_and_no_more(scene, backend) {
        let mut watch = scene.watch(backend);
        let place = watch.at("/srv/env");
        succeed(Command::new(needs::python().unwrap()).args(["-m", "venv"]).arg(&place));
        let found = succeed(Command::new("find").arg(&place).args(["-name", "*.pth", "-o", "-name", "*site.py"]));
        let expected: Vec<_> = found.lines().map(|path| {
            let path = format!("/{}", Path::new(path).strip_prefix(watch.scene.root()).unwrap().display());
            let detection =
                if path.ends_with(".pth") { "PTH_FILE_CREATED" } else { "PYTHON_STARTUP_FILE_MODIFIED" };
            Expected::new("creation", path, detection).by(by_python()).complete(None)
        }).collect();
        watch.expect_alerts(&expected);
        watch.stop();
    }

    /// dpkg unpacks to another name and renames.
    [Dpkg]
    fn dpkg_is_one_alert_and_so_is_its_upgrade(scene, backend) {
        let path = "/usr/lib/python3/dist-packages/hooktest.pth";
        for directory in ["info", "updates", "triggers"] {
            fs::create_dir_all(scene.root().join("var/lib/dpkg").join(directory)).unwrap();
        }
        fs::write(scene.at("/var/lib/dpkg/status"), "").unwrap();
        let packages = ["1.0", "2.0"].map(|version| package(&scene, version, path));
        let mut watch = scene.watch(backend);
        for package in &packages {
            let mut command = Command::new("dpkg");
            // It wants ldconfig and start-stop-daemon to be there.
            command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").arg("--root").arg(watch.scene.root()).args(["--force-script-chrootless", "--force-not-root"]);
            succeed(command.arg("--install").arg(package).env("DEBIAN_FRONTEND", "noninteractive"));
            let by = By::Perhaps(vec![Path::new("/usr/bin/dpkg").canonicalize().unwrap()]);
            let expected = Expected::new("rename", path, "PTH_FILE_CREATED");
            watch.expect_alerts(&[expected.from(format!("{path}.dpkg-new")).by(by)]);
        }
        watch.stop();
    }
}

/// Builds a Debian package with one file.
fn package(scene: &Scene, version: &str, path: &str) -> PathBuf {
    let tree = scene.outside().join(version);
    let (control, file) = (tree.join("DEBIAN/control"), tree.join(path.trim_start_matches('/')));
    for parent in [&control, &file].map(|path| path.parent().unwrap()) {
        fs::create_dir_all(parent).unwrap();
    }
    let fields = "Architecture: all\nMaintainer: Test <test@example.org>\nDescription: test\n";
    fs::write(control, format!("Package: hooktest\nVersion: {version}\n{fields}")).unwrap();
    fs::write(file, format!("import hooktest  # {version}\n")).unwrap();
    let built = scene.outside().join(format!("hooktest_{version}_all.deb"));
    succeed(Command::new("dpkg-deb").args(["--root-owner-group", "--build"]).arg(&tree).arg(&built));
    built
}
