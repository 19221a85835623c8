//! Answers of a `PackageDb` in scratch roots, and on this machine.

#![allow(clippy::print_stdout, clippy::print_stderr)] // measurements, and why a test was skipped

use super::*;
use crate::hook::content;
use md5::{Digest, Md5};
use rustix::fs::{Mode, OFlags};
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A scratch root with its `PackageDb`.
struct Machine {
    root: tempfile::TempDir,
    db: PackageDb,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let db = PackageDb::new(root.path());
        Self { root, db }
    }

    fn debian() -> Self {
        let machine = Self::new();
        for directory in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "usr/lib", "usr/bin"] {
            fs::create_dir_all(machine.root.path().join(directory)).unwrap();
        }
        symlink("usr/lib", machine.root.path().join("lib")).unwrap();
        machine.write("/var/lib/dpkg/status", "");
        machine.install("base-files", &[("/usr/lib/os-release", "x")]);
        machine
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.root.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // Installers create a new inode.
        let _ = fs::remove_file(&path);
        fs::write(path, content).unwrap();
    }

    /// Writes the lists of a package, not its files.
    fn install(&self, package: &str, files: &[(&str, &str)]) {
        let list: String = files.iter().map(|(path, _)| format!("{path}\n")).collect();
        self.write(&format!("/var/lib/dpkg/info/{package}.list"), list);
        self.write(&format!("/var/lib/dpkg/info/{package}.md5sums"), md5sums(files));
    }

    fn wheel(&self, site: &str, name: &str, files: &[(&str, &str)]) {
        self.write(&format!("{site}/{name}.dist-info/RECORD"), record_of(files));
    }

    fn provenance(&mut self, path: &str) -> Provenance {
        self.db.dpkg.skip_backoff();
        self.db.wheels.skip_backoff();
        let file = file_ref(self.root.path(), path);
        let content = content::read(&file, content::Limits::default());
        self.db.of(&file, &content.facts, content.md5)
    }

    fn provenance_with(&mut self, path: &str, content: &str) -> Provenance {
        self.write(path, content);
        self.provenance(path)
    }
}

