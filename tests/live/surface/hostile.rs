//! Hostile code stays hostile, whoever writes it: every variant by pip, uv, Python and a shell.

use super::SurfaceTest;
use crate::expect::Alert;
use crate::support::{needs, needs::python, print, succeed};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const CONTENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/content/hostile");

/// A variant, and the files that plant it.
struct Variant {
    name: String,
    /// Name in its own site directory, content.
    files: Vec<(String, Vec<u8>)>,
}

fn variants() -> Vec<Variant> {
    let mut found: Vec<_> = fs::read_dir(CONTENT).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.sort();
    let variant = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.to_owned();
        let content = fs::read(&path).ok()?;
        let files = match name.strip_suffix(".module.py") {
            // The hook has nothing but its name.
            Some(module) => vec![
                (format!("{module}.py"), content),
                (format!("{module}.pth"), format!("import {module}\n").into_bytes()),
            ],
            None if name.ends_with(".pth") => vec![(name.clone(), content)],
            None if name.ends_with(".py") => vec![("usercustomize.py".to_owned(), content)],
            None => return None,
        };
        Some(Variant { name, files })
    };
    found.into_iter().filter_map(variant).collect()
}

/// Below the environment's prefix, a site directory for each variant.
fn place(number: usize) -> String {
    format!("{number}/lib/python3.12/site-packages")
}

/// Builds a wheel of the files below a directory.
pub fn wheel(directory: &Path, name: &str, tree: &Path) -> PathBuf {
    let mut command = Command::new(python().unwrap());
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/surface/wheel.py")).arg(directory).arg(name).arg(tree);
    PathBuf::from(succeed(&mut command).trim())
}

/// Installs a wheel with pip, into the environment at this place.
pub fn pip_install(test: &SurfaceTest, environment: &str, wheel: &Path) {
    let mut command = Command::new(needs::tool("pip").unwrap());
    command.arg("--python").arg(test.session.at(environment).join("bin/python"));
    command.args([
        "--disable-pip-version-check",
        "install",
        "--no-index",
        "--no-deps",
        "--no-cache-dir",
        "--no-compile",
    ]);
    succeed(command.arg(wheel).env("TMPDIR", test.session.fixture.outside()));
}

/// The same with uv.
pub fn uv_install(test: &SurfaceTest, environment: &str, wheel: &Path) {
    let mut command = Command::new(needs::tool("uv").unwrap());
    command.args(["pip", "install", "--quiet", "--offline", "--no-config", "--no-index", "--no-deps", "--python"]);
    command.arg(test.session.at(environment).join("bin/python")).arg(wheel);
    succeed(command.env("UV_CACHE_DIR", test.session.fixture.outside().join("cache")));
}

/// Who plants them all, below a directory of its own.
fn plant(test: &SurfaceTest, writer: &str, variants: &[Variant], wheel: &Path) {
    let prefix = test.session.at(&format!("/srv/{writer}"));
    let fixture = &test.session.fixture;
    let staged = fixture.outside().join("staged/data");
    match writer {
        "pip" => pip_install(test, &format!("/srv/{writer}"), wheel),
        "uv" => uv_install(test, &format!("/srv/{writer}"), wheel),
        "python" => {
            let program = "import os, shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2], dirs_exist_ok=True)";
            succeed(Command::new(python().unwrap()).args(["-c", program]).args([&staged, &prefix]));
        }
        _ => {
            let program = "cd \"$0\" && find . -type d -exec mkdir -p \"$1\"/{} \\; && \
                           for file in $(find . -type f); do cat \"$file\" > \"$1/$file\"; done";
            succeed(Command::new("/bin/sh").args(["-c", program]).args([&staged, &prefix]));
        }
    }
    assert!(variants.iter().enumerate().all(|(number, variant)| {
        variant.files.iter().all(|(name, _)| prefix.join(place(number)).join(name).exists())
    }));
}

#[test]
fn hostile_code_is_high_or_critical_whoever_writes_it() {
    needs!(Fanotify, Pip, Uv, Venv);
    const WRITERS: [&str; 4] = ["pip", "uv", "python", "sh"];
    let variants = variants();
    assert!(variants.len() >= 60, "{} variants", variants.len());
    let mut test = SurfaceTest::new(|fixture, _| {
        for writer in ["pip", "uv"] {
            let mut command = Command::new(python().unwrap());
            succeed(command.args(["-m", "venv", "--without-pip"]).arg(fixture.at(&format!("/srv/{writer}"))));
        }
        for (number, variant) in variants.iter().enumerate() {
            for (name, content) in &variant.files {
                let path = fixture.outside().join("staged/data").join(place(number)).join(name);
                super::make_parent(&path);
                fs::write(path, content).unwrap();
            }
        }
    });
    let outside = test.session.fixture.outside();
    let wheel = wheel(&outside, "hostile", &outside.join("staged"));
    let mut reported: BTreeMap<(usize, &str), Vec<Alert>> = BTreeMap::new();
    for writer in WRITERS {
        plant(&test, writer, &variants, &wheel);
        for alert in test.session.alerts_before_a_sentinel() {
            let path = alert.text("/file/path").unwrap_or_default();
            let number =
                path.strip_prefix(&format!("/srv/{writer}/")).and_then(|rest| rest.split('/').next()?.parse().ok());
            match number {
                // uv puts what goes to the prefix beside the packages first, and moves it.
                _ if path.contains("/hostile-1.0.data/") => {}
                Some(number) => reported.entry((number, writer)).or_default().push(alert),
                None => test.note(&format!("{writer}: {}", super::brief(&alert))),
            }
        }
    }
    let mut table =
        format!("{:32} {:8} {:>9} {:>9} {:>9} {:>9}  signals\n", "variant", "class", "pip", "uv", "python", "sh");
    for (number, variant) in variants.iter().enumerate() {
        let worst = WRITERS.map(|writer| {
            let alerts = reported.get(&(number, writer)).map(Vec::as_slice).unwrap_or_default();
            alerts.iter().max_by_key(|alert| severity(alert))
        });
        let text =
            |alert: Option<&Alert>, pointer| alert.and_then(|alert| alert.text(pointer)).unwrap_or("-").to_owned();
        let _ = write!(table, "{:32} {:8}", variant.name, text(worst[0], "/pyhookwatch/content/class"));
        for (writer, alert) in WRITERS.iter().zip(worst) {
            let _ = write!(table, " {:>9}", text(alert, "/pyhookwatch/level"));
            if alert.is_none_or(|alert| severity(alert) < 4) {
                test.note(&format!("{} by {writer}: {:?}", variant.name, alert.map(super::brief)));
            }
        }
        let signals = worst[0].map(|alert| alert.0["pyhookwatch"]["content"]["signals"].to_string());
        let _ = writeln!(table, "  {}", signals.unwrap_or_default().replace('"', ""));
    }
    print(&format!("{table}{} variants by {} writers\n", variants.len(), WRITERS.len()));
    test.finish();
}

/// 1 to 5.
pub fn severity(alert: &Alert) -> u64 {
    alert.0["event"]["severity"].as_u64().unwrap_or(0)
}
