//! The second stage: which process wrote the file?
//!
//! [`WriterResolver`] runs on the thread that reads the kernel's queue. It reads `/proc` at once (`snapshot`), joins
//! the kernel's records about processes (`process_table`), and compares both (`decision`).

mod agreement;
mod clock;
mod collector;
mod command_line;
mod container;
mod decision;
pub mod identity;
mod installer;
mod interpreter;
mod lineage;
mod pending_write;
mod process;
mod process_record;
mod process_table;
mod program;
mod program_history;
pub mod records;
mod resolver;
mod snapshot;

pub use records::{Available, RecordSource, RecordSources};
pub use resolver::{Collected, Resolution, WriterResolver};

use crate::privileges;

/// Whether `/proc` shows other users' processes: hidden by `hidepid`, or refused without CAP_SYS_PTRACE. Processes that
/// a security module protects all the same are counted.
pub fn processes_of_others() -> RecordSource {
    let all = process::all();
    let is_refused = |pid: &&u32| {
        let executable = std::fs::read_link(format!("/proc/{pid}/exe"));
        executable.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
    };
    let refused = all.iter().filter(is_refused).count();
    let words = format!("executables of {refused} of {} processes: /proc refuses them", all.len());
    RecordSource::processes(match refused {
        _ if !all.contains(&1) => {
            Available::Partly("processes of others in /proc: pid 1 is not shown there (hidepid)".into())
        }
        0 => Available::Full(None),
        _ if !privileges::can_trace() => Available::Partly(format!("{words} (CAP_SYS_PTRACE is missing)")),
        _ => Available::Full(Some(format!("but not {words}, though CAP_SYS_PTRACE is there"))),
    })
}

/// Whether a writer's executable can be recognised as this host's file at its path.
pub fn programs_of_the_host() -> RecordSource {
    RecordSource::host_programs(process::can_look_up())
}
