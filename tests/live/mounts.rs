//! Filesystems and mount namespaces. Everything is mounted in a private mount namespace, that of a
//! helper process; the test reaches into it through `/proc`, so it is still the writer.

use crate::expect::Expected;
use crate::fixture::{Backend, Fixture, Session, make_directories};
use crate::support::{Helper, OWN_MOUNTS, kernel, needs, py, scaled, succeed};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PTH: &str = "/usr/lib/python3/dist-packages/x.pth";

fn pth(action: &'static str, path: &str) -> Expected {
    Expected::new(action, path, "PTH_FILE_CREATED")
}

/// A helper in a mount namespace of its own.
fn helper() -> Helper {
    let mut helper = Helper::python(&OWN_MOUNTS);
    helper.run(
        "import os, subprocess
def mount(*words):
    subprocess.run([b'mount', *words], check=True)",
    );
    helper
}

fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// A test that needs fanotify and mounts; in brackets what it needs besides.
macro_rules! in_own_mounts {
    ($($(#[$doc:meta])* [$($need:ident),*] fn $name:ident() $body:block)*) => {$(
        $(#[$doc])*
        #[test]
        fn $name() {
            needs!(Fanotify, MountNamespace, Overlay, Python $(, $need)*);
            $body
        }
    )*};
}

in_own_mounts! {
    [TmpfsNames]
    fn a_tree_on_tmpfs_is_watched_with_fanotify() {
        on_tmpfs(Backend::Fanotify);
    }

    []
    fn a_tree_on_tmpfs_is_watched_with_inotify() {
        on_tmpfs(Backend::Inotify);
    }

    [TmpfsNames]
    fn a_tmpfs_within_the_tree_is_watched_too() {
        let (fixture, mut helper) = (Fixture::new(), helper());
        helper.run(&format!("mount('-t', 'tmpfs', 'none', {})", py(&fixture.root().join("usr/lib/python3"))));
        let mut session = fixture.start_within(&helper);
        write(&session.at(PTH), "import os");
        session.expect_alerts(&[pth("creation", PTH)]);
        session.stop();
    }

    /// There is no event to wait for before the first alert, so hooks are written until one comes.
    [TmpfsNames]
    fn a_filesystem_that_is_mounted_later_is_watched_from_then_on() {
        let (fixture, mut helper) = (Fixture::new(), helper());
        let mut session = fixture.start_within(&helper);
        helper.run(&format!("mount('-t', 'tmpfs', 'none', {})", py(&session.fixture.root().join("usr/lib/python3"))));
        let alert = (0..30).find_map(|number| {
            write(&session.at(&format!("/usr/lib/python3/dist-packages/{number}.pth")), "import os");
            session.next_within(scaled(Duration::from_millis(700)))
        });
        let path = alert.as_ref().and_then(|alert| alert.text("/file/path")).unwrap_or_default();
        assert!(path.starts_with("/usr/lib/python3/dist-packages/"), "{alert:?}");
        write(&session.at(PTH), "import os");
        session.expect_alerts(&[pth("creation", PTH)]);
        session.stop();
    }

    [TmpfsNames]
    fn a_filesystem_that_was_unmounted_is_forgotten_and_can_be_unmounted() {
        let (fixture, mut helper) = (Fixture::new(), helper());
        let place = fixture.root().join("usr/lib/python3");
        helper.run(&format!("mount('-t', 'tmpfs', 'none', {})", py(&place)));
        let mut session = fixture.start_within(&helper);
        write(&session.at(PTH), "import os");
        session.expect_alerts(&[pth("creation", PTH)]);
        // Busy if the daemon held anything open there.
        helper.run(&format!("subprocess.run([b'umount', {}], check=True)", py(&place)));
        write(&session.at(PTH), "import sys");
        session.expect_alerts(&[pth("creation", PTH)]);
        session.stop();
    }

    []
    fn a_write_through_an_overlay_is_one_alert_with_the_upper_path_seen_from_inside() {
        let (fixture, mut helper) = (Fixture::new(), helper());
        overlay(&mut helper, &fixture.root());
        let mut session = fixture.start_within(&helper);
        assert!(session.errors().contains("1 overlays through their upper directories"), "{}", session.errors());
        writes_through_overlay(session, &helper);
    }

    /// As the host sees a container: the mount is not even in its namespace.
    []
    fn a_write_through_an_overlay_is_one_alert_with_the_upper_path_seen_from_outside() {
        let (fixture, mut helper) = (Fixture::new(), helper());
        overlay(&mut helper, &fixture.root());
        writes_through_overlay(fixture.start(Backend::Fanotify), &helper);
    }

    /// An older kernel reports of a file in the upper directory that it appeared, and that it was truncated.
    []
    fn a_file_in_the_upper_directory_that_is_written_anew_through_the_overlay_is_one_alert() {
        let (mut session, merged, _helper) = with_a_hook_in_the_upper_directory();
        fs::write(merged, "import sys").unwrap();
        let alerts = session.expect_alerts(&[reported_through_overlay("change", UPPER)]);
        assert_eq!(alerts[0].0["pyhookwatch"]["content"]["lines"][0], "import sys");
        session.stop();
    }

    [OverlayWrites]
    fn what_is_added_through_an_overlay_to_a_file_in_the_upper_directory_is_one_alert() {
        let (mut session, merged, _helper) = with_a_hook_in_the_upper_directory();
        fs::OpenOptions::new().append(true).open(merged).unwrap().write_all(b"\nimport sys").unwrap();
        let alerts = session.expect_alerts(&[pth("change", UPPER)]);
        assert_eq!(alerts[0].0["pyhookwatch"]["content"]["lines"][1], "import sys");
        session.stop();
    }

    /// There is no event to wait for before the first alert, as above.
    []
    fn a_filesystem_that_is_mounted_later_and_refuses_fanotify_is_watched_with_inotify_from_then_on() {
        let (fixture, mut helper) = (Fixture::new(), helper());
        let store = fixture.outside();
        overlay(&mut helper, &store);
        let place = fixture.root().join("usr/lib/python3");
        let mut session = Session::start(fixture, "auto", Backend::Inotify, Some(&helper));
        helper.run(&format!("mount('--move', {}, {})", py(&store.join("merged")), py(&place)));
        let is_reported = (0..30).any(|number| {
            let path = format!("/usr/lib/python3/dist-packages/{number}.pth");
            write(&session.at(&path), "import os");
            let alert = session.next_within(scaled(Duration::from_millis(700)));
            alert.is_some_and(|alert| alert.text("/file/path") == Some(&path))
        });
        assert!(is_reported, "{}", session.errors());
        assert!(session.errors().contains("is watched with inotify, without writers: fanotify is refused"), "{}", session.errors());
        write(&session.at(PTH), "import os");
        session.expect_alerts(&[pth("creation", PTH)]);
        session.stop();
    }

    []
    fn an_overlay_as_the_root_is_watched_with_inotify_and_that_is_said() {
        let (fixture, mut helper) = (Fixture::new(), helper());
        let store = fixture.outside();
        overlay(&mut helper, &store);
        helper.run(&format!("mount('--move', {}, {})", py(&store.join("merged")), py(&fixture.root())));
        make_directories(&helper.sees(&fixture.root()));
        let mut session = Session::start(fixture, "auto", Backend::Inotify, Some(&helper));
        let errors = session.errors();
        assert!(errors.contains("is watched with inotify, without writers: fanotify is refused"), "{errors}");
        write(&session.at(PTH), "import os");
        session.expect_alerts(&[pth("creation", PTH)]);
        session.stop();
    }

    []
    fn an_overlay_as_the_root_is_refused_when_fanotify_is_demanded() {
        let (fixture, mut helper) = (Fixture::new(), helper());
        let store = fixture.outside();
        overlay(&mut helper, &store);
        helper.run(&format!("mount('--move', {}, {})", py(&store.join("merged")), py(&fixture.root())));
        let output = Command::new("nsenter")
            .args(["-m", "-t", &helper.pid().to_string(), env!("CARGO_BIN_EXE_pyhookwatch"), "run"])
            .args(["--backend", "fanotify", "--output", "stdout", "--root"])
            .arg(fixture.root())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains("is NOT watched: fanotify is refused"), "{}: {errors}", output.status);
    }

    []
    fn a_write_through_a_bind_mount_is_one_alert() {
        let (fixture, mut helper) = (Fixture::new(), helper());
        fs::create_dir_all(fixture.root().join("srv/other")).unwrap();
        let (real, other) = (fixture.root().join("usr/lib/python3"), fixture.root().join("srv/other"));
        helper.run(&format!("mount('--bind', {}, {})", py(&real), py(&other)));
        let mut session = fixture.start_within(&helper);
        write(&session.at("/srv/other/dist-packages/x.pth"), "import os");
        session.expect_alerts(&[pth("creation", PTH)]);
        session.stop();
    }

    []
    fn a_write_in_another_mount_namespace_is_one_alert() {
        let (fixture, helper) = (Fixture::new(), helper());
        let mut session = fixture.start(Backend::Fanotify);
        write(&helper.sees(&session.at(PTH)), "import os");
        session.expect_alerts(&[pth("creation", PTH)]);
        session.stop();
    }

    []
    fn a_short_lived_writer_in_another_mount_namespace_is_one_alert() {
        let mut session = Fixture::new().start(Backend::Fanotify);
        let path = session.at(PTH);
        let mut command = Command::new(OWN_MOUNTS[0]);
        succeed(command.args(&OWN_MOUNTS[1..]).args(["/bin/sh", "-c", "echo import os > \"$0\""]).arg(&path));
        let shell = Path::new("/bin/sh").canonicalize().unwrap();
        session.expect_alerts(&[pth("creation", PTH).by(crate::expect::By::Perhaps(vec![shell]))]);
        session.stop();
    }
}

fn on_tmpfs(backend: Backend) {
    let (fixture, mut helper) = (Fixture::new(), helper());
    helper.run(&format!("mount('-t', 'tmpfs', 'none', {})", py(&fixture.root())));
    make_directories(&helper.sees(&fixture.root()));
    let mut session = Session::start(fixture, backend.word(), backend, Some(&helper));
    write(&session.at(PTH), "import os");
    session.expect_alerts(&[pth("creation", PTH)]);
    fs::rename(session.at(PTH), session.at("/usr/lib/python3/dist-packages/y.pth")).unwrap();
    session.expect_alerts(&[pth("rename", "/usr/lib/python3/dist-packages/y.pth").from(PTH)]);
    session.stop();
}

/// Mounts `base/merged` over `base/lower` and `base/upper`, with one hook in the lower directory.
fn overlay(helper: &mut Helper, base: &Path) {
    // The upper directory has the directories already: to copy one up, the overlay renames it.
    for directory in ["upper/usr/lib/python3/dist-packages", "upper/opt/lib/python3", "work", "merged"] {
        fs::create_dir_all(base.join(directory)).unwrap();
    }
    write(&base.join("lower/usr/lib/python3/dist-packages/lower.pth"), "import os");
    helper.run(&format!(
        "base = {}
mount(b'-t', b'overlay', b'none', b'-o',
      b'lowerdir=' + base + b'/lower,upperdir=' + base + b'/upper,workdir=' + base + b'/work', base + b'/merged')",
        py(base)
    ));
}

/// A file in the upper directory, as seen from the root.
const UPPER: &str = "/upper/opt/lib/python3/x.pth";

/// The daemon watches the upper directory of an overlay with a hook in it; gives its path through the overlay, which lasts as
/// long as the helper.
fn with_a_hook_in_the_upper_directory() -> (Session, PathBuf, Helper) {
    let (fixture, mut helper) = (Fixture::new(), helper());
    overlay(&mut helper, &fixture.root());
    write(&fixture.at(UPPER), "import os");
    let session = fixture.start(Backend::Fanotify);
    let merged = helper.sees(&session.fixture.root()).join("merged/opt/lib/python3/x.pth");
    (session, merged, helper)
}

fn reported_through_overlay(action: &'static str, path: &str) -> Expected {
    // An older kernel does not report that the writer has finished: the content is read after a while.
    pth(action, path).complete(kernel::reports_writes_through_overlays().then_some(true))
}

fn writes_through_overlay(mut session: Session, helper: &Helper) {
    let reported = |path| reported_through_overlay("creation", path);
    let merged = helper.sees(&session.fixture.root()).join("merged");
    write(&merged.join("opt/lib/python3/x.pth"), "import os");
    let alerts = session.expect_alerts(&[reported("/upper/opt/lib/python3/x.pth")]);
    assert_eq!(alerts[0].0["pyhookwatch"]["content"]["lines"][0], "import os");
    // Copied up from the lower directory first, which is no other change.
    let lower = merged.join("usr/lib/python3/dist-packages/lower.pth");
    fs::write(lower, "import sys").unwrap();
    let alerts = session.expect_alerts(&[reported("/upper/usr/lib/python3/dist-packages/lower.pth")]);
    assert_eq!(alerts[0].0["pyhookwatch"]["content"]["lines"][0], "import sys");
    session.stop();
}

in_own_mounts! {
    []
    fn coverage_says_that_an_overlay_as_the_root_is_degraded_to_inotify() {
        let (fixture, mut helper) = (Fixture::new(), helper());
        let store = fixture.outside();
        overlay(&mut helper, &store);
        helper.run(&format!("mount('--move', {}, {})", py(&store.join("merged")), py(&fixture.root())));
        make_directories(&helper.sees(&fixture.root()));
        let document = coverage_within(&helper, &fixture.root());
        assert_eq!(document["state"], "degraded", "{document:#}");
        let trees = document["trees"].as_array().unwrap();
        assert!(!trees.is_empty());
        for tree in trees {
            assert_eq!((&tree["mechanism"], &tree["findings"][0]["code"]), (&"inotify".into(), &"inotify".into()));
            assert!(tree["findings"][0]["reason"].as_str().unwrap().contains("fanotify is refused"), "{tree:#}");
        }
    }

    []
    fn coverage_says_that_an_overlay_within_is_guarded_through_its_upper_directory_and_what_the_kernel_reports() {
        let (fixture, mut helper) = (Fixture::new(), helper());
        overlay(&mut helper, &fixture.root());
        let document = coverage_within(&helper, &fixture.root());
        let overlays = document["filesystems"].as_array().unwrap().iter().filter(|one| one["fs_type"] == "overlay");
        let uppers: Vec<_> = overlays.map(|one| (one["mechanism"].clone(), one["upper"].clone())).collect();
        let upper = fixture.root().join("upper");
        assert_eq!(uppers, [("fanotify".into(), upper.to_str().unwrap().into())], "{document:#}");
        assert_eq!((&document["overlay"]["creation"], &document["overlay"]["rename"]), (&true.into(), &true.into()));
        assert!(document["overlay"]["change"].is_boolean(), "{document:#}");
    }
}

fn coverage_within(helper: &Helper, root: &Path) -> serde_json::Value {
    let mut command = Command::new("nsenter");
    command.args(["-m", "-t", &helper.pid().to_string(), env!("CARGO_BIN_EXE_pyhookwatch"), "coverage", "--json"]);
    let output = command.arg("--root").arg(root).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"))
}
