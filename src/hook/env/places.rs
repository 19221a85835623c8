//! Which files set the environment of later processes, by name and directory alone, and in which grammar.
//!
//! Not here, because no program reads them any more or nothing runs after them: `~/.pam_environment` (off in
//! every current pam_env), `~/.bash_logout`, `~/.zlogout`. Not here either: the files that BASH_ENV and ENV
//! name, generators of systemd (programs), containers' `ENV`, and `environment=` in `authorized_keys`, which
//! sshd ignores by default.

use crate::event::HookLocation;
use std::path::Path;

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grammar {
    /// A script of sh, bash, zsh or ksh.
    Shell,
    /// A script of fish.
    Fish,
    /// fish's universal variables.
    FishVariables,
    /// A script of csh or tcsh.
    Csh,
    /// `NAME=value`, one a line.
    Assignments,
    /// Read by scripts and as `EnvironmentFile=`.
    ShellOrAssignments,
    /// `pam_env.conf`.
    PamEnv,
    /// Units and drop-ins, `system.conf` and `user.conf`.
    Systemd,
    /// Tables of cron and anacron.
    Crontab,
    /// Rules of sudo.
    Sudoers,
    /// `sshd_config`.
    Sshd,
}

/// Names that an environment file can have, for the name filter: exact, or `*` and an ending. Files in
/// [`directories`] can have any other.
pub const NAMES: [&str; 56] = [
    "environment",
    "profile",
    "profile.local",
    "bash.bashrc",
    "bash.bashrc.local",
    "bashrc",
    "ksh.kshrc",
    "kshrc",
    "mkshrc",
    "pam_env.conf",
    "locale",
    "crontab",
    "anacrontab",
    "sudoers",
    "zshenv",
    "zprofile",
    "zshrc",
    "zlogin",
    "csh.cshrc",
    "csh.login",
    ".bashrc",
    ".bash_aliases",
    ".profile",
    ".bash_profile",
    ".bash_login",
    ".kshrc",
    ".mkshrc",
    ".shrc",
    ".zshenv",
    ".zprofile",
    ".zshrc",
    ".zlogin",
    ".cshrc",
    ".tcshrc",
    ".login",
    ".xsessionrc",
    ".xsession",
    ".xprofile",
    ".xinitrc",
    ".xserverrc",
    "config.fish",
    "fish_variables",
    "sshd_config",
    "cron",
    "anacron",
    "xprofile",
    "*.sh",
    "*.csh",
    "*.zsh",
    "*.fish",
    "*.conf",
    "*.service",
    "*.socket",
    "*.mount",
    "*.swap",
    "*.slice",
];

/// Directories in which every file sets an environment, whatever its name.
const DIRECTORIES: [(&str, Grammar); 9] = [
    ("/etc/cron.d", Grammar::Crontab),
    ("/var/spool/cron", Grammar::Crontab),
    ("/var/spool/cron/crontabs", Grammar::Crontab),
    ("/var/spool/cron/tabs", Grammar::Crontab),
    ("/etc/sudoers.d", Grammar::Sudoers),
    ("/etc/sysconfig", Grammar::ShellOrAssignments),
    ("/etc/default", Grammar::ShellOrAssignments),
    ("/etc/X11/Xsession.d", Grammar::Shell),
    ("/etc/X11/xinit/xinitrc.d", Grammar::Shell),
];

/// Directories whose files can have any name, so that [`NAMES`] cannot list them.
pub fn directories() -> impl Iterator<Item = &'static str> {
    DIRECTORIES.into_iter().map(|(directory, _)| directory)
}

/// Whether later processes get their environment from this file.
pub fn is_environment_file(path: &Path) -> bool {
    grammar(path).is_some()
}

/// How this environment file is read, and whether for every user (`System`) or one (`User`).
pub fn grammar(path: &Path) -> Option<(Grammar, HookLocation)> {
    let (directory, name) = (path.parent()?.to_str()?, path.file_name()?.as_encoded_bytes());
    if let Some((_, grammar)) = DIRECTORIES.into_iter().find(|(known, _)| *known == directory) {
        // A user's own table is named like the user.
        let place = if directory.starts_with("/var/spool/cron") { HookLocation::User } else { HookLocation::System };
        return is_read(name, grammar).then_some((grammar, place));
    }
    by_name(name).map(|grammar| (grammar, HookLocation::User)).or_else(|| {
        let grammar = by_directory(directory, name).or_else(|| of_systemd(directory, name))?;
        let is_user = ["/home/", "/root/", "/var/home/"].iter().any(|home| directory.starts_with(home))
            || directory.contains("/.");
        Some((grammar, if is_user { HookLocation::User } else { HookLocation::System }))
    })
}

