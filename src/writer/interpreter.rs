//! Finds the script or module that an interpreter runs, from its command line. Pure.

use crate::event::{Process, Script};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The script or module that an interpreter runs. `None` for a program text or standard input, and for other programs.
pub fn script(process: &Process) -> Option<Script> {
    let (language, arguments) = language(process)?;
    match language.input(arguments)? {
        Input::Module(name) => Some(Script { name: path(name).to_path_buf(), is_module: true, is_recorded: false }),
        Input::File(name) => Some(Script { name: absolute(name, process), is_module: false, is_recorded: false }),
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

/// The last component of a path.
pub fn base_name(name: &Path) -> &[u8] {
    name.file_name().map_or(b"", OsStr::as_bytes)
}

/// Whether the process runs an interpreter that this module knows.
pub fn is_interpreter(process: &Process) -> bool {
    by_name(program_name(process)).is_some()
}

/// The name of the executable, otherwise the first argument, which the process chooses.
pub fn program_name(process: &Process) -> &[u8] {
    match &process.executable {
        Some(executable) => base_name(&executable.path),
        None => process.arguments.first().map_or(b"", |name| base_name(path(name))),
    }
}

/// What an interpreter runs.
enum Input<'a> {
    File(&'a [u8]),
    Module(&'a [u8]),
}

/// The options of an interpreter.
struct Language {
    /// Options with an argument: the rest of the word, or the next word.
    with_argument: &'static [u8],
    /// Options whose argument is the rest of the word, which may be empty.
    with_rest: &'static [u8],
    /// Options with the program text, or for reading it from standard input: there is no script.
    without_script: &'static [u8],
    /// The option with a module's name.
    module: Option<u8>,
    /// Options may begin with `+` too (shells).
    plus: bool,
    /// Long options whose argument is the next word.
    long_with_argument: &'static [&'static str],
    /// Long options with the program text.
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

/// The language of an interpreter and its arguments.
fn language(process: &Process) -> Option<(&'static Language, &[Vec<u8>])> {
    let arguments = process.arguments.get(1..)?;
    if program_name(process) == b"busybox" {
        // The applet is the first argument, or the second: `sh`, `busybox sh`.
        let called = base_name(path(process.arguments.first()?));
        let (applet, arguments) = if called == b"busybox" {
            (arguments.first()?.as_slice(), arguments.get(1..)?)
        } else {
            (called, arguments)
        };
        return Some((by_name(applet)?, arguments));
    }
    Some((by_name(program_name(process))?, arguments))
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
    fn input<'a>(&self, arguments: &'a [Vec<u8>]) -> Option<Input<'a>> {
        let mut words = arguments.iter().map(Vec::as_slice);
        while let Some(word) = words.next() {
            match word {
                b"" => return None,
                b"--" => return words.next().filter(|name| !name.is_empty()).map(Input::File),
                // For a shell the end of the options, for the others standard input.
                b"-" => {
                    return if self.plus {
                        words.next().filter(|name| !name.is_empty()).map(Input::File)
                    } else {
                        None
                    };
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
                name => return Some(Input::File(name)),
            }
        }
        None
    }

    /// Reads a word of one-letter options. `Some` when the interpreter reads no further word.
    fn short<'a>(&self, letters: &'a [u8], words: &mut impl Iterator<Item = &'a [u8]>) -> Option<Option<Input<'a>>> {
        let mut rest = letters;
        while let [letter, after @ ..] = rest {
            rest = after;
            if self.without_script.contains(letter) {
                return Some(None);
            }
            if self.module == Some(*letter) {
                let name = if rest.is_empty() { words.next() } else { Some(rest) };
                return Some(name.filter(|name| !name.is_empty()).map(Input::Module));
            }
            if self.with_rest.contains(letter) {
                return None;
            }
            if self.with_argument.contains(letter) {
                // A shell takes the argument from the next word and continues with this word.
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
