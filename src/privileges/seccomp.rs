//! The seccomp filter of the process (`seccomp(2)`, classic BPF): kills the process (SIGSYS) at a system call that the
//! daemon never makes.
//!
//! It is a deny list. The calls of an allow list change with the versions of the standard library and the C library,
//! and an update must not kill the daemon. The unit has an allow list too (`SystemCallFilter=`); the filter here also
//! works without systemd.
//!
//! The crate for it (seccompiler) compares numbers for equality only. The second numbering of x86_64, x32, has the same
//! architecture and another bit in the number, and would pass such a deny list.

use libc::{c_long, sock_filter};

/// `AUDIT_ARCH_X86_64`, `AUDIT_ARCH_AARCH64` of `<linux/audit.h>`: calls of every other numbering are killed.
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
const ARCHITECTURE: Option<u32> = Some(0xc000_003e);
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: Option<u32> = Some(0xc000_00b7);
#[cfg(not(any(all(target_arch = "x86_64", target_pointer_width = "64"), target_arch = "aarch64")))]
const ARCHITECTURE: Option<u32> = None;

/// `__X32_SYSCALL_BIT`: numbers from here on are x32's. No other architecture has so many.
const X32: u32 = 0x4000_0000;

/// Offsets in `struct seccomp_data`; both architectures are little-endian.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;

/// The socket families in use: syslog and systemd's notifications; the process connector and taskstats.
const FAMILIES: [u32; 2] = [libc::AF_UNIX as u32, libc::AF_NETLINK as u32];

/// The `libc` crate lacks it for some C libraries on aarch64.
#[cfg(target_arch = "aarch64")]
const KEXEC_FILE_LOAD: c_long = 294;
#[cfg(not(target_arch = "aarch64"))]
const KEXEC_FILE_LOAD: c_long = libc::SYS_kexec_file_load;

/// The system calls that are killed, by subject.
const REFUSED: &[&[c_long]] = &[
    // Running programs.
    &[libc::SYS_execve, libc::SYS_execveat, libc::SYS_memfd_create],
    // The memory and the descriptors of other processes. Command lines are read from /proc.
    &[
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_process_madvise,
        libc::SYS_pidfd_getfd,
        libc::SYS_kcmp,
    ],
    // Mounts and namespaces.
    &[
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_open_tree,
        libc::SYS_move_mount,
        libc::SYS_fsopen,
        libc::SYS_fsconfig,
        libc::SYS_fsmount,
        libc::SYS_fspick,
        libc::SYS_mount_setattr,
        libc::SYS_unshare,
        libc::SYS_setns,
    ],
    // Other users.
    &[
        libc::SYS_setuid,
        libc::SYS_setgid,
        libc::SYS_setreuid,
        libc::SYS_setregid,
        libc::SYS_setresuid,
        libc::SYS_setresgid,
        libc::SYS_setfsuid,
        libc::SYS_setfsgid,
        libc::SYS_setgroups,
    ],
    // The kernel: modules, BPF, keyrings, clocks, io_uring, administration.
    &[
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_kexec_load,
        KEXEC_FILE_LOAD,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_keyctl,
        libc::SYS_personality,
        libc::SYS_reboot,
        libc::SYS_acct,
        libc::SYS_quotactl,
        libc::SYS_syslog,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_sethostname,
        libc::SYS_setdomainname,
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
        libc::SYS_clock_adjtime,
        libc::SYS_adjtimex,
    ],
    // Device files, and extended attributes such as file capabilities.
    &[libc::SYS_mknodat, libc::SYS_setxattr, libc::SYS_lsetxattr, libc::SYS_fsetxattr],
    #[cfg(target_arch = "x86_64")]
    &[libc::SYS_fork, libc::SYS_vfork, libc::SYS_mknod, libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt],
];

const fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

/// Skips the next instruction if the comparison is false.
const fn unless(comparison: u32, k: u32) -> sock_filter {
    sock_filter { code: (libc::BPF_JMP | comparison | libc::BPF_K) as u16, jt: 0, jf: 1, k }
}

/// Skips the next instruction if the comparison is true.
const fn when(comparison: u32, k: u32) -> sock_filter {
    sock_filter { code: (libc::BPF_JMP | comparison | libc::BPF_K) as u16, jt: 1, jf: 0, k }
}

const fn load(offset: u32) -> sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

const KILL: sock_filter = statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_KILL_PROCESS);
const ALLOW: sock_filter = statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW);

/// The filter; `None` for another architecture.
pub fn program() -> Option<Vec<sock_filter>> {
    let architecture = ARCHITECTURE?;
    let mut program = vec![load(ARCH), when(libc::BPF_JEQ, architecture), KILL, load(NUMBER)];
    program.extend([unless(libc::BPF_JGE, X32), KILL]);
    for refused in REFUSED.iter().copied().flatten() {
        program.extend([unless(libc::BPF_JEQ, *refused as u32), KILL]);
    }
    program.extend([when(libc::BPF_JEQ, libc::SYS_socket as u32), ALLOW, load(FIRST_ARGUMENT)]);
    for family in FAMILIES {
        program.extend([unless(libc::BPF_JEQ, family), ALLOW]);
    }
    program.push(KILL);
    Some(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Interprets the instructions in use as the kernel does.
    fn run(program: &[sock_filter], architecture: u32, number: u32, first_argument: u32) -> u32 {
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let instruction = program[at];
            at += 1;
            let code = u32::from(instruction.code);
            if code == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS {
                accumulator = match instruction.k {
                    NUMBER => number,
                    ARCH => architecture,
                    FIRST_ARGUMENT => first_argument,
                    other => panic!("{other}"),
                };
                continue;
            }
            let holds = match code & !libc::BPF_JMP {
                _ if code == libc::BPF_RET | libc::BPF_K => return instruction.k,
                comparison if comparison == libc::BPF_JEQ => accumulator == instruction.k,
                comparison if comparison == libc::BPF_JGE => accumulator >= instruction.k,
                other => panic!("{other}"),
            };
            at += usize::from(if holds { instruction.jt } else { instruction.jf });
        }
    }

    #[test]
    fn refused_calls_and_other_numberings_are_killed_and_all_others_allowed() {
        let (Some(program), Some(native)) = (program(), ARCHITECTURE) else { return };
        let refused: Vec<u32> = REFUSED.iter().copied().flatten().map(|number| *number as u32).collect();
        for number in 0..600 {
            if number == libc::SYS_socket as u32 {
                continue;
            }
            let expected = if refused.contains(&number) { KILL.k } else { ALLOW.k };
            assert_eq!(run(&program, native, number, 0), expected, "{number}");
            assert_eq!(run(&program, native, number | X32, 0), KILL.k, "{number}");
            assert_eq!(run(&program, 0x4000_0003, number, 0), KILL.k, "{number} of i386");
        }
        assert!(refused.contains(&(libc::SYS_execve as u32)) && refused.len() > 60);
    }

    #[test]
    fn only_unix_and_netlink_sockets_are_allowed() {
        let (Some(program), Some(native)) = (program(), ARCHITECTURE) else { return };
        for (family, expected) in [
            (libc::AF_UNIX, ALLOW.k),
            (libc::AF_NETLINK, ALLOW.k),
            (libc::AF_INET, KILL.k),
            (libc::AF_INET6, KILL.k),
            (libc::AF_PACKET, KILL.k),
            (libc::AF_VSOCK, KILL.k),
        ] {
            assert_eq!(run(&program, native, libc::SYS_socket as u32, family as u32), expected, "{family}");
        }
    }
}
