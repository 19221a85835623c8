//! What a test needs of the machine, and what happens where it is missing.

use super::kernel;
use super::process::print;
use super::wait::scaled;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// Something that not every machine or user has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Root,
    /// Root with CAP_SYS_ADMIN, for fanotify.
    Fanotify,
    /// A private mount namespace, for root.
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
    /// setpriv, which drops privileges of root.
    Setpriv,
    /// rsyslogd, for root.
    Rsyslogd,
    /// fatrace, a peer of the attribution gate.
    Fatrace,
    /// io_uring, which an administrator can forbid.
    IoUring,
    /// The kernel's queues of forks and exits, for root with CAP_NET_ADMIN and outside of containers.
    Records,
    /// The kernel numbers login sessions (audit).
    AuditSession,
    /// A machine on which a few programs start and end within the half second that the daemon waits for a writer.
    RealTime,
    /// A kernel that reports names on a tmpfs.
    TmpfsNames,
    /// A kernel that reports writes through an overlay.
    OverlayWrites,
    /// A kernel that reports the executable of a process that has ended.
    ExitExecutables,
}

/// The full name of the test function that this stands in.
macro_rules! test_name {
    () => {{
        fn here() {}
        let name = std::any::type_name_of_val(&here);
        name.strip_suffix("::here").unwrap_or(name)
    }};
}
pub(crate) use test_name;

/// Returns from the test unless the machine has what it needs; see [`met`].
macro_rules! needs {
    ($($need:ident),* $(,)?) => {
        let test = $crate::support::needs::test_name!();
        if !$crate::support::needs::met(test, &[$($crate::support::needs::Need::$need),*]) {
            return;
        }
    };
}
pub(crate) use needs;

/// Whether a test can run. A test that lacks something is skipped with a line on standard error. With
/// `PYHOOKWATCH_REQUIRE_LIVE=1` in the environment it fails instead; with `PYHOOKWATCH_ANY_KERNEL=1` it is
/// skipped where only the kernel lacks something.
pub fn met(test: &str, needs: &[Need]) -> bool {
    let (of_the_kernel, others): (Vec<&Need>, Vec<&Need>) = needs.iter().partition(|need| need.is_of_the_kernel());
    let mut missing: Vec<_> = others.into_iter().filter(|need| !need.is_there()).collect();
    if missing.is_empty() {
        // Only a test with the other needs can try what the kernel does.
        missing = of_the_kernel.into_iter().filter(|need| !need.is_there()).collect();
    }
    if missing.is_empty() {
        return true;
    }
    let is_set = |name| std::env::var_os(name).is_some_and(|value| value == "1");
    let descriptions: Vec<_> = missing.iter().map(|need| need.description()).collect();
    let only_kernel = missing.iter().all(|need| need.is_of_the_kernel()) && is_set("PYHOOKWATCH_ANY_KERNEL");
    let verdict = if only_kernel { "NOT POSSIBLE" } else { "SKIPPED" };
    let line = format!("{verdict} (needs {}): {test}\n", descriptions.join(", "));
    assert!(only_kernel || !is_set("PYHOOKWATCH_REQUIRE_LIVE"), "PYHOOKWATCH_REQUIRE_LIVE=1, but: {line}");
    print(&line);
    false
}

impl Need {
    fn description(self) -> &'static str {
        match self {
            Need::Root => "root",
            Need::Fanotify => "root with CAP_SYS_ADMIN",
            Need::MountNamespace => "root and unshare -m",
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
            Need::Rsyslogd => "root and rsyslogd (run tests/prepare.sh)",
            Need::Fatrace => "fatrace (run tests/prepare.sh)",
            Need::IoUring => "io_uring",
            Need::Records => "root with CAP_NET_ADMIN, outside of containers",
            Need::AuditSession => "root and /proc/self/sessionid",
            Need::RealTime => "a machine that is not emulated",
            Need::TmpfsNames => "a kernel that reports names on tmpfs",
            Need::OverlayWrites => "a kernel that reports writes through overlays",
            Need::ExitExecutables => "a kernel that reports executables at the end of processes",
        }
    }

    /// No privilege or package can add it.
    fn is_of_the_kernel(self) -> bool {
        matches!(self, Need::RealTime | Need::TmpfsNames | Need::OverlayWrites | Need::ExitExecutables)
    }

    fn is_there(self) -> bool {
        match self {
            Need::Root => is_root(),
            Need::Fanotify => is_root() && has_capability(CAP_SYS_ADMIN),
            Need::MountNamespace => Need::Fanotify.is_there() && works("unshare", &["-m", "nsenter", "--version"]),
            Need::UserNamespace => works("unshare", &["-Ur", "-m", "true"]),
            Need::Overlay => std::fs::read_to_string("/proc/filesystems").is_ok_and(|all| all.contains("\toverlay\n")),
            Need::Python => python().is_some(),
            Need::SystemPython => works("/usr/bin/python3", &["-c", ""]),
            Need::Venv => python().is_some_and(|python| works(python, &["-c", "import venv, ensurepip"])),
            Need::Pip => python().is_some() && tool("pip").is_some_and(|pip| works(pip, &["--version"])),
            Need::Uv => tool("uv").is_some_and(|uv| works(uv, &["--version"])),
            Need::Compiler => works("cc", &["--version"]),
            Need::Setpriv => is_root() && works("setpriv", &["--bounding-set=-net_admin", "true"]),
            Need::Rsyslogd => is_root() && Path::new(RSYSLOGD).exists(),
            Need::Fatrace => works("fatrace", &["--help"]),
            Need::IoUring => {
                let setting = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
                !setting.is_ok_and(|number| number.trim() == "2")
            }
            Need::Records => is_root() && has_capability(CAP_NET_ADMIN) && is_outermost(),
            Need::Apt => is_root() && works("apt-get", &["--version"]),
            Need::Fuse => is_root() && Path::new("/dev/fuse").exists(),
            Need::AuditSession => is_root() && Path::new("/proc/self/sessionid").exists(),
            Need::RealTime => scaled(Duration::from_secs(1)) == Duration::from_secs(1),
            Need::TmpfsNames => kernel::reports_names_on_tmpfs(),
            Need::OverlayWrites => kernel::reports_writes_through_overlays(),
            Need::ExitExecutables => kernel::reports_executables_at_the_end(),
            Need::Dpkg => is_root() && works("dpkg", &["--version"]) && works("dpkg-deb", &["--version"]),
        }
    }
}

pub const RSYSLOGD: &str = "/usr/sbin/rsyslogd";

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

/// The initial namespaces have fixed numbers (PROC_PID_INIT_INO, PROC_USER_INIT_INO).
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

/// A tool that tests/prepare.sh installed: `pip` or `uv`.
pub fn tool(name: &str) -> Option<PathBuf> {
    // Cargo gives the directory `tmp` in its target directory.
    let usual = || Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("test-tools");
    let tools = std::env::var_os("PYHOOKWATCH_TEST_TOOLS").map_or_else(usual, PathBuf::from);
    let path = tools.join("bin").join(name);
    path.is_file().then_some(path)
}
