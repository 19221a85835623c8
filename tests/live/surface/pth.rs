//! `.pth` files: in every directory, in every way they get there, and what they lead to.

use super::{PAYLOAD, SurfaceTest};
use crate::fixture::Fixture;
use crate::support::needs;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;

/// Site directories, `V` for the version of the Python below the root.
const DIRECTORIES: [&str; 18] = [
    "/usr/local/lib/pythonV/dist-packages",
    "/usr/lib/python3/dist-packages",
    "/usr/lib/pythonV/dist-packages",
    "/root/.local/lib/pythonV/site-packages",
    "/home/u/.local/lib/python3.12/site-packages",
    "/home/u/app/.venv/lib/python3.12/site-packages",
    "/usr/lib64/python3.9/site-packages",
    "/usr/lib64/python3.14t/site-packages",
    "/usr/local/lib/python3.13t/site-packages",
    "/home/u/.pyenv/versions/3.13.0/lib/python3.13/site-packages",
    "/opt/conda/lib/python3.10/site-packages",
    "/opt/conda/envs/x/lib/python3.10/site-packages",
    "/home/u/miniconda3/lib/python3.12/site-packages",
    "/home/u/.local/share/uv/tools/x/lib/python3.12/site-packages",
    "/home/u/.local/share/uv/python/cpython-3.13.1-linux-x86_64-gnu/lib/python3.13/site-packages",
    "/home/u/.local/pipx/venvs/x/lib/python3.11/site-packages",
    "/opt/app/lib/python2.7/site-packages",
    "/var/lib/docker/overlay2/ID/diff/usr/lib/python3/dist-packages",
];

#[test]
fn a_path_file_with_code_is_reported_in_every_site_directory() {
    needs!(Fanotify);
    let mut test = SurfaceTest::new(|fixture, version| {
        for directory in DIRECTORIES {
            fs::create_dir_all(fixture.at(&directory.replace("pythonV", &format!("python{version}")))).unwrap();
        }
    });
    let version = test.version();
    for (index, directory) in DIRECTORIES.into_iter().enumerate() {
        let directory = directory.replace("pythonV", &format!("python{version}"));
        let path = format!("{directory}/zz.pth");
        test.row(directory.as_str(), &[(&path, "PTH_FILE_CREATED", "medium")], |test| test.write(&path, PAYLOAD));
        // Those of the Python below the root are run by it.
        if index < 4 {
            test.runs(&directory, true, &[]);
            // -I leaves out those of the user.
            test.runs(&format!("{directory} -I"), index < 3, &["-I"]);
            test.runs(&format!("{directory} -S"), false, &["-S"]);
        }
        test.remove(&path);
    }
    for path in ["/usr/lib/python3.12/zz.pth", "/srv/lib/zz.pth", "/home/u/zz.pth", "/tmp/zz.pth"] {
        test.write(path, PAYLOAD);
    }
    // By the name alone the Sumo rule reports what lies below `lib/python`; it is nothing.
    test.expect("the standard library itself", &[("/usr/lib/python3.12/zz.pth", "PTH_FILE_CREATED", "informational")]);
    test.finish();
}

const D: &str = "/usr/local/lib/pythonV/dist-packages";

