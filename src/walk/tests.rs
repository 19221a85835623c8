use super::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::process::Command;

fn seen(top: &Path, limits: Limits) -> (Vec<(PathBuf, Kind)>, WalkReport) {
    let mut entries = Vec::new();
    let report = walk(top, limits, |entry| {
        entries.push((entry.path().strip_prefix(top).unwrap().to_path_buf(), entry.kind));
    })
    .unwrap();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    (entries, report)
}

#[test]
fn every_entry_is_shown_with_its_kind_and_a_directory_before_its_content() {
    let tmp = tempfile::tempdir().unwrap();
    fs::create_dir_all(tmp.path().join("a/b")).unwrap();
    fs::write(tmp.path().join("a/b/x.pth"), "").unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(tmp.path().join("s")).unwrap();
    let mut order = Vec::new();
    walk(tmp.path(), Limits::default(), |entry| order.push(entry.path())).unwrap();
    let at = |name: &str| order.iter().position(|path| *path == tmp.path().join(name)).unwrap();
    assert!(at("a") < at("a/b") && at("a/b") < at("a/b/x.pth"));
    let (entries, report) = seen(tmp.path(), Limits::default());
    let expected = [("a", Kind::Directory), ("a/b", Kind::Directory), ("a/b/x.pth", Kind::File), ("s", Kind::Special)];
    assert_eq!(entries, expected.map(|(path, kind)| (PathBuf::from(path), kind)));
    assert_eq!(report, WalkReport { directories: 3, entries: 4, ..WalkReport::default() });
}

#[test]
fn symbolic_links_are_shown_but_never_followed_whether_they_loop_or_lead_to_the_root() {
    let tmp = tempfile::tempdir().unwrap();
    symlink(tmp.path(), tmp.path().join("loop")).unwrap();
    symlink("/", tmp.path().join("root")).unwrap();
    symlink("nowhere", tmp.path().join("dangling")).unwrap();
    let (entries, report) = seen(tmp.path(), Limits::default());
    assert!(entries.iter().all(|(_, kind)| *kind == Kind::SymbolicLink));
    assert_eq!(report, WalkReport { directories: 1, entries: 3, ..WalkReport::default() });
    assert!(walk(&tmp.path().join("root"), Limits::default(), |_| {}).is_err());
}

#[test]
fn the_depth_limit_is_kept_and_reported() {
    let tmp = tempfile::tempdir().unwrap();
    let deep: PathBuf = std::iter::repeat_n("d", MAX_DEPTH + 2).collect();
    fs::create_dir_all(tmp.path().join(&deep)).unwrap();
    let (entries, report) = seen(tmp.path(), Limits::default());
    assert_eq!(entries.len(), MAX_DEPTH + 1);
    assert_eq!(report.directories, MAX_DEPTH as u64 + 1);
    assert!(report.truncated);
    let (entries, report) = seen(tmp.path(), Limits { depth: 0, ..Limits::default() });
    assert_eq!((entries.len(), report.truncated), (1, true));
}

#[test]
fn the_entry_limit_is_kept_and_reported() {
    let tmp = tempfile::tempdir().unwrap();
    for number in 0..10 {
        fs::write(tmp.path().join(number.to_string()), "").unwrap();
    }
    let (entries, report) = seen(tmp.path(), Limits { entries: 9, ..Limits::default() });
    assert_eq!((entries.len(), report.truncated), (9, true));
    let (entries, report) = seen(tmp.path(), Limits { entries: 10, ..Limits::default() });
    assert_eq!((entries.len(), report.truncated), (10, false));
}

#[test]
fn a_path_too_long_for_the_kernel_is_skipped_and_reported() {
    let tmp = tempfile::tempdir().unwrap();
    let mut parent = openat(CWD, tmp.path(), OFlags::PATH, Mode::empty()).unwrap();
    let name = "n".repeat(250);
    for _ in 0..20 {
        rustix::fs::mkdirat(&parent, name.as_str(), Mode::RWXU).unwrap();
        parent = openat(&parent, name.as_str(), OFlags::PATH, Mode::empty()).unwrap();
    }
    let (entries, report) = seen(tmp.path(), Limits::default());
    assert!(entries.len() < 20 && report.truncated);
    assert!(entries.iter().all(|(path, _)| tmp.path().join(path).as_os_str().len() <= MAX_PATH));
}

