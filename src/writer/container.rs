//! Container and systemd unit from a cgroup path. Pure.

/// Most bytes of a unit's name.
const MAX_UNIT: usize = 256;

/// The container in the lines of `/proc/PID/cgroup`: 64 hexadecimal digits (Docker, Podman, containerd, CRI-O), or the
/// name of an LXC container or systemd machine. In nested containers the innermost counts.
pub fn id(cgroup: &[u8]) -> Option<String> {
    cgroup.split(|&byte| byte == b'\n').find_map(|line| {
        // hierarchy-ID:controllers:path
        let path = line.splitn(3, |&byte| byte == b':').nth(2)?;
        path.split(|&byte| byte == b'/').rev().find_map(component)
    })
}

/// The systemd unit in the lines of `/proc/PID/cgroup`: `ssh.service`, `session-3.scope`. Units inside a unit follow it
/// after a slash (`user@1000.service/app.service`, systemd in a container). The owner of the outer unit chooses the
/// inner names, so they never stand alone.
pub fn unit(cgroup: &[u8]) -> Option<String> {
    cgroup.split(|&byte| byte == b'\n').find_map(|line| {
        let mut parts = line.splitn(3, |&byte| byte == b':');
        // systemd uses the unified hierarchy (version 2), or the one named systemd beside those of version 1.
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        if !controllers.is_empty() && controllers != b"name=systemd" {
            return None;
        }
        let mut unit = String::new();
        for name in path.split(|&byte| byte == b'/').filter_map(unit_name) {
            if unit.len() + name.len() >= MAX_UNIT {
                break;
            }
            let separator = if unit.is_empty() { "" } else { "/" };
            unit = format!("{unit}{separator}{name}");
        }
        (!unit.is_empty()).then_some(unit)
    })
}

/// The path component, if it is the name of a unit with processes. systemd's escapes (`\x2d`) stay.
fn unit_name(component: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(component).ok()?;
    let (name, kind) = text.rsplit_once('.')?;
    let is_unit = !name.is_empty() && ["service", "scope", "socket", "mount", "swap"].contains(&kind);
    (is_unit && name.bytes().all(|byte| byte.is_ascii_graphic())).then_some(text)
}

fn component(component: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(component).ok()?;
    let bare = text.strip_suffix(".scope").unwrap_or(text);
    let last = bare.rsplit(['-', ':']).next().unwrap_or(bare);
    let is_id = |id: &str| id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id(last) {
        return Some(last.to_owned());
    }
    let name = bare
        .strip_prefix("lxc.payload.")
        .or_else(|| text.strip_suffix(".scope").and_then(|machine| machine.strip_prefix("machine-")))?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.\\".contains(&byte));
    is_name.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f1b0d5c2a9e8f7061524334a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e";

    #[test]
    fn the_id_is_found_in_the_paths_of_common_runtimes() {
        for path in [
            format!("0::/system.slice/docker-{ID}.scope"),
            format!("12:cpu:/docker/{ID}"),
            format!("0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope"),
            format!("0::/kubepods/besteffort/pod1/{ID}"),
            format!("0::/machine.slice/libpod-{ID}.scope/container"),
            format!("0::/kubepods.slice/crio-{ID}.scope"),
            format!("0::/system.slice/containerd.service/kubepods-burstable.slice:cri-containerd:{ID}"),
        ] {
            assert_eq!(id(path.as_bytes()).as_deref(), Some(ID), "{path}");
        }
        assert_eq!(id(b"0::/lxc.payload.web1/init").as_deref(), Some("web1"));
        assert_eq!(id(b"0::/machine.slice/machine-deb.scope/payload").as_deref(), Some("deb"));
    }

    #[test]
    fn a_host_process_is_in_no_container() {
        for path in [&b"0::/user.slice/user-1000.slice/session-3.scope"[..], b"0::/", b"", b"x", b"0::/init.scope"] {
            assert_eq!(id(path), None, "{path:?}");
        }
    }

    #[test]
    fn a_name_with_control_characters_is_no_container() {
        assert_eq!(id(b"0::/lxc.payload.a\x1b[31m"), None);
        assert_eq!(id(b"0::/lxc.payload.\xff"), None);
    }

    #[test]
    fn the_unit_is_found_in_the_hierarchies_that_systemd_uses() {
        for (lines, expected) in [
            ("0::/system.slice/ssh.service", "ssh.service"),
            ("0::/user.slice/user-1000.slice/session-3.scope", "session-3.scope"),
            ("4:memory:/a.service\n1:name=systemd:/system.slice/cron.service\n0::/", "cron.service"),
            ("0::/init.scope", "init.scope"),
            (r"0::/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service"),
            (r"0::/system.slice/a\x2db.service", r"a\x2db.service"),
            ("0::/system.slice/docker-x.scope/system.slice/ssh.service", "docker-x.scope/ssh.service"),
        ] {
            assert_eq!(unit(lines.as_bytes()).as_deref(), Some(expected), "{lines}");
        }
        for lines in ["", "0::/", "x", "4:memory:/a.service", "0::/user.slice", "0::/.service", "0::/a\x1b.service"] {
            assert_eq!(unit(lines.as_bytes()), None, "{lines:?}");
        }
    }

    /// A user can create cgroups of any name below the delegated manager.
    #[test]
    fn a_users_unit_is_never_named_like_a_system_unit() {
        let lines = b"0::/user.slice/user-1000.slice/user@1000.service/app.slice/ssh.service";
        assert_eq!(unit(lines).as_deref(), Some("user@1000.service/ssh.service"));
    }

    #[test]
    fn a_long_unit_name_is_cut_between_two_names() {
        let lines = format!("0::{}", "/some.service".repeat(300));
        let found = unit(lines.as_bytes()).unwrap();
        assert!(found.len() <= MAX_UNIT && found.ends_with(".service"), "{found}");
        assert_eq!(unit(format!("0::/{}.service", "x".repeat(300)).as_bytes()), None);
    }
}
