use super::*;
use crate::event::Hook;
use crate::event::HookLocation;
use proptest::prelude::*;

fn read(path: &str, content: &str) -> Vec<(&'static str, String)> {
    let settings = settings(Path::new(path), content.as_bytes());
    settings.into_iter().map(|found| (found.variable, String::from_utf8_lossy(&found.value).into_owned())).collect()
}

/// Each line holds one setting of PYTHONPATH to /x.
#[track_caller]
fn sets(path: &str, content: &str) {
    assert_eq!(read(path, content), [("PYTHONPATH", "/x".to_owned())], "{path}: {content:?}");
}

#[track_caller]
fn sets_nothing(path: &str, content: &str) {
    assert_eq!(read(path, content), [], "{path}: {content:?}");
}

const PROFILE: &str = "/root/.profile";

#[test]
fn an_assignment_is_found_in_every_place_that_a_shell_script_has_for_one() {
    for script in [
        "PYTHONPATH=/x",
        "export PYTHONPATH=/x",
        "export A=1 PYTHONPATH=/x B=2",
        "export -- PYTHONPATH='/x'",
        "export \"PYTHONPATH=/x\"",
        "declare -x PYTHONPATH=\"/x\"",
        "typeset -gx PYTHONPATH=/x",
        "readonly PYTHONPATH=/x; export PYTHONPATH",
        "  PYTHONPATH+=/x",
        "PYTHONPATH=$'/x'",
        "PYTHONPATH=/\\x",
        "A=b PYTHONPATH=/x python3 y.py",
        "env -i A=b PYTHONPATH=/x python3 y.py",
        "env -u A PYTHONPATH=/x python3",
        "env 'PYTHONPATH=/x' python3",
        "env -S 'PYTHONPATH=/x python3'",
        "/usr/bin/env PYTHONPATH=/x python3",
        "command export PYTHONPATH=/x",
        "exec env PYTHONPATH=/x bash",
        "sudo -u root PYTHONPATH=/x python3",
        ": ${PYTHONPATH:=/x}",
        ": \"${PYTHONPATH=/x}\"; export PYTHONPATH",
        "[ -d /x ] && PYTHONPATH=/x && export PYTHONPATH",
        "[ -d /x ] || export PYTHONPATH=/x",
        "if true; then export PYTHONPATH=/x; fi",
        "if true\nthen\n  export PYTHONPATH=/x\nfi",
        "case $- in *i*) PYTHONPATH=/x ;; esac",
        "while true; do PYTHONPATH=/x; done",
        "f() { export PYTHONPATH=/x; }; f",
        "function f { export PYTHONPATH=/x; }",
        "{ PYTHONPATH=/x; }",
        "(PYTHONPATH=/x; python3)",
        "true & PYTHONPATH=/x",
        "echo x | PYTHONPATH=/x python3",
        "! PYTHONPATH=/x python3",
        "export \\\n  PYTHONPATH=/x",
        "export PYTHONPATH\\\n=/x",
        "eval 'export PYTHONPATH=/x'",
        "eval export PYTHONPATH=/x",
        "eval \"eval 'PYTHONPATH=/x'\"",
        "alias python='PYTHONPATH=/x python'",
        "trap 'PYTHONPATH=/x' DEBUG",
        "bash -c 'PYTHONPATH=/x python3'",
        "$SUDO env PYTHONPATH=/x python3",
        "$(true) export PYTHONPATH=/x",
        "`true`export PYTHONPATH=/x",
        "cat <<E\n ${PYTHONPATH:=/x}\nE\n",
        "printf -v PYTHONPATH %s /x",
        "read -r PYTHONPATH <<< /x",
        "read PYTHONPATH <<< \"/x\"",
        "for PYTHONPATH in /x; do export PYTHONPATH; done",
        "cat <<EOF\nPYTHONPATH=/y\nEOF\nPYTHONPATH=/x",
        "cat <<-'E F'\n\tPYTHONPATH=/y\n\tE F\nPYTHONPATH=/x",
        "cat > f <<A <<B\nA\nA\nB\nPYTHONPATH=/x",
        "echo 'it' # it's\nPYTHONPATH=/x",
        "X=\"a # b\" PYTHONPATH=/x",
        "echo \\$'it\\'; PYTHONPATH=/x",
        "X=\"$(echo \"a b\" ')')\" PYTHONPATH=/x",
        "X=`echo a b` PYTHONPATH=/x",
        "X=${Y:-a b} PYTHONPATH=/x",
        "X=(a b) PYTHONPATH=/x",
        "systemctl --user set-environment PYTHONPATH=/x",
        "systemd-run --setenv=PYTHONPATH=/x python3",
        "set -a\nPYTHONPATH=/x\nset +a",
        "x 2>&1 >/dev/null; PYTHONPATH=/x",
        "export PYTHONPATH=/x\r\n",
    ] {
        sets(PROFILE, script);
    }
}

