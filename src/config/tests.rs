//! Tests of the configuration file, of `--output` and of the shipped file.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use super::*;
use crate::alert::Format;
use crate::alert::sink::Target;
use crate::event::Level;
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

const SHIPPED: &str = include_str!("../../config/pyhookwatch.toml");

fn parse(text: &str) -> Result<Config, Vec<String>> {
    Config::parse(text, Path::new("x.toml"))
        .map_err(|diagnostics| diagnostics.iter().map(Diagnostic::to_string).collect())
}

fn accepted(text: &str) -> Config {
    parse(text).unwrap_or_else(|diagnostics| panic!("{text}\n{}", diagnostics.join("\n")))
}

fn diagnostics(text: &str) -> Vec<String> {
    parse(text).err().unwrap_or_default()
}

/// The only diagnostic of a file.
fn diagnostic(text: &str) -> String {
    let diagnostics = diagnostics(text);
    assert_eq!(diagnostics.len(), 1, "{text}\n{diagnostics:#?}");
    diagnostics.concat()
}

/// The lines of the diagnostics.
fn lines(text: &str) -> Vec<usize> {
    let diagnostics = Config::parse(text, Path::new("x.toml")).err().unwrap_or_default();
    diagnostics.iter().filter_map(|diagnostic| diagnostic.line).collect()
}

/// An output as text, because the syslog crate's types cannot be compared.
fn show(output: &OutputSettings) -> String {
    let target = match &output.target {
        Target::Stdout => "stdout".to_owned(),
        Target::File(path) => format!("file {}", path.display()),
        Target::Syslog(syslog) => format!(
            "syslog {} {:?} {:?} {:?} {}",
            syslog.socket.display(),
            syslog.protocol,
            syslog.facility,
            syslog.severities.map(|severity| severity as u8),
            syslog.max_message
        ),
    };
    format!("{target} {:?} {}", output.format, output.queue)
}

fn show_all(config: &Config) -> String {
    let outputs: Vec<_> = config.outputs.iter().map(show).collect();
    format!("{:?}\n{:?}\n{outputs:?}", config.source, config.rules)
}

/// The shipped file with each `#key = value` and `#[[output]]` switched on.
fn shipped_with_every_key() -> String {
    let switched_on = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    SHIPPED.lines().map(switched_on).collect()
}

#[test]
fn an_empty_file_gives_the_defaults() {
    assert_eq!(show_all(&accepted("")), show_all(&Config::default()));
    assert_eq!(show_all(&accepted("[watch]\n[rules]\n")), show_all(&Config::default()));
}

#[test]
fn every_documented_key_is_accepted_and_arrives() {
    let config = accepted(
        r#"
        [watch]
        backend = "fanotify"
        root = "/srv/image"
        trees = ["/a", "/b"]
        [rules]
        directories = ["/r1", "/r2"]
        disabled = ["one", "two"]
        [[output]]
        type = "syslog"
        socket = "/run/log"
        protocol = "rfc5424"
        facility = "local3"
        severity = { critical = "alert", low = "debug" }
        max_message_bytes = 65_536
        format = "text"
        queue = 1
        [[output]]
        type = "file"
        path = "/var/log/x"
        format = "ecs"
        queue = 1000000
        [[output]]
        type = "stdout"
        format = "text"
        queue = 5
        "#,
    );
    assert_eq!(config.source.backend, Backend::Fanotify);
    assert_eq!(config.source.root, Path::new("/srv/image"));
    assert_eq!(config.source.trees, [Path::new("/a"), Path::new("/b")]);
    assert_eq!(config.rules.directories, [Path::new("/r1"), Path::new("/r2")]);
    assert_eq!(config.rules.disabled, ["one", "two"]);
    let outputs: Vec<_> = config.outputs.iter().map(show).collect();
    assert_eq!(
        outputs,
        [
            "syslog /run/log Rfc5424 LOG_LOCAL3 [6, 7, 4, 3, 1] 65536 Some(Text) 1",
            "file /var/log/x Some(Ecs) 1000000",
            "stdout Some(Text) 5",
        ]
    );
}

