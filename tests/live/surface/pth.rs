//! `.pth` files: in every directory, in every way they get there, and what they lead to.

use super::{PAYLOAD, Stage};
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
fn a_path_file_with_code_is_told_in_every_site_directory() {
    needs!(Fanotify);
    let mut stage = Stage::new(|fixture, version| {
        for directory in DIRECTORIES {
            fs::create_dir_all(fixture.at(&directory.replace("pythonV", &format!("python{version}")))).unwrap();
        }
    });
    let version = stage.version();
    for (index, directory) in DIRECTORIES.into_iter().enumerate() {
        let directory = directory.replace("pythonV", &format!("python{version}"));
        let path = format!("{directory}/zz.pth");
        stage.row(directory.as_str(), &[(&path, "PTH_FILE_CREATED", "medium")], |stage| stage.write(&path, PAYLOAD));
        // Those of the Python below the root are run by it.
        if index < 4 {
            stage.runs(&directory, true, &[]);
            // -I leaves out those of the user.
            stage.runs(&format!("{directory} -I"), index < 3, &["-I"]);
            stage.runs(&format!("{directory} -S"), false, &["-S"]);
        }
        stage.remove(&path);
    }
    for path in ["/usr/lib/python3.12/zz.pth", "/srv/lib/zz.pth", "/home/u/zz.pth", "/tmp/zz.pth"] {
        stage.write(path, PAYLOAD);
    }
    // By the name alone the Sumo rule reports what lies below `lib/python`; it is nothing.
    stage.expect("the standard library itself", &[("/usr/lib/python3.12/zz.pth", "PTH_FILE_CREATED", "informational")]);
    stage.finish();
}

const D: &str = "/usr/local/lib/pythonV/dist-packages";