#[test]
fn a_mention_is_not_a_setting() {
    for script in [
        "# PYTHONPATH=/x",
        "X=1 # PYTHONPATH=/x",
        "echo $PYTHONPATH",
        "echo PYTHONPATH=/x",
        "echo 'export PYTHONPATH=/x'",
        "echo \"\nPYTHONPATH=/x\n\"",
        "MYPYTHONPATH=/x",
        "PYTHONPATHS=/x",
        "unset PYTHONPATH",
        "export PYTHONPATH",
        "PYTHONPATH=",
        "export PYTHONPATH=''",
        "[ \"$PYTHONPATH\" = /x ]",
        "pythonpath=/x",
        "PYTHONPATH = /x",
        "\"PYTHONPATH\"=/x",
        "cat <<EOF\nexport PYTHONPATH=/x\nEOF\n",
        "echo ${PYTHONPATH:-/x} ${PYTHONPATH:+/x}",
        "PYTHONINSPECT=1 PYTHONEXECUTABLE=/x",
        "PYTHONWARNINGS=ignore",
        "PYTHONWARNINGS=ignore::DeprecationWarning",
        "BROWSER=/usr/bin/firefox",
    ] {
        sets_nothing(PROFILE, script);
    }
}

#[test]
fn values_are_not_expanded_and_have_their_lines() {
    let found = settings(Path::new(PROFILE), b"# a\nX=1\nexport PYTHONSTARTUP=\"$HOME/.x y\"  # why\n");
    let [found] = &found[..] else { panic!("{found:?}") };
    assert_eq!((found.variable, found.line), ("PYTHONSTARTUP", 3));
    assert_eq!(found.value, b"$HOME/.x y");
    assert_eq!(found.text, b"export PYTHONSTARTUP=\"$HOME/.x y\"  # why");
    let value = &read(PROFILE, "PYTHONPATH=${PYTHONPATH:+$PYTHONPATH:}/opt/\"a b\"")[0].1;
    assert_eq!(value, "${PYTHONPATH:+$PYTHONPATH:}/opt/a b");
    let nested = settings(Path::new(PROFILE), b"\neval '\n\nPYTHONPATH=/x'");
    assert_eq!(nested[0].line, 2);
}

#[test]
fn a_quote_or_here_document_that_is_never_closed_hides_no_setting() {
    let deep = "$(".repeat(100) + &")".repeat(100) + "'";
    for open in [&deep, "echo don't", "cat << X", "echo \"", "x=$(", "((1<<2))", "x=`"] {
        sets(PROFILE, &format!("{open}\n  export PYTHONPATH=/x\ny\n"));
    }
}

#[test]
fn antigravity_needs_both_variables() {
    let trick = "export PYTHONWARNINGS=all:0:antigravity.x:0:0\nexport BROWSER=/tmp/cmd\n";
    let found = read(PROFILE, trick);
    assert_eq!(found[0], ("PYTHONWARNINGS", "all:0:antigravity.x:0:0".to_owned()));
    assert_eq!(found[1], ("BROWSER", "/tmp/cmd".to_owned()));
    assert_eq!(read(PROFILE, "PYTHONWARNINGS=error,ignore::a.B").len(), 1);
}

