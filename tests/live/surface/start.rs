//! `.start` files of Python 3.15.

use super::python::Interpreter;
use super::{PAYLOAD, SurfaceTest};
use crate::support::{needs, print};
use std::fs;

#[test]
fn a_start_file_is_reported_and_so_is_the_module_that_it_names() {
    needs!(Fanotify);
    const PACKAGES: &str = "/opt/py/lib/python3.15/site-packages";
    let mut test = SurfaceTest::new(|fixture, _| {
        fs::write(fixture.at(&format!("{PACKAGES}/tool.pth")), PAYLOAD).unwrap();
        fs::write(fixture.at(&format!("{PACKAGES}/agent.pth")), PAYLOAD).unwrap();
        fs::write(fixture.at("/opt/two/lib/python3.15/site-packages/x.pth"), "/opt/modules\n").unwrap();
    });
    let newest = Interpreter::all().into_iter().find(|interpreter| interpreter.reads_start_files());
    if newest.is_none() {
        print("no Python 3.15 here: .start files are planted and not run\n");
    }
    let ran = |test: &mut SurfaceTest, row: &str, expected: bool| {
        let directory = test.session.at(PACKAGES);
        if let Some(newest) = &newest
            && newest.runs_in(&directory) != expected
        {
            test.note(&format!("{row}: Python {} did otherwise", newest.version));
        }
    };
    test.remove(&format!("{PACKAGES}/agent.pth"));
    ran(&mut test, "before", true);
    // Whatever it holds, it keeps the import lines of the .pth of its name from running.
    let silencer = format!("{PACKAGES}/tool.start");
    for (row, content) in [("empty", ""), ("a comment", "# nothing\n"), ("no entry", "tool\n")] {
        test.row(row, &[(&silencer, "START_SUPPRESSES_PTH", "high")], |test| test.write(&silencer, content));
        ran(&mut test, row, false);
        test.remove(&silencer);
    }
    test.remove(&format!("{PACKAGES}/tool.pth"));
    test.write(&silencer, "");

    let hook = format!("{PACKAGES}/zz.start");
    test.row("an entry", &[(&hook, "START_FILE_CREATED", "medium")], |test| test.write(&hook, "evilmod:go\n"));
    ran(&mut test, "an entry", false);
    let module = format!("{PACKAGES}/evilmod.py");
    // The function need not be there.
    test.row("its module", &[(&module, "HOOK_MODULE_MODIFIED", "high")], |test| test.write(&module, PAYLOAD));
    ran(&mut test, "its module", true);
    for (row, content) in [("byte order mark", "\u{feff}evilmod:go\n"), ("U+2028", "# c\u{2028}evilmod:go\n")] {
        test.row(row, &[(&hook, "START_FILE_CREATED", "medium")], |test| test.write(&hook, content));
        ran(&mut test, row, true);
    }
    test.remove(&hook);
    for path in [
        "/home/u/.local/lib/python3.15/site-packages/zz.start",
        "/usr/local/lib/python3.15t/dist-packages/a b.start",
        "/usr/lib/python3/dist-packages/zz.start",
    ] {
        test.row(path, &[(path, "START_FILE_CREATED", "medium")], |test| test.write(path, "evilmod:go\n"));
    }
    // Read nowhere.
    for path in [&*format!("{PACKAGES}/zz.START"), "/opt/modules/zz.start", "/srv/zz.start"] {
        test.write(path, "evilmod:go\n");
    }
    test.finish();
}