#[test]
fn every_way_to_plant_or_change_a_path_file_is_one_alert() {
    needs!(Fanotify);
    let mut stage = Stage::new(|fixture, version| {
        let directory = fixture.at(&format!("{}/x", D.replace('V', version)));
        let directory = directory.parent().unwrap();
        fs::write(directory.join("known.pth"), "# nothing\n").unwrap();
        fs::write(directory.join("paths.pth"), "/srv/lib\n").unwrap();
        for name in ["target.pth.txt", "linked", "renamed"] {
            fs::write(fixture.at(&format!("/srv/{name}")), PAYLOAD).unwrap();
        }
    });
    let directory = D.replace('V', &stage.version());
    let at = |name: &str| format!("{directory}/{name}.pth");

    let path = at("known");
    stage.row("appended to", &[(&path, "PTH_FILE_MODIFIED", "high")], |stage| stage.append(&path, PAYLOAD));
    stage.runs("appended to", true, &[]);
    stage.remove(&path);

    let path = at("paths");
    stage.row("a path file appended to", &[(&path, "PTH_FILE_MODIFIED", "high")], |stage| stage.append(&path, PAYLOAD));
    stage.runs("a path file appended to", true, &[]);
    stage.remove(&path);

    let path = at("renamed");
    stage.row("renamed in", &[(&path, "PTH_FILE_CREATED", "medium")], |stage| {
        fs::rename(stage.at("/srv/renamed"), stage.at(&path)).unwrap();
    });
    stage.runs("renamed in", true, &[]);
    stage.remove(&path);

    let path = at("hard");
    stage.row("a hard link", &[(&path, "PTH_FILE_CREATED", "medium")], |stage| {
        fs::hard_link(stage.at("/srv/linked"), stage.at(&path)).unwrap();
    });
    stage.runs("a hard link", true, &[]);
    stage.remove(&path);

    let path = at("soft");
    stage.row("a symbolic link", &[(&path, "PTH_FILE_CREATED", "medium")], |stage| {
        symlink("/srv/target.pth.txt", stage.at(&path)).unwrap();
    });
    stage.runs("a symbolic link", true, &[]);
    let target = "/srv/target.pth.txt";
    stage.row("the file behind it", &[(target, "PTH_FILE_MODIFIED", "high")], |stage| {
        stage.append(target, "import os\n")
    });
    stage.remove(&path);

    let path = at("fifo");
    stage.row("a FIFO", &[(&path, "PTH_SUSPICIOUS_CONTENT", "high")], |stage| {
        mknodat(CWD, stage.at(&path), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    });
    if stage.python.is_some() {
        let fifo = stage.at(&path);
        // Opening it for writing waits for the reader, which is Python.
        let writer = std::thread::spawn(move || fs::write(fifo, PAYLOAD).unwrap());
        stage.runs("a FIFO", true, &[]);
        writer.join().unwrap();
        stage.expect("fed through a FIFO", &[(&path, "PTH_SUSPICIOUS_CONTENT", "high")]);
    }
    stage.remove(&path);

    let path = at("sparse");
    stage.row("a sparse terabyte", &[(&path, "PTH_SUSPICIOUS_CONTENT", "high")], |stage| {
        File::create(stage.at(&path)).unwrap().set_len(1 << 40).unwrap();
    });
    stage.remove(&path);

    let path = at("slow");
    stage.row("written slowly", &[(&path, "PTH_FILE_CREATED", "medium")], |stage| {
        let mut file = File::create(stage.at(&path)).unwrap();
        for byte in PAYLOAD.as_bytes().chunks(4) {
            file.write_all(byte).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    });
    stage.runs("written slowly", true, &[]);
    stage.remove(&path);

    let path = at("open");
    let mut file = File::create(stage.at(&path)).unwrap();
    file.write_all(PAYLOAD.as_bytes()).unwrap();
    // Python does not wait for the close, nor does the daemon for ever.
    stage.runs("never closed", true, &[]);
    stage.expect("never closed", &[(&path, "PTH_FILE_CREATED", "medium")]);
    // Its late close is no other change.
    drop(file);

    let path = at("replaced");
    let told = stage.row("replaced in between", &[(&path, "PTH_FILE_CREATED", "medium")], |stage| {
        let place = stage.at(&path);
        fs::write(stage.at("/srv/next"), PAYLOAD).unwrap();
        stage.session.while_held(|| {
            fs::write(&place, "# nothing at all\n").unwrap();
            fs::rename(stage.at("/srv/next"), &place).unwrap();
        });
    });
    if told.iter().any(|alert| alert.0["file"]["size"] != PAYLOAD.len()) {
        stage.note("replaced in between: what is there now is not what is shown");
    }
    stage.remove(&at("open"));
    stage.runs("replaced in between", true, &[]);
    stage.remove(&path);
    stage.finish();
}

#[test]
fn directories_that_a_path_file_adds_are_told_and_then_watched() {
    needs!(Fanotify);
    let mut stage = Stage::new(|fixture: &Fixture, _| {
        for directory in ["/srv/lib", "/tmp/lib", "/srv/.cache/lib", "/opt/lib"] {
            fs::create_dir_all(fixture.at(&format!("{directory}/x")).parent().unwrap()).unwrap();
        }
    });
    let directory = D.replace('V', &stage.version());
    for (name, line, told) in [
        ("ordinary", "/srv/lib", ("PTH_FILE_CREATED", "informational")),
        ("temporary", "/tmp/lib", ("PTH_PATH_SUSPICIOUS", "high")),
        ("shared memory", "/dev/shm", ("PTH_PATH_SUSPICIOUS", "high")),
        ("hidden", "/srv/.cache/lib", ("PTH_PATH_SUSPICIOUS", "high")),
        ("relative", "../../../../../opt/lib", ("PTH_PATH_SUSPICIOUS", "high")),
    ] {
        let path = format!("{directory}/{}.pth", name.replace(' ', ""));
        stage.row(name, &[(&path, told.0, told.1)], |stage| stage.write(&path, format!("{line}\n")));
    }
    // No import line anywhere.
    for added in ["/srv/lib", "/tmp/lib", "/srv/.cache/lib", "/opt/lib"] {
        let path = format!("{added}/usercustomize.py");
        stage.row(&format!("in {added}"), &[(&path, "USERCUSTOMIZE_MODIFIED", "high")], |stage| {
            stage.write(&path, PAYLOAD)
        });
        stage.runs(&format!("in {added}"), true, &[]);
        stage.remove(&path);
    }
    // The .pth files of an added directory are not read, so one there is nothing.
    stage.write("/srv/lib/inert.pth", PAYLOAD);
    stage.runs("a .pth in an added directory", false, &[]);
    let path = format!("{directory}/adds.pth");
    let line = "import site; site.addsitedir('/srv/added')\n";
    stage.row("addsitedir", &[(&path, "PTH_FILE_CREATED", "medium")], |stage| {
        fs::create_dir_all(stage.at("/srv/added")).unwrap();
        fs::write(stage.at("/srv/added/hook.pth"), PAYLOAD).unwrap();
        stage.write(&path, line);
    });
    stage.runs("addsitedir", true, &[]);
    stage.finish();
}

#[test]
fn weights_of_a_model_are_no_hook() {
    needs!(Fanotify);
    let mut stage = Stage::new(|_: &Fixture, _| ());
    let packages = "/home/u/v/lib/python3.12/site-packages";
    // As torch writes them: a zip, and before that a pickle.
    let zip = [b"PK\x03\x04\x00\x00\x08\x08\x00\x00".to_vec(), (0..=255u8).cycle().take(9000).collect()].concat();
    let pickle = [b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec(), vec![0xe9; 9000]].concat();
    for (name, content) in [("zip", &zip), ("pickle", &pickle)] {
        let below = format!("{packages}/torchvision/{name}.pth");
        stage.row(name, &[(&below, "PTH_FILE_CREATED", "informational")], |stage| stage.write(&below, content));
        // Directly beside the packages it stops every start of Python.
        let beside = format!("{packages}/{name}.pth");
        stage.row(name, &[(&beside, "PTH_INVALID", "medium")], |stage| stage.write(&beside, content));
    }
    stage.write("/home/u/models/resnet.pth", &zip);
    // A line that older ones would run is none of a model's.
    let path = format!("{packages}/disguised.pth");
    let content = [zip.as_slice(), b"\n", PAYLOAD.as_bytes()].concat();
    stage.row("code behind the magic", &[(&path, "PTH_FILE_CREATED", "medium")], |stage| stage.write(&path, &content));
    stage.finish();
}
