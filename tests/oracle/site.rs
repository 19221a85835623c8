//! Compares the parsers of `.pth` and `.start` files with the `site` modules of real interpreters.
//!
//! Every Python of this machine runs several hundred files: all known shapes and random mixtures of their parts. These are
//! the system's Python, those of pyenv, and those in `PYHOOKWATCH_ORACLE_PYTHONS` (`tests/sid_pythons.sh` prints Debian
//! unstable's). Each line calls `sys.ran` with a number. A number that runs must be in a line that the parser lists for that
//! interpreter. Listed lines that do not run are counted and printed: mostly lines after one that raised an error, where
//! Python up to 3.14 stops.
//!
//!     cargo test --test oracle site:: -- --nocapture
//!
//! Without a Python it prints SKIPPED and passes; with `PYHOOKWATCH_REQUIRE_LIVE=1` it fails.

use pyhookwatch::hook::pth;
use pyhookwatch::hook::start;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

const RANDOM_CASES: usize = 700;
const SEED: u64 = 0x5eed_0829;

/// One directory with one start-up file.
struct Case {
    name: String,
    content: Vec<u8>,
}

/// Reproducible numbers (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    fn choose<'a>(&mut self, from: &[&'a [u8]]) -> &'a [u8] {
        from[self.below(from.len())]
    }
}

const SEPARATORS: [&[u8]; 14] = [
    b"\n",
    b"\r\n",
    b"\r",
    b"\x0b",
    b"\x0c",
    b"\x1c",
    b"\x1d",
    b"\x1e",
    b"\xc2\x85",
    b"\xe2\x80\xa8",
    b"\xe2\x80\xa9",
    b"\n\n",
    b"\r\r\n",
    b"\n\r",
];
const INDENTS: [&[u8]; 12] = [
    b"",
    b" ",
    b"\t",
    b"   ",
    b"\x0c",
    b"\x0b",
    b"\x1f",
    b"\xc2\xa0",
    b"\xe3\x80\x80",
    b"\xe2\x80\x8b",
    b"\xef\xbb\xbf",
    b"\xe1\x9a\x80",
];
const OTHERS: [&[u8]; 12] = [
    b"# comment",
    b"",
    b"/nowhere",
    b"relative/x",
    b"importx",
    b"import",
    b"IMPORT sys",
    b"from sys import path",
    b" # c",
    b"../..",
    b"caf\xc3\xa9",
    b"#\xe2\x82\xac",
];
const UNDECODABLE: [&[u8]; 6] = [b"# \xff", b"\x80", b"# \xe9t\xe9 \x85", b"\xa0", b"\xc3", b"# \xed\xa0\x80"];

/// A line that runs, with the next number.
fn payload(random: &mut Random, next: &mut usize) -> Vec<u8> {
    *next += 1;
    let text = match random.below(9) {
        0 => format!("import\tsys;sys.ran({next})"),
        1 => format!("import  sys;sys.ran({next})"),
        2 => format!("import sys;\x0csys.ran({next})"),
        3 => format!("import sys;sys.ran({next}) # \u{e9}"),
        4 => format!("import sys;sys.ran({next})  \t"),
        5 => format!("import sys\x0c;sys.ran({next})"),
        _ => format!("import sys;sys.ran({next})"),
    };
    text.into_bytes()
}

fn pth_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut shape = |content: &[u8]| cases.push(Case { name: "a.pth".into(), content: content.to_vec() });
    let run = |number: usize| format!("import sys;sys.ran({number})").into_bytes();
    for indent in INDENTS {
        shape(&[indent, &run(1)].concat());
        shape(&[b"# c\n", indent, &run(1), b"\n"].concat());
    }
    for separator in SEPARATORS {
        for before in OTHERS.into_iter().chain(UNDECODABLE).chain([&run(1)[..]]) {
            shape(&[before, separator, &run(2), separator, &run(3)].concat());
        }
    }
    for lone in [&b"\x85"[..], b"\xa0", b"# \x85", b"# \xff\x85", b"\xff\xa0", b"# \xff\n\xa0"] {
        shape(&[lone, &run(1)].concat());
    }
    for before in [10, 8_000, 70_000, 200_000] {
        shape(&[b"#".repeat(before), b"\n".to_vec(), run(1), b"\n# \xff\n".to_vec(), run(2)].concat());
        shape(&[run(1), b"\n#".repeat(before), b"\n".to_vec(), run(2), b"\n\xff".to_vec()].concat());
    }
    shape(&[b"/nowhere\n".repeat(500), run(1)].concat());
    shape(&[b"\n".repeat(500), run(1)].concat());
    shape(&[run(1), b"\nimport nowhere_at_all\n".to_vec(), run(2)].concat());
    shape(&[run(1), b" # \0\n".to_vec(), run(2)].concat());
    shape(&[b"/x\0y\n".to_vec(), run(2)].concat());
    shape(&[b"\xff\xfe".to_vec(), run(1).iter().flat_map(|&byte| [byte, 0]).collect()].concat());
    shape(&[b"PK\x03\x04\n".to_vec(), run(1)].concat());
    shape(&[b"\x80\x02\n".to_vec(), run(1)].concat());
    for name in
        [".hidden.pth", "..pth", ".pth", "zz.PTH", "zz.pth~", "a b.pth", "-x.pth", "\u{441}.pth", "line\nbreak.pth"]
    {
        cases.push(Case { name: name.into(), content: run(1) });
    }
    let mut random = Random(SEED);
    for index in 0..RANDOM_CASES {
        let (mut content, mut next) = (Vec::new(), 0);
        if random.below(8) == 0 {
            content.extend_from_slice(b"\xef\xbb\xbf");
        }
        for _ in 0..=random.below(7) {
            if random.below(3) == 0 {
                content.extend_from_slice(random.choose(&INDENTS));
            }
            match random.below(16) {
                0 if index % 4 == 0 => content.extend_from_slice(random.choose(&UNDECODABLE)),
                0..8 => content.extend_from_slice(random.choose(&OTHERS)),
                _ => content.extend(payload(&mut random, &mut next)),
            }
            content.extend_from_slice(random.choose(&SEPARATORS));
        }
        cases.push(Case { name: "a.pth".into(), content });
    }
    cases
}

