//! Finds the script that a writer's interpreter runs, and the installer of that name. Pure.
//!
//! A process chooses its arguments, and an attacker can give a file any name.

use super::installer::installer;
use super::interpreter;
use crate::event::{Script, Writer};
use std::path::Path;

/// Fills script and installers from the arguments of the writer and its parents. `recorded` is the script in the
/// kernel's exec record, which takes precedence over the arguments.
pub fn identify(writer: &mut Writer, recorded: Option<&Path>) {
    if let Some(process) = &writer.process {
        let recorded = recorded.map(|name| Script { name: name.to_path_buf(), is_module: false, is_recorded: true });
        writer.script = recorded.or_else(|| interpreter::script(process));
        writer.installer = installer(process, writer.script.as_ref());
    }
    // An ancestor whose executable is not the host's could have any name.
    let verified = writer.parents.iter().filter(|parent| {
        parent.executable.as_ref().is_some_and(|executable| executable.is_host_file && !executable.deleted)
    });
    writer.ancestor_installer =
        verified.filter_map(|parent| installer(parent, interpreter::script(parent).as_ref())).next();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Doubt;
    use crate::event::{Executable, Process};
    use proptest::prelude::*;

    fn process(executable: &str, words: &[&str]) -> Process {
        Process {
            executable: Some(Executable { path: executable.into(), deleted: false, is_host_file: true }),
            arguments: words.iter().map(|word| word.as_bytes().to_vec()).collect(),
            working_directory: Some("/w".into()),
            ..Process::default()
        }
    }

    /// The script (a module with `-m` before it) and the installer of a command line.
    fn identified(executable: &str, line: &str) -> (Option<String>, Option<&'static str>) {
        let words: Vec<&str> = line.split(' ').collect();
        let mut writer = Writer { process: Some(process(executable, &words)), ..Writer::unknown(Doubt::NoRecord) };
        identify(&mut writer, None);
        let shown = |script: &Script| {
            assert!(!script.is_recorded);
            format!("{}{}", if script.is_module { "-m " } else { "" }, script.name.display())
        };
        (writer.script.as_ref().map(shown), writer.installer)
    }

    #[test]
    fn installers_are_recognised_by_their_real_command_lines() {
        let python = "/usr/bin/python3.11";
        for (executable, line, script, installer) in [
            (python, "/home/a/v1/bin/python3.11 v1/bin/pip install x", "/w/v1/bin/pip", "pip"),
            (python, "/usr/bin/python3 /usr/bin/pip install --user x", "/usr/bin/pip", "pip"),
            (python, "/usr/bin/python3 /usr/bin/pip3.11 install x", "/usr/bin/pip3.11", "pip"),
            (python, "/v/bin/python /v/bin/pip-3.11 install x", "/v/bin/pip-3.11", "pip"),
            ("/root/.pyenv/versions/3.11.7/bin/python3.11", "/p/python3.11 /p/pip install x", "/p/pip", "pip"),
            (python, "python -m pip install x", "-m pip", "pip"),
            (python, "python3 -Im ensurepip --upgrade --default-pip", "-m ensurepip", "pip"),
            (python, "python -W ignore -X utf8 -Bm pip.__main__ install x", "-m pip.__main__", "pip"),
            (python, "python /s/pip/__pip-runner__.py install", "/s/pip/__pip-runner__.py", "pip"),
            (python, "python /s/pip install x", "/s/pip", "pip"),
            (python, "python /s/pip/__main__.py install x", "/s/pip/__main__.py", "pip"),
            (python, "python get-pip.py", "/w/get-pip.py", "pip"),
            (python, "python ./setup.py install", "/w/setup.py", "setuptools"),
            (python, "python setup.py develop", "/w/setup.py", "setuptools"),
            (python, "/p/python /usr/bin/poetry install", "/usr/bin/poetry", "poetry"),
            (python, "python -m pipx install x", "-m pipx", "pipx"),
            (python, "python /u/bin/pdm install", "/u/bin/pdm", "pdm"),
            (python, "python /u/bin/hatch env create", "/u/bin/hatch", "hatch"),
            (python, "/opt/conda/bin/python /opt/conda/bin/conda install x", "/opt/conda/bin/conda", "conda"),
            (python, "/usr/bin/python3 /usr/bin/dnf-3 install x", "/usr/bin/dnf-3", "dnf"),
            ("/usr/bin/python2.7", "/usr/bin/python /usr/bin/yum install x", "/usr/bin/yum", "yum"),
            (python, "python3 /u/bin/easy_install-3.11 x", "/u/bin/easy_install-3.11", "easy_install"),
        ] {
            assert_eq!(identified(executable, line), (Some(script.to_owned()), Some(installer)), "{line}");
        }
        for (executable, installer) in [
            ("/root/.local/bin/uv", "uv"),
            ("/v/bin/uvx", "uv"),
            ("/opt/conda/_conda", "conda"),
            ("/opt/miniforge3/bin/mamba", "mamba"),
            ("/usr/local/bin/micromamba", "micromamba"),
            ("/usr/bin/dpkg", "dpkg"),
            ("/usr/bin/apt-get", "apt"),
            ("/usr/bin/rpm", "rpm"),
            ("/usr/bin/dnf5", "dnf"),
            ("/sbin/apk", "apk"),
            ("/usr/lib/snapd/snapd", "snap"),
        ] {
            assert_eq!(identified(executable, "any words"), (None, Some(installer)), "{executable}");
        }
    }

    #[test]
    fn a_similar_name_is_no_installer() {
        for (executable, line) in [
            ("/usr/bin/pipewire", "pipewire"),
            ("/usr/bin/python3", "python3 /usr/bin/pipdeptree"),
            ("/usr/bin/python3", "python3 -m http.server pip"),
            ("/usr/bin/python3", "python3 -c pip install"),
            ("/usr/bin/python3", "python3 x.py -m pip"),
            ("/usr/bin/python3", "python3 setup.py build"),
            ("/usr/bin/cat", "pip install"),
            ("/usr/bin/cat", "cat /usr/bin/pip"),
            ("/bin/sh", "sh -c pip"),
            ("/bin/sh", "sh /var/lib/dpkg/info/x.postinst configure"),
        ] {
            assert_eq!(identified(executable, line).1, None, "{line}");
        }
    }

    #[test]
    fn the_script_is_the_one_that_the_interpreter_runs() {
        for (executable, line, script) in [
            ("/usr/bin/python3", "python3", None),
            ("/usr/bin/python3", "python3 -", None),
            ("/usr/bin/python3", "python3 -i", None),
            ("/usr/bin/python3", "python3 -c x a.py", None),
            ("/usr/bin/python3", "python3 -Bcx a.py", None),
            ("/usr/bin/python3", "python3 -W ignore a.py", Some("/w/a.py")),
            ("/usr/bin/python3", "python3 -Wignore -Xdev -u a.py", Some("/w/a.py")),
            ("/usr/bin/python3", "python3 -IX dev a.py", Some("/w/a.py")),
            ("/usr/bin/python3", "python3 --check-hash-based-pycs always a.py", Some("/w/a.py")),
            ("/usr/bin/python3", "python3 -- -x.py", Some("/w/-x.py")),
            ("/usr/bin/python3", "python3 -mmod a.py", Some("-m mod")),
            ("/usr/bin/python3.13t", "python3.13t /a.py", Some("/a.py")),
            ("/usr/bin/pypy3", "pypy3 a.py", Some("/w/a.py")),
            ("/usr/bin/python3-config", "python3-config a.py", None),
            ("/bin/sh", "sh", None),
            ("/bin/sh", "-sh", None),
            ("/bin/sh", "sh -c x a", None),
            ("/bin/sh", "sh -ec x", None),
            ("/bin/sh", "sh -s a", None),
            ("/bin/sh", "sh -e a.sh -c x", Some("/w/a.sh")),
            ("/bin/bash", "bash -o pipefail a.sh", Some("/w/a.sh")),
            ("/bin/bash", "bash -eo pipefail a.sh", Some("/w/a.sh")),
            ("/bin/bash", "bash -oe pipefail a.sh", Some("/w/a.sh")),
            ("/bin/bash", "bash +o posix +x a.sh", Some("/w/a.sh")),
            ("/bin/bash", "bash --norc --rcfile f a.sh", Some("/w/a.sh")),
            ("/bin/bash", "bash - a.sh", Some("/w/a.sh")),
            ("/bin/busybox", "sh a.sh", Some("/w/a.sh")),
            ("/bin/busybox", "busybox sh a.sh", Some("/w/a.sh")),
            ("/bin/busybox", "busybox cat a.sh", None),
            ("/usr/bin/fish", "fish -C x a.fish", Some("/w/a.fish")),
            ("/usr/bin/fish", "fish --command=x", None),
            ("/usr/bin/perl", "perl -w -I lib a.pl", Some("/w/a.pl")),
            ("/usr/bin/perl", "perl -lne x", None),
            ("/usr/bin/perl", "perl -pi.bak -e x f", None),
            ("/usr/bin/perl", "perl -MPOSIX /usr/bin/x", Some("/usr/bin/x")),
            ("/usr/bin/ruby3.1", "ruby -rjson -e x", None),
            ("/usr/bin/ruby3.1", "ruby -r json a.rb", Some("/w/a.rb")),
            ("/usr/bin/node", "node -r x a.js", Some("/w/a.js")),
            ("/usr/bin/node", "node --eval=x", None),
            ("/usr/bin/env", "env python3 a.py", None),
            ("/usr/bin/cp", "cp a b", None),
        ] {
            assert_eq!(identified(executable, line).0.as_deref(), script, "{executable}: {line}");
        }
    }

    #[test]
    fn a_recorded_script_takes_precedence_over_the_arguments() {
        let process = process("/usr/bin/python3", &["python3", "/tmp/harmless.py"]);
        let mut writer = Writer { process: Some(process), ..Writer::unknown(Doubt::NoRecord) };
        identify(&mut writer, Some(Path::new("/usr/bin/pip3")));
        let expected = Script { name: "/usr/bin/pip3".into(), is_module: false, is_recorded: true };
        assert_eq!((writer.script, writer.installer), (Some(expected), Some("pip")));
    }

    #[test]
    fn the_nearest_verified_ancestor_that_is_an_installer_is_named() {
        let faked = |mut process: Process| {
            process.executable.as_mut().unwrap().is_host_file = false;
            process
        };
        let (sh, dpkg) = (process("/bin/sh", &["sh", "/i/x.postinst"]), process("/usr/bin/dpkg", &["dpkg"]));
        let apt = process("/usr/bin/apt-get", &["apt-get"]);
        let mut writer = Writer {
            process: Some(sh.clone()),
            parents: vec![sh, dpkg.clone(), apt.clone()],
            ..Writer::unknown(Doubt::NoRecord)
        };
        identify(&mut writer, None);
        assert_eq!((writer.installer, writer.ancestor_installer), (None, Some("dpkg")));
        writer.parents = vec![faked(dpkg), apt];
        identify(&mut writer, None);
        assert_eq!(writer.ancestor_installer, Some("apt"));
        writer.parents.clear();
        identify(&mut writer, None);
        assert_eq!(writer.ancestor_installer, None);
    }

    #[test]
    fn an_interpreter_without_arguments_has_the_kernels_name_of_its_script() {
        let mut process = process("/usr/bin/python3", &[]);
        process.comm = b"pip".to_vec();
        assert_eq!(installer(&process, None), Some("pip"));
        process.executable.as_mut().unwrap().path = "/usr/bin/cat".into();
        assert_eq!(installer(&process, None), None);
    }

    proptest! {
        #[test]
        fn a_script_is_always_one_of_the_arguments(
            words in proptest::collection::vec("(-|--|\\+)?[a-zA-Z0-9=/.]{0,6}", 0..8),
            name in prop_oneof!["python3", "bash", "fish", "perl", "ruby", "node", "busybox"]
        ) {
            let mut all = vec![name.clone()];
            all.extend(words.iter().cloned());
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            let mut process = process(&name, &all);
            process.working_directory = None;
            if let Some(script) = interpreter::script(&process) {
                let name = script.name.as_os_str().as_encoded_bytes();
                prop_assert!(!name.is_empty());
                prop_assert!(words.iter().any(|word| word.as_bytes().ends_with(name)), "{script:?}");
            }
        }
    }
}
