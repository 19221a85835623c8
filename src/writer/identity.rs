//! Which script an interpreter runs, and which installer a process is by its name. Pure.
//!
//! Both are names: a process chooses its arguments, and whoever may write a file chooses what it is called.

use crate::event::{Process, Script, Writer};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Fills what the writer's arguments and those of its parents say. `recorded` is the script that the
/// kernel told to have been started, if it did: that counts for more than the arguments.
pub fn tell(writer: &mut Writer, recorded: Option<&Path>) {
    if let Some(process) = &writer.process {
        writer.script = script(process, recorded);
        writer.installer = installer(process, writer.script.as_ref());
    }
    // An ancestor whose executable is not the host's could have any name.
    let verified = writer.parents.iter().filter(|parent| {
        parent.executable.as_ref().is_some_and(|executable| executable.is_host_file && !executable.deleted)
    });
    writer.ancestor_installer = verified.filter_map(|parent| installer(parent, script(parent, None).as_ref())).next();
}

/// The script or module that an interpreter runs; `None` when it runs a program text or standard input,
/// or is no interpreter.
fn script(process: &Process, recorded: Option<&Path>) -> Option<Script> {
    if let Some(name) = recorded {
        return Some(Script { name: name.to_path_buf(), is_module: false, is_recorded: true });
    }
    let (language, arguments) = language(process)?;
    match language.what_runs(arguments)? {
        Runs::Module(name) => Some(Script { name: path(name).to_path_buf(), is_module: true, is_recorded: false }),
        Runs::File(name) => Some(Script { name: absolute(name, process), is_module: false, is_recorded: false }),
    }
}

fn absolute(name: &[u8], process: &Process) -> PathBuf {
    let name = path(name);
    let name = name.strip_prefix(".").ok().filter(|name| !name.as_os_str().is_empty()).unwrap_or(name);
    process.working_directory.as_ref().map_or_else(|| name.to_path_buf(), |directory| directory.join(name))
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

fn base_name(name: &Path) -> &[u8] {
    name.file_name().map_or(b"", OsStr::as_bytes)
}

/// The name of the program: of its executable, or where that is not known what it calls itself.
fn program(process: &Process) -> &[u8] {
    match &process.executable {
        Some(executable) => base_name(&executable.path),
        None => process.arguments.first().map_or(b"", |name| base_name(path(name))),
    }
}

/// What an interpreter was told to run.
#[derive(Debug, PartialEq, Eq)]
enum Runs<'a> {
    File(&'a [u8]),
    Module(&'a [u8]),
}

/// How an interpreter reads its command line.
#[derive(Debug)]
struct Language {
    /// Options with an argument: the rest of the word, or else the next one.
    with_argument: &'static [u8],
    /// Options that take the rest of the word, which may be empty.
    with_rest: &'static [u8],
    /// Options that give the program or say that it comes from standard input: there is no script.
    without_script: &'static [u8],
    /// The option that names a module.
    module: Option<u8>,
    /// Options begin also with `+`.
    plus: bool,
    /// Long options whose argument is the next word.
    long_with_argument: &'static [&'static str],
    /// Long options that give the program.
    long_without_script: &'static [&'static str],
}

const PYTHON: Language = Language {
    with_argument: b"WX",
    with_rest: b"",
    without_script: b"c",
    module: Some(b'm'),
    plus: false,
    long_with_argument: &["--check-hash-based-pycs", "--jit"],
    long_without_script: &[],
};

const SHELL: Language = Language {
    with_argument: b"oO",
    with_rest: b"",
    without_script: b"cs",
    module: None,
    plus: true,
    long_with_argument: &["--rcfile", "--init-file"],
    long_without_script: &[],
};

const FISH: Language = Language {
    with_argument: b"CdDfo",
    with_rest: b"",
    without_script: b"c",
    module: None,
    plus: false,
    long_with_argument: &["--init-command", "--debug", "--debug-output", "--features", "--profile"],
    long_without_script: &["--command"],
};

const PERL: Language = Language {
    with_argument: b"I",
    with_rest: b"MmiFDxCVd",
    without_script: b"eE",
    module: None,
    plus: false,
    long_with_argument: &[],
    long_without_script: &[],
};

const RUBY: Language = Language {
    with_argument: b"IrCE",
    with_rest: b"XiFKTWx",
    without_script: b"e",
    module: None,
    plus: false,
    long_with_argument: &["--encoding", "--external-encoding", "--internal-encoding"],
    long_without_script: &[],
};

const NODE: Language = Language {
    with_argument: b"rC",
    with_rest: b"",
    without_script: b"ep",
    module: None,
    plus: false,
    long_with_argument: &["--require", "--import", "--loader", "--experimental-loader", "--conditions"],
    long_without_script: &["--eval", "--print"],
};

