//! Shell commands whose words can set a variable or run code, and what their first word means.

/// The meaning of the next word of a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Expect {
    /// An assignment, a reserved word or the command's name.
    #[default]
    Name,
    /// The same, or an option of the command before (`env`, `sudo`, `command`).
    NameOrOption,
    /// The argument of such an option, then the same.
    OptionArgument,
    /// The name of a function, then a command.
    FunctionName,
    /// `name=value`, an option, or a name (`export`).
    Assignments,
    /// Code, all words together (`eval`).
    Code,
    /// Code in one word (`alias`, `trap`).
    CodeWord,
    /// Options up to the one that code follows (`sh -c`).
    CodeOption,
    /// The variable of `setenv`, `for` or `printf -v`, then its values.
    Variable,
    /// `-v` of `printf`.
    PrintfOption,
    /// Options and the variable of `set` in fish.
    FishSet,
    /// Variables of `read`.
    ReadVariables,
    /// Values of the variable.
    Values,
    /// Words without meaning.
    Rest,
}

/// Words after which another command begins, if they are not quoted.
const RESERVED: [&str; 17] = [
    "!", "and", "begin", "do", "done", "elif", "else", "fi", "if", "not", "or", "then", "time", "until", "while", "{",
    "}",
];

/// Commands by name, sorted.
const COMMANDS: [(&str, Expect); 41] = [
    ("alias", Expect::CodeWord),
    ("bash", Expect::CodeOption),
    ("builtin", Expect::NameOrOption),
    ("busybox", Expect::NameOrOption),
    ("command", Expect::NameOrOption),
    ("dash", Expect::CodeOption),
    ("dbus-update-activation-environment", Expect::Assignments),
    ("declare", Expect::Assignments),
    ("doas", Expect::NameOrOption),
    ("env", Expect::NameOrOption),
    ("eval", Expect::Code),
    ("exec", Expect::NameOrOption),
    ("export", Expect::Assignments),
    ("fish", Expect::CodeOption),
    ("float", Expect::Assignments),
    ("for", Expect::Variable),
    ("foreach", Expect::Variable),
    ("function", Expect::FunctionName),
    ("integer", Expect::Assignments),
    ("ksh", Expect::CodeOption),
    ("local", Expect::Assignments),
    ("nice", Expect::NameOrOption),
    ("nocorrect", Expect::NameOrOption),
    ("noglob", Expect::NameOrOption),
    ("nohup", Expect::NameOrOption),
    ("print", Expect::PrintfOption),
    ("printf", Expect::PrintfOption),
    ("read", Expect::ReadVariables),
    ("readonly", Expect::Assignments),
    ("runuser", Expect::CodeOption),
    ("select", Expect::Variable),
    ("setenv", Expect::Variable),
    ("setsid", Expect::NameOrOption),
    ("sh", Expect::CodeOption),
    ("su", Expect::CodeOption),
    ("sudo", Expect::NameOrOption),
    ("systemctl", Expect::Assignments),
    ("systemd-run", Expect::Assignments),
    ("trap", Expect::CodeWord),
    ("typeset", Expect::Assignments),
    ("zsh", Expect::CodeOption),
];

/// Options of `env`, `sudo` and `nice` that take an argument.
const OPTIONS_WITH_ARGUMENT: [&str; 11] = ["-u", "-C", "-g", "-n", "-U", "-D", "-h", "-p", "-a", "--unset", "--chdir"];

/// What follows a command of this name.
pub(super) fn after(name: &[u8]) -> Expect {
    let found = COMMANDS.binary_search_by(|(known, _)| known.as_bytes().cmp(name));
    found.ok().and_then(|index| COMMANDS.get(index)).map_or(Expect::Rest, |(_, expect)| *expect)
}

/// Whether another command begins after this word.
pub(super) fn is_reserved(word: &[u8]) -> bool {
    RESERVED.iter().any(|reserved| reserved.as_bytes() == word)
}

/// Whether the next word belongs to this option of `env`, `sudo` or `nice`.
pub(super) fn takes_argument(option: &[u8]) -> bool {
    OPTIONS_WITH_ARGUMENT.iter().any(|known| known.as_bytes() == option)
}

/// Whether `set` of fish sets nothing with this option: it erases or shows.
pub(super) fn is_no_assignment_in_fish(option: &[u8]) -> bool {
    let is_short = !option.starts_with(b"--");
    (is_short && option.iter().any(|byte| matches!(byte, b'e' | b'q' | b'n' | b'S')))
        || matches!(option, b"--erase" | b"--query" | b"--names" | b"--show")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_sorted_for_the_binary_search() {
        assert!(COMMANDS.is_sorted_by(|(one, _), (next, _)| one < next));
        assert_eq!(
            (after(b"export"), after(b"zsh"), after(b"ls")),
            (Expect::Assignments, Expect::CodeOption, Expect::Rest)
        );
    }
}
