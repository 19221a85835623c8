//! Container id from a cgroup path. Pure.

/// The container that the lines of `/proc/PID/cgroup` name: the 64 hexadecimal digits that Docker,
/// Podman, containerd and CRI-O use, or the name of an LXC container or systemd machine. The last
/// one of the path counts (a container inside a container).
pub fn id(cgroup: &[u8]) -> Option<String> {
    cgroup.split(|&byte| byte == b'\n').find_map(|line| {
        // hierarchy-ID:controllers:path
        let path = line.splitn(3, |&byte| byte == b':').nth(2)?;
        path.split(|&byte| byte == b'/').rev().find_map(component)
    })
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
    fn the_id_is_found_in_the_paths_of_every_common_runtime() {
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
    fn a_name_with_control_characters_is_not_taken_for_a_container() {
        assert_eq!(id(b"0::/lxc.payload.a\x1b[31m"), None);
        assert_eq!(id(b"0::/lxc.payload.\xff"), None);
    }
}