#[test]
fn the_default_severities_rise_with_the_level() {
    let severities = Level::ALL.iter().map(|level| local_syslog().severity(*level) as u8).collect::<Vec<_>>();
    assert_eq!(severities, [6, 5, 4, 3, 2]);
}

#[test]
fn every_facility_and_severity_word_of_syslog_3_has_its_number() {
    let facilities = "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp";
    let locals = (0..8).map(|n| (16 + n, format!("local{n}")));
    let numbered = facilities.split(' ').map(str::to_owned).enumerate().chain(locals);
    for (number, word) in numbered {
        let config = accepted(&format!("[[output]]\ntype = \"syslog\"\nfacility = \"{word}\"\n"));
        match config.outputs.first().map(|output| &output.target) {
            Some(Target::Syslog(syslog)) => assert_eq!(syslog.facility as usize, number * 8, "{word}"),
            _ => panic!("{word} gave no syslog output"),
        }
    }
    for (number, word) in "emerg alert crit err warning notice info debug".split(' ').enumerate() {
        let config = accepted(&format!("[[output]]\ntype = \"syslog\"\nseverity.high = \"{word}\"\n"));
        match config.outputs.first().map(|output| &output.target) {
            Some(Target::Syslog(syslog)) => assert_eq!(syslog.severity(Level::High) as usize, number, "{word}"),
            _ => panic!("{word} gave no syslog output"),
        }
    }
}