#[test]
fn fish_and_csh_have_their_own_words() {
    for script in [
        "set -gx PYTHONPATH /x",
        "set --export --global PYTHONPATH '/x'",
        "set -Ux PYTHONPATH \"/x\"",
        "if status is-login; set -x PYTHONPATH /x; end",
        "and set -x PYTHONPATH /x",
        "export PYTHONPATH=/x",
        "env PYTHONPATH=/x python3",
        "PYTHONPATH=/x python3",
        "echo 'it\\'s'; set -x PYTHONPATH /x",
        "set x (cat y z); set -x PYTHONPATH /x",
    ] {
        sets("/root/.config/fish/config.fish", script);
        sets("/etc/fish/conf.d/a.fish", script);
    }
    for script in
        ["set -e PYTHONPATH /x", "set -q PYTHONPATH", "echo set PYTHONPATH /x", "set PYTHONPATH", "# set PYTHONPATH /x"]
    {
        sets_nothing("/root/.config/fish/config.fish", script);
    }
    assert_eq!(read("/root/.config/fish/config.fish", "set -gx PYTHONPATH /a /b")[0].1, "/a:/b");
    sets("/root/.config/fish/fish_variables", "# x\nSETUVAR --export PYTHONPATH:\\x2fx\n");
    for script in
        ["setenv PYTHONPATH /x", "if (! $?A) setenv PYTHONPATH \"/x\"", "foreach a (b)\nsetenv PYTHONPATH /x\nend"]
    {
        sets("/etc/profile.d/a.csh", script);
        sets("/root/.tcshrc", script);
    }
    sets_nothing("/root/.cshrc", "unsetenv PYTHONPATH\nset PYTHONPATH = /x\necho setenv PYTHONPATH /x");
}

#[test]
fn lists_of_assignments_are_read_as_pam_and_systemd_do() {
    for path in [
        "/etc/environment",
        "/etc/environment.d/a.conf",
        "/root/.config/environment.d/a.conf",
        "/root/.ssh/environment",
    ] {
        for line in [
            "PYTHONPATH=/x",
            "export PYTHONPATH=/x",
            "PYTHONPATH=\"/x\"",
            "PYTHONPATH='/x' # y",
            " PYTHONPATH = /x",
            "A=1\nPYTHONPATH=\\\n/x",
        ] {
            sets(path, line);
        }
        sets_nothing(path, "# PYTHONPATH=/x\nA=PYTHONPATH=/x\nPYTHONPATH\nPYTHONPATH=\n");
    }
    sets("/etc/sysconfig/x", "PYTHONPATH = /x");
    sets("/etc/default/x", "export PYTHONPATH=/x");
    sets("/etc/default/locale", "PYTHONPATH=/x");
    let pam = "/etc/security/pam_env.conf";
    for line in ["PYTHONPATH DEFAULT=/x", "PYTHONPATH\tOVERRIDE=\"/x\"", "PYTHONPATH DEFAULT= \\\n OVERRIDE=/x"] {
        sets(pam, line);
    }
    sets_nothing(pam, "#PYTHONPATH DEFAULT=/x\nPYTHONPATH=/x\nA DEFAULT=PYTHONPATH");
    sets("/etc/ssh/sshd_config", "SetEnv A=b PYTHONPATH=/x");
    sets_nothing("/etc/ssh/sshd_config", "AcceptEnv PYTHONPATH\n#SetEnv PYTHONPATH=/x");
}

