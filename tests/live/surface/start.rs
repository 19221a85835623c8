//! `.start` files of Python 3.15.

use super::python::Interpreter;
use super::{PAYLOAD, Stage};
use crate::support::{needs, print};
use std::fs;

#[test]
fn a_start_file_is_told_and_so_is_the_module_that_it_names() {
    needs!(Fanotify);
    const PACKAGES: &str = "/opt/py/lib/python3.15/site-packages";
    let mut stage = Stage::new(|fixture, _| {
        fs::write(fixture.at(&format!("{PACKAGES}/tool.pth")), PAYLOAD).unwrap();
        fs::write(fixture.at(&format!("{PACKAGES}/agent.pth")), PAYLOAD).unwrap();
        fs::write(fixture.at("/opt/two/lib/python3.15/site-packages/x.pth"), "/opt/modules\n").unwrap();
    });
    let newest = Interpreter::all().into_iter().find(|interpreter| interpreter.reads_start_files());
    if newest.is_none() {
        print("no Python 3.15 here: .start files are planted and not run\n");
    }
    let ran = |stage: &mut Stage, row: &str, expected: bool| {
        let directory = stage.session.at(PACKAGES);
        if let Some(newest) = &newest
            && newest.runs_in(&directory) != expected
        {
            stage.note(&format!("{row}: Python {} did otherwise", newest.version));
        }
    };
    stage.remove(&format!("{PACKAGES}/agent.pth"));
    ran(&mut stage, "before", true);
    // Whatever it holds, it keeps the import lines of the .pth of its name from running.
    let silencer = format!("{PACKAGES}/tool.start");
    for (row, content) in [("empty", ""), ("a comment", "# nothing\n"), ("no entry", "tool\n")] {
        stage.row(row, &[(&silencer, "START_SUPPRESSES_PTH", "high")], |stage| stage.write(&silencer, content));
        ran(&mut stage, row, false);
        stage.remove(&silencer);
    }
    stage.remove(&format!("{PACKAGES}/tool.pth"));
    stage.write(&silencer, "");

    let hook = format!("{PACKAGES}/zz.start");
    stage.row("an entry", &[(&hook, "START_FILE_CREATED", "medium")], |stage| stage.write(&hook, "evilmod:go\n"));
    ran(&mut stage, "an entry", false);
    let module = format!("{PACKAGES}/evilmod.py");
    // The function need not be there.
    stage.row("its module", &[(&module, "HOOK_MODULE_MODIFIED", "high")], |stage| stage.write(&module, PAYLOAD));
    ran(&mut stage, "its module", true);
    for (row, content) in [("byte order mark", "\u{feff}evilmod:go\n"), ("U+2028", "# c\u{2028}evilmod:go\n")] {
        stage.row(row, &[(&hook, "START_FILE_CREATED", "medium")], |stage| stage.write(&hook, content));
        ran(&mut stage, row, true);
    }
    stage.remove(&hook);
    for path in [
        "/home/u/.local/lib/python3.15/site-packages/zz.start",
        "/usr/local/lib/python3.15t/dist-packages/a b.start",
        "/usr/lib/python3/dist-packages/zz.start",
    ] {
        stage.row(path, &[(path, "START_FILE_CREATED", "medium")], |stage| stage.write(path, "evilmod:go\n"));
    }
    // Read nowhere.
    for path in [&*format!("{PACKAGES}/zz.START"), "/opt/modules/zz.start", "/srv/zz.start"] {
        stage.write(path, "evilmod:go\n");
    }
    stage.finish();
}