/// How this process reads its command line, and the arguments that it reads, if it is an interpreter.
fn language(process: &Process) -> Option<(&'static Language, &[Vec<u8>])> {
    let arguments = process.arguments.get(1..)?;
    if program(process) == b"busybox" {
        // It is what it is called: `sh`, or `busybox sh`.
        let called = base_name(path(process.arguments.first()?));
        let (applet, arguments) = if called == b"busybox" {
            (arguments.first()?.as_slice(), arguments.get(1..)?)
        } else {
            (called, arguments)
        };
        return Some((by_name(applet)?, arguments));
    }
    Some((by_name(program(process))?, arguments))
}

fn by_name(program: &[u8]) -> Option<&'static Language> {
    let of_version = |name: &[u8]| {
        // `python3.13t`, `perl5.36.0`: free-threaded and debugging builds have a letter.
        program.strip_prefix(name).is_some_and(|version| {
            let digits =
                version.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.').unwrap_or(version.len());
            let (number, letters) = version.split_at(digits);
            letters.is_empty()
                || (!number.is_empty() && letters.len() <= 2 && letters.iter().all(u8::is_ascii_lowercase))
        })
    };
    match program {
        b"sh" | b"bash" | b"rbash" | b"dash" | b"ash" | b"zsh" | b"ksh" | b"ksh93" | b"mksh" => Some(&SHELL),
        b"fish" => Some(&FISH),
        b"node" | b"nodejs" => Some(&NODE),
        _ if of_version(b"python") || of_version(b"pypy") => Some(&PYTHON),
        _ if of_version(b"perl") => Some(&PERL),
        _ if of_version(b"ruby") => Some(&RUBY),
        _ => None,
    }
}

impl Language {
    fn what_runs<'a>(&self, arguments: &'a [Vec<u8>]) -> Option<Runs<'a>> {
        let mut words = arguments.iter().map(Vec::as_slice);
        while let Some(word) = words.next() {
            match word {
                // An interpreter that is given no script reads standard input.
                b"" => return None,
                b"--" => return words.next().filter(|name| !name.is_empty()).map(Runs::File),
                // Of a shell the end of the options, of the others standard input.
                b"-" => {
                    return if self.plus { words.next().filter(|name| !name.is_empty()).map(Runs::File) } else { None };
                }
                [b'-', b'-', ..] => {
                    let word = std::str::from_utf8(word).ok()?;
                    let name = word.split('=').next().unwrap_or(word);
                    if self.long_without_script.contains(&name) {
                        return None;
                    }
                    if self.long_with_argument.contains(&word) {
                        words.next()?;
                    }
                }
                [b'-', letters @ ..] => {
                    if let Some(result) = self.short(letters, &mut words) {
                        return result;
                    }
                }
                [b'+', letters @ ..] if self.plus => {
                    // `+o NAME`: the other letters take nothing.
                    for _ in letters.iter().filter(|letter| self.with_argument.contains(letter)) {
                        words.next()?;
                    }
                }
                name => return Some(Runs::File(name)),
            }
        }
        None
    }

    /// Reads one word of options in one letter. `Some` when it ends the command line of the interpreter.
    fn short<'a>(&self, letters: &'a [u8], words: &mut impl Iterator<Item = &'a [u8]>) -> Option<Option<Runs<'a>>> {
        let mut rest = letters;
        while let [letter, after @ ..] = rest {
            rest = after;
            if self.without_script.contains(letter) {
                return Some(None);
            }
            if self.module == Some(*letter) {
                let name = if rest.is_empty() { words.next() } else { Some(rest) };
                return Some(name.filter(|name| !name.is_empty()).map(Runs::Module));
            }
            if self.with_rest.contains(letter) {
                return None;
            }
            if self.with_argument.contains(letter) {
                // A shell looks for its argument in the next word and goes on with this one.
                if !self.plus {
                    if rest.is_empty() {
                        words.next();
                    }
                    return None;
                }
                words.next();
            }
        }
        None
    }
}

/// The installer that a process is by the name of its executable, its script or its module.
fn installer(process: &Process, script: Option<&Script>) -> Option<&'static str> {
    match script {
        Some(script) if script.is_module => of_module(script.name.as_os_str().as_bytes()),
        Some(script) => of_script(&script.name, &process.arguments),
        // Arguments that could not be read: a script started by its `#!` gives the process its name.
        None if process.arguments.is_empty() && by_name(program(process)).is_some() => of_name(&process.comm),
        None => of_name(program(process)),
    }
}

fn of_module(module: &[u8]) -> Option<&'static str> {
    // `python -m pip`, `python -m pip._internal.cli.main`.
    match module.split(|&byte| byte == b'.').next().unwrap_or_default() {
        // It installs pip with the pip that it brings.
        b"ensurepip" => Some("pip"),
        package => of_name(package),
    }
}

