//! The system calls that a watcher never makes, as a program for the kernel (`seccomp(2)`, classic BPF).
//!
//! A list of what is refused, not of what is allowed: which calls a standard library makes changes with its version
//! and with the C library, and a watcher that a new version kills is worse than one that could still, say, create a
//! directory. The service's unit has the list of what is allowed beside this one; this one holds everywhere, also
//! without systemd. What breaks it ends the whole process at once (SIGSYS): only code that is not ours gets there.
//!
//! Written here because the crates for it make a chain of comparisons with the exact number, in which the second
//! numbering of x86_64 (x32: the same architecture, another bit in the number) would pass a list of refusals.

use libc::{c_long, sock_filter};

/// `AUDIT_ARCH_X86_64`, `AUDIT_ARCH_AARCH64` of `<linux/audit.h>`: the system calls of no other numbering pass.
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
const ARCHITECTURE: Option<u32> = Some(0xc000_003e);
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: Option<u32> = Some(0xc000_00b7);
#[cfg(not(any(all(target_arch = "x86_64", target_pointer_width = "64"), target_arch = "aarch64")))]
const ARCHITECTURE: Option<u32> = None;

/// `__X32_SYSCALL_BIT`: numbers from here on are x32's. No other architecture has that many.
const X32: u32 = 0x4000_0000;

/// Offsets in `struct seccomp_data`; both architectures are little-endian.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;

/// Every kind of socket there is need for: syslog and systemd's notifications; the kernel's records.
const FAMILIES: [u32; 2] = [libc::AF_UNIX as u32, libc::AF_NETLINK as u32];

/// Not every C library's headers know it for aarch64.
#[cfg(target_arch = "aarch64")]
const KEXEC_FILE_LOAD: c_long = 294;
#[cfg(not(target_arch = "aarch64"))]
const KEXEC_FILE_LOAD: c_long = libc::SYS_kexec_file_load;

/// Refused, by what they are for.
const REFUSED: &[&[c_long]] = &[
    // Running programs.
    &[libc::SYS_execve, libc::SYS_execveat, libc::SYS_memfd_create],
    // The memory and the descriptors of other processes. Their command lines are read from /proc.
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
    // The kernel itself: modules, programs in it, its keys, its clock, its other ways in.
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
    // Devices, and attributes that make a file more than it is.
    &[libc::SYS_mknodat, libc::SYS_setxattr, libc::SYS_lsetxattr, libc::SYS_fsetxattr],
    #[cfg(target_arch = "x86_64")]
    &[libc::SYS_fork, libc::SYS_vfork, libc::SYS_mknod, libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt],
];

const fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

/// Goes on behind the next instruction if the comparison does not hold, or if it holds.
const fn unless(comparison: u32, k: u32) -> sock_filter {
    sock_filter { code: (libc::BPF_JMP | comparison | libc::BPF_K) as u16, jt: 0, jf: 1, k }
}

const fn when(comparison: u32, k: u32) -> sock_filter {
    sock_filter { code: (libc::BPF_JMP | comparison | libc::BPF_K) as u16, jt: 1, jf: 0, k }
}

const fn load(offset: u32) -> sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

const KILL: sock_filter = statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_KILL_PROCESS);
const ALLOW: sock_filter = statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW);

/// The filter; `None` for an architecture whose numbers are not known here.
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

    /// What the kernel would answer: the few instructions that are used.
    fn answer(program: &[sock_filter], architecture: u32, number: u32, first_argument: u32) -> u32 {
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
    fn refused_calls_and_other_numberings_end_the_process_and_nothing_else_does() {
        let (Some(program), Some(native)) = (program(), ARCHITECTURE) else { return };
        let refused: Vec<u32> = REFUSED.iter().copied().flatten().map(|number| *number as u32).collect();
        for number in 0..600 {
            if number == libc::SYS_socket as u32 {
                continue;
            }
            let expected = if refused.contains(&number) { KILL.k } else { ALLOW.k };
            assert_eq!(answer(&program, native, number, 0), expected, "{number}");
            assert_eq!(answer(&program, native, number | X32, 0), KILL.k, "{number}");
            assert_eq!(answer(&program, 0x4000_0003, number, 0), KILL.k, "{number} of i386");
        }
        assert!(refused.contains(&(libc::SYS_execve as u32)) && refused.len() > 60);
    }

    #[test]
    fn only_sockets_of_this_machine_can_be_made() {
        let (Some(program), Some(native)) = (program(), ARCHITECTURE) else { return };
        for (family, expected) in [
            (libc::AF_UNIX, ALLOW.k),
            (libc::AF_NETLINK, ALLOW.k),
            (libc::AF_INET, KILL.k),
            (libc::AF_INET6, KILL.k),
            (libc::AF_PACKET, KILL.k),
            (libc::AF_VSOCK, KILL.k),
        ] {
            assert_eq!(answer(&program, native, libc::SYS_socket as u32, family as u32), expected, "{family}");
        }
    }
}
