//! Settings of variables that make Python run something at start-up, in files that set the environment of later
//! processes. Pure, linear in time.
//!
//! The variables, by experiments with 3.6 to 3.15: PYTHONSTARTUP (interactive only), PYTHONPATH, PYTHONHOME,
//! PYTHONUSERBASE, PYTHONPLATLIBDIR and PYTHONPYCACHEPREFIX always count. PYTHONWARNINGS counts when it names
//! a category with a dot, because Python imports that. BROWSER counts only in a file with such a PYTHONWARNINGS
//! (`antigravity` starts it). Not here: PYTHONINSPECT, PYTHONBREAKPOINT and PYTHONIOENCODING run nothing by
//! themselves, PYTHONEXECUTABLE is read on macOS only, PYTHON_PRESITE in debug builds only.
//!
//! A line that only mentions a variable is no setting, nor is an empty value, which Python ignores. An assignment for one
//! command (`PYTHONPATH=/x python3`) is one: profiles and crontabs start programs.

mod dialect;
mod found;
mod places;
mod plain;
mod shell;
#[cfg(test)]
mod tests;

pub use places::Grammar;
pub use places::directories;
pub use places::grammar;
pub use places::is_environment_file;
pub use places::names;

use super::search_path;
use crate::event::EnvironmentSetting;
use crate::event::Signal;
use crate::event::Signals;
use dialect::Dialect;
use found::Found;
use std::path::Path;

/// The settings in an environment file by its own grammar, at most fifty: of more, the first and the last.
/// None for a path that [`grammar`] does not know.
///
/// In `value` quotes are removed and nothing is expanded. It is empty if a variable of the caller is kept (sudoers).
pub fn settings(path: &Path, content: &[u8]) -> Vec<EnvironmentSetting> {
    let mut found = Found::default();
    match grammar(path) {
        Some((Grammar::Shell, _)) => shell::read(content, Dialect::Posix, &mut found),
        Some((Grammar::Fish, _)) => shell::read(content, Dialect::Fish, &mut found),
        Some((Grammar::Csh, _)) => shell::read(content, Dialect::Csh, &mut found),
        Some((Grammar::FishVariables, _)) => plain::fish_variables(content, &mut found),
        Some((Grammar::Assignments, _)) => plain::assignments(content, &mut found),
        Some((Grammar::ShellOrAssignments, _)) => {
            shell::read(content, Dialect::Posix, &mut found);
            plain::assignments(content, &mut found);
        }
        Some((Grammar::PamEnv, _)) => plain::pam_env(content, &mut found),
        Some((Grammar::Systemd, _)) => plain::systemd(content, &mut found),
        Some((Grammar::Crontab, _)) => plain::crontab(content, &mut found),
        Some((Grammar::Sudoers, _)) => plain::sudoers(content, &mut found),
        Some((Grammar::Sshd, _)) => plain::sshd(content, &mut found),
        None => {}
    }
    found.finish()
}

/// Signals of a value: `PathTemporary`, `PathHidden`, `PathRelative`, and `PathEmpty` for an
/// empty element, which is the current directory. `$PYTHONPATH:/x` has one whenever PYTHONPATH was not set.
pub fn value_signals(setting: &EnvironmentSetting) -> Signals {
    let value = setting.value.as_slice();
    let elements: Vec<&[u8]> = match setting.variable {
        "PYTHONPATH" | "PYTHONHOME" => elements(value),
        "BROWSER" => value.split(|byte| byte.is_ascii_whitespace()).take(1).collect(),
        "PYTHONWARNINGS" => Vec::new(),
        // The directory only: a file in a home is usually hidden (`~/.pythonrc`).
        "PYTHONSTARTUP" => vec![directory_of(value)],
        _ => vec![value],
    };
    let mut signals = Signals::default();
    let is_list = elements.len() > 1;
    for element in elements {
        let is_itself = matches!(element, b"$PYTHONPATH" | b"${PYTHONPATH}" | b"${PYTHONPATH-}" | b"${PYTHONPATH:-}");
        if is_list && setting.variable == "PYTHONPATH" && (element.is_empty() || is_itself) {
            signals.insert(Signal::PathEmpty);
        } else if !element.is_empty() && !is_itself {
            signals.extend(element_signals(element, setting.variable));
        }
    }
    signals
}

/// The directory of a file, or the file's name alone.
fn directory_of(file: &[u8]) -> &[u8] {
    let slash = file.iter().rposition(|byte| *byte == b'/');
    slash.and_then(|slash| file.get(..slash.max(1))).unwrap_or(file)
}

/// The elements of a list divided by `:`, except within `${ }` and `$( )`.
fn elements(value: &[u8]) -> Vec<&[u8]> {
    let (mut depth, mut previous) = (0_usize, 0);
    let is_divider = |&byte: &u8| {
        match byte {
            b'{' | b'(' if previous == b'$' || depth > 0 => depth += 1,
            b'}' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        previous = byte;
        byte == b':' && depth == 0
    };
    value.split(is_divider).collect()
}

fn element_signals(element: &[u8], variable: &str) -> Signals {
    let (start, rest) = leading_reference(element);
    let mut signals = match start {
        // `$HOME/x`: some absolute path.
        Some(_) => search_path::signals(&[b"/home/", rest].concat()),
        None => search_path::signals(element),
    };
    let temporary: [&[u8]; 7] = [b"TMPDIR", b"TMP", b"TEMP", b"TEMPDIR", b"XDG_RUNTIME_DIR", b"%T", b"%t"];
    let is_relative = match start {
        Some(name) if temporary.contains(&name) => {
            signals.insert(Signal::PathTemporary);
            false
        }
        Some(b"PWD" | b"OLDPWD") => true,
        // Python joins it to the prefix; what a program's name means depends on PATH.
        None => !element.starts_with(b"/") && !matches!(variable, "PYTHONPLATLIBDIR" | "BROWSER"),
        Some(_) => false,
    };
    if is_relative {
        signals.insert(Signal::PathRelative);
    }
    signals.iter().filter(|signal| *signal != Signal::PathAdded).collect()
}

/// The variable, home or specifier that an element begins with, and what follows.
fn leading_reference(element: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let up_to = |text: &'static [u8], skip: usize| {
        let inner = element.get(skip..).unwrap_or_default();
        let end = inner.iter().position(|byte| text.contains(byte)).unwrap_or(inner.len());
        let name = inner.get(..end).unwrap_or_default();
        let name = name.get(..name.iter().take_while(|byte| is_word(byte)).count()).unwrap_or_default();
        (Some(name), inner.get(end + 1..).unwrap_or_default())
    };
    match element {
        [b'$', b'{', ..] | [b'@', b'{', ..] => up_to(b"}", 2),
        [b'$', b'(', ..] => up_to(b")", 2),
        [b'`', ..] => up_to(b"`", 1),
        [b'~', ..] => up_to(b"/", 0),
        [b'%', _, ..] => (element.get(..2), element.get(2..).unwrap_or_default()),
        [b'$', ..] => {
            let length = 1 + element.iter().skip(1).take_while(|byte| is_word(byte)).count();
            (element.get(1..length), element.get(length..).unwrap_or_default())
        }
        _ => (None, element),
    }
}