#[test]
fn five_different_errors_are_five_diagnostics_in_the_order_of_the_file() {
    let text = "\
[watch]
backend = \"fanotfy\"
root = \"srv\"
tree = [\"/etc\"]
[rules]
disabled = 5
[[output]]
type = \"stdout\"
queue = 0
";
    assert_eq!(
        diagnostics(text),
        [
            "x.toml:2: `fanotfy` is no `backend` in [watch]: use one of auto, fanotify, inotify; did you mean `fanotify`?",
            "x.toml:3: `srv` is no path for `root` in [watch]: it must be absolute, beginning with `/`",
            "x.toml:4: unknown key `tree` in [watch]: did you mean `trees`?",
            "x.toml:6: `disabled` in [rules] must be a list of strings: [\"...\", \"...\"], not a whole number",
            "x.toml:9: `queue` in [[output]] must be a whole number from 1 to 1000000, not `0`",
        ]
    );
}

#[test]
fn a_syntax_error_does_not_hide_the_errors_on_other_lines() {
    let text = "[watch]\nroot =\nbackend = auto\nzzz = 1\n[rules\ndisabled = [3]\n";
    assert_eq!(lines(text), [2, 3, 4, 5, 6]);
    assert!(diagnostics("[watch]\nroot = \"/a\n").concat().starts_with("x.toml:2: not valid TOML: "));
}

#[test]
fn a_line_with_a_syntax_error_is_reported_once() {
    assert_eq!(lines("= = = [ [ \"\nzzz = 1\n"), [1, 2]);
}

#[test]
fn a_key_lost_in_a_syntax_error_is_not_called_missing() {
    assert_eq!(lines("[[output]]\ntype = \"file\"\npath = /var/log/x\n"), [3]);
}

#[test]
fn a_key_or_a_table_that_is_there_twice_is_an_error() {
    assert_eq!(lines("[watch]\nroot = \"/a\"\nroot = \"/b\"\n"), [3]);
    assert_eq!(lines("[watch]\n[rules]\n[watch]\n"), [3]);
}

#[test]
fn an_unknown_key_with_no_near_one_lists_the_known_keys() {
    assert_eq!(
        diagnostic("[rules]\npassword = 1\n"),
        "x.toml:2: unknown key `password` in [rules]: the keys here are directories, disabled"
    );
    assert_eq!(diagnostic("[wach]\n"), "x.toml:1: unknown key `wach` at the top level: did you mean `watch`?");
}

#[test]
fn a_key_of_another_output_type_is_unknown() {
    for (kind, key) in [("stdout", "path = \"/x\""), ("stdout", "severity.low = \"info\""), ("syslog", "path = \"/x\"")]
    {
        let message = diagnostic(&format!("[[output]]\ntype = \"{kind}\"\n{key}\n"));
        assert!(message.starts_with("x.toml:3: unknown key"), "{message}");
        assert!(message.contains(&format!("in an [[output]] of type {kind}: ")), "{message}");
    }
    assert_eq!(lines("[[output]]\ntype = \"file\"\npath = \"/x\"\nsocket = \"/y\"\nfacility = \"auth\"\n"), [4, 5]);
}

#[test]
fn an_output_without_type_or_path_is_reported_at_its_heading() {
    let message = diagnostic("\n[[output]]\nqueue = 3\n");
    assert_eq!(message, "x.toml:2: `type` is missing in [[output]]: add it, one of syslog, file, stdout");
    let message = diagnostic("[[output]]\ntype = \"file\"\n");
    assert_eq!(message, "x.toml:1: `path` is missing in an [[output]] of type file: add it, an absolute path");
}

#[test]
fn a_value_of_the_wrong_type_says_what_it_must_be() {
    for (text, must_be, found) in [
        ("watch = 1", "a table: write [watch]", "a whole number"),
        ("[[rules]]", "a table: write [rules]", "a list"),
        ("[output]", "write [[output]] with two brackets", "a table"),
        ("output = [1.5]", "write [[output]] with two brackets", "a number with a fraction"),
        ("[watch]\nbackend = true", "auto, fanotify, inotify", "true or false"),
        ("[watch]\nroot = [\"/\"]", "an absolute path in quotes", "a list"),
        ("[watch]\ntrees = \"/etc\"", "a list of strings", "a string"),
        ("[watch]\ntrees = [2026-01-01]", "a list of strings", "a date or time"),
        ("[[output]]\ntype = \"stdout\"\nqueue = \"7\"", "a whole number from 1 to 1000000", "a string"),
        ("[[output]]\ntype = \"syslog\"\nseverity = \"crit\"", "a table of levels", "a string"),
    ] {
        let message = diagnostic(text);
        assert!(message.contains(must_be) && message.ends_with(&format!("not {found}")), "{message}");
    }
}

#[test]
fn numbers_are_accepted_up_to_their_limits_and_refused_beyond() {
    let with = |key: &str, value: &str| parse(&format!("[[output]]\ntype = \"syslog\"\n{key} = {value}\n")).is_ok();
    for value in ["1", "1000000", "1_000", "0x10", "+5"] {
        assert!(with("queue", value), "{value}");
    }
    for value in ["0", "-1", "1000001", "1.0", "99999999999999999999999999", "0xffffffffffffffffff"] {
        assert!(!with("queue", value), "{value}");
    }
    for (value, good) in [("1023", false), ("1024", true), ("1048576", true), ("1048577", false)] {
        assert_eq!(with("max_message_bytes", value), good, "{value}");
    }
}

#[test]
fn paths_are_absolute_and_plain_and_come_out_in_their_shortest_form() {
    assert_eq!(accepted("[watch]\nroot = \"//srv/./x//\"\n").source.root, Path::new("/srv/x"));
    let long = format!("/{}", "x".repeat(4095));
    for bad in ["", "etc", "./etc", "~/x", "/a/../b", "/a\\u0000b", &long] {
        let message = diagnostic(&format!("[watch]\nroot = \"{bad}\"\n"));
        assert!(message.contains("is no path for `root` in [watch]: "), "{message}");
    }
}

#[test]
fn a_socket_path_too_long_for_the_kernel_and_a_file_that_is_a_directory_are_refused() {
    let syslog = |n: usize| parse(&format!("[[output]]\ntype = \"syslog\"\nsocket = \"/{}\"\n", "s".repeat(n)));
    assert!(syslog(106).is_ok());
    assert!(syslog(107).is_err());
    for path in ["/", "/var/log/"] {
        assert!(diagnostic(&format!("[[output]]\ntype = \"file\"\npath = \"{path}\"\n")).contains("directory"));
    }
}

#[test]
fn what_is_listed_twice_is_reported_at_its_second_place() {
    assert_eq!(lines("[watch]\ntrees = [\n\"/etc\",\n\"/opt\",\n\"/etc/\",\n]\n"), [5]);
    assert_eq!(lines("[rules]\ndirectories = [\"/a\",\n\"/a\"]\ndisabled = [\"x\", \"y\",\n\"x\"]\n"), [3, 5]);
}

#[test]
fn two_outputs_to_one_place_are_an_error_but_not_two_facilities_or_two_files() {
    let stdout = "[[output]]\ntype = \"stdout\"\n";
    let file = |path: &str| format!("[[output]]\ntype = \"file\"\npath = \"{path}\"\n");
    let syslog = |facility: &str| format!("[[output]]\ntype = \"syslog\"\nfacility = \"{facility}\"\n");
    assert_eq!(lines(&stdout.repeat(2)), [3]);
    assert_eq!(lines(&(file("/a") + &file("//a"))), [4]);
    assert_eq!(lines(&(syslog("auth") + &syslog("auth"))), [4]);
    accepted(&(stdout.to_owned() + &file("/a") + &file("/b") + &syslog("auth") + &syslog("local0")));
}

#[test]
fn an_empty_list_of_trees_is_refused_but_rules_may_be_only_the_embedded_ones() {
    assert!(diagnostic("[watch]\ntrees = []\n").contains("is empty"));
    assert!(accepted("[rules]\ndirectories = []\n").rules.directories.is_empty());
}

#[test]
fn an_empty_string_in_a_list_is_refused() {
    assert_eq!(lines("[rules]\ndisabled = [\"\"]\ndirectories = [\"/a\",\n\"\"]\n"), [2, 4]);
}

#[test]
fn text_of_the_file_is_repeated_printable_and_short() {
    let text = format!("[watch]\n\"\\u001b[2J\\n{}\" = 1\nbackend = \"\\u202e\\u0007\"\n", "k".repeat(5000));
    for message in diagnostics(&text) {
        assert!(message.is_ascii() && message.len() < 300 && !message.chars().any(char::is_control), "{message}");
    }
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_are_no_errors() {
    let config = accepted("\u{feff}[watch]\r\nroot = \"/x\"\r\n");
    assert_eq!(config.source.root, Path::new("/x"));
    assert_eq!(lines("[watch]\r\n\r\nzzz = 1\r\n"), [3]);
}

#[test]
fn the_shipped_file_as_it_is_gives_the_defaults() {
    assert_eq!(show_all(&accepted(SHIPPED)), show_all(&Config::default()));
}

#[test]
fn each_key_of_the_shipped_file_shows_its_default() {
    let mut config = accepted(&shipped_with_every_key());
    for output in &mut config.outputs {
        // What `None` means: ecs, but text on a terminal.
        let by_default = if matches!(output.target, Target::Stdout) { Format::Text } else { Format::Ecs };
        assert_eq!(output.format.take(), Some(by_default));
    }
    let minimal = "[[output]]\ntype = \"syslog\"\n\
        [[output]]\ntype = \"file\"\npath = \"/var/log/pyhookwatch/alerts.json\"\n\
        [[output]]\ntype = \"stdout\"\n";
    assert_eq!(show_all(&config), show_all(&accepted(minimal)));
    let default = Config::default();
    assert_eq!(format!("{:?}", config.source), format!("{:?}", default.source));
    assert_eq!(format!("{:?}", config.rules), format!("{:?}", default.rules));
}

#[test]
fn the_status_socket_is_moved_or_switched_off_and_another_root_has_none_by_itself() {
    let path = |text: &str, root: &str| accepted(text).status.path(Path::new(root)).map(Path::to_path_buf);
    let usual = Some(PathBuf::from(STATUS_SOCKET));
    assert_eq!((path("", "/"), path("", "/srv/image")), (usual.clone(), None));
    let moved = "[status]\nsocket = \"/run/other/s\"\n";
    assert_eq!(path(moved, "/srv/image"), Some(PathBuf::from("/run/other/s")));
    assert_eq!(path("[status]\nsocket = \"off\"\n", "/"), None);
    assert_eq!(accepted(&shipped_with_every_key()).status, StatusSocket::At(STATUS_SOCKET.into()));
    assert!(diagnostic("[status]\nsocket = \"s\"\n").contains("or `off`"));
}

#[test]
fn the_shipped_file_shows_every_key_there_is() {
    // A foreign key in every table makes the reader list the keys it knows there.
    let foreign = "@foreign@ = 1";
    let text: String = shipped_with_every_key()
        .replace("severity = {", &format!("severity = {{ {foreign},"))
        .lines()
        .flat_map(|line| [line, if line.starts_with('[') { foreign } else { "" }])
        .map(|line| line.to_owned() + "\n")
        .collect();
    let text = format!("{foreign}\n{text}").replace("@foreign@", "zzzzzzzzzz");
    let messages = diagnostics(&text);
    assert_eq!(messages.len(), 8, "{messages:#?}");
    for message in messages {
        let (before, keys) = message.split_once(": the keys here are ").unwrap_or_else(|| panic!("{message}"));
        let line: usize = before.split(':').nth(1).and_then(|line| line.parse().ok()).unwrap_or_default();
        let table = table_around(&text, line, before);
        for key in keys.split(", ") {
            assert!(table.contains(key), "{key} is missing in the shipped file: {message}\n{table}");
        }
    }
}

/// The part of the text that must show the keys of the table in which `line` stands.
fn table_around(text: &str, line: usize, message: &str) -> String {
    let from_line = || text.lines().skip(line.saturating_sub(1));
    if message.ends_with("at the top level") {
        text.lines().filter(|line| line.starts_with('[')).collect()
    } else if message.ends_with("in `severity`") {
        from_line().take(1).collect()
    } else {
        let lines: Vec<_> = from_line().take_while(|line| !line.starts_with('[')).collect();
        let keys = lines.iter().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(" = "));
        keys.map(|(key, _)| format!("{key} ")).collect()
    }
}

#[test]
fn the_command_line_names_outputs_in_short() {
    for (text, shown) in [
        ("stdout", "stdout None 10000"),
        ("syslog", "syslog /dev/log Rfc3164 LOG_AUTHPRIV [6, 5, 4, 3, 2] 8096 None 10000"),
        ("syslog:unix:/run/x", "syslog /run/x Rfc3164 LOG_AUTHPRIV [6, 5, 4, 3, 2] 8096 None 10000"),
        ("file:/var/log/x:y", "file /var/log/x:y None 10000"),
    ] {
        assert_eq!(parse_output(text).map(|output| show(&output)).as_deref(), Ok(shown), "{text}");
    }
}

#[test]
fn remote_outputs_are_refused_with_the_way_out() {
    for text in ["udp://h:514", "tcp://h:514", "tls://h:6514", "syslog:udp://h:514", "syslog:tls://h:6514"] {
        let message = parse_output(text).map(|output| show(&output)).unwrap_err();
        assert!(message.contains("local syslog daemon") && message.contains("rsyslog"), "{message}");
    }
}

#[test]
fn other_outputs_are_refused_with_the_forms_or_the_reason() {
    for (text, reason) in [
        ("", "use stdout, syslog, syslog:unix:PATH or file:PATH"),
        ("stderr", "use stdout, syslog, syslog:unix:PATH or file:PATH"),
        ("syslog:/dev/log", "use stdout, syslog, syslog:unix:PATH or file:PATH"),
        ("\u{1b}[2J", "use stdout, syslog, syslog:unix:PATH or file:PATH"),
        ("file:", "absolute"),
        ("file:x", "absolute"),
        ("file:/var/log/", "directory"),
        ("syslog:unix:", "absolute"),
    ] {
        let message = parse_output(text).map(|output| show(&output)).unwrap_err();
        assert!(message.contains(reason) && !message.contains('\u{1b}'), "{message}");
    }
}

#[test]
fn a_file_is_loaded_through_a_symbolic_link_too() {
    let directory = tempfile::tempdir().unwrap();
    let (path, link) = (directory.path().join("x.toml"), directory.path().join("link"));
    fs::write(&path, "[watch]\nroot = \"/x\"\n").unwrap();
    symlink(&path, &link).unwrap();
    for path in [path, link] {
        let config = Config::load(&path).unwrap_or_else(|diagnostics| panic!("{diagnostics:?}"));
        assert_eq!(config.source.root, Path::new("/x"));
    }
}

#[test]
fn what_cannot_be_loaded_says_why_and_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let why = |path: &Path| {
        let diagnostics = Config::load(path).err().unwrap_or_default();
        assert_eq!(diagnostics.len(), 1);
        diagnostics.iter().map(Diagnostic::to_string).collect::<String>()
    };
    assert!(why(&at("missing")).contains("create it, or run without"));
    assert!(why(directory.path()).contains("not a regular file"));
    assert!(why(Path::new("/dev/zero")).contains("not a regular file"));
    rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert!(why(&at("pipe")).contains("not a regular file"));
    fs::write(at("latin1"), b"# a\n# b\n# \xfc\n").unwrap();
    assert!(why(&at("latin1")).ends_with("latin1:3: not UTF-8 text: save the file as UTF-8"));
    fs::write(at("large"), vec![b'#'; 64 * 1024 + 1]).unwrap();
    assert!(why(&at("large")).contains("larger than 64 KiB"));
    fs::write(at("largest"), vec![b'#'; 64 * 1024]).unwrap();
    assert!(Config::load(&at("largest")).is_ok());
}