/// cron and sudo skip backup files of editors and package managers.
fn is_read(name: &[u8], grammar: Grammar) -> bool {
    match grammar {
        Grammar::Sudoers => !name.ends_with(b"~") && !name.contains(&b'.'),
        _ => !name.ends_with(b"~"),
    }
}

/// Files of a home directory, by name alone.
fn by_name(name: &[u8]) -> Option<Grammar> {
    Some(match name {
        b".bashrc" | b".bash_aliases" | b".profile" | b".bash_profile" | b".bash_login" | b".kshrc" | b".mkshrc"
        | b".shrc" | b".zshenv" | b".zprofile" | b".zshrc" | b".zlogin" | b".xsessionrc" | b".xsession"
        | b".xprofile" | b".xinitrc" | b".xserverrc" => Grammar::Shell,
        b".cshrc" | b".tcshrc" | b".login" => Grammar::Csh,
        _ => return None,
    })
}

fn by_directory(directory: &str, name: &[u8]) -> Option<Grammar> {
    let has = |ending: &[u8]| name.ends_with(ending);
    Some(match (directory, name) {
        ("/etc", b"environment") | ("/etc/default", b"locale") => Grammar::Assignments,
        (_, b"environment") if directory.ends_with("/.ssh") => Grammar::Assignments,
        ("/etc", b"crontab" | b"anacrontab") => Grammar::Crontab,
        ("/etc", b"sudoers") => Grammar::Sudoers,
        ("/etc/security", b"pam_env.conf") => Grammar::PamEnv,
        ("/etc", b"csh.cshrc" | b"csh.login") => Grammar::Csh,
        (
            "/etc",
            b"profile" | b"profile.local" | b"bash.bashrc" | b"bash.bashrc.local" | b"bashrc" | b"ksh.kshrc" | b"kshrc"
            | b"mkshrc" | b"zshenv" | b"zprofile" | b"zshrc" | b"zlogin",
        )
        | ("/etc/zsh", b"zshenv" | b"zprofile" | b"zshrc" | b"zlogin")
        | ("/etc/X11" | "/etc/lightdm" | "/etc", b"xprofile") => Grammar::Shell,
        ("/etc/ssh", b"sshd_config") => Grammar::Sshd,
        ("/etc/ssh/sshd_config.d", _) if has(b".conf") => Grammar::Sshd,
        ("/etc/profile.d", _) if has(b".sh") || has(b".zsh") => Grammar::Shell,
        ("/etc/profile.d", _) if has(b".csh") => Grammar::Csh,
        (_, b"config.fish") if directory.ends_with("/fish") => Grammar::Fish,
        (_, b"fish_variables") if directory.ends_with("/fish") => Grammar::FishVariables,
        _ if has(b".fish") && is_fish_directory(directory) => Grammar::Fish,
        _ if has(b".conf") && directory.ends_with("/environment.d") => Grammar::Assignments,
        _ if has(b".sh") && directory.ends_with("/plasma-workspace/env") => Grammar::Shell,
        _ if directory.ends_with("/.bashrc.d") && (has(b".sh") || has(b".bashrc")) => Grammar::Shell,
        _ => return None,
    })
}

fn is_fish_directory(directory: &str) -> bool {
    ["/fish/conf.d", "/fish/vendor_conf.d"].iter().any(|ending| directory.ends_with(ending))
}

/// Units and drop-ins in a directory of systemd, and the files of its managers.
fn of_systemd(directory: &str, name: &[u8]) -> Option<Grammar> {
    let below = directory.split("/systemd").nth(1)?;
    let mut components = below.split('/');
    let (before, root) = (components.next()?, components.next().unwrap_or_default());
    let is_manager = matches!(name, b"system.conf" | b"user.conf") && below.is_empty();
    let is_drop_in = matches!(root, "system.conf.d" | "user.conf.d") && name.ends_with(b".conf");
    let units = ["system", "user", "system.control", "user.control", "system.attached", "transient", "generator"];
    let last = directory.rsplit('/').next().unwrap_or_default();
    let is_unit = units.contains(&root)
        && ([".service", ".socket", ".mount", ".swap", ".slice"].iter().any(|kind| name.ends_with(kind.as_bytes()))
            || (last.ends_with(".d") && name.ends_with(b".conf")));
    (before.is_empty() && (is_manager || is_drop_in || is_unit)).then_some(Grammar::Systemd)
}
