//! Which files set the environment of later processes, by name and directory alone, and in which grammar.
//!
//! Not here, because no program reads them any more or nothing runs after them: `~/.pam_environment` (off in
//! every current pam_env), `~/.bash_logout`, `~/.zlogout`. Not here either: the files that BASH_ENV and ENV
//! name, generators of systemd (programs), containers' `ENV`, and `environment=` in `authorized_keys`, which
//! sshd ignores by default.

use crate::event::HookLocation;
use std::path::Path;
use std::sync::LazyLock;

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

/// The directories that a row of [`FILES`] is about.
#[derive(Clone, Copy)]
enum Directory {
    /// Any: files of a home directory.
    Any,
    /// One of these.
    Is(&'static [&'static str]),
    /// One whose path ends with one of these.
    EndsWith(&'static [&'static str]),
    /// A `systemd` directory, with the settings of the managers.
    Systemd,
    /// Drop-ins of the managers.
    ManagerDropIns,
    /// A directory of units, or one below it.
    Units,
    /// Drop-ins of a unit.
    UnitDropIns,
}

use Directory::{Any, EndsWith, Is, ManagerDropIns, Systemd, UnitDropIns, Units};

/// Every file that sets an environment: its directory, its names, its grammar. A name is exact, `*` with an ending, or
/// `*` for all. The first row that matches decides.
static FILES: &[(Directory, &[&str], Grammar)] = &[
    (
        Is(&["/etc/cron.d", "/var/spool/cron", "/var/spool/cron/crontabs", "/var/spool/cron/tabs"]),
        &["*"],
        Grammar::Crontab,
    ),
    (Is(&["/etc/sudoers.d"]), &["*"], Grammar::Sudoers),
    (Is(&["/etc/sysconfig", "/etc/default"]), &["*"], Grammar::ShellOrAssignments),
    (Is(&["/etc/X11/Xsession.d", "/etc/X11/xinit/xinitrc.d"]), &["*"], Grammar::Shell),
    (
        Any,
        &[
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
            ".xsessionrc",
            ".xsession",
            ".xprofile",
            ".xinitrc",
            ".xserverrc",
        ],
        Grammar::Shell,
    ),
    (Any, &[".cshrc", ".tcshrc", ".login"], Grammar::Csh),
    (Is(&["/etc"]), &["environment"], Grammar::Assignments),
    (EndsWith(&["/.ssh"]), &["environment"], Grammar::Assignments),
    // The name filter passes these names in every directory.
    (Is(&["/etc/default"]), &["locale", "cron", "anacron"], Grammar::ShellOrAssignments),
    (Is(&["/etc"]), &["crontab", "anacrontab"], Grammar::Crontab),
    (Is(&["/etc"]), &["sudoers"], Grammar::Sudoers),
    (Is(&["/etc/security"]), &["pam_env.conf"], Grammar::PamEnv),
    (Is(&["/etc"]), &["csh.cshrc", "csh.login"], Grammar::Csh),
    (
        Is(&["/etc"]),
        &["profile", "profile.local", "bash.bashrc", "bash.bashrc.local", "bashrc", "ksh.kshrc", "kshrc", "mkshrc"],
        Grammar::Shell,
    ),
    (Is(&["/etc", "/etc/zsh"]), &["zshenv", "zprofile", "zshrc", "zlogin"], Grammar::Shell),
    (Is(&["/etc", "/etc/X11", "/etc/lightdm"]), &["xprofile"], Grammar::Shell),
    (Is(&["/etc/ssh"]), &["sshd_config"], Grammar::Sshd),
    (Is(&["/etc/ssh/sshd_config.d"]), &["*.conf"], Grammar::Sshd),
    (Is(&["/etc/profile.d"]), &["*.sh", "*.zsh"], Grammar::Shell),
    (Is(&["/etc/profile.d"]), &["*.csh"], Grammar::Csh),
    (EndsWith(&["/fish"]), &["config.fish"], Grammar::Fish),
    (EndsWith(&["/fish"]), &["fish_variables"], Grammar::FishVariables),
    (EndsWith(&["/fish/conf.d", "/fish/vendor_conf.d"]), &["*.fish"], Grammar::Fish),
    (EndsWith(&["/environment.d"]), &["*.conf"], Grammar::Assignments),
    (EndsWith(&["/plasma-workspace/env"]), &["*.sh"], Grammar::Shell),
    (EndsWith(&["/.bashrc.d"]), &["*.sh", "*.bashrc"], Grammar::Shell),
    (Systemd, &["system.conf", "user.conf"], Grammar::Systemd),
    (ManagerDropIns, &["*.conf"], Grammar::Systemd),
    (Units, &["*.service", "*.socket", "*.mount", "*.swap", "*.slice"], Grammar::Systemd),
    (UnitDropIns, &["*.conf"], Grammar::Systemd),
];

