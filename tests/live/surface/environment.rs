//! Files that set Python's variables, each in its own grammar: reported when a setting is added or altered, and not when
//! it stays.

use super::python::SystemPython;
use super::{PAYLOAD, SurfaceTest, wait_until_learned};
use crate::expect::Alert;
use crate::support::{needs, succeed, wait_until_older};
use std::fs;
use std::process::Command;
use std::time::Duration;

const PATH: &str = "PYTHONPATH_ENV_SET";
const OTHER: &str = "PYTHON_ENV_SET";
const STARTUP: &str = "PYTHONSTARTUP_ENV_SET";

/// File, its text with `VALUE` in it, level, whether sh reads it.
type Place = (&'static str, &'static str, &'static str, bool);

/// Places that are known by the file's name.
const PLACES: [Place; 37] = [
    ("/etc/profile", "export PYTHONPATH=VALUE\n", "high", true),
    ("/etc/profile.d/x.sh", "PYTHONPATH=\"VALUE\"; export PYTHONPATH\n", "high", true),
    ("/etc/bash.bashrc", "export LANG=C PYTHONPATH='VALUE'\n", "high", true),
    ("/etc/zsh/zshenv", "typeset -x PYTHONPATH=VALUE\n", "high", false),
    ("/etc/environment", "PYTHONPATH=VALUE\n", "high", true),
    ("/etc/environment.d/10.conf", "PYTHONPATH=VALUE\n", "high", true),
    ("/etc/security/pam_env.conf", "PYTHONPATH DEFAULT=VALUE\n", "high", false),
    ("/etc/default/locale", "LANG=C\nPYTHONPATH=VALUE\n", "high", true),
    ("/etc/systemd/system/app.service", "[Service]\nEnvironment=\"PYTHONPATH=VALUE\" C=d\n", "high", false),
    ("/etc/systemd/system/app.service.d/x.conf", "[Service]\nEnvironment=A=b PYTHONPATH=VALUE\n", "high", false),
    ("/etc/systemd/system.conf", "[Manager]\nDefaultEnvironment=PYTHONPATH=VALUE\n", "high", false),
    ("/etc/systemd/user.conf.d/x.conf", "[Manager]\nDefaultEnvironment=PYTHONPATH=VALUE\n", "high", false),
    ("/etc/crontab", "PYTHONPATH = VALUE\n", "high", false),
    ("/etc/sudoers", "Defaults env_keep += \"PYTHONPATH\" # VALUE\n", "high", false),
    ("/etc/fish/config.fish", "set -gx PYTHONPATH VALUE\n", "high", false),
    ("/home/u/.bashrc", "export PYTHONPATH=VALUE\n", "medium", true),
    ("/home/u/.bash_aliases", "export PYTHONPATH=VALUE\n", "medium", true),
    ("/home/u/.profile", "export PYTHONPATH=VALUE\n", "medium", true),
    ("/home/u/.bash_profile", "export PYTHONPATH=VALUE\n", "medium", true),
    ("/home/u/.bash_login", "export PYTHONPATH=VALUE\n", "medium", true),
    ("/home/u/.zshenv", "export PYTHONPATH=VALUE\n", "medium", true),
    ("/home/u/.zprofile", "export PYTHONPATH=VALUE\n", "medium", true),
    ("/home/u/.zlogin", "export PYTHONPATH=VALUE\n", "medium", true),
    ("/home/u/.zshrc", "export PYTHONPATH=VALUE\n", "medium", true),
    ("/home/u/.xsessionrc", "export PYTHONPATH=VALUE\n", "medium", true),
    ("/home/u/.config/environment.d/10.conf", "PYTHONPATH=VALUE\n", "medium", true),
    ("/home/u/.config/fish/config.fish", "set -Ux PYTHONPATH VALUE\n", "medium", false),
    ("/home/u/.config/systemd/user/app.service", "[Service]\nEnvironment=PYTHONPATH=VALUE\n", "medium", false),
    ("/home/u/.ssh/environment", "PYTHONPATH=VALUE\n", "medium", true),
    ("/root/.bashrc", "export PYTHONPATH=VALUE\n", "medium", true),
    ("/root/.profile", "if true; then\n  export PYTHONPATH=VALUE\nfi\n", "medium", true),
    ("/etc/profile.d/home.sh", "export PYTHONHOME=VALUE\n", "high", false),
    ("/etc/profile.d/base.sh", "export PYTHONUSERBASE=VALUE\n", "high", false),
    ("/etc/profile.d/libdir.sh", "export PYTHONPLATLIBDIR=VALUE\n", "high", false),
    ("/etc/profile.d/cache.sh", "export PYTHONPYCACHEPREFIX=VALUE\n", "high", false),
    ("/etc/profile.d/warn.sh", "export PYTHONWARNINGS=ignore::modVALUE.x\n", "high", false),
    ("/home/u/.kshrc", "export PYTHONHOME=VALUE\n", "medium", false),
];

/// Directories in which every file counts, whatever its name.
const IN_DIRECTORIES: [Place; 6] = [
    ("/etc/default/service", "PYTHONPATH=VALUE\n", "high", true),
    ("/etc/sysconfig/service", "PYTHONPATH=VALUE\n", "high", true),
    ("/etc/cron.d/job", "PYTHONPATH=VALUE\n* * * * * root true\n", "high", false),
    ("/var/spool/cron/crontabs/root", "PYTHONPATH=VALUE\n", "medium", false),
    ("/etc/sudoers.d/x", "Defaults env_keep += \"PYTHONPATH\" # VALUE\n", "high", false),
    ("/etc/X11/Xsession.d/90x", "export PYTHONPATH=VALUE\n", "high", true),
];

fn variable(text: &str) -> &str {
    let start = text.find("PYTHON").unwrap();
    let end = text[start..].find(|c: char| !c.is_ascii_uppercase()).unwrap();
    &text[start..start + end]
}

#[test]
fn a_setting_is_reported_when_it_is_added_or_altered_in_each_place_and_not_when_it_stays() {
    needs!(Fanotify);
    let before = "export PYTHONPATH=/opt/before\n";
    let mut test = SurfaceTest::new(|fixture, _| {
        for (path, ..) in PLACES {
            fs::create_dir_all(fixture.at(path).parent().unwrap()).unwrap();
        }
        fs::write(fixture.at("/etc/profile.d/before.sh"), before).unwrap();
        // What was changed within a tenth of a second before the start counts as changed since.
        wait_until_older(&fixture.at("/etc/profile.d/before.sh"), Duration::from_millis(300));
        fs::write(fixture.at("/usr/lib/python3/dist-packages/probing.pth"), "import probe_of_stock\n").unwrap();
    });
    for (path, text, level, is_sh) in PLACES {
        let detection = if variable(text) == "PYTHONPATH" { PATH } else { OTHER };
        let text = text.replace("VALUE", "/opt/lib");
        let alerts = test.row(path, &[(path, detection, level)], |test| test.write(path, &text));
        let setting = |alert: &Alert| alert.0["pyhookwatch"]["environment"][0]["variable"].clone();
        if alerts.first().is_some_and(|alert| setting(alert) != variable(&text)) {
            test.note(&format!("{path}: the setting is not shown: {}", alerts[0].0));
        }
        if is_sh {
            let script = ". \"$0\"; echo \"is=$PYTHONPATH\"";
            let said = succeed(Command::new("/bin/sh").args(["-c", script]).arg(test.session.at(path)).env_clear());
            if !said.contains("is=/opt/lib\n") {
                test.note(&format!("{path}: sh does not take it from there: {said}"));
            }
        }
    }
    // The same settings among other lines.
    for (path, text, ..) in PLACES {
        test.write(path, format!("{}# more\n", text.replace("VALUE", "/opt/lib")));
    }
    // What was there before the start is known once all that was there is known.
    let probe = "/usr/lib/python3/dist-packages/probe_of_stock.py";
    wait_until_learned(&mut test, probe, |test| test.write(probe, "import os\n"));
    test.write("/etc/profile.d/before.sh", format!("# more\n{before}"));
    let quiet = test.session.alerts_before_a_sentinel();
    for alert in &quiet {
        test.note(&format!("rewritten with the same settings: {}", super::brief(alert)));
    }
    for (path, text, level, _) in PLACES.into_iter().filter(|place| !place.1.contains("env_keep")) {
        let detection = if variable(text) == "PYTHONPATH" { PATH } else { OTHER };
        test.row(&format!("{path}, altered"), &[(path, detection, level)], |test| {
            test.write(path, text.replace("VALUE", "/opt/other"));
        });
    }
    let path = "/etc/profile.d/before.sh";
    test.row("altered since before", &[(path, PATH, "high")], |test| test.write(path, "export PYTHONPATH=/opt/x\n"));
    test.finish();
}

#[test]
fn the_level_of_a_setting_goes_by_its_place_its_variable_and_its_value() {
    needs!(Fanotify);
    let mut test = SurfaceTest::new(|fixture, _| {
        for directory in ["home/u", "etc/profile.d", "opt/venv/bin", "srv/app"] {
            fs::create_dir_all(fixture.root().join(directory)).unwrap();
        }
    });
    for (number, (line, detection, level)) in [
        ("export PYTHONPATH=/tmp/lib", PATH, "high"),
        ("export PYTHONPATH=/dev/shm/lib:/opt/lib", PATH, "high"),
        ("export PYTHONPATH=$HOME/.x/lib", PATH, "high"),
        ("export PYTHONPATH=$PYTHONPATH:/opt/lib", PATH, "high"),
        ("export PYTHONPATH=:/opt/lib", PATH, "high"),
        ("export PYTHONPATH=$HOME/lib", PATH, "medium"),
        ("export PYTHONHOME=/opt/py", OTHER, "medium"),
        ("export PYTHONUSERBASE=/tmp/base", OTHER, "high"),
        ("export PYTHONPLATLIBDIR=../tmp/lib", OTHER, "high"),
        ("export PYTHONPYCACHEPREFIX=/var/tmp/cache", OTHER, "high"),
        ("export PYTHONWARNINGS=all:0:antigravity.x:0:0 BROWSER=/opt/cmd", OTHER, "medium"),
        ("export PYTHONWARNINGS=all:0:antigravity.x:0:0 BROWSER=/tmp/cmd", OTHER, "high"),
        ("export PYTHONSTARTUP=$HOME/.pythonrc", STARTUP, "medium"),
        ("export PYTHONSTARTUP=/tmp/x.py", STARTUP, "high"),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/home/u{number}/.bashrc");
        test.row(line, &[(&path, detection, level)], |test| test.write(&path, format!("{line}\n")));
    }
    let path = "/etc/profile.d/startup.sh";
    test.row("for everybody", &[(path, STARTUP, "medium")], |test| {
        test.write(path, "export PYTHONSTARTUP=/opt/rc.py\n")
    });
    for (path, content) in [
        ("/etc/profile.d/mention.sh", "# export PYTHONPATH=/tmp/x\necho PYTHONPATH=/tmp/x\n"),
        ("/etc/profile.d/browser.sh", "export BROWSER=firefox\n"),
        ("/etc/profile.d/warnings.sh", "export PYTHONWARNINGS=ignore\n"),
        ("/home/u/.pam_environment", "PYTHONPATH=/tmp/x\n"),
        ("/home/u/.bash_logout", "export PYTHONPATH=/tmp/x\n"),
        ("/opt/venv/bin/activate", "export PYTHONPATH=/tmp/x\n"),
        ("/srv/app/Dockerfile", "ENV PYTHONPATH=/app\n"),
        ("/srv/app/run.sh", "export PYTHONPATH=/app\n"),
        ("/srv/app/app.service", "[Service]\nEnvironment=PYTHONPATH=/app\n"),
    ] {
        test.write(path, content);
    }
    test.finish();
}

#[test]
fn the_script_that_pythonstartup_names_is_watched_from_then_on() {
    needs!(Fanotify);
    let script = "/home/u/start/up.py";
    let mut test = SurfaceTest::new(|fixture, _| {
        fs::write(fixture.at(script), "import os\n").unwrap();
        fs::create_dir_all(fixture.root().join("srv/lib")).unwrap();
    });
    test.append(script, "# nobody's\n");
    let path = "/home/u/.bashrc";
    test.row("named", &[(path, STARTUP, "medium")], |test| {
        test.write(path, "export PYTHONSTARTUP=$HOME/start/up.py\n")
    });
    test.row("changed", &[(script, "STARTUP_SCRIPT_MODIFIED", "medium")], |test| {
        test.append(script, "print('ran=' + str(1))\n");
    });
    for (words, expected) in [(&["-i"][..], true), (&["-c", "pass"], false), (&["-i", "-I"], false)] {
        let say = |python: &SystemPython| {
            python.output_of(&format!("/usr/bin/python{}", python.version), words, &[("PYTHONSTARTUP", script)])
        };
        if let Some(said) = test.python.as_ref().map(say)
            && said.contains("ran=1") != expected
        {
            test.note(&format!("PYTHONSTARTUP with {words:?}: {said}"));
        }
    }
    // A directory that PYTHONPATH names is searched.
    let path = "/home/u/.profile";
    test.row("a directory named", &[(path, PATH, "medium")], |test| test.write(path, "export PYTHONPATH=/srv/lib\n"));
    for (name, detection) in
        [("sitecustomize.py", "SITECUSTOMIZE_MODIFIED"), ("usercustomize.py", "USERCUSTOMIZE_MODIFIED")]
    {
        let path = format!("/srv/lib/{name}");
        test.row(name, &[(&path, detection, "high")], |test| test.write(&path, PAYLOAD));
        test.runs_with(name, true, &[], &[("PYTHONPATH", "/srv/lib")]);
        test.runs_with(&format!("{name} -E"), false, &["-E"], &[("PYTHONPATH", "/srv/lib")]);
        test.remove(&path);
    }
    test.finish();
}

#[test]
fn a_setting_in_a_file_that_was_there_is_reported_where_every_file_of_a_directory_counts() {
    needs!(Fanotify);
    let mut test = SurfaceTest::new(|fixture, _| {
        for (path, ..) in IN_DIRECTORIES {
            fs::write(fixture.at(path), "# nothing\n").unwrap();
        }
        fs::write(fixture.at("/usr/lib/python3/dist-packages/probing.pth"), "import probe_of_stock\n").unwrap();
    });
    let probe = "/usr/lib/python3/dist-packages/probe_of_stock.py";
    wait_until_learned(&mut test, probe, |test| test.write(probe, "import os\n"));
    for (path, text, level, _) in IN_DIRECTORIES {
        test.row(path, &[(path, PATH, level)], |test| test.write(path, text.replace("VALUE", "/opt/lib")));
    }
    test.finish();
}

#[test]
fn a_setting_in_a_new_file_is_reported_where_every_file_of_a_directory_counts() {
    needs!(Fanotify);
    let mut test = SurfaceTest::new(|fixture, _| {
        for (path, ..) in IN_DIRECTORIES {
            fs::create_dir_all(fixture.at(path).parent().unwrap()).unwrap();
        }
    });
    for (path, text, level, _) in IN_DIRECTORIES {
        test.row(path, &[(path, PATH, level)], |test| test.write(path, text.replace("VALUE", "/opt/lib")));
    }
    test.finish();
}