fn of_script(script: &Path, arguments: &[Vec<u8>]) -> Option<&'static str> {
    match base_name(script) {
        b"setup.py" => arguments.iter().any(|word| word == b"install" || word == b"develop").then_some("setuptools"),
        b"get-pip.py" | b"pip.pyz" | b"__pip-runner__.py" => Some("pip"),
        // A package that is run as a directory: `python .../site-packages/pip`.
        b"__main__.py" => of_name(base_name(script.parent()?)),
        name => of_name(name),
    }
}

fn of_name(name: &[u8]) -> Option<&'static str> {
    let is_version = |rest: &[u8]| {
        let rest = rest.strip_prefix(b"-").unwrap_or(rest);
        rest.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
    };
    match name {
        b"uv" | b"uvx" => Some("uv"),
        b"poetry" => Some("poetry"),
        b"pipx" => Some("pipx"),
        b"pdm" => Some("pdm"),
        b"hatch" => Some("hatch"),
        b"conda" | b"_conda" | b"conda.exe" => Some("conda"),
        b"mamba" => Some("mamba"),
        b"micromamba" => Some("micromamba"),
        b"dpkg" => Some("dpkg"),
        b"apt" | b"apt-get" => Some("apt"),
        b"rpm" => Some("rpm"),
        b"dnf" | b"dnf-3" | b"dnf5" | b"microdnf" => Some("dnf"),
        b"yum" => Some("yum"),
        b"apk" => Some("apk"),
        b"zypper" => Some("zypper"),
        b"pacman" => Some("pacman"),
        b"snap" | b"snapd" => Some("snap"),
        _ => {
            let of = |word: &str| name.strip_prefix(word.as_bytes()).is_some_and(is_version);
            ["pip", "easy_install"].into_iter().find(|word| of(word))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Doubt;
    use crate::event::Executable;
    use proptest::prelude::*;

    fn process(executable: &str, words: &[&str]) -> Process {
        Process {
            executable: Some(Executable { path: executable.into(), deleted: false, is_host_file: true }),
            arguments: words.iter().map(|word| word.as_bytes().to_vec()).collect(),
            working_directory: Some("/w".into()),
            ..Process::default()
        }
    }

    /// The script (a module with `-m` before it) and the installer of this command line.
    fn told(executable: &str, line: &str) -> (Option<String>, Option<&'static str>) {
        let words: Vec<&str> = line.split(' ').collect();
        let mut writer = Writer { process: Some(process(executable, &words)), ..Writer::unknown(Doubt::NoRecord) };
        tell(&mut writer, None);
        let shown = |script: &Script| {
            assert!(!script.is_recorded);
            format!("{}{}", if script.is_module { "-m " } else { "" }, script.name.display())
        };
        (writer.script.as_ref().map(shown), writer.installer)
    }

    #[test]
    fn installers_are_known_as_they_really_appear() {
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
            assert_eq!(told(executable, line), (Some(script.to_owned()), Some(installer)), "{line}");
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
            assert_eq!(told(executable, "what it likes"), (None, Some(installer)), "{executable}");
        }
    }

    #[test]
    fn what_only_resembles_an_installer_is_none() {
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
            assert_eq!(told(executable, line).1, None, "{line}");
        }
    }

    #[test]
    fn a_script_is_found_where_the_interpreter_finds_it() {
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
            assert_eq!(told(executable, line).0.as_deref(), script, "{executable}: {line}");
        }
    }

    #[test]
    fn a_recorded_script_counts_for_more_than_the_arguments() {
        let process = process("/usr/bin/python3", &["python3", "/tmp/harmless.py"]);
        let mut writer = Writer { process: Some(process), ..Writer::unknown(Doubt::NoRecord) };
        tell(&mut writer, Some(Path::new("/usr/bin/pip3")));
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
        tell(&mut writer, None);
        assert_eq!((writer.installer, writer.ancestor_installer), (None, Some("dpkg")));
        writer.parents = vec![faked(dpkg), apt];
        tell(&mut writer, None);
        assert_eq!(writer.ancestor_installer, Some("apt"));
        writer.parents.clear();
        tell(&mut writer, None);
        assert_eq!(writer.ancestor_installer, None);
    }

    #[test]
    fn a_name_without_arguments_is_the_kernels_name_of_the_process() {
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
            if let Some(script) = script(&process, None) {
                let name = script.name.as_os_str().as_encoded_bytes();
                prop_assert!(!name.is_empty());
                prop_assert!(words.iter().any(|word| word.as_bytes().ends_with(name)), "{script:?}");
            }
        }
    }
}
