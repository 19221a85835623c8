//! Why an output cannot be started.

use std::io;
use std::path::{Path, PathBuf};

/// Why an output cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The file cannot be opened or created.
    #[error("cannot open output file {}: {reason}: create its directory, correct its permissions, or configure another path", path.display())]
    Open {
        /// The configured path.
        path: PathBuf,
        /// The error of the kernel.
        reason: io::Error,
    },
    /// A link is not followed: its maker would choose a file that root writes to.
    #[error("cannot open output file {}: it is a symbolic link, which is not followed: configure the path it leads to", path.display())]
    SymbolicLink {
        /// The configured path.
        path: PathBuf,
    },
    /// A directory, device, FIFO or socket has the name.
    #[error("cannot use output file {}: not a regular file: configure another path, or the output stdout or syslog", path.display())]
    NotRegular {
        /// The configured path.
        path: PathBuf,
    },
    /// Standard output cannot be used.
    #[error("cannot use standard output: {0}: configure a file or syslog")]
    Stdout(#[source] io::Error),
}

impl OutputError {
    /// The error for a path that could not be opened.
    pub(super) fn open(path: &Path, reason: io::Error) -> Self {
        let path = path.to_owned();
        match reason.raw_os_error() {
            Some(libc::ELOOP) => Self::SymbolicLink { path },
            // A directory, and a FIFO or socket that nobody reads.
            Some(libc::EISDIR | libc::ENXIO) => Self::NotRegular { path },
            _ => Self::Open { path, reason },
        }
    }
}
