//! The grammars of shells.

/// The grammar of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// sh, bash, zsh, ksh.
    Posix,
    /// fish.
    Fish,
    /// csh and tcsh.
    Csh,
}
