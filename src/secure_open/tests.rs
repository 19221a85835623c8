use super::*;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// A directory below a sticky one, with a file in a directory in it.
fn tree() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let top = tempfile::tempdir().unwrap();
    let top_path = top.path().canonicalize().unwrap();
    let (directory, file) = (top_path.join("d"), top_path.join("d/f"));
    fs::create_dir(&directory).unwrap();
    fs::write(&file, "text").unwrap();
    set_mode(&directory, 0o755);
    set_mode(&file, 0o644);
    (top, directory, file)
}

fn insecure_because(path: &Path) -> Option<String> {
    open(path).unwrap().insecure_because
}

#[test]
fn a_file_that_only_this_user_and_root_can_change_is_secure() {
    let (_top, directory, file) = tree();
    let Opened { mut file, insecure_because } = open(&file).unwrap();
    assert_eq!(insecure_because, None);
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "text");
    assert_eq!(self::insecure_because(&directory), None);
    assert_eq!(self::insecure_because(Path::new("/")), None);
    assert_eq!(self::insecure_because(&directory.join("../d/./f")), None);
}

#[test]
fn a_component_that_others_can_write_is_named() {
    let (_top, directory, file) = tree();
    for (path, mode, words) in [
        (&file, 0o664, "can be changed by group "),
        (&file, 0o646, "can be changed by everybody (mode 0646): chmod go-w "),
        (&directory, 0o775, "can be changed by group "),
        (&directory, 0o757, "can be changed by everybody"),
    ] {
        let before = fs::metadata(path).unwrap().permissions();
        set_mode(path, mode);
        let found = insecure_because(&file).unwrap();
        assert!(found.starts_with(&path.display().to_string()) && found.contains(words), "{found}");
        fs::set_permissions(path, before).unwrap();
    }
    // Others can create files there, but not move existing ones.
    set_mode(&directory, 0o1777);
    assert_eq!(insecure_because(&file), None);
}

#[test]
fn directories_before_and_behind_a_link_are_checked() {
    let (top, directory, file) = tree();
    let other = top.path().join("other");
    fs::create_dir(&other).unwrap();
    set_mode(&other, 0o755);
    let (link, relative) = (other.join("link"), other.join("relative"));
    symlink(&file, &link).unwrap();
    symlink("../d/f", &relative).unwrap();
    for path in [&link, &relative] {
        assert_eq!(insecure_because(path), None);
        for insecure in [&other, &directory] {
            set_mode(insecure, 0o777);
            let found = insecure_because(path).unwrap();
            assert!(found.starts_with(&insecure.display().to_string()), "{found}");
            set_mode(insecure, 0o755);
        }
    }
    symlink("loop", other.join("loop")).unwrap();
    assert_eq!(open(&other.join("loop")).unwrap_err().raw_os_error(), Some(libc::ELOOP));
}

#[test]
fn files_of_another_user_are_named_with_the_remedy() {
    let (_top, directory, file) = tree();
    // As a user that owns none of it. The temporary directory belongs to the user of the test.
    let owner = rustix::process::geteuid();
    let found = open_as(&file, 4_000_000).unwrap().insecure_because;
    if owner.is_root() {
        assert_eq!(found, None);
        std::os::unix::fs::chown(&file, Some(1234), None).unwrap();
        let found = insecure_because(&file).unwrap();
        let expected = format!("belongs to user 1234, who can change it: chown root: {}", file.display());
        assert!(found.ends_with(&expected), "{found}");
        assert_eq!(open_as(&file, 1234).unwrap().insecure_because, None);
        std::os::unix::fs::chown(&directory, Some(1235), None).unwrap();
        assert!(insecure_because(&file).unwrap().contains("belongs to user 1235"));
    } else {
        assert!(found.unwrap().contains(&format!("belongs to user {owner}")))
    }
}

#[test]
fn errors_are_those_of_open() {
    let (_top, directory, file) = tree();
    assert_eq!(open(&directory.join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(open(&file.join("below")).unwrap_err().kind(), io::ErrorKind::NotADirectory);
    let socket = directory.join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert_eq!(open(&socket).unwrap_err().raw_os_error(), Some(libc::ENXIO));
    assert!(!open(Path::new("/dev/null")).unwrap().file.metadata().unwrap().is_file());
}
