//! Every `unsafe` block of the program, each with a SAFETY comment.
//!
//! Each function makes one system call or takes ownership of one descriptor; the callers decide.

#![allow(unsafe_code)]

use fanotify::low_level;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::SystemTime;

/// Opens a fanotify group (`fanotify_init(2)`) with `FAN_CLOEXEC`, which the crate does not add.
///
/// # Errors
/// The errno of the call: EPERM without CAP_SYS_ADMIN, EINVAL for flags this kernel does not know,
/// EMFILE at the limit of groups, ENOSYS where fanotify is not built in.
pub fn fanotify_init(flags: u32, event_flags: u32) -> io::Result<OwnedFd> {
    let raw = low_level::fanotify_init(flags | low_level::FAN_CLOEXEC, event_flags)?;
    // SAFETY: the call succeeded, so `raw` is a new open descriptor without another owner.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Adds or changes a mark (`fanotify_mark(2)`) at `path`.
///
/// # Errors
/// The errno of the call: EPERM, ENODEV (no fsid), EXDEV (btrfs subvolume), EOPNOTSUPP (no file
/// handles: overlayfs, many FUSE), ENOSPC (limit of marks); InvalidInput for a path with a NUL byte,
/// at which the crate would cut it.
pub fn fanotify_mark(group: BorrowedFd<'_>, flags: u32, mask: u64, path: &Path) -> io::Result<()> {
    if path.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "path contains a NUL byte"));
    }
    low_level::fanotify_mark(group.as_raw_fd(), flags, mask, low_level::AT_FDCWD, path)
}

/// Takes ownership of the pidfd in a fanotify record. `None` for FAN_NOPIDFD and FAN_EPIDFD, which are negative.
///
/// Only for a number from a buffer that `read(2)` on a fanotify group has just filled, and once for each record. The
/// only caller is the reader loop.
pub(crate) fn adopt_pidfd(raw: RawFd) -> Option<OwnedFd> {
    if raw < 0 {
        return None;
    }
    // SAFETY: the kernel opened this descriptor for the record and wrote its number only there. The caller passes the
    // number of each record once, so there is no other owner.
    Some(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Longest file handle in bytes (MAX_HANDLE_SZ of `name_to_handle_at(2)`).
pub const MAX_HANDLE: usize = 128;

/// `struct file_handle` with room for the longest handle. The kernel reads 32-bit words, so it must be aligned; a slice
/// of an event buffer is not.
#[repr(C, align(8))]
struct FileHandle {
    handle_bytes: u32,
    handle_type: i32,
    f_handle: [u8; MAX_HANDLE],
}

/// Opens the object of a file handle as `O_PATH` (`open_by_handle_at(2)`). `mount` is any descriptor on the same
/// filesystem, opened without `O_PATH`.
///
/// # Errors
/// ESTALE when the object is deleted or on another filesystem, EPERM without
/// CAP_DAC_READ_SEARCH, InvalidInput for a handle longer than [`MAX_HANDLE`].
pub fn open_by_handle(mount: BorrowedFd<'_>, handle_type: i32, handle: &[u8]) -> io::Result<OwnedFd> {
    let mut object = FileHandle { handle_bytes: 0, handle_type, f_handle: [0; MAX_HANDLE] };
    let room = object
        .f_handle
        .get_mut(..handle.len())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "file handle too long"))?;
    room.copy_from_slice(handle);
    object.handle_bytes = handle.len() as u32;
    // SAFETY: `object` has the layout and alignment of `struct file_handle`, holds `handle_bytes` initialised bytes,
    // and lives through the call; `mount` is an open descriptor.
    let raw = unsafe {
        libc::open_by_handle_at(
            mount.as_raw_fd(),
            (&raw mut object).cast::<libc::file_handle>(),
            libc::O_PATH | libc::O_CLOEXEC,
        )
    };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so `raw` is a new open descriptor without another owner.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// The type and the bytes of an open file's handle (`name_to_handle_at(2)`), as in a fanotify record.
///
/// # Errors
/// EOPNOTSUPP on a filesystem without file handles.
pub fn handle_of(file: BorrowedFd<'_>) -> io::Result<(i32, Vec<u8>)> {
    let mut object = FileHandle { handle_bytes: MAX_HANDLE as u32, handle_type: 0, f_handle: [0; MAX_HANDLE] };
    let mut mount_id = 0;
    // SAFETY: `object` has the layout and alignment of `struct file_handle` and room for `handle_bytes` bytes. The path
    // is an empty C string; with AT_EMPTY_PATH it stands for the open descriptor. All live through the call.
    let result = unsafe {
        libc::name_to_handle_at(
            file.as_raw_fd(),
            c"".as_ptr(),
            (&raw mut object).cast::<libc::file_handle>(),
            &raw mut mount_id,
            libc::AT_EMPTY_PATH,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let bytes = object.f_handle.get(..object.handle_bytes as usize).unwrap_or_default().to_vec();
    Ok((object.handle_type, bytes))
}

/// Whether the process of a pidfd still has its pid: it runs or is a zombie. While it does, no other process can have
/// that pid (`pidfd_send_signal(2)` with signal 0).
pub fn pidfd_holds_pid(pidfd: BorrowedFd<'_>) -> bool {
    // SAFETY: the arguments are an open descriptor and integers. Signal 0 sends nothing, and the call accepts a null
    // `siginfo_t`.
    let result = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), 0, std::ptr::null::<libc::siginfo_t>(), 0u32)
    };
    // EPERM also proves that the process exists.
    result == 0 || io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
}