/// Directories of units below a `systemd` directory.
const UNIT_DIRECTORIES: [&str; 7] =
    ["system", "user", "system.control", "user.control", "system.attached", "transient", "generator"];

/// Beginnings of directories that belong to one user. cron names a user's table like the user.
const USER_DIRECTORIES: [&str; 4] = ["/home/", "/root/", "/var/home/", "/var/spool/cron"];

static NAMES: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let mut names: Vec<&str> =
        FILES.iter().flat_map(|(_, names, _)| *names).copied().filter(|name| *name != "*").collect();
    names.sort_unstable();
    names.dedup();
    names
});

/// Names that an environment file can have, for the name filter: exact, or `*` and an ending. Files in
/// [`directories`] can have any other.
pub fn names() -> &'static [&'static str] {
    &NAMES
}

/// Directories in which a file of any name sets an environment. [`names`] cannot list those names.
pub fn directories() -> impl Iterator<Item = &'static str> {
    let any_name = FILES.iter().filter(|(_, names, _)| names.contains(&"*"));
    any_name.flat_map(|(directory, _, _)| if let Is(directories) = directory { *directories } else { &[] }).copied()
}

/// Whether later processes get their environment from this file.
pub fn is_environment_file(path: &Path) -> bool {
    grammar(path).is_some()
}

/// The grammar of this environment file, and whether it is for every user (`System`) or one (`User`).
pub fn grammar(path: &Path) -> Option<(Grammar, HookLocation)> {
    let (directory, name) = (path.parent()?.to_str()?, path.file_name()?.as_encoded_bytes());
    let mut rows = FILES.iter();
    let (of, _, grammar) =
        rows.find(|(of, names, _)| names.iter().any(|known| is_named(name, known)) && is_in(directory, *of))?;
    let is_user = matches!(of, Any)
        || USER_DIRECTORIES.iter().any(|start| directory.starts_with(start))
        || directory.contains("/.");
    let location = if is_user { HookLocation::User } else { HookLocation::System };
    is_read(name, *grammar).then_some((*grammar, location))
}

/// cron and sudo skip backup files of editors and package managers.
fn is_read(name: &[u8], grammar: Grammar) -> bool {
    !(name.ends_with(b"~") || grammar == Grammar::Sudoers && name.contains(&b'.'))
}

fn is_named(name: &[u8], known: &str) -> bool {
    match known.strip_prefix('*') {
        Some(ending) => name.ends_with(ending.as_bytes()),
        None => name == known.as_bytes(),
    }
}

fn is_in(directory: &str, of: Directory) -> bool {
    let ends_with = |endings: &[&str]| endings.iter().any(|ending| directory.ends_with(ending));
    match of {
        Any => true,
        Is(directories) => directories.contains(&directory),
        EndsWith(endings) => ends_with(endings),
        Systemd => below_systemd(directory) == Some(""),
        ManagerDropIns => matches!(first_below_systemd(directory), Some("system.conf.d" | "user.conf.d")),
        Units => first_below_systemd(directory).is_some_and(|first| UNIT_DIRECTORIES.contains(&first)),
        UnitDropIns => is_in(directory, Units) && ends_with(&[".d"]),
    }
}

/// The rest of a path after `/systemd`: empty, or with a slash at its beginning.
fn below_systemd(directory: &str) -> Option<&str> {
    directory.split("/systemd").nth(1).filter(|below| below.is_empty() || below.starts_with('/'))
}

fn first_below_systemd(directory: &str) -> Option<&str> {
    below_systemd(directory)?.split('/').nth(1)
}