#[test]
fn every_way_to_plant_or_change_a_path_file_is_one_alert() {
    needs!(Fanotify);
    let mut test = SurfaceTest::new(|fixture, version| {
        let directory = fixture.at(&format!("{}/x", D.replace('V', version)));
        let directory = directory.parent().unwrap();
        fs::write(directory.join("known.pth"), "# nothing\n").unwrap();
        fs::write(directory.join("paths.pth"), "/srv/lib\n").unwrap();
        for name in ["target.pth.txt", "linked", "renamed"] {
            fs::write(fixture.at(&format!("/srv/{name}")), PAYLOAD).unwrap();
        }
    });
    let directory = D.replace('V', &test.version());
    let at = |name: &str| format!("{directory}/{name}.pth");

    let path = at("known");
    test.row("appended to", &[(&path, "PTH_FILE_MODIFIED", "high")], |test| test.append(&path, PAYLOAD));
    test.runs("appended to", true, &[]);
    test.remove(&path);

    let path = at("paths");
    test.row("a path file appended to", &[(&path, "PTH_FILE_MODIFIED", "high")], |test| test.append(&path, PAYLOAD));
    test.runs("a path file appended to", true, &[]);
    test.remove(&path);

    let path = at("renamed");
    test.row("renamed in", &[(&path, "PTH_FILE_CREATED", "medium")], |test| {
        fs::rename(test.at("/srv/renamed"), test.at(&path)).unwrap();
    });
    test.runs("renamed in", true, &[]);
    test.remove(&path);

    let path = at("hard");
    test.row("a hard link", &[(&path, "PTH_FILE_CREATED", "medium")], |test| {
        fs::hard_link(test.at("/srv/linked"), test.at(&path)).unwrap();
    });
    test.runs("a hard link", true, &[]);
    test.remove(&path);

    let path = at("soft");
    test.row("a symbolic link", &[(&path, "PTH_FILE_CREATED", "medium")], |test| {
        symlink("/srv/target.pth.txt", test.at(&path)).unwrap();
    });
    test.runs("a symbolic link", true, &[]);
    let target = "/srv/target.pth.txt";
    test.row("the file behind it", &[(target, "PTH_FILE_MODIFIED", "high")], |test| test.append(target, "import os\n"));
    test.remove(&path);

    let path = at("fifo");
    test.row("a FIFO", &[(&path, "PTH_SUSPICIOUS_CONTENT", "high")], |test| {
        mknodat(CWD, test.at(&path), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    });
    if test.python.is_some() {
        let fifo = test.at(&path);
        // Opening it for writing waits for the reader, which is Python.
        let writer = std::thread::spawn(move || fs::write(fifo, PAYLOAD).unwrap());
        test.runs("a FIFO", true, &[]);
        writer.join().unwrap();
        test.expect("fed through a FIFO", &[(&path, "PTH_SUSPICIOUS_CONTENT", "high")]);
    }
    test.remove(&path);

    let path = at("sparse");
    test.row("a sparse terabyte", &[(&path, "PTH_SUSPICIOUS_CONTENT", "high")], |test| {
        File::create(test.at(&path)).unwrap().set_len(1 << 40).unwrap();
    });
    test.remove(&path);

    let path = at("slow");
    test.row("written slowly", &[(&path, "PTH_FILE_CREATED", "medium")], |test| {
        let mut file = File::create(test.at(&path)).unwrap();
        for byte in PAYLOAD.as_bytes().chunks(4) {
            file.write_all(byte).unwrap();
            // The slowness itself is tested.
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    });
    test.runs("written slowly", true, &[]);
    test.remove(&path);

    let path = at("open");
    let mut file = File::create(test.at(&path)).unwrap();
    file.write_all(PAYLOAD.as_bytes()).unwrap();
    // Python does not wait for the close, nor does the daemon for ever.
    test.runs("never closed", true, &[]);
    test.expect("never closed", &[(&path, "PTH_FILE_CREATED", "medium")]);
    // Its late close is no other change.
    drop(file);

    let path = at("replaced");
    let reported = test.row("replaced in between", &[(&path, "PTH_FILE_CREATED", "medium")], |test| {
        let place = test.at(&path);
        fs::write(test.at("/srv/next"), PAYLOAD).unwrap();
        test.session.while_held(|| {
            fs::write(&place, "# nothing at all\n").unwrap();
            fs::rename(test.at("/srv/next"), &place).unwrap();
        });
    });
    if reported.iter().any(|alert| alert.0["file"]["size"] != PAYLOAD.len()) {
        test.note("replaced in between: what is there now is not what is shown");
    }
    test.remove(&at("open"));
    test.runs("replaced in between", true, &[]);
    test.remove(&path);
    test.finish();
}

#[test]
fn directories_that_a_path_file_adds_are_reported_and_then_watched() {
    needs!(Fanotify);
    let mut test = SurfaceTest::new(|fixture: &Fixture, _| {
        for directory in ["/srv/lib", "/tmp/lib", "/srv/.cache/lib", "/opt/lib"] {
            fs::create_dir_all(fixture.at(&format!("{directory}/x")).parent().unwrap()).unwrap();
        }
    });
    let directory = D.replace('V', &test.version());
    for (name, line, reported) in [
        ("ordinary", "/srv/lib", ("PTH_FILE_CREATED", "informational")),
        ("temporary", "/tmp/lib", ("PTH_PATH_SUSPICIOUS", "high")),
        ("shared memory", "/dev/shm", ("PTH_PATH_SUSPICIOUS", "high")),
        ("hidden", "/srv/.cache/lib", ("PTH_PATH_SUSPICIOUS", "high")),
        ("relative", "../../../../../opt/lib", ("PTH_PATH_SUSPICIOUS", "high")),
    ] {
        let path = format!("{directory}/{}.pth", name.replace(' ', ""));
        test.row(name, &[(&path, reported.0, reported.1)], |test| test.write(&path, format!("{line}\n")));
    }
    // No import line anywhere.
    for added in ["/srv/lib", "/tmp/lib", "/srv/.cache/lib", "/opt/lib"] {
        let path = format!("{added}/usercustomize.py");
        test.row(&format!("in {added}"), &[(&path, "USERCUSTOMIZE_MODIFIED", "high")], |test| {
            test.write(&path, PAYLOAD)
        });
        test.runs(&format!("in {added}"), true, &[]);
        test.remove(&path);
    }
    // The .pth files of an added directory are not read, so one there is nothing.
    test.write("/srv/lib/inert.pth", PAYLOAD);
    test.runs("a .pth in an added directory", false, &[]);
    let path = format!("{directory}/adds.pth");
    let line = "import site; site.addsitedir('/srv/added')\n";
    test.row("addsitedir", &[(&path, "PTH_FILE_CREATED", "medium")], |test| {
        fs::create_dir_all(test.at("/srv/added")).unwrap();
        fs::write(test.at("/srv/added/hook.pth"), PAYLOAD).unwrap();
        test.write(&path, line);
    });
    test.runs("addsitedir", true, &[]);
    test.finish();
}

#[test]
fn weights_of_a_model_are_no_hook() {
    needs!(Fanotify);
    let mut test = SurfaceTest::new(|_: &Fixture, _| ());
    let packages = "/home/u/v/lib/python3.12/site-packages";
    // As torch writes them: a zip, and before that a pickle.
    let zip = [b"PK\x03\x04\x00\x00\x08\x08\x00\x00".to_vec(), (0..=255u8).cycle().take(9000).collect()].concat();
    let pickle = [b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec(), vec![0xe9; 9000]].concat();
    for (name, content) in [("zip", &zip), ("pickle", &pickle)] {
        let below = format!("{packages}/torchvision/{name}.pth");
        test.row(name, &[(&below, "PTH_FILE_CREATED", "informational")], |test| test.write(&below, content));
        // Directly beside the packages it stops every start of Python.
        let beside = format!("{packages}/{name}.pth");
        test.row(name, &[(&beside, "PTH_INVALID", "medium")], |test| test.write(&beside, content));
    }
    test.write("/home/u/models/resnet.pth", &zip);
    // A line that older ones would run is none of a model's.
    let path = format!("{packages}/disguised.pth");
    let content = [zip.as_slice(), b"\n", PAYLOAD.as_bytes()].concat();
    test.row("code behind the magic", &[(&path, "PTH_FILE_CREATED", "medium")], |test| test.write(&path, &content));
    test.finish();
}