#[test]
fn units_drop_ins_and_managers_are_read_as_systemd_does() {
    let unit = "/etc/systemd/system/a.service";
    for line in [
        "[Service]\nEnvironment=PYTHONPATH=/x",
        "Environment=\"A=b c\" PYTHONPATH=/x",
        "Environment = \"PYTHONPATH=/x\" 'C=d'",
        "Environment=A=b \\\n# comment\n  PYTHONPATH=/x",
        "Environment=PYTHONPATH=\\x2fx",
        "ExecStart=/usr/bin/env PYTHONPATH=/x python3",
        "ExecStartPre=-/usr/bin/env A=b PYTHONPATH=/x python3",
        "ExecStart=/bin/sh -c 'PYTHONPATH=/x exec python3'",
    ] {
        sets(unit, line);
    }
    sets_nothing(
        unit,
        "PassEnvironment=PYTHONPATH\nUnsetEnvironment=PYTHONPATH=/x\nEnvironmentFile=/x\n;Environment=PYTHONPATH=/x\nDescription=PYTHONPATH=/x\nEnvironment=",
    );
    sets("/etc/systemd/system.conf", "[Manager]\nDefaultEnvironment=PYTHONPATH=/x");
    sets("/etc/systemd/user.conf.d/x.conf", "ManagerEnvironment=\"PYTHONPATH=/x\"");
}

#[test]
fn crontabs_are_read_as_cron_does() {
    for path in ["/etc/crontab", "/etc/cron.d/x", "/var/spool/cron/crontabs/alice"] {
        for line in [
            "PYTHONPATH=/x",
            "PYTHONPATH = \"/x\"",
            "'PYTHONPATH' = /x",
            "* * * * * root PYTHONPATH=/x python3",
            "*/5 1-2 * * mon PYTHONPATH=/x python3",
            "@reboot root PYTHONPATH=/x python3",
            "@daily cd /y && PYTHONPATH=/x python3",
            "0 0 * * * root env PYTHONPATH=/x python3",
        ] {
            sets(path, line);
        }
        sets_nothing(path, "# PYTHONPATH=/x\n* * * * * root echo PYTHONPATH=/x\nA = PYTHONPATH\n");
    }
    sets("/etc/anacrontab", "1 5 cron.daily PYTHONPATH=/x run-parts /y");
}

#[test]
fn sudoers_name_the_variables_that_are_kept() {
    let variables = |line: &str| read("/etc/sudoers.d/x", line).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    for line in [
        "Defaults env_keep += \"PYTHONPATH\"",
        "Defaults env_keep+=PYTHONPATH",
        "Defaults:alice env_reset, env_keep = \"LANG PYTHONPATH\"",
        "Defaults env_keep += \"LANG \\\n PYTHONPATH\"",
        "Defaults env_check += PYTHONPATH",
        "Defaults !env_reset, env_delete -= \"PYTHONPATH\"",
    ] {
        assert_eq!(variables(line), ["PYTHONPATH"], "{line}");
    }
    assert!(variables("Defaults env_keep += \"PYTHON*\"").len() >= 6);
    for line in [
        "# Defaults env_keep += PYTHONPATH",
        "Defaults env_delete += \"PYTHONPATH\"",
        "Defaults env_keep -= \"PYTHONPATH\"",
        "Defaults env_reset",
        "a ALL=(ALL) env_keep PYTHONPATH",
    ] {
        assert!(variables(line).is_empty(), "{line}");
    }
    sets_nothing("/etc/sudoers.d/x~", "Defaults env_keep += PYTHONPATH");
}