#[test]
fn names_that_are_not_utf_8_stay_bytes() {
    let tmp = tempfile::tempdir().unwrap();
    let name = OsStr::from_bytes(b"\xff\n\x1b[2J.pth");
    fs::write(tmp.path().join(name), "").unwrap();
    let mut names = Vec::new();
    walk(tmp.path(), Limits::default(), |entry| names.push(entry.name.to_vec())).unwrap();
    assert_eq!(names, [name.as_bytes()]);
}

#[test]
fn the_directory_of_an_entry_opens_it_after_a_rename() {
    let tmp = tempfile::tempdir().unwrap();
    fs::create_dir(tmp.path().join("d")).unwrap();
    fs::write(tmp.path().join("d/x.pth"), "content").unwrap();
    let mut kept = None;
    walk(tmp.path(), Limits::default(), |entry| {
        if entry.kind == Kind::File {
            assert!(Arc::ptr_eq(&entry.directory().unwrap(), &entry.directory().unwrap()));
            kept = entry.directory().ok();
        }
    })
    .unwrap();
    fs::rename(tmp.path().join("d"), tmp.path().join("elsewhere")).unwrap();
    let file = openat(kept.unwrap(), "x.pth", OFlags::RDONLY, Mode::empty()).unwrap();
    assert_eq!(io::read_to_string(fs::File::from(file)).unwrap(), "content");
}

#[test]
fn another_filesystem_is_shown_and_entered_only_on_request() {
    let proc = fs::metadata("/proc/self").is_ok();
    let mut kinds = Vec::new();
    let limits = Limits { depth: 0, ..Limits::default() };
    walk(Path::new("/"), limits, |entry| {
        if entry.name == b"proc" {
            kinds.push(entry.kind);
        }
    })
    .unwrap();
    walk(Path::new("/"), Limits { cross_filesystems: true, ..limits }, |entry| {
        if entry.name == b"proc" {
            kinds.push(entry.kind);
        }
    })
    .unwrap();
    assert!(!proc || kinds == [Kind::OtherFilesystem, Kind::Directory], "{kinds:?}");
}

#[test]
fn only_a_directory_has_an_identity_and_keeps_it_when_renamed() {
    let tmp = tempfile::tempdir().unwrap();
    let (one, two) = (tmp.path().join("one"), tmp.path().join("two"));
    fs::create_dir(&one).unwrap();
    let identity = identify_directory(&one).unwrap();
    fs::rename(&one, &two).unwrap();
    assert_eq!(identify_directory(&two).unwrap(), identity);
    symlink(&two, &one).unwrap();
    assert!(identify_directory(&one).is_err());
    assert!(identify_directory(Path::new("/proc/self/stat")).is_err());
}

/// Root can read every directory, so this test program runs the walk again as `nobody`.
#[test]
fn an_unreadable_directory_is_counted_and_named() {
    let tmp = tempfile::tempdir().unwrap();
    fs::set_permissions(tmp.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["closed", "open"] {
        fs::create_dir(tmp.path().join(name)).unwrap();
    }
    fs::write(tmp.path().join("open/x.pth"), "").unwrap();
    fs::set_permissions(tmp.path().join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    if !rustix::process::geteuid().is_root() {
        return check_unreadable(tmp.path());
    }
    let program = tmp.path().join("tests");
    assert!(Command::new("/bin/cp").arg(std::env::current_exe().unwrap()).arg(&program).status().unwrap().success());
    let output = Command::new(&program)
        .args(["--ignored", "--exact", "walk::tests::walks_the_given_tree_with_a_closed_directory"])
        .env("PYHOOKWATCH_TEST_TREE", tmp.path())
        .current_dir("/")
        .uid(65534)
        .gid(65534)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&output.stdout);
    assert!(output.contains("1 passed"), "{output}");
}

#[test]
#[ignore = "the second half of the test above"]
fn walks_the_given_tree_with_a_closed_directory() {
    if let Some(tree) = std::env::var_os("PYHOOKWATCH_TEST_TREE") {
        check_unreadable(Path::new(&tree));
    }
}

fn check_unreadable(top: &Path) {
    let (entries, report) = seen(top, Limits::default());
    assert!(entries.contains(&(PathBuf::from("open/x.pth"), Kind::File)));
    assert!(entries.contains(&(PathBuf::from("closed"), Kind::Directory)));
    assert_eq!((report.unreadable, report.first_unreadable), (1, Some(top.join("closed"))));
    assert!(!report.truncated);
}
