//! Real interpreters: the distribution's below a test's root, and those of pyenv where they are.

use crate::support::succeed;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The parts of the standard library that starting and the tests need.
const PARTS: [&str; 10] =
    ["encodings", "collections", "importlib", "re", "json", "lib-dynload", "__pycache__", "email", "urllib", "http"];

/// Prints whether a hook has run.
const HAS_RUN: &str = "import sys; print('ran=%s' % getattr(sys, 'ran', 0))";

/// The distribution's Python at its own place below a root, for `chroot`.
pub struct SystemPython {
    root: PathBuf,
    /// As `3.11`.
    pub version: String,
    /// Reached through another program, as `nsenter`.
    prefix: Vec<String>,
}

impl SystemPython {
    /// Copies it, if it is where Debian has it.
    pub fn copy_to(root: &Path) -> Option<Self> {
        let program = Path::new("/usr/bin/python3").canonicalize().ok()?;
        let version = program.file_name()?.to_str()?.strip_prefix("python")?.to_owned();
        let library = PathBuf::from(format!("/usr/lib/python{version}"));
        if program.parent()? != Path::new("/usr/bin") || !library.join("os.py").is_file() {
            return None;
        }
        let below = |path: &Path| {
            let path = root.join(path.strip_prefix("/").unwrap());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        copy(&[&program], &below(&program));
        std::os::unix::fs::symlink(program.file_name()?, below(Path::new("/usr/bin/python3"))).unwrap();
        for shared in shared_objects(&program) {
            copy(&[&shared], &below(&shared));
        }
        fs::create_dir_all(below(&library)).unwrap();
        let parts = fs::read_dir(&library).unwrap().map(|entry| entry.unwrap().path());
        let parts: Vec<PathBuf> = parts
            .filter(|part| {
                let name = part.file_name().unwrap().to_str().unwrap();
                name.ends_with(".py") || PARTS.contains(&name)
            })
            .collect();
        // Never hard links: the tests write to these files.
        let mut command = Command::new("cp");
        succeed(command.arg("-a").args(&parts).arg(below(&library)));
        let settings = PathBuf::from(format!("/etc/python{version}"));
        if settings.is_dir() {
            let mut command = Command::new("cp");
            succeed(command.arg("-a").arg(&settings).arg(below(&settings).parent().unwrap()));
        }
        fs::create_dir_all(below(Path::new("/root"))).unwrap();
        Some(Self { root: root.to_owned(), version, prefix: Vec::new() })
    }

    /// The same tree at another place, reached through a program.
    pub fn through(self, prefix: Vec<String>, root: PathBuf) -> Self {
        Self { root, prefix, ..self }
    }

    /// Starts it with these options, and reports whether a hook has run, and what was said.
    pub fn runs_hook(&self, options: &[&str], settings: &[(&str, &str)]) -> (bool, String) {
        let program = format!("/usr/bin/python{}", self.version);
        self.runs_hook_by(&program, options, settings)
    }

    /// The same by another program below the root.
    pub fn runs_hook_by(&self, program: &str, options: &[&str], settings: &[(&str, &str)]) -> (bool, String) {
        let words = options.iter().copied().chain(["-c", HAS_RUN]);
        let said = self.output_of(program, &words.collect::<Vec<_>>(), settings);
        (said.contains("ran=1"), said)
    }

    /// Starts a program below the root and gives what it says. Nothing is written by it but what it means to.
    pub fn output_of(&self, program: &str, words: &[&str], settings: &[(&str, &str)]) -> String {
        let mut all = self.prefix.iter().map(String::as_str).chain(["chroot"]);
        let mut command = Command::new(all.next().unwrap());
        command.args(all).arg(&self.root).arg(program).args(words).env_clear().current_dir("/");
        command.env("HOME", "/root").env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
        if !settings.iter().any(|(name, _)| *name == "WRITES_BYTECODE") {
            command.env("PYTHONDONTWRITEBYTECODE", "1");
        }
        command.envs(settings.iter().copied());
        let output = command.stdin(Stdio::null()).output().unwrap();
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat()
    }
}

fn copy(from: &[&Path], to: &Path) {
    succeed(Command::new("cp").arg("-aL").args(from).arg(to));
}

fn shared_objects(program: &Path) -> Vec<PathBuf> {
    let listed = succeed(Command::new("ldd").arg(program));
    let words = listed.split_whitespace().filter(|word| word.starts_with('/'));
    words.map(PathBuf::from).filter(|path| path.is_file()).collect()
}

/// An interpreter of this machine, whatever its version.
pub struct Interpreter {
    /// As `3.13`.
    pub version: String,
    program: PathBuf,
}

/// Executes the `.pth` files of directories, one after the other, as `site` does at start-up.
const ADD: &str = "
import sys, os
try:
    import site
    for directory in sys.argv[1:]:
        sys.ran = 0
        try:
            site.addsitedir(directory)
        except BaseException:
            pass
        sys.stdout.write('%d' % sys.ran)
finally:
    sys.stdout.write('\\n')
    sys.stdout.flush()
";

impl Interpreter {
    /// The system's, those of pyenv, and those that PYHOOKWATCH_ORACLE_PYTHONS lists (see tests/sid_pythons.sh).
    pub fn all() -> Vec<Self> {
        let mut programs = BTreeSet::from([PathBuf::from("/usr/bin/python3")]);
        let roots = [std::env::var_os("PYENV_ROOT").map(PathBuf::from), Some(PathBuf::from("/root/.pyenv"))];
        for root in roots.into_iter().flatten() {
            let versions = fs::read_dir(root.join("versions")).into_iter().flatten().flatten();
            programs.extend(versions.map(|version| version.path().join("bin/python")));
        }
        let listed = std::env::var("PYHOOKWATCH_ORACLE_PYTHONS").unwrap_or_default();
        programs.extend(listed.lines().map(PathBuf::from));
        programs.into_iter().filter_map(Self::at).collect()
    }

    fn at(program: PathBuf) -> Option<Self> {
        let script = "import sys; sys.stdout.write('%d.%d.%d' % sys.version_info[:3])";
        let output = Command::new(&program).args(["-E", "-s", "-S", "-c", script]).output().ok()?;
        let version = String::from_utf8(output.stdout).ok()?;
        output.status.success().then_some(Self { version, program })
    }

    /// Whether it knows `.start` files.
    pub fn reads_start_files(&self) -> bool {
        let mut numbers = self.version.split('.').filter_map(|number| number.parse::<u32>().ok());
        (numbers.next(), numbers.next()) >= (Some(3), Some(15))
    }

    /// Whether the start-up files of this directory run a hook.
    pub fn runs_in(&self, directory: &Path) -> bool {
        self.runs_pth_files(&[directory.to_owned()]) == [true]
    }

    /// For each of these directories, whether its `.pth` files ran a hook.
    pub fn runs_pth_files(&self, directories: &[PathBuf]) -> Vec<bool> {
        let mut command = Command::new(&self.program);
        command.args(["-E", "-s", "-S", "-B", "-c", ADD]).args(directories).env("LC_ALL", "C.UTF-8");
        let output = command.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        said.trim().chars().map(|ran| ran == '1').collect()
    }
}
