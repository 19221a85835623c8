//! Files that set environment variables for later processes, and the lines in them that set a
//! variable Python reads at start-up. Pure.
//!
//! Known here: login and shell profiles, `/etc/environment`, `environment.d`, `pam_env.conf`,
//! `/etc/default/locale`, `/etc/crontab`, fish. One grammar serves them all: an assignment of the
//! variable wherever such a file can have one. A line that only mentions the variable is none.

use crate::event::{EnvironmentSetting, Hook};
use std::path::Path;

/// The variables of the Sumo Logic rule.
const VARIABLES: [&str; 2] = ["PYTHONSTARTUP", "PYTHONPATH"];

/// Most settings kept of one file.
const MAX_SETTINGS: usize = 50;

/// Names that an environment file can have, for the name filter.
pub const NAMES: [&str; 23] = [
    "environment",
    "profile",
    "bash.bashrc",
    "pam_env.conf",
    "locale",
    "crontab",
    "zshenv",
    "zprofile",
    "zshrc",
    "zlogin",
    ".bashrc",
    ".bash_aliases",
    ".profile",
    ".bash_profile",
    ".bash_login",
    ".zshenv",
    ".zprofile",
    ".zshrc",
    ".zlogin",
    ".xsessionrc",
    "config.fish",
    "*.sh",
    "*.conf",
];

/// Whether later processes get their environment from this file.
pub fn is_environment_file(path: &Path) -> bool {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return false };
    let (directory, name) = (directory.as_os_str().as_encoded_bytes(), name.as_encoded_bytes());
    match name {
        b".bashrc" | b".bash_aliases" | b".profile" | b".bash_profile" | b".bash_login" | b".zshenv" | b".zprofile"
        | b".zshrc" | b".zlogin" | b".xsessionrc" => true,
        b"config.fish" => directory.ends_with(b"/fish"),
        b"environment" | b"profile" | b"bash.bashrc" | b"crontab" => directory == b"/etc",
        b"zshenv" | b"zprofile" | b"zshrc" | b"zlogin" => matches!(directory, b"/etc" | b"/etc/zsh"),
        b"pam_env.conf" => directory == b"/etc/security",
        b"locale" => directory == b"/etc/default",
        _ => {
            (name.ends_with(b".sh") && directory == b"/etc/profile.d")
                || (name.ends_with(b".conf") && directory.ends_with(b"/environment.d"))
        }
    }
}

/// The lines that set one of the variables, at most fifty.
pub fn settings(content: &[u8]) -> Vec<EnvironmentSetting> {
    let lines = content.split(|&byte| byte == b'\n').enumerate();
    let settings = lines.flat_map(|(index, line)| {
        let code = without_comment(line);
        VARIABLES.into_iter().filter(move |variable| sets(code, variable.as_bytes())).map(move |variable| {
            let text = line.trim_ascii();
            let text = text.get(..Hook::MAX_LINE).unwrap_or(text).to_vec();
            EnvironmentSetting { variable, line: index + 1, text, value: Vec::new() }
        })
    });
    settings.take(MAX_SETTINGS).collect()
}

/// The line up to a `#` that starts a comment: at its start, or after a blank outside quotes.
fn without_comment(line: &[u8]) -> &[u8] {
    let mut quote = None;
    let mut previous = b' ';
    for (at, &byte) in line.iter().enumerate() {
        match (quote, byte) {
            (None, b'#') if previous.is_ascii_whitespace() => return line.get(..at).unwrap_or_default(),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
        previous = byte;
    }
    line
}

/// Whether the line assigns the variable: `VAR=`, `VAR+=`, `VAR = ` (crontab), `${VAR:=`,
/// `VAR DEFAULT=` (pam_env), `set -gx VAR ` (fish), `setenv VAR ` (csh).
fn sets(line: &[u8], variable: &[u8]) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let starts = line.windows(variable.len()).enumerate().filter(|(_, window)| *window == variable).map(|(at, _)| at);
    let first_word = line.trim_ascii_start().split(u8::is_ascii_whitespace).next().unwrap_or_default();
    starts.into_iter().any(|at| {
        let before = line.get(..at).unwrap_or_default();
        let after = line.get(at + variable.len()..).unwrap_or_default();
        if before.last().is_some_and(|byte| is_word(byte) || *byte == b'$') || after.first().is_some_and(is_word) {
            return false;
        }
        let rest = after.trim_ascii_start();
        // `[ "$X" = y ]` and `$PYTHONPATH = y` are no assignments; a blank before `=` is one only
        // where the variable starts the line (crontab).
        let spaced = rest.starts_with(b"=") && (rest.len() == after.len() || before.trim_ascii().is_empty());
        spaced
            || after.starts_with(b"+=")
            || after.starts_with(b":=")
            || rest.starts_with(b"DEFAULT=")
            || rest.starts_with(b"OVERRIDE=")
            || (matches!(first_word, b"set" | b"setenv") && !rest.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn variables(content: &str) -> Vec<&'static str> {
        settings(content.as_bytes()).into_iter().map(|setting| setting.variable).collect()
    }

    #[test]
    fn each_grammar_s_assignment_is_found_with_its_line() {
        for line in [
            "PYTHONPATH=/tmp/x",
            "export PYTHONPATH=/tmp/x",
            "export A=1 PYTHONPATH=\"$PYTHONPATH:/x\"",
            "  PYTHONPATH+=:/x",
            "PYTHONPATH = /x",
            "PYTHONPATH DEFAULT=/x OVERRIDE=@{X}",
            "set -gx PYTHONPATH /x",
            "setenv PYTHONPATH /x",
            ": ${PYTHONPATH:=/x}",
            "[ -d /x ] && PYTHONPATH=/x && export PYTHONPATH",
        ] {
            assert_eq!(variables(line), ["PYTHONPATH"], "{line}");
        }
        let found = settings(b"# a\nX=1\nexport PYTHONSTARTUP=/x  # why\n");
        assert_eq!((found[0].variable, found[0].line), ("PYTHONSTARTUP", 3));
    }

    #[test]
    fn a_mention_is_not_a_setting() {
        for line in [
            "# PYTHONPATH=/x",
            "X=1 # PYTHONPATH=/x",
            "echo $PYTHONPATH",
            "MYPYTHONPATH=/x",
            "PYTHONPATHS=/x",
            "unset PYTHONPATH",
            "export PYTHONPATH",
            "[ \"$PYTHONPATH\" = /x ]",
            "pythonpath=/x",
        ] {
            assert!(variables(line).is_empty(), "{line}");
        }
    }

    #[test]
    fn a_hash_inside_quotes_does_not_hide_a_setting() {
        assert_eq!(variables("X=\"a # b\" PYTHONPATH=/x"), ["PYTHONPATH"]);
    }

    #[test]
    fn environment_files_are_known_by_name_and_directory() {
        for path in [
            "/etc/environment",
            "/etc/profile.d/a.sh",
            "/root/.bashrc",
            "/home/u/.zshenv",
            "/home/u/.config/environment.d/a.conf",
            "/home/u/.config/fish/config.fish",
        ] {
            assert!(is_environment_file(Path::new(path)), "{path}");
        }
        for path in ["/srv/environment", "/x/a.sh", "/etc/a.conf", "/etc/profile.d/readme"] {
            assert!(!is_environment_file(Path::new(path)), "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_within_bounds(content in proptest::collection::vec(any::<u8>(), 0..500)) {
            prop_assert!(settings(&content).len() <= MAX_SETTINGS);
        }
    }
}
