//! The small files beside or above an interpreter that move its standard library: `pyvenv.cfg`,
//! `pythonX.Y._pth` and `pybuilddir.txt`. Pure, linear in time.
//!
//! As `Lib/site.py` and `Modules/getpath.py` read them (3.11 and later; before, only `pyvenv.cfg` counts on
//! Linux).

use super::search_path;
use crate::event::Signal;
use crate::event::Signals;

/// Lines of a `._pth` file kept.
pub const MAX_PATHS: usize = 200;

/// A `pyvenv.cfg`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Venv<'a> {
    /// The directory of the interpreter that it was made from, whose standard library is used. The first one
    /// decides.
    pub home: Option<&'a [u8]>,
    /// Whether the packages of the system and of the user are used too. The last such line decides; without one they
    /// are.
    pub system_site_packages: bool,
    /// `HomeMoved`: the home is temporary, hidden or relative. `SystemSitePackages`: as above. `Undecodable`:
    /// no UTF-8, so that Python stops with an error.
    pub signals: Signals,
}

impl Venv<'_> {
    /// Whether Python takes its home from this file at all.
    pub fn is_environment(&self) -> bool {
        self.home.is_some()
    }
}

/// Reads a `pyvenv.cfg`: `key = value` lines, keys in any case, split at the first `=`.
pub fn pyvenv(content: &[u8]) -> Venv<'_> {
    let mut venv = Venv { home: None, system_site_packages: true, signals: Signals::default() };
    for line in content.split(|byte| matches!(byte, b'\n' | b'\r')) {
        let Some(at) = line.iter().position(|&byte| byte == b'=') else { continue };
        let (key, value) = line.split_at_checked(at).unwrap_or_default();
        let (key, value) = (key.trim_ascii(), value.get(1..).unwrap_or_default().trim_ascii());
        if key.eq_ignore_ascii_case(b"home") {
            venv.home = venv.home.or(Some(value));
        } else if key.eq_ignore_ascii_case(b"include-system-site-packages") {
            venv.system_site_packages = value.eq_ignore_ascii_case(b"true");
        }
    }
    if venv.home.is_some_and(is_remarkable) {
        venv.signals.insert(Signal::HomeMoved);
    }
    if venv.system_site_packages {
        venv.signals.insert(Signal::SystemSitePackages);
    }
    if std::str::from_utf8(content).is_err() {
        venv.signals.insert(Signal::Undecodable);
    }
    venv
}

/// A `pythonX.Y._pth`, which replaces the whole path, or a `pybuilddir.txt`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathFile<'a> {
    /// The new path, as written, at most [`MAX_PATHS`].
    pub paths: Vec<&'a [u8]>,
    /// Whether `site` still runs, and with it every `.pth` and `sitecustomize`.
    pub imports_site: bool,
    /// See [`search_path::signals`]; `Truncated` when there are more paths. `HomeMoved`: one of the paths is
    /// temporary, hidden or relative.
    pub signals: Signals,
}

/// Reads a `pythonX.Y._pth`: one directory a line, `#` starts a comment anywhere.
pub fn path_file(content: &[u8]) -> PathFile<'_> {
    let mut file = PathFile::default();
    for line in content.split(|byte| matches!(byte, b'\n' | b'\r')) {
        let line = line.split(|&byte| byte == b'#').next().unwrap_or_default().trim_ascii();
        if line == b"import site" {
            file.imports_site = true;
        } else if !line.is_empty() && !line.starts_with(b"import ") {
            add(&mut file, line);
        }
    }
    file
}

/// Reads a `pybuilddir.txt`: its first line is the directory that the interpreter takes for its build, from
/// where it loads its own modules.
pub fn build_directory(content: &[u8]) -> PathFile<'_> {
    let mut file = PathFile::default();
    let line = content.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default().trim_ascii();
    if !line.is_empty() {
        add(&mut file, line);
    }
    file
}

fn add<'a>(file: &mut PathFile<'a>, path: &'a [u8]) {
    file.signals.extend(search_path::signals(path));
    if is_remarkable(path) {
        file.signals.insert(Signal::HomeMoved);
    }
    if file.paths.len() < MAX_PATHS {
        file.paths.push(path);
    } else {
        file.signals.insert(Signal::Truncated);
    }
}

fn is_remarkable(path: &[u8]) -> bool {
    let signals = search_path::signals(path);
    [Signal::PathTemporary, Signal::PathHidden, Signal::PathRelative].iter().any(|signal| signals.contains(*signal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pyvenv_cfg_is_read_as_python_does() {
        let content =
            b"home = /usr/bin\r\nInclude-System-Site-Packages =  False \nversion = 3.11.2\ncommand = x --y=z\n";
        let venv = pyvenv(content);
        assert_eq!(venv.home, Some(&b"/usr/bin"[..]));
        assert!(!venv.system_site_packages && venv.signals.is_empty() && venv.is_environment());
        // Without the key the packages of the system are seen; the first home counts and the last switch.
        let venv =
            pyvenv(b"HOME=/a\nhome=/b\ninclude-system-site-packages = false\ninclude-system-site-packages = TRUE");
        assert_eq!((venv.home, venv.system_site_packages), (Some(&b"/a"[..]), true));
        assert!(pyvenv(b"").signals.contains(Signal::SystemSitePackages));
        assert!(!pyvenv(b"homes = /x\n# home\n").is_environment());
    }

    #[test]
    fn a_temporary_hidden_or_relative_home_has_a_signal() {
        for home in ["/tmp/x", "/dev/shm", "/opt/.x/bin", "bin", "../x/bin"] {
            let content = format!("home = {home}\ninclude-system-site-packages = false\n");
            let moved = pyvenv(content.as_bytes()).signals.contains(Signal::HomeMoved);
            assert_eq!(moved, home != "bin", "{home}");
        }
        assert!(!pyvenv(b"home = /home/u/.pyenv/versions/3.12.1/bin").signals.contains(Signal::HomeMoved));
    }

    #[test]
    fn a_path_file_and_a_build_directory_are_read_as_python_does() {
        let file = path_file(b"# c\n/usr/lib/x # why\n\nimport site\nimport os\n/tmp/y\r\n");
        assert_eq!(file.paths, [&b"/usr/lib/x"[..], b"/tmp/y"]);
        assert!(file.imports_site && file.signals.contains(Signal::HomeMoved));
        assert!(!path_file(b"/usr/lib/x\nimport  site").imports_site);
        assert_eq!(build_directory(b"build/lib\n/tmp/x").paths, [&b"build/lib"[..]]);
        assert!(build_directory(b"../../tmp/x").signals.contains(Signal::PathTemporary));
        assert!(build_directory(b"").paths.is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_within_bounds(content in proptest::collection::vec(any::<u8>(), 0..500)) {
            pyvenv(&content);
            build_directory(&content);
            prop_assert!(path_file(&content).paths.len() <= MAX_PATHS);
        }
    }
}
