//! The shapes in which a change reaches the disk. Each is one alert, with either source.

use crate::expect::{By, Expected};
use crate::support::{Helper, py, succeed};
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
    fn creating_a_hook_is_one_alert_with_its_content(fixture, backend) {
        let mut session = fixture.start(backend);
        fs::write(session.at(SITECUSTOMIZE), "import os\n").unwrap();
        let alerts = session.expect_alerts(&[sitecustomize("creation").elastic()]);
        assert_eq!(alerts[0].text("/file/hash/sha256"), Some(&*sha256(b"import os\n")));
        assert_eq!(alerts[0].0["pyhookwatch"]["content"]["lines"][0], "import os");
        session.stop();
    }

    []
    fn overwriting_a_hook_is_one_change(fixture, backend) {
        fs::write(fixture.at(SITECUSTOMIZE), "before").unwrap();
        let mut session = fixture.start(backend);
        fs::write(session.at(SITECUSTOMIZE), "after").unwrap();
        let alerts = session.expect_alerts(&[sitecustomize("change")]);
        assert_eq!(alerts[0].text("/file/hash/sha256"), Some(&*sha256(b"after")));
        session.stop();
    }

    []
    fn appending_to_a_hook_is_one_change(fixture, backend) {
        fs::write(fixture.at(SITECUSTOMIZE), "a = 1\n").unwrap();
        let mut session = fixture.start(backend);
        let mut file = OpenOptions::new().append(true).open(session.at(SITECUSTOMIZE)).unwrap();
        file.write_all(b"b = 2\n").unwrap();
        drop(file);
        let alerts = session.expect_alerts(&[sitecustomize("change")]);
        assert_eq!(alerts[0].text("/file/hash/sha256"), Some(&*sha256(b"a = 1\nb = 2\n")));
        session.stop();
    }

    []
    fn truncating_a_hook_without_opening_it_is_one_change(fixture, backend) {
        fs::write(fixture.at(SITECUSTOMIZE), "a = 1\nb = 2\n").unwrap();
        let mut session = fixture.start(backend);
        let mut helper = Helper::python(&[]);
        helper.run(&format!("import os; os.truncate({}, 6)", py(&session.at(SITECUSTOMIZE))));
        let expected = sitecustomize("change").by(By::Alive(helper.executable())).complete(false);
        let alerts = session.expect_alerts(&[expected]);
        assert_eq!(alerts[0].text("/file/hash/sha256"), Some(&*sha256(b"a = 1\n")));
        session.stop();
    }

    []
    fn a_rename_into_place_reports_the_name_before(fixture, backend) {
        fs::write(fixture.at("/tmp/staged"), "import os").unwrap();
        let mut session = fixture.start(backend);
        fs::rename(session.at("/tmp/staged"), session.at(SITECUSTOMIZE)).unwrap();
        session.expect_alerts(&[sitecustomize("rename").elastic().from("/tmp/staged")]);
        session.stop();
    }

    []
    fn a_hook_renamed_to_another_hook_is_one_alert_for_the_new_name(fixture, backend) {
        fs::write(fixture.at("/usr/lib/python3/dist-packages/before.pth"), "import os").unwrap();
        let mut session = fixture.start(backend);
        fs::rename(session.at("/usr/lib/python3/dist-packages/before.pth"), session.at(PTH)).unwrap();
        session.expect_alerts(&[pth("rename").from("/usr/lib/python3/dist-packages/before.pth")]);
        session.stop();
    }

    /// As uv installs: nothing is ever closed.
    []
    fn a_hard_link_is_reported_at_once(fixture, backend) {
        fs::write(fixture.at("/tmp/cache"), "import os").unwrap();
        let mut session = fixture.start(backend);
        fs::hard_link(session.at("/tmp/cache"), session.at(PTH)).unwrap();
        let alerts = session.expect_alerts(&[pth("creation")]);
        assert!(alerts[0].delay() < 1.0, "{}", alerts[0].0);
        session.stop();
    }

    []
    fn a_symbolic_link_is_reported_with_its_target(fixture, backend) {
        let mut session = fixture.start(backend);
        std::os::unix::fs::symlink("/tmp/evil.pth", session.at(PTH)).unwrap();
        let alerts = session.expect_alerts(&[pth("creation")]);
        assert_eq!(alerts[0].text("/file/target_path"), Some("/tmp/evil.pth"));
        assert_eq!(alerts[0].text("/file/type"), Some("symlink"));
        session.stop();
    }

    [Python]
    fn a_nameless_file_that_is_linked_into_place_is_one_creation(fixture, backend) {
        let mut session = fixture.start(backend);
        let mut helper = Helper::python(&[]);
        let (directory, path) = (session.at("/usr/lib/python3/dist-packages"), session.at(PTH));
        // With a descriptor given, Python calls linkat(2) with AT_SYMLINK_FOLLOW.
        helper.run(&format!(
            "import os
fd = os.open({}, os.O_TMPFILE | os.O_WRONLY, 0o644)
os.write(fd, b'import os')
os.link('/proc/self/fd/%d' % fd, {}, src_dir_fd=os.open('/', os.O_RDONLY), follow_symlinks=True)
os.close(fd)",
            py(&directory), py(&path)
        ));
        // The close carries no name, so nobody can see that the writer is done.
        let alerts = session.expect_alerts(&[pth("creation").by(By::Alive(helper.executable())).complete(None)]);
        assert_eq!(alerts[0].text("/file/hash/sha256"), Some(&*sha256(b"import os")));
        session.stop();
    }

    [Python]
    fn a_hook_written_through_a_memory_map_is_one_alert(fixture, backend) {
        let mut session = fixture.start(backend);
        let mut helper = Helper::python(&[]);
        helper.run(&format!(
            "import mmap, os
fd = os.open({}, os.O_CREAT | os.O_RDWR, 0o644)
os.ftruncate(fd, 9)
map = mmap.mmap(fd, 9, mmap.MAP_SHARED)
map[:] = b'import os'
map.close()
os.close(fd)",
            py(&session.at(PTH))
        ));
        let alerts = session.expect_alerts(&[pth("creation").by(By::Alive(helper.executable()))]);
        assert_eq!(alerts[0].text("/file/hash/sha256"), Some(&*sha256(b"import os")));
        session.stop();
    }

    /// The close is held back by the kernel until the map is gone.
    [Python]
    fn a_map_that_is_stored_to_after_the_first_alert_gives_a_second_one(fixture, backend) {
        let mut session = fixture.start(backend);
        let mut helper = Helper::python(&[]);
        let by = By::Alive(helper.executable());
        helper.run(&format!(
            "import mmap, os
fd = os.open({}, os.O_CREAT | os.O_RDWR, 0o644)
os.ftruncate(fd, 9)
map = mmap.mmap(fd, 9, mmap.MAP_SHARED)
os.close(fd)",
            py(&session.at(PTH))
        ));
        session.expect_alerts(&[pth("creation").by(by.clone()).complete(false)]);
        helper.run("map[:] = b'import os'\nmap.close()");
        let alerts = session.expect_alerts(&[pth("change").by(by)]);
        assert_eq!(alerts[0].text("/file/hash/sha256"), Some(&*sha256(b"import os")));
        session.stop();
    }

    []
    fn a_writer_that_never_closes_is_reported_and_its_late_close_is_not(fixture, backend) {
        let mut session = fixture.start(backend);
        let mut file = File::create(session.at(SITECUSTOMIZE)).unwrap();
        file.write_all(b"import os\n").unwrap();
        let alerts = session.expect_alerts(&[sitecustomize("creation").elastic().complete(false)]);
        let delay = alerts[0].delay();
        assert!((0.45..3.0).contains(&delay), "after {delay} s");
        drop(file);
        session.expect_alerts(&[]);
        fs::write(session.at(SITECUSTOMIZE), "import sys\n").unwrap();
        session.expect_alerts(&[sitecustomize("change")]);
        session.stop();
    }

    []
    fn what_came_inside_a_renamed_directory_is_reported_however_deep(fixture, backend) {
        let user_site = ".local/lib/python3.12/site-packages";
        let deep = format!("{user_site}/a/b/c/site-packages/deep.pth");
        for path in [&format!("{user_site}/usercustomize.py"), &deep, &format!("{user_site}/module.py")] {
            fs::write(fixture.at(&path.replace(".local", "/tmp/prepared")), "import os").unwrap();
        }
        fs::create_dir_all(fixture.root().join("home/u")).unwrap();
        let mut session = fixture.start(backend);
        fs::rename(session.at("/tmp/prepared"), session.at("/home/u/.local")).unwrap();
        let arrived = |path: &str, detection| {
            Expected::new("rename", format!("/home/u/{path}"), detection)
                .from(format!("/{}", path.replace(".local", "tmp/prepared")))
        };
        session.expect_alerts(&[
            arrived(&format!("{user_site}/usercustomize.py"), "PYTHON_STARTUP_FILE_MODIFIED").elastic(),
            arrived(&deep, "PTH_FILE_CREATED"),
        ]);
        // The new place is watched like any other.
        let later = format!("/home/u/{user_site}/later.pth");
        fs::write(session.at(&later), "import os").unwrap();
        session.expect_alerts(&[Expected::new("creation", later, "PTH_FILE_CREATED")]);
        session.stop();
    }

    []
    fn hooks_in_directories_that_were_made_a_moment_ago_are_reported(fixture, backend) {
        let mut session = fixture.start(backend);
        let mut expected = Vec::new();
        for number in 0..20 {
            let path = format!("/opt/{number}/lib/python3/site-packages/x.pth");
            fs::create_dir_all(session.at(&path).parent().unwrap()).unwrap();
            fs::write(session.at(&path), "import os").unwrap();
            // inotify may find it by listing, and then cannot see the close.
            expected.push(Expected::new("creation", path, "PTH_FILE_CREATED").complete(None));
        }
        session.expect_alerts(&expected);
        session.stop();
    }

    /// The shell opens the file; its children write to it.
    [RealTime]
    fn two_processes_that_write_through_one_descriptor_are_one_alert(fixture, backend) {
        let mut session = fixture.start(backend);
        let echo = Path::new("/bin/echo").canonicalize().unwrap();
        let mut shell = Helper::shell(Command::new("/bin/sh"));
        shell.run(&format!("{{ /bin/echo import a; /bin/echo import b; }} > {}", session.at(PTH).display()));
        let by = By::Perhaps(vec![shell.executable(), echo]);
        let alerts = session.expect_alerts(&[pth("creation").by(by)]);
        assert_eq!(alerts[0].text("/file/hash/sha256"), Some(&*sha256(b"import a\nimport b\n")));
        session.stop();
    }

    /// The shell's close is then merged into its first record, before what its children wrote.
    []
    fn two_processes_that_wrote_while_the_daemon_was_held_up_are_one_alert(fixture, backend) {
        let mut session = fixture.start(backend);
        let echo = Path::new("/bin/echo").canonicalize().unwrap();
        let mut shell = Helper::shell(Command::new("/bin/sh"));
        let path = session.at(PTH);
        session.while_held(|| {
            shell.run(&format!("{{ /bin/echo import a; /bin/echo import b; }} > {}", path.display()));
        });
        let by = By::Perhaps(vec![shell.executable(), echo]);
        session.expect_alerts(&[pth("creation").by(by)]);
        session.stop();
    }

    []
    fn hooks_written_while_the_daemon_was_held_up_are_all_reported(fixture, backend) {
        let mut session = fixture.start(backend);
        let paths: Vec<_> =
            (0..200).map(|number| format!("/usr/lib/python3/dist-packages/{number}.pth")).collect();
        session.while_held(|| paths.iter().for_each(|path| fs::write(session.at(path), "import os").unwrap()));
        let expected: Vec<_> =
            paths.iter().map(|path| Expected::new("creation", path, "PTH_FILE_CREATED").complete(None)).collect();
        session.expect_alerts(&expected);
        session.stop();
    }

    []
    fn two_names_exchanged_are_reported_under_both(fixture, backend) {
        let other = "/usr/lib/python3/dist-packages/y.pth";
        fs::write(fixture.at(PTH), "import a").unwrap();
        fs::write(fixture.at(other), "import b").unwrap();
        let mut session = fixture.start(backend);
        let (one, two) = (session.at(PTH), session.at(other));
        let cwd = rustix::fs::CWD;
        rustix::fs::renameat_with(cwd, &one, cwd, &two, rustix::fs::RenameFlags::EXCHANGE).unwrap();
        session.expect_alerts(&[
            pth("rename").from(other),
            Expected::new("rename", other, "PTH_FILE_CREATED").from(PTH),
        ]);
        session.stop();
    }

    []
    fn a_short_lived_writer_is_named_rightly_or_not_at_all(fixture, backend) {
        let mut session = fixture.start(backend);
        let source = session.fixture.outside().join("source");
        fs::write(&source, "import os").unwrap();
        let mut expected = Vec::new();
        for number in 0..20 {
            let path = format!("/usr/lib/python3/dist-packages/{number}.pth");
            succeed(Command::new("/bin/cp").arg(&source).arg(session.at(&path)));
            let by = By::Perhaps(vec![Path::new("/bin/cp").canonicalize().unwrap()]);
            expected.push(Expected::new("creation", path, "PTH_FILE_CREATED").by(by));
        }
        session.expect_alerts(&expected);
        session.stop();
    }

    []
    fn what_is_no_hook_is_no_alert(fixture, backend) {
        let mut session = fixture.start(backend);
        for path in [
            "/usr/lib/python3.12/os.py", "/usr/lib/python3/dist-packages/module.py", "/tmp/model.pth",
            "/usr/lib/python3/dist-packages/x.pth.dpkg-new", "/etc/passwd", "/usr/lib/python3.12/sitecustomize.txt",
        ] {
            fs::write(session.at(path), "import os").unwrap();
        }
        fs::create_dir(session.at("/usr/lib/python3/dist-packages/directory.pth")).unwrap();
        fs::remove_dir(session.at("/usr/lib/python3/dist-packages/directory.pth")).unwrap();
        session.expect_alerts(&[]);
        session.stop();
    }

    []
    fn reading_and_removing_a_hook_is_no_alert(fixture, backend) {
        fs::write(fixture.at(PTH), "import os").unwrap();
        let mut session = fixture.start(backend);
        fs::read(session.at(PTH)).unwrap();
        fs::remove_file(session.at(PTH)).unwrap();
        session.expect_alerts(&[]);
        session.stop();
    }

    [RealTime]
    fn a_change_that_is_still_open_at_the_end_is_reported_before_the_daemon_ends(fixture, backend) {
        let mut session = fixture.start(backend);
        // The alert of a finished change shows that the record of the unfinished one was read.
        let file = File::create(session.at(SITECUSTOMIZE)).unwrap();
        fs::write(session.at(PTH), "import os").unwrap();
        assert_eq!(session.next().text("/file/path"), Some(PTH));
        session.terminate();
        let alert = session.next();
        let wrong = sitecustomize("creation").elastic().complete(false).differences(&alert, backend);
        assert!(wrong.is_empty(), "{wrong:?}");
        session.expect_the_end();
        drop(file);
    }

    []
    fn hundreds_of_hooks_at_once_are_as_many_alerts(fixture, backend) {
        let mut session = fixture.start(backend);
        let path = |number| format!("/usr/lib/python3/dist-packages/{number}.pth");
        for number in 0..400 {
            fs::write(session.at(&path(number)), "import os").unwrap();
        }
        let expected: Vec<_> =
            (0..400).map(|number| Expected::new("creation", path(number), "PTH_FILE_CREATED").complete(None)).collect();
        session.expect_alerts(&expected);
        session.stop();
    }
}