/// The datagrams that the kernel has dropped since the socket was made, because its receive buffer was full
/// (`getsockopt(SO_MEMINFO)`, Linux 4.12). The count wraps around.
///
/// # Errors
/// The errno of the call; ENODATA if the kernel has no such count.
pub fn socket_drops(socket: BorrowedFd<'_>) -> io::Result<u32> {
    const DROPS: usize = libc::SK_MEMINFO_DROPS as usize;
    let mut counters = [0u32; DROPS + 1];
    let mut length = size_of_val(&counters) as libc::socklen_t;
    // SAFETY: `counters` has room for `length` bytes, any bytes are valid in it, and both pointers live through the
    // call; `socket` is an open descriptor.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            (&raw mut counters).cast::<libc::c_void>(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let filled = length as usize / size_of::<u32>();
    counters.get(DROPS).filter(|_| filled > DROPS).copied().ok_or_else(|| io::Error::from_raw_os_error(libc::ENODATA))
}

/// Sets a seccomp filter for every thread of the process (`seccomp(2)`, SECCOMP_FILTER_FLAG_TSYNC). Needs no_new_privs.
///
/// # Errors
/// ENOSYS or EINVAL from a kernel without seccomp filters; Other if a thread has another filter.
pub fn filter_system_calls(program: &[libc::sock_filter]) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    // SAFETY: `program` holds the address and the number of initialised instructions, which live through the call. The
    // kernel only reads them and keeps a copy.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_TSYNC,
            &raw const program,
        )
    };
    match result {
        0 => Ok(()),
        -1 => Err(io::Error::last_os_error()),
        thread => Err(io::Error::other(format!("thread {thread} has another filter"))),
    }
}

/// Offset of local time from UTC in seconds at `time` (`localtime_r(3)`). 0 if that fails.
pub fn local_offset(time: SystemTime) -> i32 {
    let seconds = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(0),
        Err(_) => 0,
    };
    let mut broken_down = std::mem::MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are valid for the call. A zeroed `tm` is a valid value, so it is initialised even if the
    // call fails.
    let (done, broken_down) = unsafe {
        let done = libc::localtime_r(&raw const seconds, broken_down.as_mut_ptr());
        (!done.is_null(), broken_down.assume_init())
    };
    if done { i32::try_from(broken_down.tm_gmtoff).unwrap_or(0) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_path_with_a_nul_byte_is_an_error() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let error = fanotify_mark(null.as_fd(), 0, 0, Path::new("/tmp\0/x")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_handle_that_is_too_long_is_an_error() {
        let root = std::fs::File::open("/").unwrap();
        let error = open_by_handle(root.as_fd(), 1, &[0; MAX_HANDLE + 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn negative_pidfds_are_no_descriptors() {
        assert!(adopt_pidfd(-1).is_none());
        assert!(adopt_pidfd(-2).is_none());
    }
}