#[test]
fn environment_files_are_known_by_name_and_directory() {
    for (path, expected, place) in [
        ("/etc/environment", Grammar::Assignments, HookLocation::System),
        ("/etc/profile.d/a.sh", Grammar::Shell, HookLocation::System),
        ("/root/.bashrc", Grammar::Shell, HookLocation::User),
        ("/home/u/.zshenv", Grammar::Shell, HookLocation::User),
        ("/home/u/.config/environment.d/a.conf", Grammar::Assignments, HookLocation::User),
        ("/usr/lib/environment.d/a.conf", Grammar::Assignments, HookLocation::System),
        ("/home/u/.config/fish/config.fish", Grammar::Fish, HookLocation::User),
        ("/etc/systemd/system/a.service.d/b.conf", Grammar::Systemd, HookLocation::System),
        ("/usr/lib/systemd/user/a.service", Grammar::Systemd, HookLocation::System),
        ("/usr/local/lib/systemd/system/service.d/10-x.conf", Grammar::Systemd, HookLocation::System),
        ("/home/u/.config/systemd/user/a.service", Grammar::Systemd, HookLocation::User),
        ("/etc/systemd/system.conf.d/a.conf", Grammar::Systemd, HookLocation::System),
        ("/run/systemd/transient/a.service", Grammar::Systemd, HookLocation::System),
        ("/var/spool/cron/crontabs/root", Grammar::Crontab, HookLocation::User),
        ("/etc/cron.d/anything", Grammar::Crontab, HookLocation::System),
        ("/etc/sysconfig/x", Grammar::ShellOrAssignments, HookLocation::System),
    ] {
        assert_eq!(grammar(Path::new(path)), Some((expected, place)), "{path}");
    }
    for path in [
        "/srv/environment",
        "/x/a.sh",
        "/etc/a.conf",
        "/etc/profile.d/readme",
        "/home/u/.pam_environment",
        "/home/u/.bash_logout",
        "/x/a.service",
        "/etc/systemd/network/a.conf",
        "/etc/systemd/journald.conf",
        "/etc/sudoers.d/a.bak",
    ] {
        assert!(!is_environment_file(Path::new(path)), "{path}");
    }
}

#[test]
fn every_known_name_is_of_a_file_that_is_read() {
    let directories = [
        "/root",
        "/etc",
        "/etc/zsh",
        "/etc/security",
        "/etc/default",
        "/etc/profile.d",
        "/etc/X11",
        "/etc/ssh",
        "/etc/fish",
        "/etc/fish/conf.d",
        "/etc/environment.d",
        "/etc/systemd",
        "/etc/systemd/system",
        "/root/.bashrc.d",
    ];
    for name in names() {
        let name = name.replace('*', "a");
        assert!(directories.iter().any(|directory| is_environment_file(&Path::new(directory).join(&name))), "{name}");
    }
}

#[test]
fn suspicious_values_have_signals() {
    let signals = |variable, value: &str| {
        let setting = EnvironmentSetting { variable, line: 1, text: Vec::new(), value: value.into() };
        value_signals(&setting).iter().map(Signal::as_str).collect::<Vec<_>>()
    };
    for (value, expected) in [
        ("/opt/x", &[][..]),
        ("$HOME/lib:/opt/x", &[]),
        ("~/lib", &[]),
        ("$PYTHONPATH", &[]),
        ("/opt/x${PYTHONPATH:+:$PYTHONPATH}", &[]),
        ("${PYTHONPATH:+$PYTHONPATH:}/opt/x", &[]),
        ("$PYTHONPATH:/opt/x", &["path-empty"]),
        ("/opt/x:${PYTHONPATH}", &["path-empty"]),
        ("/opt/x:", &["path-empty"]),
        (":/opt/x", &["path-empty"]),
        ("/a::/b", &["path-empty"]),
        ("/a:/tmp/x", &["path-temporary"]),
        ("$TMPDIR/x", &["path-temporary"]),
        ("${XDG_RUNTIME_DIR}/x", &["path-temporary"]),
        ("$HOME/.x", &["path-hidden"]),
        ("~/.config/x", &["path-hidden"]),
        ("$HOME/.local/x", &[]),
        (".", &["path-relative"]),
        ("lib", &["path-relative"]),
        ("$PWD/lib", &["path-relative"]),
    ] {
        assert_eq!(signals("PYTHONPATH", value), expected, "{value}");
    }
    assert_eq!(signals("PYTHONPLATLIBDIR", "lib64"), [""; 0]);
    assert_eq!(signals("PYTHONPLATLIBDIR", "../tmp/x"), ["path-temporary", "path-relative"]);
    assert_eq!(signals("PYTHONHOME", "/tmp/x"), ["path-temporary"]);
    // A file, which in a home is hidden as a rule: what counts is its directory.
    assert_eq!(signals("PYTHONSTARTUP", "/home/u/.pythonrc"), [""; 0]);
    assert_eq!(signals("PYTHONSTARTUP", "$HOME/.pythonrc"), [""; 0]);
    assert_eq!(signals("PYTHONSTARTUP", "/home/u/.x/rc.py"), ["path-hidden"]);
    assert_eq!(signals("PYTHONSTARTUP", "/tmp/rc.py"), ["path-temporary"]);
    assert_eq!(signals("PYTHONSTARTUP", "/rc.py"), [""; 0]);
    assert_eq!(signals("BROWSER", "/tmp/x %s"), ["path-temporary"]);
    assert_eq!(signals("BROWSER", "firefox"), [""; 0]);
}

