//! Filesystems that only other mount namespaces have. They are not marked, because this process cannot reach them.

use super::finding::{Finding, State};
use crate::daemon::watch_plan::{self, Probe};
use crate::source::Mechanism;
use crate::source::Settings;
use crate::source::mounts;
use crate::source::mounts::{Class, Mount};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Most processes whose mount namespace is examined.
const MAX_PROCESSES: usize = 32_768;
/// Most namespaces whose mounts are read.
const MAX_NAMESPACES: usize = 512;
/// Most mounts that are examined in all namespaces: any user can make 100,000 in a namespace of its own.
const MAX_MOUNTS: usize = 200_000;
/// Most findings that are listed, the worst first.
const MAX_LISTED: usize = 50;

/// See the module.
#[derive(Default)]
pub struct OtherNamespaces {
    /// The findings, the worst first.
    pub findings: Vec<Finding>,
    /// Other mount namespaces that were examined.
    pub namespaces: usize,
    /// An overlay is mounted in one of them.
    pub has_overlay: bool,
}

/// A filesystem that some namespaces have.
struct Foreign {
    fs_type: String,
    mount_point: PathBuf,
    pid: u32,
}

/// Looks through `/proc/*/mountinfo`.
pub fn examine(settings: &Settings, probe: &Probe, mounted: &[Mount]) -> OtherNamespaces {
    let mut result = OtherNamespaces::default();
    if settings.root != Path::new("/") {
        return result;
    }
    let (namespaces, refused, mut is_cut) = namespaces();
    let own: HashSet<(u32, u32)> = mounted.iter().map(|mount| mount.device).collect();
    let mut foreign: BTreeMap<(u32, u32), Foreign> = BTreeMap::new();
    let mut room = MAX_MOUNTS;
    for pid in namespaces.into_values() {
        if room == 0 {
            is_cut = true;
            break;
        }
        // The process, and its namespace, may have ended.
        let Ok(mounts) = mounts::read_from(Path::new(&format!("/proc/{pid}/mountinfo"))) else { continue };
        result.namespaces += 1;
        room = room.saturating_sub(mounts.len());
        for mount in mounts {
            result.has_overlay |= mount.fs_type == "overlay";
            if own.contains(&mount.device) || foreign.contains_key(&mount.device) || is_covered(probe, mounted, &mount)
            {
                continue;
            }
            let Mount { fs_type, mount_point, device, .. } = mount;
            foreign.insert(device, Foreign { fs_type, mount_point, pid });
        }
    }
    // Grouped: a container brings half a dozen filesystems in memory.
    let mut groups: BTreeMap<(State, String, PathBuf), Vec<u32>> = BTreeMap::new();
    for Foreign { fs_type, mount_point, pid } in foreign.into_values() {
        let state = if watch_plan::holds_watch_trees(settings, std::slice::from_ref(&mount_point)) {
            State::Blind
        } else {
            State::Guarded
        };
        groups.entry((state, fs_type, mount_point)).or_default().push(pid);
    }
    for ((state, fs_type, mount_point), pids) in groups {
        let (first, place) = (pids.first().copied().unwrap_or_default(), mount_point.display());
        let more = if pids.len() > 1 { format!(" and in {} others", pids.len() - 1) } else { String::new() };
        result.findings.push(Finding {
            state,
            code: "other-namespace",
            reason: format!(
                "{place} ({fs_type}) exists only in the mount namespace of process {first}{more}: not marked"
            ),
            advice: if state == State::Blind { "mount it on the host too, or run pyhookwatch in there" } else { "" },
        });
    }
    result.findings.sort();
    shorten(&mut result.findings);
    if refused > 0 || is_cut {
        // A security module may refuse single processes. Without the privilege, most are refused.
        let is_privileged =
            probe.evidence.iter().any(|source| source.name == "processes" && source.missing().is_none());
        let more = if is_cut { ", nor those of others, because there are too many" } else { "" };
        result.findings.push(Finding {
            state: if is_privileged && !is_cut { State::Guarded } else { State::Degraded },
            code: "other-namespace-unknown",
            reason: format!("the mount namespaces of {refused} processes could not be examined{more}"),
            advice: if is_privileged { "" } else { "run it as root, with CAP_SYS_PTRACE" },
        });
        result.findings.sort();
    }
    result
}

/// Keeps the worst of sorted findings and the number of the others.
fn shorten(findings: &mut Vec<Finding>) {
    let unlisted = findings.split_off(MAX_LISTED.min(findings.len()));
    if let Some(worst) = unlisted.first() {
        let reason = format!("{} more filesystems exist only in other mount namespaces", unlisted.len());
        findings.push(Finding { reason, ..worst.clone() });
    }
}

/// Whether changes on a filesystem of another namespace are detected here, or cannot matter.
fn is_covered(probe: &Probe, mounted: &[Mount], mount: &Mount) -> bool {
    match (mounts::class(&mount.fs_type), mount.overlay_upper()) {
        (Class::Pseudo, _) => true,
        (_, Some(upper)) => probe.status_of(mounted, &upper).mechanism == Mechanism::Fanotify,
        // Without an upper directory nothing can be written.
        (_, None) => mount.fs_type == "overlay",
    }
}

/// A process of each other mount namespace; how many processes refused; whether there are more than the limits.
fn namespaces() -> (HashMap<PathBuf, u32>, usize, bool) {
    let own = std::fs::read_link("/proc/self/ns/mnt").ok();
    let (mut namespaces, mut refused, mut is_cut) = (HashMap::new(), 0, false);
    let entries = std::fs::read_dir("/proc").into_iter().flatten().map_while(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    for (number, pid) in pids.enumerate() {
        if number >= MAX_PROCESSES || namespaces.len() >= MAX_NAMESPACES {
            is_cut = true;
            break;
        }
        match std::fs::read_link(format!("/proc/{pid}/ns/mnt")) {
            Ok(namespace) if Some(&namespace) != own.as_ref() => {
                namespaces.entry(namespace).or_insert(pid);
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => refused += 1,
            _ => {}
        }
    }
    (namespaces, refused, is_cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_very_many_filesystems_the_worst_are_listed_and_the_others_counted() {
        let finding = |state, number| {
            let reason = format!("{number}");
            Finding { state, code: "other-namespace", reason, advice: "" }
        };
        let all = |count: usize| (0..count).map(|number| finding(State::Guarded, number)).collect::<Vec<_>>();
        let mut few = all(MAX_LISTED);
        shorten(&mut few);
        assert_eq!(few, all(MAX_LISTED));
        let mut many = [vec![finding(State::Blind, 0)], all(MAX_LISTED + 6)].concat();
        shorten(&mut many);
        assert_eq!((many.len(), many[0].state), (MAX_LISTED + 1, State::Blind));
        assert!(many[MAX_LISTED].reason.starts_with("7 more") && many[MAX_LISTED].state == State::Guarded);
    }
}
