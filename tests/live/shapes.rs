//! The shapes in which a change reaches the disk. Each is one alert, with either source.

use crate::actor::{Actor, py, succeed};
use crate::expect::{By, Expected};
use crate::with_each_backend;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Command;

const SITECUSTOMIZE: &str = "/usr/lib/python3.12/sitecustomize.py";
const PTH: &str = "/usr/lib/python3/dist-packages/x.pth";

fn sitecustomize(action: &'static str) -> Expected {
    Expected::new(action, SITECUSTOMIZE, "SITECUSTOMIZE_MODIFIED")
}

fn pth(action: &'static str) -> Expected {
    Expected::new(action, PTH, "PTH_FILE_CREATED")
}

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

with_each_backend! {
    []
    fn creating_a_hook_is_one_alert_with_its_content(scene, backend) {
        let mut watch = scene.watch(backend);
        fs::write(watch.at(SITECUSTOMIZE), "import os\n").unwrap();
        let alerts = watch.expect_alerts(&[sitecustomize("creation").elastic()]);
        assert_eq!(alerts[0].text("/file/hash/sha256"), Some(&*sha256(b"import os\n")));
        assert_eq!(alerts[0].0["pyhookwatch"]["content"]["lines"][0], "import os");
        watch.stop();
    }

    []
    fn overwriting_a_hook_is_one_change(scene, backend) {
        fs::write(scene.at(SITECUSTOMIZE), "before").unwrap();
        let mut watch = scene.watch(backend);
        fs::write(watch.at(SITECUSTOMIZE), "after").unwrap();
        let alerts = watch.expect_alerts(&[sitecustomize("change")]);
        assert_eq!(alerts[0].text("/file/hash/sha256"), Some(&*sha256(b"after")));
        watch.stop();
    }

    []
    fn appending_to_a_hook_is_one_change(scene, backend) {
        fs::write(scene.at(SITECUSTOMIZE), "a = 1\n").unwrap();
        let mut watch = scene.watch(backend);
        let mut file = OpenOptions::new().append(true).open(watch.at(SITECUSTOMIZE)).unwrap();
        file.write_all(b"b = 2\n").unwrap();
        drop(file);
        let alerts = watch.expect_alerts(&[sitecustomize("change")]);
        assert_eq!(alerts[0].text("/file/hash/sha256"), Some(&*sha256(b"a = 1\nb = 2\n")));
        watch.stop();
    }

    []
    fn truncating_a_hook_without_opening_it_is_one_change(scene, backend) {
        fs::write(scene.at(SITECUSTOMIZE), "a = 1\nb = 2\n").unwrap();
        let mut watch = scene.watch(backend);
        let mut actor = Actor::python(&[]);
        actor.run(&format!("import os; os.truncate({}, 6)", py(&watch.at(SITECUSTOMIZE))));
        let expected = sitecustomize("change").by(By::Alive(actor.executable())).complete(false);
        let alerts = watch.expect_alerts(&[expected]);
        assert_eq!(alerts[0].text("/file/hash/sha256"), Some(&*sha256(b"a = 1\n")));
        watch.stop();
    }

    []
    fn a_rename_into_place_tells_the_name_before(scene, backend) {
        fs::write(scene.at("/tmp/staged"), "import os").unwrap();
        let mut watch = scene.watch(backend);
        fs::rename(watch.at("/tmp/staged"), watch.at(SITECUSTOMIZE)).unwrap();
        watch.expect_alerts(&[sitecustomize("rename").elastic().from("/tmp/staged")]);
        watch.stop();
    }

    []
    fn a_hook_renamed_to_another_hook_is_one_alert_for_the_new_name(scene, backend) {
        fs::write(scene.at("/usr/lib/python3/dist-packages/before.pth"), "import os").unwrap();
        let mut watch = scene.watch(backend);
        fs::rename(watch.at("/usr/lib/python3/dist-packages/before.pth"), watch.at(PTH)).unwrap();
        watch.expect_alerts(&[pth("rename").from("/usr/lib/python3/dist-packages/before.pth")]);
        watch.stop();
    }

    /// As uv installs: nothing is ever closed.
    []
    fn a_hard_link_is_reported_at_once(scene, backend) {
        fs::write(scene.at("/tmp/cache"), "import os").unwrap();
        let mut watch = scene.watch(backend);
        fs::hard_link(watch.at("/tmp/cache"), watch.at(PTH)).unwrap();
        let alerts = watch.expect_alerts(&[pth("creation")]);
        assert!(alerts[0].delay() < 1.0, "{}", alerts[0].0);
        watch.stop();
    }

    []
    fn a_symbolic_link_is_reported_with_its_target(scene, backend) {
        let mut watch = scene.watch(backend);
        std::os::unix::fs::symlink("/tmp/evil.pth", watch.at(PTH)).unwrap();
        let alerts = watch.expect_alerts(&[pth("creation")]);
        assert_eq!(alerts[0].text("/file/target_path"), Some("/tmp/evil.pth"));
        assert_eq!(alerts[0].text("/file/type"), Some("symlink"));
        watch.stop();
    }

    [Python]
    fn a_nameless_file_that_is_linked_into_place_is_one_creation(scene, backend) {
        let mut watch = scene.watch(backend);
        let mut actor = Actor::python(&[]);
        let (directory, path) = (watch.at("/usr/lib/python3/dist-packages"), watch.at(PTH));
        // With a descriptor given, Python calls linkat(2) with AT_SYMLINK_FOLLOW.
        actor.run(&format!(
            "import os
fd = os.open({}, os.O_TMPFILE | os.O_WRONLY, 0o644)
os.write(fd, b'import os')
os.link('/proc/self/fd/%d' % fd, {}, src_dir_fd=os.open('/', os.O_RDONLY), follow_symlinks=True)
os.close(fd)",
            py(&directory), py(&path)
        ));
        // The close carries no name, so nobody can see that the writer is done.
        let alerts = watch.expect_alerts(&[pth("creation").by(By::Alive(actor.executable())).complete(None)]);
        assert_eq!(alerts[0].text("/file/hash/sha256"), Some(&*sha256(b"import os")));
        watch.stop();
    }

    [Python]
    fn a_hook_written_through_a_memory_map_is_one_alert(scene, backend) {
        let mut watch = scene.watch(backend);
        let mut actor = Actor::python(&[]);
        actor.run(&format!(
            "import mmap, os
fd = os.open({}, os.O_CREAT | os.O_RDWR, 0o644)
os.ftruncate(fd, 9)
map = mmap.mmap(fd, 9, mmap.MAP_SHARED)
map[:] = b'import os'
map.close()
os.close(fd)",
            py(&watch.at(PTH))
        ));
        let alerts = watch.expect_alerts(&[pth("creation").by(By::Alive(actor.executable()))]);
        assert_eq!(alerts[0].text("/file/hash/sha256"), Some(&*sha256(b"import os")));
        watch.stop();
    }

    /// The close is held back by the kernel until the map is gone.
    [Python]
    fn a_map_that_is_stored_to_after_the_first_alert_gives_a_second_one(scene, backend) {
        let mut watch = scene.watch(backend);
        let mut actor = Actor::python(&[]);
        let by = By::Alive(actor.executable());
        actor.run(&format!(
            "import mmap, os
fd = os.open({}, os.O_CREAT | os.O_RDWR, 0o644)
os.ftruncate(fd, 9)
map = mmap.mmap(fd, 9, mmap.MAP_SHARED)
os.close(fd)",
            py(&watch.at(PTH))
        ));
        watch.expect_alerts(&[pth("creation").by(by.clone()).complete(false)]);
        actor.run("map[:] = b'import os'\nmap.close()");
        let alerts = watch.expect_alerts(&[pth("change").by(by)]);
        assert_eq!(alerts[0].text("/file/hash/sha256"), Some(&*sha256(b"import os")));
        watch.stop();
    }

    []
    fn a_writer_that_never_closes_is_reported_and_its_late_close_is_not(scene, backend) {
        let mut watch = scene.watch(backend);
        let mut file = File::create(watch.at(SITECUSTOMIZE)).unwrap();
        file.write_all(b"import os\n").unwrap();
        let alerts = watch.expect_alerts(&[sitecustomize("creation").elastic().complete(false)]);
        let delay = alerts[0].delay();
        assert!((0.45..3.0).contains(&delay), "after {delay} s");
        drop(file);
        watch.expect_alerts(&[]);
        fs::write(watch.at(SITECUSTOMIZE), "import sys\n").unwrap();
        watch.expect_alerts(&[sitecustomize("change")]);
        watch.stop();
    }

    []
    fn what_came_inside_a_renamed_directory_is_reported_however_deep(scene, backend) {
        let user_site = ".local/lib/python3.12/site-packages";
        let deep = format!("{user_site}/a/b/c/site-packages/deep.pth");
        for path in [&format!("{user_site}/usercustomize.py"), &deep, &format!("{user_site}/module.py")] {
            fs::write(scene.at(&path.replace(".local", "/tmp/prepared")), "import os").unwrap();
        }
        fs::create_dir_all(scene.root().join("home/u")).unwrap();
        let mut watch = scene.watch(backend);
        fs::rename(watch.at("/tmp/prepared"), watch.at("/home/u/.local")).unwrap();
        let arrived = |path: &str, detection| {
            Expected::new("rename", format!("/home/u/{path}"), detection)
                .from(format!("/{}", path.replace(".local", "tmp/prepared")))
        };
        watch.expect_alerts(&[
            arrived(&format!("{user_site}/usercustomize.py"), "PYTHON_STARTUP_FILE_MODIFIED").elastic(),
            arrived(&deep, "PTH_FILE_CREATED"),
        ]);
        // The new place is watched like any other.
        let later = format!("/home/u/{user_site}/later.pth");
        fs::write(watch.at(&later), "import os").unwrap();
        watch.expect_alerts(&[Expected::new("creation", later, "PTH_FILE_CREATED")]);
        watch.stop();
    }

    []
    fn hooks_in_directories_that_were_made_a_moment_ago_are_reported(scene, backend) {
        let mut watch = scene.watch(backend);
        let mut expected = Vec::new();
        for number in 0..20 {
            let path = format!("/opt/{number}/lib/python3/site-packages/x.pth");
            fs::create_dir_all(watch.at(&path).parent().unwrap()).unwrap();
            fs::write(watch.at(&path), "import os").unwrap();
            // inotify may find it by listing, and then cannot see the close.
            expected.push(Expected::new("creation", path, "PTH_FILE_CREATED").complete(None));
        }
        watch.expect_alerts(&expected);
        watch.stop();
    }

    /// The shell opens the file; its children write to it.
    [RealTime]
    fn two_processes_that_write_through_one_descriptor_are_one_alert(scene, backend) {
        let mut watch = scene.watch(backend);
        let echo = Path::new("/bin/echo").canonicalize().unwrap();
        let mut shell = Actor::shell(Command::new("/bin/sh"));
        shell.run(&format!("{{ /bin/echo import a; /bin/echo import b; }} > {}", watch.at(PTH).display()));
        let by = By::Perhaps(vec![shell.executable(), echo]);
        let alerts = watch.expect_alerts(&[pth("creation").by(by)]);
        assert_eq!(alerts[0].text("/file/hash/sha256"), Some(&*sha256(b"import a\nimport b\n")));
        watch.stop();
    }

    /// The shell's close is then merged into its first record, before what its children wrote.
    []
    fn two_processes_that_wrote_while_the_daemon_was_held_up_are_one_alert(scene, backend) {
        let mut watch = scene.watch(backend);
        let echo = Path::new("/bin/echo").canonicalize().unwrap();
        let mut shell = Actor::shell(Command::new("/bin/sh"));
        let path = watch.at(PTH);
        watch.while_held_up(|| {
            shell.run(&format!("{{ /bin/echo import a; /bin/echo import b; }} > {}", path.display()));
        });
        let by = By::Perhaps(vec![shell.executable(), echo]);
        watch.expect_alerts(&[pth("creation").by(by)]);
        watch.stop();
    }

    []
    fn hooks_written_while_the_daemon_was_held_up_are_all_reported(scene, backend) {
        let mut watch = scene.watch(backend);
        let paths: Vec<_> =
            (0..200).map(|number| format!("/usr/lib/python3/dist-packages/{number}.pth")).collect();
        watch.while_held_up(|| paths.iter().for_each(|path| fs::write(watch.at(path), "import os").unwrap()));
        let expected: Vec<_> =
            paths.iter().map(|path| Expected::new("creation", path, "PTH_FILE_CREATED").complete(None)).collect();
        watch.expect_alerts(&expected);
        watch.stop();
    }

    []
    fn two_names_exchanged_are_reported_under_both(scene, backend) {
        let other = "/usr/lib/python3/dist-packages/y.pth";
        fs::write(scene.at(PTH), "import a").unwrap();
        fs::write(scene.at(other), "import b").unwrap();
        let mut watch = scene.watch(backend);
        let (one, two) = (watch.at(PTH), watch.at(other));
        let cwd = rustix::fs::CWD;
        rustix::fs::renameat_with(cwd, &one, cwd, &two, rustix::fs::RenameFlags::EXCHANGE).unwrap();
        watch.expect_alerts(&[
            pth("rename").from(other),
            Expected::new("rename", other, "PTH_FILE_CREATED").from(PTH),
        ]);
        watch.stop();
    }

    []
    fn a_short_lived_writer_is_named_rightly_or_not_at_all(scene, backend) {
        let mut watch = scene.watch(backend);
        let source = watch.scene.outside().join("source");
        fs::write(&source, "import os").unwrap();
        let mut expected = Vec::new();
        for number in 0..20 {
            let path = format!("/usr/lib/python3/dist-packages/{number}.pth");
            succeed(Command::new("/bin/cp").arg(&source).arg(watch.at(&path)));
            let by = By::Perhaps(vec![Path::new("/bin/cp").canonicalize().unwrap()]);
            expected.push(Expected::new("creation", path, "PTH_FILE_CREATED").by(by));
        }
        watch.expect_alerts(&expected);
        watch.stop();
    }

    []
    fn what_is_no_hook_is_no_alert(scene, backend) {
        let mut watch = scene.watch(backend);
        for path in [
            "/usr/lib/python3.12/os.py", "/usr/lib/python3/dist-packages/module.py", "/tmp/model.pth",
            "/usr/lib/python3/dist-packages/x.pth.dpkg-new", "/etc/passwd", "/usr/lib/python3.12/sitecustomize.txt",
        ] {
            fs::write(watch.at(path), "import os").unwrap();
        }
        fs::create_dir(watch.at("/usr/lib/python3/dist-packages/directory.pth")).unwrap();
        fs::remove_dir(watch.at("/usr/lib/python3/dist-packages/directory.pth")).unwrap();
        watch.expect_alerts(&[]);
        watch.stop();
    }

    []
    fn reading_and_removing_a_hook_is_no_alert(scene, backend) {
        fs::write(scene.at(PTH), "import os").unwrap();
        let mut watch = scene.watch(backend);
        fs::read(watch.at(PTH)).unwrap();
        fs::remove_file(watch.at(PTH)).unwrap();
        watch.expect_alerts(&[]);
        watch.stop();
    }

    [RealTime]
    fn a_change_that_is_still_open_at_the_end_is_reported_before_the_daemon_ends(scene, backend) {
        let mut watch = scene.watch(backend);
        // The alert of a finished change shows that the record of the unfinished one was read.
        let file = File::create(watch.at(SITECUSTOMIZE)).unwrap();
        fs::write(watch.at(PTH), "import os").unwrap();
        assert_eq!(watch.next().text("/file/path"), Some(PTH));
        watch.terminate();
        let alert = watch.next();
        let wrong = sitecustomize("creation").elastic().complete(false).differences(&alert, backend);
        assert!(wrong.is_empty(), "{wrong:?}");
        watch.expect_the_end();
        drop(file);
    }

    []
    fn hundreds_of_hooks_at_once_are_as_many_alerts(scene, backend) {
        let mut watch = scene.watch(backend);
        let path = |number| format!("/usr/lib/python3/dist-packages/{number}.pth");
        for number in 0..400 {
            fs::write(watch.at(&path(number)), "import os").unwrap();
        }
        let expected: Vec<_> =
            (0..400).map(|number| Expected::new("creation", path(number), "PTH_FILE_CREATED").complete(None)).collect();
        watch.expect_alerts(&expected);
        watch.stop();
    }
}