#[test]
fn a_file_full_of_garbage_or_of_nesting_is_refused_in_time_with_few_diagnostics() {
    let units = [
        "[",
        "{a=",
        "a={",
        "a=[1,",
        "a.",
        "[a.",
        "=",
        "=\n",
        "\"",
        "'\n",
        "[[output]]\n",
        "x=1\n",
        "#\u{1}\n",
        "\r",
        "\u{1}",
        "k",
        "\u{fc}",
    ];
    for unit in units {
        let start = Instant::now();
        let found = diagnostics(&unit.repeat(64 * 1024 / unit.len()));
        assert!((1..=reader::MAX_DIAGNOSTICS + 1).contains(&found.len()), "{unit:?}: {}", found.len());
        assert!(found.iter().all(|diagnostic| diagnostic.len() < 500), "{unit:?}");
        assert!(start.elapsed() < Duration::from_secs(60), "{unit:?}: {:?}", start.elapsed());
    }
}

#[test]
fn errors_beyond_the_limit_are_counted() {
    let text: String = (0..150).map(|n| format!("zzzzzzz{n} = 1\n")).collect();
    let found = diagnostics(&text);
    assert_eq!(found.len(), reader::MAX_DIAGNOSTICS + 1);
    assert_eq!(found.last().map(String::as_str), Some("x.toml: 50 more errors: correct those above first"));
}