fn start_cases() -> Vec<Case> {
    let mut random = Random(SEED + 1);
    let entries: [&[u8]; 14] = [
        b"oracle_target:f1",
        b"  oracle_target:f2 ",
        b"oracle_target:f3.__call__",
        b"oracle_target",
        b"oracle_target:",
        b"oracle_target:f4 # c",
        b"oracle_target:f5()",
        b"oracle_target : f6",
        b"# oracle_target:f7",
        b"\xef\xbb\xbforacle_target:f8",
        b"sys:nothing",
        b"\xc2\xa0oracle_target:f9",
        b"import sys;sys.ran(10)",
        b"\xff",
    ];
    let mut cases: Vec<Case> =
        entries.iter().map(|entry| Case { name: "a.start".into(), content: entry.to_vec() }).collect();
    for _ in 0..RANDOM_CASES / 7 {
        let mut content = Vec::new();
        for _ in 0..=random.below(5) {
            content.extend_from_slice(random.choose(&entries[..13]));
            content.extend_from_slice(random.choose(&SEPARATORS));
        }
        cases.push(Case { name: "a.start".into(), content });
    }
    for name in [".a.start", "a.START"] {
        cases.push(Case { name: name.into(), content: b"oracle_target:f1".to_vec() });
    }
    cases
}

/// The numbers in a text that calls `sys.ran`.
fn numbers(text: &[u8], before: &str) -> Vec<u64> {
    let text = String::from_utf8_lossy(text).into_owned();
    let digits = |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
    text.split(before).skip(1).filter_map(digits).collect()
}

/// The numbers in the lines that the parser lists for this interpreter.
fn listed(case: &Case, version: (u8, u8), eight_bit: bool) -> BTreeSet<u64> {
    if !pth::name_interpreters(case.name.as_bytes()).contains(version, eight_bit) {
        return BTreeSet::new();
    }
    if case.name.ends_with(".start") {
        let parsed = start::parse(&case.content);
        let entries = parsed.entries.iter().filter(|_| parsed.interpreters().contains(version, eight_bit));
        return entries.flat_map(|entry| numbers(entry.function.as_bytes(), "f")).collect();
    }
    let lines = pth::lines(&case.content).filter(|line| line.kind == pth::Kind::Import);
    let lines = lines.filter(|line| line.interpreters.contains(version, eight_bit));
    lines.flat_map(|line| numbers(line.text, "sys.ran(")).collect()
}

struct Output {
    version: (u8, u8),
    encoding: String,
    ran: BTreeMap<String, BTreeSet<u64>>,
}

fn run_cases(python: &Path, cases: &Path, environment: &[(&str, &str)]) -> Result<Output, String> {
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/site.py");
    let mut command = Command::new(python);
    command.args(["-S", "-s", "-B"]).arg(driver).arg(cases).env_clear().envs(environment.iter().copied());
    let output = command.output().map_err(|error| error.to_string())?;
    let document: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(&output.stderr)))?;
    let version = |index: usize| u8::try_from(document["version"][index].as_u64().unwrap()).unwrap();
    let ran = document["ran"].as_object().unwrap().iter();
    Ok(Output {
        version: (version(0), version(1)),
        encoding: document["encoding"].as_str().unwrap().to_owned(),
        ran: ran
            .map(|(case, ran)| {
                (case.clone(), ran.as_array().unwrap().iter().filter_map(serde_json::Value::as_u64).collect())
            })
            .collect(),
    })
}

/// Every interpreter of this machine.
fn pythons() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = vec!["/usr/bin/python3".into(), "/usr/bin/python2".into()];
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".pyenv"));
    if let Some(root) = std::env::var_os("PYENV_ROOT").map(PathBuf::from).or(home) {
        let versions = std::fs::read_dir(root.join("versions")).into_iter().flatten().flatten();
        found.extend(versions.map(|version| version.path().join("bin/python")));
    }
    found.extend(std::env::var("PYHOOKWATCH_ORACLE_PYTHONS").unwrap_or_default().split_whitespace().map(PathBuf::from));
    found.retain(|python| python.exists());
    found.sort();
    found
}