#[test]
fn a_setting_far_into_its_line_is_shown() {
    let found = settings(Path::new(PROFILE), format!("{}export PYTHONPATH=/x", " ".repeat(5000)).as_bytes());
    assert_eq!((found[0].line, found[0].text.as_slice()), (1, &b"PYTHONPATH=/x"[..]));
    let unit = format!("Environment={} PYTHONPATH=/x", "A=b ".repeat(50_000));
    sets("/etc/systemd/system/a.service", &unit);
}

#[test]
fn a_flood_pushes_out_neither_the_first_nor_the_last() {
    let content: String = (0..500).map(|index| format!("PYTHONPATH=/{index}\n")).collect();
    let found = read(PROFILE, &content);
    assert_eq!(found.len(), 50);
    assert_eq!((found[0].1.as_str(), found[49].1.as_str()), ("/0", "/499"));
}

/// A path for each grammar.
const PATHS: [&str; 11] = [
    PROFILE,
    "/root/.config/fish/config.fish",
    "/root/.config/fish/fish_variables",
    "/root/.cshrc",
    "/etc/environment",
    "/etc/default/x",
    "/etc/security/pam_env.conf",
    "/etc/systemd/system/a.service",
    "/etc/crontab",
    "/etc/sudoers",
    "/etc/ssh/sshd_config",
];

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "PYTHONPATH",
        "=",
        "/x",
        " ",
        "\n",
        "'",
        "\"",
        "\\",
        "$(",
        "${",
        "`",
        ")",
        "}",
        "(",
        "<<",
        "E",
        "\nE\n",
        ";",
        "&&",
        "|",
        "#",
        "export ",
        "eval ",
        "set -x ",
        "setenv ",
        "env ",
        "Environment=",
        "ExecStart=",
        "Defaults env_keep+=",
        "* ",
        "@reboot ",
        "\t",
        ":=",
        "printf -v ",
        "read ",
        "<<<",
        "DEFAULT=",
        "SETUVAR ",
        "SetEnv ",
        "BROWSER=",
        "PYTHONWARNINGS=a:b:c.d",
        "\u{f6}",
    ]);
    prop::collection::vec(piece, 0..80).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn any_bytes_are_read_within_bounds(content in prop_oneof![pieces(), prop::collection::vec(any::<u8>(), 0..500)]) {
        for path in PATHS {
            let settings = settings(Path::new(path), &content);
            prop_assert!(settings.len() <= 50);
            for setting in &settings {
                prop_assert!(setting.value.len() <= Hook::MAX_LINE && setting.text.len() <= Hook::MAX_LINE);
                let at = content.split(|&byte| byte == b'\n').nth(setting.line - 1).unwrap().trim_ascii();
                prop_assert!(setting.text.is_empty() || at.windows(setting.text.len()).any(|part| part == setting.text));
                value_signals(setting);
            }
        }
    }

    /// Whatever stands before it in closed commands, a plain export is found.
    #[test]
    fn an_export_on_a_line_of_its_own_is_found_after_any_unclosed_text(content in pieces()) {
        let script = [content.as_slice(), b"\nexport PYTHONPATH=/needle\n"].concat();
        let open = std::str::from_utf8(&content).unwrap().contains(['\'', '"', '`', '\\', '$', '<', '#', '(']);
        let found = read(PROFILE, std::str::from_utf8(&script).unwrap());
        prop_assert!(open || found.iter().any(|(_, value)| value == "/needle"));
    }
}