/// Pieces from which almost a configuration file can be made.
fn piece() -> impl Strategy<Value = String> {
    let words = "[watch]\n [rules]\n [[output]]\n backend root trees directories disabled type path socket severity \
        queue format \"syslog\" \"file\" \"stdout\" \"/x\" \"\" 5 -1 1.5 true";
    let mut words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    words.extend(["=", " = ", "\n", "[", "]", "{", "}", ",", ".", "\"", "'", "#", "\u{1b}", "\r"].map(str::to_owned));
    prop_oneof![9 => proptest::sample::select(words), 1 => ".{0,4}"]
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic_or_speak_unprintably(pieces in proptest::collection::vec(piece(), 0..60)) {
        let text = pieces.concat();
        let last = text.lines().count() + 1;
        if let Err(found) = Config::parse(&text, Path::new("x.toml")) {
            prop_assert!(!found.is_empty());
            prop_assert!(found.is_sorted_by_key(|diagnostic| diagnostic.line));
            for diagnostic in found {
                prop_assert!(diagnostic.line.is_some_and(|line| (1..=last).contains(&line)), "{diagnostic}");
                prop_assert!(!diagnostic.to_string().chars().any(char::is_control));
            }
        }
    }

    #[test]
    fn any_output_argument_is_taken_or_refused_printably(text in "(stdout|syslog|file|unix|udp|:|/|.){0,6}") {
        if let Err(message) = parse_output(&text) {
            prop_assert!(!message.chars().any(char::is_control));
        }
    }
}
