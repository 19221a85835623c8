//! What a test needs of the machine, and what happens when it is not there.

use crate::installers;
use crate::kernel;
use crate::slowness::patient;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// Something that not every machine or user has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Root with CAP_SYS_ADMIN, for fanotify.
    Fanotify,
    /// A private mount namespace, for a root.
    MountNamespace,
    /// A user namespace with a mount namespace in it.
    UserNamespace,
    /// Overlay mounts.
    Overlay,
    /// A working `python3`.
    Python,
    /// The distribution's `/usr/bin/python3`.
    SystemPython,
    /// `python3 -m venv`.
    Venv,
    /// pip, which tests/prepare.sh installs.
    Pip,
    /// uv, which tests/prepare.sh installs.
    Uv,
    /// dpkg and dpkg-deb, for root.
    Dpkg,
    /// apt-get, for root.
    Apt,
    /// /dev/fuse, for root.
    Fuse,
    /// A C compiler.
    Compiler,
    /// setpriv, which takes privileges from a root.
    Setpriv,
    /// The kernel's queues of forks and exits, for root with CAP_NET_ADMIN and outside of containers.
    Records,
    /// The kernel numbers login sessions (audit).
    AuditSession,
    /// A machine on which a few programs start and end within the half second that the daemon waits for a writer.
    RealTime,
    /// A kernel that tells names on a tmpfs.
    TmpfsNames,
    /// A kernel that tells what is written through an overlay.
    OverlayWrites,
    /// A kernel that tells the executable of a process that has ended.
    ExitExecutables,
}

/// Whether the test can run. The one place that decides what a missing privilege means: loudly
/// skipped on a machine that has it not, a failure where `PYHOOKWATCH_REQUIRE_LIVE=1` is set.
pub fn met(test: &str, needs: &[Need]) -> bool {
    let (of_the_kernel, others): (Vec<&Need>, Vec<&Need>) = needs.iter().partition(|need| need.is_of_the_kernel());
    let mut missing: Vec<_> = others.into_iter().filter(|need| !need.is_there()).collect();
    if missing.is_empty() {
        // Trying the kernel takes what the others stand for.
        missing = of_the_kernel.into_iter().filter(|need| !need.is_there()).collect();
    }
    if missing.is_empty() {
        return true;
    }
    let is_set = |name| std::env::var_os(name).is_some_and(|value| value == "1");
    let words: Vec<_> = missing.iter().map(|need| need.words()).collect();
    let only_kernel = missing.iter().all(|need| need.is_of_the_kernel()) && is_set("PYHOOKWATCH_ANY_KERNEL");
    let verdict = if only_kernel { "NOT POSSIBLE" } else { "SKIPPED" };
    let line = format!("{verdict} (needs {}): {test}\n", words.join(", "));
    assert!(only_kernel || !is_set("PYHOOKWATCH_REQUIRE_LIVE"), "{line}");
    // Not with eprintln!, which the test runner hides when the test passes.
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    false
}

impl Need {
    fn words(self) -> &'static str {
        match self {
            Need::Fanotify => "root with CAP_SYS_ADMIN",
            Need::MountNamespace => "unshare -m",
            Need::UserNamespace => "unshare -Ur -m",
            Need::Overlay => "overlay mounts",
            Need::Python => "a working python3",
            Need::SystemPython => "/usr/bin/python3",
            Need::Venv => "python3 -m venv with pip",
            Need::Pip => "pip (run tests/prepare.sh)",
            Need::Uv => "uv (run tests/prepare.sh)",
            Need::Dpkg => "root, dpkg and dpkg-deb",
            Need::Apt => "root and apt-get",
            Need::Fuse => "root and /dev/fuse",
            Need::Compiler => "cc",
            Need::Setpriv => "root and setpriv",
            Need::Records => "root with CAP_NET_ADMIN, outside of containers",
            Need::AuditSession => "root and /proc/self/sessionid",
            Need::RealTime => "a machine that is not emulated",
            Need::TmpfsNames => "a kernel that tells names on tmpfs",
            Need::OverlayWrites => "a kernel that tells writes through overlays",
            Need::ExitExecutables => "a kernel that tells executables at the end of processes",
        }
    }

    /// No privilege or package can bring it.
    fn is_of_the_kernel(self) -> bool {
        matches!(self, Need::RealTime | Need::TmpfsNames | Need::OverlayWrites | Need::ExitExecutables)
    }

    fn is_there(self) -> bool {
        match self {
            Need::Fanotify => is_root() && has_capability(CAP_SYS_ADMIN),
            Need::MountNamespace => Need::Fanotify.is_there() && works("unshare", &["-m", "nsenter", "--version"]),
            Need::UserNamespace => works("unshare", &["-Ur", "-m", "true"]),
            Need::Overlay => std::fs::read_to_string("/proc/filesystems").is_ok_and(|all| all.contains("\toverlay\n")),
            Need::Python => python().is_some(),
            Need::SystemPython => works("/usr/bin/python3", &["-c", ""]),
            Need::Venv => python().is_some_and(|python| works(python, &["-c", "import venv, ensurepip"])),
            Need::Pip => python().is_some() && installers::pip().is_some_and(|pip| works(pip, &["--version"])),
            Need::Uv => installers::uv().is_some_and(|uv| works(uv, &["--version"])),
            Need::Compiler => works("cc", &["--version"]),
            Need::Setpriv => is_root() && works("setpriv", &["--bounding-set=-net_admin", "true"]),
            Need::Records => is_root() && has_capability(CAP_NET_ADMIN) && is_outermost(),
            Need::Apt => is_root() && works("apt-get", &["--version"]),
            Need::Fuse => is_root() && Path::new("/dev/fuse").exists(),
            Need::AuditSession => is_root() && Path::new("/proc/self/sessionid").exists(),
            Need::RealTime => patient(Duration::from_secs(1)) == Duration::from_secs(1),
            Need::TmpfsNames => kernel::tells_names_on_tmpfs(),
            Need::OverlayWrites => kernel::tells_writes_through_overlays(),
            Need::ExitExecutables => kernel::tells_executables_at_the_end(),
            Need::Dpkg => is_root() && works("dpkg", &["--version"]) && works("dpkg-deb", &["--version"]),
        }
    }
}

fn works(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

const CAP_NET_ADMIN: u64 = 12;
const CAP_SYS_ADMIN: u64 = 21;

fn has_capability(number: u64) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective.is_some_and(|hex| u64::from_str_radix(hex.trim(), 16).is_ok_and(|set| set >> number & 1 == 1))
}

/// The kernel numbers the namespaces that it starts with.
fn is_outermost() -> bool {
    [("pid", "pid:[4026531836]"), ("user", "user:[4026531837]")].iter().all(|(kind, first)| {
        std::fs::read_link(format!("/proc/self/ns/{kind}")).is_ok_and(|is| is.as_os_str() == *first)
    })
}

/// The interpreter itself, not a script in front of it that chooses one.
pub fn python() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let output = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().ok()?;
        let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
        (output.status.success() && path.is_file()).then_some(path)
    };
    PYTHON.get_or_init(find).as_deref()
}
