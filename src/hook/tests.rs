use super::*;
use rustix::fs::{Mode, OFlags};
use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

/// A root of its own, and the surface below it.
struct Machine {
    directory: tempfile::TempDir,
    surface: Surface,
    tracked: Arc<TrackedPaths>,
}

impl Machine {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tracked = Arc::new(TrackedPaths::default());
        let root = directory.path().canonicalize().unwrap();
        let surface = Surface::new(&root, tracked.clone(), SystemTime::now() + Duration::from_secs(60));
        Self { directory, surface, tracked }
    }

    fn at(&self, path: &str) -> PathBuf {
        let path = self.directory.path().canonicalize().unwrap().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn file(&self, path: &str) -> FileRef {
        let directory = self.at(path).parent().unwrap().to_owned();
        let opened = rustix::fs::open(directory, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        FileRef { path: path.into(), directory: Some(Arc::new(opened)) }
    }

    fn write(&mut self, path: &str, content: &str) -> Hook {
        fs::write(self.at(path), content).unwrap();
        let file = self.file(path);
        let (hook, _) = self.surface.inspect(&file, self.tracked.classify(&file.path), Limits::default());
        self.surface.track(&file.path, &hook);
        hook
    }
}

fn variables(hook: &Hook) -> Vec<&'static str> {
    hook.content.settings.iter().map(|setting| setting.variable).collect()
}

#[test]
fn only_new_or_changed_settings_are_reported() {
    let mut machine = Machine::new();
    let path = "/etc/profile.d/x.sh";
    assert_eq!(
        variables(&machine.write(path, "export PYTHONPATH=/a\nexport PYTHONHOME=/b\n")),
        ["PYTHONPATH", "PYTHONHOME"]
    );
    assert!(
        machine.write(path, "# moved\nexport PYTHONHOME=/b\n\nexport PYTHONPATH='/a'\n").content.settings.is_empty()
    );
    assert_eq!(variables(&machine.write(path, "export PYTHONHOME=/c\nexport PYTHONPATH=/a\n")), ["PYTHONHOME"]);
    let long = format!("export PYTHONPATH=/{}", "a".repeat(600));
    machine.write(path, &long);
    // The end of the value was cut off, so it can differ.
    assert_eq!(variables(&machine.write(path, &format!("{long}b"))), ["PYTHONPATH"]);
}

#[test]
fn a_setting_that_was_there_before_the_watch_is_known() {
    let mut machine = Machine::new();
    let path = "/etc/profile.d/x.sh";
    fs::write(machine.at(path), "export PYTHONPATH=/a\n").unwrap();
    let file = machine.file(path);
    let (hook, _) = read_only(machine.surface.root(), &file, machine.tracked.classify(&file.path), Limits::default());
    machine.surface.record_baseline(&file.path, &hook);
    assert!(machine.write(path, "export PYTHONPATH=/a\nalias ll=ls\n").content.settings.is_empty());
}

#[test]
fn the_home_of_a_known_environment_that_is_another_one_has_moved() {
    let mut machine = Machine::new();
    let path = "/srv/app/.venv/pyvenv.cfg";
    assert!(!machine.write(path, "home = /usr/bin\n").content.signals.contains(Signal::HomeMoved));
    assert!(!machine.write(path, "home = /usr/bin\nprompt = x\n").content.signals.contains(Signal::HomeMoved));
    assert!(machine.write(path, "home = /opt/evil/bin\n").content.signals.contains(Signal::HomeMoved));
}

#[test]
fn a_link_is_followed_as_the_kernel_does_and_not_by_its_words() {
    let mut machine = Machine::new();
    fs::create_dir_all(machine.at("/opt/evil/a/b/x")).unwrap();
    fs::create_dir_all(machine.at("/opt/evil/dec/x")).unwrap();
    fs::write(machine.at("/dec/s.py"), "pass\n").unwrap();
    fs::write(machine.at("/opt/evil/dec/s.py"), "import os; os.system('id')\n").unwrap();
    symlink("/opt/evil/a/b", machine.at("/tmp/d")).unwrap();
    let path = "/usr/lib/python3.11/sitecustomize.py";
    symlink("/tmp/d/../../dec/s.py", machine.at(path)).unwrap();
    let file = machine.file(path);
    let (hook, _) = machine.surface.inspect(&file, machine.tracked.classify(&file.path), Limits::default());
    assert_eq!(hook.content.class, ContentClass::Hostile);
    assert_eq!(hook.real_path.as_deref(), Some(Path::new("/opt/evil/dec/s.py")));
    machine.surface.track(&file.path, &hook);
    assert_eq!(machine.tracked.classify(Path::new("/opt/evil/dec/s.py")).kind, HookKind::Sitecustomize);
}

#[test]
fn a_tree_that_was_there_before_is_not_new_whatever_its_birth() {
    let mut machine = Machine::new();
    let path = "/opt/py/lib/python3.12/encodings/utf_8.py";
    assert!(machine.write(path, "import codecs\n").in_new_tree);
    machine.tracked.add_baseline_directory("/opt/py/lib/python3.12".into());
    assert!(!machine.write(path, "import codecs\n").in_new_tree);
}

#[test]
fn a_hook_is_as_suspicious_as_the_module_it_leads_to_and_pays_for_reading_it() {
    let mut machine = Machine::new();
    let site = "/usr/lib/python3/dist-packages";
    machine.write(&format!("{site}/quiet.py"), "import subprocess\nsubprocess.Popen(['/usr/share/doc/x/agent'])\n");
    let hook = machine.write(&format!("{site}/a.pth"), "import quiet\n");
    assert_eq!(hook.content.class, ContentClass::Suspicious);
    machine.write(
        &format!("{site}/deep/core.py"),
        &format!("# {}\nimport base64\nexec(base64.b64decode('aW1wb3J0IG9z'))\n", "x".repeat(9000)),
    );
    let file = machine.file(&format!("{site}/b.pth"));
    fs::write(machine.at(&format!("{site}/b.pth")), "import deep.core\n").unwrap();
    let (hook, spent) = machine.surface.inspect(&file, machine.tracked.classify(&file.path), Limits::default());
    assert_eq!(hook.content.class, ContentClass::Hostile);
    assert!(spent.parsed > 9000, "{spent:?}");
}
