//! The places where Python runs something by itself, and what watches each.

use super::finding::{Finding, State};
use super::overlay::Overlay;
use crate::daemon::watch_plan::Probe;
use crate::event::{HookKind, HookLocation};
use crate::hook::location;
use crate::hook::sites::{Inventory, Python, PythonRole};
use crate::source::Mechanism;
use crate::source::mounts;
use crate::source::mounts::Mount;
use crate::source::{GuardStatus, Guarded, Settings};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One directory.
pub struct Tree {
    /// As Python sees it, below the root.
    pub path: PathBuf,
    /// What it is: the words of `HookLocation`, and `zip`, `virtual-environment`, `environment`.
    pub place: &'static str,
    /// The Python that it belongs to.
    pub role: Option<PythonRole>,
    /// Where a symbolic link in its place leads.
    pub leads_to: Option<PathBuf>,
    /// The filesystem that it is on.
    pub device: Option<(u32, u32)>,
    /// Where that is mounted.
    pub mount_point: Option<PathBuf>,
    /// What watches it.
    pub mechanism: Mechanism,
    /// Its findings.
    pub findings: Vec<Finding>,
}

impl Tree {
    /// The worst of its findings.
    pub fn state(&self) -> State {
        self.findings.iter().map(|finding| finding.state).min().unwrap_or(State::Guarded)
    }
}

/// A place of the inventory.
struct Place {
    what: &'static str,
    role: Option<PythonRole>,
    leads_to: Option<PathBuf>,
    is_link: bool,
}

/// Every place of the inventory, by its path.
pub fn judge(
    settings: &Settings,
    probe: &Probe,
    mounted: &[Mount],
    inventory: &Inventory,
    overlay: Option<&Overlay>,
) -> Vec<Tree> {
    let mut places: BTreeMap<PathBuf, Place> = BTreeMap::new();
    for python in &inventory.pythons {
        add_python(python, &mut places);
    }
    for found in &inventory.hooks {
        let place = match found.hook_path.kind {
            HookKind::Environment => "environment",
            HookKind::StdlibZip => "zip",
            HookKind::VenvConfig => "virtual-environment",
            _ => continue,
        };
        if let Some(directory) = found.path.parent() {
            places.entry(directory.to_path_buf()).or_insert(Place {
                what: place,
                role: None,
                leads_to: None,
                is_link: false,
            });
        }
    }
    let devices = mounts::by_device(mounted.to_vec());
    let judged = places.into_iter().map(|(path, Place { what: place, role, leads_to, is_link })| {
        let end = leads_to.as_ref().unwrap_or(&path);
        let real = mounts::above_root(end, &settings.root);
        let mount = mounts::holding(mounted, &real);
        let GuardStatus { mechanism, reason: why } = probe.status_of(mounted, &real);
        let mut findings = Vec::new();
        if is_link && leads_to.is_none() && !settings.root.join(path.strip_prefix("/").unwrap_or(&path)).exists() {
            findings.push(note("link-to-nowhere", "a symbolic link that leads nowhere below the root".into()));
        } else {
            findings.extend(by_mechanism(mechanism, why, probe, &real));
        }
        if let (Some(mount), Mechanism::Fanotify) = (mount, mechanism) {
            findings.extend(by_mount(settings, probe, &devices, mount, &real, overlay));
        }
        let (device, mount_point) = mount.map(|mount| (mount.device, mount.mount_point.clone())).unzip();
        Tree { path, place, role, leads_to, device, mount_point, mechanism, findings }
    });
    judged.collect()
}

fn add_python(python: &Python, places: &mut BTreeMap<PathBuf, Place>) {
    for site in &python.directories {
        let leads_to = site.real_path.clone();
        let place = Place { what: site.location.as_str(), role: Some(python.role), leads_to, is_link: site.is_link };
        places.insert(site.path.clone(), place);
    }
    for directory in python.programs.iter().filter_map(|program| program.parent()) {
        let what = HookLocation::Program.as_str();
        let place = Place { what, role: Some(python.role), leads_to: None, is_link: false };
        places.entry(directory.to_path_buf()).or_insert(place);
    }
}

fn note(code: &'static str, reason: String) -> Finding {
    Finding { state: State::Guarded, code, reason, advice: "" }
}

fn by_mechanism(mechanism: Mechanism, why: Option<String>, probe: &Probe, real: &Path) -> Vec<Finding> {
    // Without a reason there was nothing to refuse.
    let why = why.unwrap_or_else(|| "fanotify is not asked to watch it".into());
    match mechanism {
        Mechanism::Fanotify => Vec::new(),
        Mechanism::Nothing => vec![Finding {
            state: State::Blind,
            code: "not-watched",
            reason: why,
            advice: "name it in watch.trees, so that inotify watches it; or run pyhookwatch where its files are stored",
        }],
        Mechanism::Inotify => {
            let mut findings = vec![Finding {
                state: State::Degraded,
                code: "inotify",
                reason: format!("{why}: inotify watches it, which names no writer and sees no mount"),
                advice: "run as root on the host; in a container watch from outside",
            }];
            let failed = probe.trees.iter().find(|tree| tree.failed > 0 && real.starts_with(&tree.root));
            if let Some((tree, (place, reason))) = failed.and_then(|tree| Some((tree, tree.examples.first()?))) {
                findings.push(Finding {
                    state: State::Blind,
                    code: "inotify-incomplete",
                    reason: format!(
                        "{} directories below {} have no watch, one is {}: {reason}",
                        tree.failed,
                        tree.root.display(),
                        place.display()
                    ),
                    advice: "raise fs.inotify.max_user_watches, or watch fewer directories",
                });
            }
            findings
        }
    }
}

/// The findings from the mount of a tree whose filesystem is marked.
fn by_mount(
    settings: &Settings,
    probe: &Probe,
    devices: &BTreeMap<(u32, u32), Vec<Mount>>,
    mount: &Mount,
    real: &Path,
    overlay: Option<&Overlay>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let below = |above: &Path| real.strip_prefix(above).map(Path::to_path_buf).unwrap_or_default();
    if let Some(Guarded::ThroughUpper(upper)) = probe.guard(mount).map(|guard| &guard.by) {
        findings.push(note("overlay", format!("an overlay: changes are reported below {}", upper.display())));
        findings.extend(overlay.and_then(Overlay::finding));
        return findings;
    }
    // A file has one path: that of the mount that shows the most of its filesystem.
    let all = devices.get(&mount.device).map(Vec::as_slice).unwrap_or_default();
    let first = all.iter().find(|other| other.mount_point.starts_with(&settings.root) || other.id == mount.id);
    let reported = first.filter(|first| first.id != mount.id).and_then(|first| {
        let inside = mount.root.strip_prefix(&first.root).ok()?;
        Some(first.mount_point.join(inside).join(below(&mount.mount_point)))
    });
    if let Some(reported) = reported.filter(|reported| reported != real) {
        let seen = |path: &Path| mounts::below_root(path, &settings.root).unwrap_or_else(|| path.to_path_buf());
        let is_known = location::of(&seen(&reported)).location == location::of(&seen(real)).location;
        let reason = format!("a bind mount: changes are reported as {}", reported.display());
        findings.push(if is_known {
            note("bind-mount", reason)
        } else {
            Finding {
                state: State::Blind,
                code: "bind-mount",
                reason: reason + ", which Python does not search, so most count as harmless",
                advice: "mount the filesystem itself there, or watch with --root what is mounted",
            }
        });
    }
    findings
}
