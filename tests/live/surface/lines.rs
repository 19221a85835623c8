//! Every spelling of a `.pth` file: what any Python here executes is reported as code, and what hides from an editor as
//! hidden.

use super::python::Interpreter;
use super::{PAYLOAD, SurfaceTest, make_parent};
use crate::fixture::Fixture;
use crate::support::{needs, print};
use std::fmt::Write as _;
use std::fs;

const CODE: (&str, &str) = ("PTH_FILE_CREATED", "medium");
const HIDDEN: (&str, &str) = ("PTH_EVASION", "critical");
const INVALID: (&str, &str) = ("PTH_INVALID", "medium");
const NOTHING: (&str, &str) = ("PTH_FILE_CREATED", "informational");

/// Name, content, what is reported.
type Shape = (&'static str, Vec<u8>, (&'static str, &'static str));

/// What it is, path, content, what is reported.
type Row = (String, String, Vec<u8>, Option<(&'static str, &'static str)>);

fn shapes() -> Vec<Shape> {
    let with = |before: &str, after: &str| [before, PAYLOAD.trim_end(), after].concat().into_bytes();
    let raw = |before: &[u8], after: &[u8]| [before, PAYLOAD.trim_end().as_bytes(), after].concat();
    let mut utf_16 = vec![0xff, 0xfe];
    utf_16.extend(PAYLOAD.encode_utf16().flat_map(u16::to_le_bytes));
    vec![
        ("plain", with("", "\n"), CODE),
        ("no newline at the end", with("", ""), CODE),
        ("tab after import", b"import\tsys; sys.ran = 1\n".to_vec(), CODE),
        ("two blanks after import", b"import  sys; sys.ran = 1\n".to_vec(), CODE),
        ("blank before it", with(" ", "\n"), HIDDEN),
        ("tab before it", with("\t", "\n"), HIDDEN),
        ("form feed before it", with("\x0c", "\n"), HIDDEN),
        ("byte order mark", with("\u{feff}", "\n"), HIDDEN),
        ("CRLF", with("", "\r\n"), CODE),
        ("CR before it", with("\r", "\n"), HIDDEN),
        ("comment, CR", with("# paths\r", "\n"), HIDDEN),
        ("comment, VT", with("# paths\x0b", "\n"), HIDDEN),
        ("comment, FF", with("# paths\x0c", "\n"), HIDDEN),
        ("comment, FS", with("# paths\x1c", "\n"), HIDDEN),
        ("comment, GS", with("# paths\x1d", "\n"), HIDDEN),
        ("comment, RS", with("# paths\x1e", "\n"), HIDDEN),
        ("comment, NEL", with("# paths\u{85}", "\n"), HIDDEN),
        ("comment, U+2028", with("# paths\u{2028}", "\n"), HIDDEN),
        ("comment, U+2029", with("# paths\u{2029}", "\n"), HIDDEN),
        ("after 1 MiB of comment", with(&format!("#{}\n", "x".repeat((1 << 20) - 40)), "\n"), CODE),
        (
            "beyond what is parsed",
            with(&format!("#{}\n", "x".repeat(2 << 20)), "\n"),
            ("PTH_SUSPICIOUS_CONTENT", "high"),
        ),
        ("after 5000 blank lines", with(&"\n".repeat(5000), "\n"), CODE),
        ("after paths that are not there", with("/no/such/place\nneither/this\n", "\n"), CODE),
        ("after an import that fails", with("import no_such_module_at_all\n", "\n"), CODE),
        ("after one that exits", with("import sys; exec('raise SystemExit')\n", "\n"), CODE),
        ("upper case", b"IMPORT sys; sys.ran = 1\n".to_vec(), NOTHING),
        ("from", b"from sys import path; path.ran = 1\n".to_vec(), NOTHING),
        ("no import", b"exec('import sys; sys.ran = 1')\n".to_vec(), NOTHING),
        // More is reported than runs: no interpreter executes a line with NUL.
        ("NUL in its comment", with("", " # \0\n"), CODE),
        // Some run it and others do not start: both rules match, of one level.
        ("Latin-1 in a comment before it", raw(b"# caf\xe9\n", b"\n"), CODE),
        ("Latin-1 after it", raw(b"", b"\n# caf\xe9\n"), CODE),
        ("Latin-1 far after it", raw(b"", &[b"\n#".to_vec(), vec![b'x'; 70_000], b"\xe9\n".to_vec()].concat()), CODE),
        ("UTF-16", utf_16, INVALID),
        ("zero width space", with("\u{200b}", "\n"), NOTHING),
        ("no-break space", with("\u{a0}", "\n"), HIDDEN),
    ]
}

/// Names of a file with a plain import line.
const NAMES: [(&str, Option<(&str, &str)>); 10] = [
    (".hidden.pth", Some(HIDDEN)),
    ("..pth", Some(HIDDEN)),
    (".pth", Some(HIDDEN)),
    ("zz.PTH", None),
    ("zz.pth~", None),
    ("zz.pth.bak", None),
    ("a b.pth", Some(CODE)),
    ("-x.pth", Some(CODE)),
    ("с.pth", Some(CODE)),
    ("line\nbreak.pth", Some(CODE)),
];

#[test]
fn what_any_python_here_executes_of_a_path_file_is_reported_as_code() {
    needs!(Fanotify);
    let mut test = SurfaceTest::new(|_: &Fixture, _| ());
    let mut rows: Vec<Row> = Vec::new();
    for (number, (name, content, reported)) in shapes().into_iter().enumerate() {
        let path = format!("/srv/{number}/lib/python3.13/site-packages/x.pth");
        rows.push((name.to_owned(), path, content, Some(reported)));
    }
    for (number, (name, reported)) in NAMES.into_iter().enumerate() {
        let path = format!("/opt/{number}/lib/python3.13/site-packages/{name}");
        rows.push((format!("named {name:?}"), path, PAYLOAD.as_bytes().to_vec(), reported));
    }
    for (_, path, content, _) in &rows {
        make_parent(&test.session.at(path));
        test.write(path, content);
    }
    for (name, path, _, reported) in &rows {
        // A newline in a name is reported escaped.
        let shown = path.replace('\n', "\\n");
        if let Some((detection, level)) = reported {
            test.later(name, (&shown, detection, level));
        }
    }
    test.expect_pending();
    let run = run_by_all(&test, &rows);
    for ((name, path, _, reported), ran) in rows.iter().zip(&run) {
        if *ran && reported.is_none_or(|reported| reported == NOTHING) {
            test.note(&format!("{name}: a Python here executes it, and {path} is reported as nothing"));
        }
    }
    for path in rows.iter().map(|row| &row.1) {
        let _ = fs::remove_file(test.session.at(path));
    }
    test.finish();
}

/// Which rows any interpreter executed; prints the table.
fn run_by_all(test: &SurfaceTest, rows: &[Row]) -> Vec<bool> {
    let interpreters = Interpreter::all();
    let directories: Vec<_> = rows.iter().map(|row| test.session.at(&row.1).parent().unwrap().to_owned()).collect();
    let mut table = format!("{:34}", "executed by");
    let mut columns = Vec::new();
    for interpreter in &interpreters {
        let _ = write!(table, "{:>8}", interpreter.version);
        columns.push(interpreter.runs_pth_files(&directories));
    }
    let mut any = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let _ = write!(table, "\n{:34}", row.0);
        for column in &columns {
            let _ = write!(table, "{:>8}", if column.get(index) == Some(&true) { "yes" } else { "-" });
        }
        any.push(columns.iter().any(|column| column.get(index) == Some(&true)));
    }
    print(&format!("{table}\n"));
    any
}
