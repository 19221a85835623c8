//! Exit codes: an interface.

use std::process::ExitCode;

/// An exit code, after `sysexits(3)`. [`EXIT_CODES`] has the meaning of each for each command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Success.
    Fine = 0,
    /// The command found what it looks for, or failed to.
    Finding = 1,
    /// EX_USAGE.
    Usage = 64,
    /// EX_UNAVAILABLE.
    Unreachable = 69,
    /// EX_SOFTWARE.
    Failed = 70,
    /// EX_NOPERM.
    NoPermission = 77,
    /// EX_CONFIG.
    Configuration = 78,
}

/// Every exit code with its meanings, each with the command that it holds for; an empty name stands for every command.
pub const EXIT_CODES: &[(Exit, &[(&str, &str)])] = &[
    (Exit::Fine, &[("", "success")]),
    (
        Exit::Finding,
        &[
            ("explain", "no rule matches"),
            ("scan", "a hook is hostile"),
            ("coverage", "a place is blind or degraded"),
            ("selftest", "a test failed"),
        ],
    ),
    (Exit::Usage, &[("", "wrong usage")]),
    (Exit::Unreachable, &[("status", "no daemon answers")]),
    (
        Exit::Failed,
        &[
            ("run", "watching ended or could not start"),
            ("coverage", "the mount table cannot be read"),
            ("selftest", "the test could not start"),
        ],
    ),
    (
        Exit::NoPermission,
        &[
            ("run", "no permission for fanotify or an output file"),
            ("scan", "a directory or hook cannot be read"),
            ("coverage", "no permission for fanotify"),
            ("selftest", "no permission for fanotify"),
            ("status", "no permission for the socket"),
            ("", "configuration or a rule: no permission, or others could write it"),
        ],
    ),
    (Exit::Configuration, &[("", "error in the configuration or a rule")]),
];

/// The table for `--help`: one meaning a line.
pub fn help() -> String {
    let mut text = String::from("Exit codes:");
    for (exit, meanings) in EXIT_CODES {
        let mut code = (*exit as u8).to_string();
        for (command, meaning) in *meanings {
            let command = if command.is_empty() { String::new() } else { format!("{command}: ") };
            text += &format!("\n  {code:>2}  {command}{meaning}");
            code.clear();
        }
    }
    text
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}