fn file_ref(root: &Path, path: &str) -> FileRef {
    let path = Path::new(path);
    let directory = root.join(path.parent().unwrap().strip_prefix("/").unwrap());
    let directory = rustix::fs::open(directory, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
    FileRef { path: path.to_path_buf(), directory: Some(Arc::new(directory)) }
}

fn md5sums(files: &[(&str, &str)]) -> String {
    let line = |(path, content): &(&str, &str)| format!("{}  {}\n", hex(content), path.trim_start_matches('/'));
    files.iter().map(line).collect()
}

fn hex(content: &str) -> String {
    Md5::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn record_of(files: &[(&str, &str)]) -> String {
    files.iter().map(|(path, content)| format!("{path},sha256={},1\n", base64(content))).collect()
}

fn base64(content: &str) -> String {
    let digest = sha2::Sha256::digest(content);
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bit = |at: usize| digest.get(at / 8).map_or(0, |byte| usize::from(byte >> (7 - at % 8) & 1));
    (0..43).map(|letter| char::from(alphabet[(0..6).fold(0, |value, at| value << 1 | bit(letter * 6 + at))])).collect()
}

fn owned(package: &str) -> Provenance {
    Provenance::Owned(package.into())
}

fn changed(package: &str) -> Provenance {
    Provenance::Changed(package.into())
}

const DIST: &str = "/usr/lib/python3/dist-packages";
const SITE: &str = "/srv/env/lib/python3.12/site-packages";

#[test]
fn a_file_of_a_debian_package_is_owned_until_it_is_changed() {
    let mut machine = Machine::debian();
    let path = &format!("{DIST}/zope.interface-nspkg.pth");
    machine.install("python3-zope.interface", &[(path, "import a"), ("/usr/share/doc/x", "doc")]);
    assert_eq!(machine.provenance_with(path, "import a"), owned("dpkg:python3-zope.interface"));
    assert_eq!(machine.provenance_with(path, "import b"), changed("dpkg:python3-zope.interface"));
    assert_eq!(machine.provenance_with(&format!("{DIST}/new.pth"), "import a"), Provenance::Unowned);
}

#[test]
fn installs_upgrades_and_removals_are_noticed() {
    let mut machine = Machine::debian();
    let path = &format!("{DIST}/a.pth");
    assert_eq!(machine.provenance_with(path, "1"), Provenance::Unowned);
    machine.install("python3-a:amd64", &[(path, "1")]);
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(machine.provenance(path), owned("dpkg:python3-a"));
    machine.install("python3-a:amd64", &[(path, "2")]);
    assert_eq!(machine.provenance_with(path, "2"), owned("dpkg:python3-a"));
    fs::remove_file(machine.root.path().join("var/lib/dpkg/info/python3-a:amd64.list")).unwrap();
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(machine.provenance(path), Provenance::Unowned);
}

#[test]
fn a_file_of_the_package_being_unpacked_is_owned_and_others_are_unknown_meanwhile() {
    let mut machine = Machine::debian();
    let (old, new) = (format!("{DIST}/old.pth"), format!("{DIST}/new.pth"));
    machine.install("python3-a", &[(&old, "1")]);
    machine.write("/var/lib/dpkg/tmp.ci/control", "Version: 2\nPackage: python3-a\nArchitecture: all\n");
    machine.write("/var/lib/dpkg/tmp.ci/md5sums", md5sums(&[(&old, "2"), (&new, "2")]));
    assert_eq!(machine.provenance_with(&new, "2"), owned("dpkg:python3-a"));
    assert_eq!(machine.provenance_with(&old, "2"), owned("dpkg:python3-a"));
    assert_eq!(machine.provenance_with(&old, "3"), Provenance::Unknown);
    assert_eq!(machine.provenance_with(&format!("{DIST}/other.pth"), "2"), Provenance::Unknown);
}

#[test]
fn both_paths_of_a_merged_usr_are_one_file() {
    let mut machine = Machine::debian();
    machine.install("python3-a", &[("/lib/python3/dist-packages/a.pth", "1")]);
    assert_eq!(machine.provenance_with(&format!("{DIST}/a.pth"), "1"), owned("dpkg:python3-a"));
}

#[test]
fn configuration_files_are_compared_with_the_status_file() {
    let mut machine = Machine::debian();
    let path = "/etc/python3.11/sitecustomize.py";
    machine.write("/var/lib/dpkg/info/libpython3.11-minimal:amd64.list", format!("/.\n/etc\n{path}\n/etc/new.py\n"));
    let status =
        format!("Package: libpython3.11-minimal\nConffiles:\n {path} {}\n /etc/new.py newconffile\n", hex("1"));
    machine.write("/var/lib/dpkg/status", status);
    assert_eq!(machine.provenance_with(path, "1"), owned("dpkg:libpython3.11-minimal"));
    assert_eq!(machine.provenance_with(path, "2"), changed("dpkg:libpython3.11-minimal"));
    assert_eq!(machine.provenance_with("/etc/new.py", "1"), Provenance::Unknown);
    assert_eq!(machine.provenance_with("/etc/other.py", "1"), Provenance::Unowned);
}

#[test]
fn a_diverted_file_is_owned_under_its_new_path() {
    let mut machine = Machine::debian();
    let (from, to) = (format!("{DIST}/a.pth"), format!("{DIST}/a.pth.distrib.pth"));
    machine.install("python3-a", &[(&from, "1")]);
    machine.install("python3-b", &[(&from, "2")]);
    machine.write("/var/lib/dpkg/diversions", format!("{from}\n{to}\npython3-b\n"));
    assert_eq!(machine.provenance_with(&from, "2"), owned("dpkg:python3-b"));
    assert_eq!(machine.provenance_with(&to, "1"), owned("dpkg:python3-a"));
    assert_eq!(machine.provenance_with(&from, "1"), changed("dpkg:python3-b"));
}

#[test]
fn one_of_several_packages_that_list_a_file_is_enough() {
    let mut machine = Machine::debian();
    let path = &format!("{DIST}/a.pth");
    machine.install("python3-a:amd64", &[(path, "1")]);
    machine.install("python3-a:i386", &[(path, "2")]);
    assert_eq!(machine.provenance_with(path, "2"), owned("dpkg:python3-a"));
    assert_eq!(machine.provenance_with(path, "3"), changed("dpkg:python3-a"));
}

#[test]
fn a_listed_symbolic_link_is_unknown() {
    let mut machine = Machine::debian();
    let path = "/usr/lib/python3.11/sitecustomize.py";
    machine.install("libpython3.11-minimal", &[]);
    machine.write("/var/lib/dpkg/info/libpython3.11-minimal.list", format!("{path}\n"));
    fs::create_dir_all(machine.root.path().join("usr/lib/python3.11")).unwrap();
    for name in ["sitecustomize.py", "usercustomize.py"] {
        symlink("/tmp/x", machine.root.path().join("usr/lib/python3.11").join(name)).unwrap();
    }
    assert_eq!(machine.provenance(path), Provenance::Unknown);
    assert_eq!(machine.provenance("/usr/lib/python3.11/usercustomize.py"), Provenance::Unowned);
}

#[test]
fn an_unlisted_file_is_unknown_when_a_list_cannot_be_read() {
    let mut machine = Machine::debian();
    let list = fs::File::create(machine.root.path().join("var/lib/dpkg/info/large.list")).unwrap();
    list.set_len(list_file::MAX_LIST + 1).unwrap();
    assert_eq!(machine.provenance_with(&format!("{DIST}/a.pth"), "1"), Provenance::Unknown);
}

#[test]
fn without_dpkg_only_lists_of_wheels_count() {
    let mut machine = Machine::new();
    machine.wheel(SITE, "a-1.0", &[("a.pth", "1")]);
    assert_eq!(machine.provenance_with(&format!("{SITE}/a.pth"), "1"), owned("wheel:a-1.0"));
    assert_eq!(machine.provenance_with(&format!("{SITE}/b.pth"), "1"), Provenance::Unknown);
    assert_eq!(machine.provenance_with("/usr/lib64/python3.9/encodings/__init__.py", "1"), Provenance::Unknown);
}

#[test]
fn files_of_wheels_are_owned_until_they_are_changed() {
    let mut machine = Machine::debian();
    machine.wheel(SITE, "a-1.0", &[("a.pth", "1"), ("a/__init__.py", "2"), ("a/b/c.py", "3"), ("./d.py", "4")]);
    for (path, content) in [("a.pth", "1"), ("a/__init__.py", "2"), ("a/b/c.py", "3"), ("d.py", "4")] {
        let path = &format!("{SITE}/{path}");
        assert_eq!(machine.provenance_with(path, content), owned("wheel:a-1.0"), "{path}");
        assert_eq!(machine.provenance_with(path, "other"), changed("wheel:a-1.0"), "{path}");
    }
    for path in ["b.pth", "a/__init__.so", "a/b/d.py", "b/c.py"] {
        assert_eq!(machine.provenance_with(&format!("{SITE}/{path}"), "1"), Provenance::Unowned, "{path}");
    }
}

#[test]
fn a_list_written_after_its_files_counts_from_then_on() {
    let mut machine = Machine::debian();
    let path = &format!("{SITE}/a.pth");
    machine.wheel(SITE, "other-1", &[("other.py", "1")]);
    assert_eq!(machine.provenance_with(path, "1"), Provenance::Unowned);
    machine.wheel(SITE, "a-1.0", &[("a.pth", "0")]);
    assert_eq!(machine.provenance(path), changed("wheel:a-1.0"));
    std::thread::sleep(Duration::from_millis(40));
    assert_eq!(machine.provenance(path), changed("wheel:a-1.0"));
    let list = machine.root.path().join(SITE.trim_start_matches('/')).join("a-1.0.dist-info/RECORD");
    fs::write(list, record_of(&[("a.pth", "1")])).unwrap();
    assert_eq!(machine.provenance(path), owned("wheel:a-1.0"));
    fs::remove_dir_all(machine.root.path().join(SITE.trim_start_matches('/')).join("a-1.0.dist-info")).unwrap();
    assert_eq!(machine.provenance(path), Provenance::Unowned);
}

#[test]
fn a_file_listed_without_a_hash_is_unknown() {
    let mut machine = Machine::debian();
    machine.write(&format!("{SITE}/a-1.0.dist-info/RECORD"), "__pycache__/a.cpython-312.pyc,,\na.py,,\n");
    machine
        .write(&format!("{SITE}/old-1.0.egg-info/installed-files.txt"), "../old/__init__.py\n../old.pth\nPKG-INFO\n");
    for path in ["a.py", "__pycache__/a.cpython-312.pyc", "old.pth", "old/__init__.py"] {
        assert_eq!(machine.provenance_with(&format!("{SITE}/{path}"), "1"), Provenance::Unknown, "{path}");
    }
}

#[test]
fn a_directory_of_any_name_that_holds_lists_is_a_site_directory() {
    let mut machine = Machine::debian();
    machine.wheel("/srv/target", "a-1.0", &[("a.pth", "1"), ("a/__init__.py", "2")]);
    assert_eq!(machine.provenance_with("/srv/target/a.pth", "1"), owned("wheel:a-1.0"));
    assert_eq!(machine.provenance_with("/srv/target/a/__init__.py", "2"), owned("wheel:a-1.0"));
}

#[test]
fn a_list_behind_a_symbolic_link_is_not_read() {
    let mut machine = Machine::debian();
    machine.write("/srv/elsewhere", record_of(&[("a.pth", "1")]));
    machine.write(&format!("{SITE}/a-1.0.dist-info/METADATA"), "");
    let list = machine.root.path().join(SITE.trim_start_matches('/')).join("a-1.0.dist-info/RECORD");
    symlink(machine.root.path().join("srv/elsewhere"), list).unwrap();
    let found = machine.provenance_with(&format!("{SITE}/a.pth"), "1");
    assert!(found.package().is_none(), "{found:?}");
}

#[test]
fn many_large_lists_make_the_answer_unknown_instead_of_slow() {
    let mut machine = Machine::debian();
    let line = format!("{}.txt,,\n", "x".repeat(200));
    for number in 0..6 {
        let list = line.repeat((15 << 20) / line.len());
        machine.write(&format!("{SITE}/a{number}-1.0.dist-info/RECORD"), list);
    }
    assert_eq!(machine.provenance_with(&format!("{SITE}/a.pth"), "1"), Provenance::Unknown);
}

#[test]
fn directories_and_missing_files_are_unknown() {
    let mut machine = Machine::debian();
    fs::create_dir_all(machine.root.path().join("usr/lib/python3/dist-packages/a.pth")).unwrap();
    assert_eq!(machine.provenance(&format!("{DIST}/a.pth")), Provenance::Unknown);
    assert_eq!(machine.provenance(&format!("{DIST}/gone.pth")), Provenance::Unknown);
}

#[test]
fn the_packages_of_this_machine_own_their_files() {
    let conffile = "/etc/python3.11/sitecustomize.py";
    if !Path::new("/var/lib/dpkg/info").exists() || !Path::new(conffile).exists() {
        eprintln!("SKIPPED: this machine has no python3.11 of Debian's");
        return;
    }
    let mut db = PackageDb::new(Path::new("/"));
    let provenance_of = |db: &mut PackageDb, path: &str, suffix: Option<&[u8]>| {
        let file = file_ref(Path::new("/"), path);
        let mut content = content::read(&file, content::Limits::default());
        if let Some(suffix) = suffix {
            let other = [fs::read(path).unwrap().as_slice(), suffix].concat();
            content.md5 = Some(Md5::digest(&other).into());
            content.facts.sha256 = Some(sha2::Sha256::digest(&other).into());
        }
        db.of(&file, &content.facts, content.md5)
    };
    for path in
        [conffile, "/usr/lib/python3.11/os.py", "/usr/lib/python3.11/encodings/__init__.py", "/usr/bin/python3.11"]
    {
        let found = provenance_of(&mut db, path, None);
        assert!(matches!(&found, Provenance::Owned(package) if package.contains("python3.11")), "{path} {found:?}");
        let found = provenance_of(&mut db, path, Some(b"\nimport x\n"));
        assert!(matches!(found, Provenance::Changed(_)), "{path} {found:?}");
    }
    let content = content::read(&file_ref(Path::new("/"), conffile), content::Limits::default());
    let nowhere = FileRef { path: "/usr/lib/python3.11/usercustomize.py".into(), ..file_ref(Path::new("/"), conffile) };
    assert_eq!(db.of(&nowhere, &content.facts, content.md5), Provenance::Unowned);
}

/// Prints times and memory: `cargo test --release --lib provenance -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn print_costs() {
    let measure = |name: &str, db: &mut PackageDb, root: &Path, path: &str| {
        let file = file_ref(root, path);
        let content = content::read(&file, content::Limits::default());
        let start = Instant::now();
        let found = db.of(&file, &content.facts, content.md5);
        let first = start.elapsed();
        std::thread::sleep(Duration::from_millis(1500));
        db.of(&file, &content.facts, content.md5);
        let start = Instant::now();
        for _ in 0..200 {
            assert_eq!(db.of(&file, &content.facts, content.md5), found);
        }
        let memory = db.dpkg.memory() / 1024;
        println!("{name} {path}: first {first:?}, then {:?}, {memory} KiB, {found:?}", start.elapsed() / 200);
    };
    let here = Path::new("/");
    for path in ["/usr/lib/python3.11/os.py", "/etc/python3.11/sitecustomize.py", "/usr/bin/python3.11"] {
        measure("here", &mut PackageDb::new(here), here, path);
    }
    // As on a large desktop: 3,000 packages, 350 of them with 200 files of Python each.
    let mut machine = Machine::debian();
    for number in 0..3000 {
        let directory =
            if number % 9 == 0 { format!("{DIST}/module{number}") } else { format!("/usr/share/x{number}") };
        let ending = |file| if number % 9 == 0 || file % 10 == 0 { "py" } else { "html" };
        let path = |file| format!("{directory}/some/directory/file{file}.{}", ending(file));
        let paths: Vec<String> = (0..200).map(path).collect();
        machine.install(&format!("package{number}"), &paths.iter().map(|path| (path.as_str(), "")).collect::<Vec<_>>());
    }
    machine.install("python3-a", &[(&format!("{DIST}/a.pth"), "1")]);
    machine.write(&format!("{DIST}/a.pth"), "1");
    machine.write(&format!("{DIST}/new.pth"), "1");
    std::thread::sleep(Duration::from_millis(50));
    let root = machine.root.path().to_path_buf();
    measure("3,000 packages", &mut machine.db, &root, &format!("{DIST}/a.pth"));
    measure("3,000 packages", &mut PackageDb::new(&root), &root, &format!("{DIST}/new.pth"));
    machine.install("python3-a", &[(&format!("{DIST}/b.pth"), "1")]);
    measure("3,000 packages, one changed", &mut machine.db, &root, &format!("{DIST}/a.pth"));
    // A large virtual environment.
    for number in 0..300 {
        let paths: Vec<String> = (0..150).map(|file| format!("module{number}/directory/file{file}.py")).collect();
        machine.wheel(
            SITE,
            &format!("module{number}-1.0"),
            &paths.iter().map(|path| (path.as_str(), "")).collect::<Vec<_>>(),
        );
    }
    machine.write(&format!("{SITE}/new.pth"), "1");
    machine.write(&format!("{SITE}/module7/directory/file3.py"), "");
    let wheels_only = tempfile::tempdir().unwrap();
    fs::rename(machine.root.path().join("srv"), wheels_only.path().join("srv")).unwrap();
    measure("300 wheels", &mut PackageDb::new(wheels_only.path()), wheels_only.path(), &format!("{SITE}/new.pth"));
    measure(
        "300 wheels",
        &mut PackageDb::new(wheels_only.path()),
        wheels_only.path(),
        &format!("{SITE}/module7/directory/file3.py"),
    );
}

#[test]
fn the_index_waits_after_an_expensive_update() {
    let mut machine = Machine::debian();
    let path = &format!("{DIST}/a.pth");
    assert_eq!(machine.provenance_with(path, "1"), Provenance::Unowned);
    machine.db.dpkg.set_backoff();
    machine.install("python3-a", &[(path, "1")]);
    let file = file_ref(machine.root.path(), path);
    let content = content::read(&file, content::Limits::default());
    assert_eq!(machine.db.of(&file, &content.facts, content.md5), Provenance::Unknown);
    assert_eq!(machine.provenance(path), owned("dpkg:python3-a"));
}