/// A directory with a Latin-1 locale. `None` without localedef or its sources.
fn eight_bit_locale(scratch: &Path) -> Option<PathBuf> {
    let path = scratch.join("locales");
    std::fs::create_dir(&path).unwrap();
    let locale = path.join("en_US.ISO-8859-1");
    Command::new("localedef").args(["-f", "ISO-8859-1", "-i", "en_US"]).arg(&locale).output().ok()?;
    locale.is_dir().then_some(path)
}

#[test]
fn every_line_that_an_interpreter_runs_is_listed_for_it() {
    let pythons = pythons();
    let has_system = pythons.iter().any(|python| python == Path::new("/usr/bin/python3"));
    if !has_system {
        let line = "SKIPPED: there is no /usr/bin/python3 to compare the parsers with";
        assert!(std::env::var_os("PYHOOKWATCH_REQUIRE_LIVE").is_none_or(|value| value != "1"), "{line}");
        eprintln!("{line}");
    }
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path().join("cases");
    let mut cases = BTreeMap::new();
    for (index, case) in pth_cases().into_iter().chain(start_cases()).enumerate() {
        let key = format!("{index:05}");
        std::fs::create_dir_all(root.join(&key)).unwrap();
        std::fs::write(root.join(&key).join(&case.name), &case.content).unwrap();
        cases.insert(key, case);
    }
    assert!(cases.len() >= 500, "{}", cases.len());
    let locales = eight_bit_locale(scratch.path());
    let utf_8 = vec![("LC_ALL", "C.UTF-8")];
    let latin_1 = locales.as_ref().map(|locales| {
        vec![("LC_ALL", "en_US.ISO-8859-1"), ("LOCPATH", locales.to_str().unwrap()), ("PYTHONUTF8", "0")]
    });
    if latin_1.is_none() {
        eprintln!("localedef cannot create a Latin-1 locale: that encoding is not compared");
    }
    let mut wrong = Vec::new();
    println!(
        "{:<44} {:>7} {:>12} {:>7} {:>8} {:>8}",
        "interpreter", "version", "encoding", "run", "unlisted", "too many"
    );
    for python in &pythons {
        for environment in [Some(&utf_8), latin_1.as_ref()].into_iter().flatten() {
            let output =
                run_cases(python, &root, environment).unwrap_or_else(|error| panic!("{}: {error}", python.display()));
            let eight_bit = output.encoding.starts_with("ISO-8859");
            let (mut run, mut unlisted, mut too_many, mut in_cases) = (0, 0, 0, 0);
            for (key, case) in &cases {
                let ran = &output.ran[key];
                let listed = listed(case, output.version, eight_bit);
                run += ran.len();
                let extra = listed.difference(ran).count();
                too_many += extra;
                in_cases += usize::from(extra > 0);
                let missed: Vec<_> = ran.difference(&listed).collect();
                unlisted += missed.len();
                if !missed.is_empty() {
                    let shown = &case.content[..case.content.len().min(200)];
                    wrong.push(format!(
                        "{} runs {missed:?} of {:?}: {}",
                        python.display(),
                        case.name,
                        shown.escape_ascii()
                    ));
                }
            }
            let version = format!("{}.{}", output.version.0, output.version.1);
            println!(
                "{:<44} {version:>7} {:>12} {run:>7} {unlisted:>8} {too_many:>8} {in_cases:>8}",
                python.display(),
                output.encoding
            );
        }
    }
    assert!(wrong.is_empty(), "{} unlisted:\n{}", wrong.len(), wrong[..wrong.len().min(30)].join("\n"));
}

/// The signal `SuppressesPth`, on Python 3.15 and later (PEP 829).
#[test]
fn a_start_file_of_any_utf_8_suppresses_the_pth_of_its_name() {
    let scratch = tempfile::tempdir().unwrap();
    let contents: [(&str, &[u8], bool); 4] =
        [("0", b"", true), ("1", b"# c\n", true), ("2", b"wrong", true), ("3", b"\xff", false)];
    for (case, content, _) in contents {
        let directory = scratch.path().join(case);
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("a.pth"), "import sys;sys.ran(1)").unwrap();
        std::fs::write(directory.join("a.start"), content).unwrap();
    }
    let mut compared = 0;
    for python in pythons() {
        let output = run_cases(&python, scratch.path(), &[("LC_ALL", "C.UTF-8")]).unwrap();
        if output.version < (3, 15) {
            continue;
        }
        compared += 1;
        for (case, content, suppresses) in contents {
            assert_eq!(output.ran[case].is_empty(), suppresses, "{content:?}");
            assert_eq!(start::parse(content).signals.contains(pyhookwatch::event::Signal::SuppressesPth), suppresses);
        }
    }
    if compared == 0 {
        eprintln!("SKIPPED: there is no Python 3.15 (tests/sid_pythons.sh installs one)");
    }
}
