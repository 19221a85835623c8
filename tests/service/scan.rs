//! `scan`: what would run at start-up, on a root of the test's own.

use crate::support::{CommandOutput, PROGRAM, ScratchTree, program};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::process::Command;

const SITE: &str = "/usr/lib/python3.12/site-packages";
const HOSTILE: &str = "import base64;exec(base64.b64decode('cHJpbnQoMSk='))\n";

fn scan(tree: &ScratchTree, arguments: &[&str]) -> CommandOutput {
    let root = tree.root();
    let said = program(&[&["scan", "--root", root.to_str().unwrap()][..], arguments].concat());
    assert_eq!(said.stderr.len(), 0, "{:#?}", said.stderr);
    said
}

fn json(tree: &ScratchTree, arguments: &[&str], code: i32) -> Value {
    let said = scan(tree, &[&["--json"][..], arguments].concat());
    assert_eq!(said.code, code, "{}", said.stdout);
    serde_json::from_str(&said.stdout).unwrap()
}

fn plant(tree: &ScratchTree, path: &str, content: &str) {
    fs::create_dir_all(tree.inside(path).parent().unwrap()).unwrap();
    fs::write(tree.inside(path), content).unwrap();
}

fn hook<'v>(document: &'v Value, path: &str) -> &'v Value {
    let hooks = document["hooks"].as_array().unwrap();
    hooks.iter().find(|hook| hook["path"] == path).unwrap_or_else(|| panic!("no {path}: {document:#}"))
}

fn paths(document: &Value) -> Vec<&str> {
    document["hooks"].as_array().unwrap().iter().map(|hook| hook["path"].as_str().unwrap()).collect()
}

#[test]
fn a_root_without_hooks_is_fine() {
    let tree = ScratchTree::new();
    let document = json(&tree, &[], 0);
    assert_eq!(document["hooks"], Value::Array(Vec::new()));
    assert_eq!(document["skipped"], Value::Array(Vec::new()));
    assert_eq!(document["root"], tree.root().to_str().unwrap());
    let said = scan(&tree, &[]);
    assert_eq!(said.code, 0);
    assert!(said.stdout.starts_with("0 hooks (0 hostile"), "{}", said.stdout);
}

#[test]
fn a_hostile_hook_is_reported_first_and_by_the_exit_code() {
    let tree = ScratchTree::new();
    plant(&tree, &format!("{SITE}/zz_benign.pth"), "/usr/share/x\n");
    plant(&tree, &format!("{SITE}/litellm_init.pth"), HOSTILE);
    plant(&tree, "/usr/lib/python3.12/sitecustomize.py", "import sys\n");
    let said = scan(&tree, &[]);
    assert_eq!(said.code, 1, "{}", said.stdout);
    let place = |text: &str| said.stdout.find(text).unwrap_or_else(|| panic!("no {text}: {}", said.stdout));
    assert!(place("Python 3.12 in /usr") < place("hostile"));
    assert!(place("hostile") < place("litellm_init.pth"));
    assert!(place("litellm_init.pth") < place("zz_benign.pth"));
    assert!(place("litellm_init.pth") < place("sitecustomize.py"));
    assert!(!said.stdout.contains('\x1b'), "no colours where there is no terminal");
    assert!(said.stdout.lines().all(|line| line.chars().count() <= 120));
    let document = json(&tree, &[], 1);
    assert_eq!(document["summary"]["classes"]["hostile"], 1);
}

#[test]
fn the_json_form_has_every_fact_of_a_hook() {
    let tree = ScratchTree::new();
    plant(&tree, &format!("{SITE}/x.pth"), "import sys\n/opt/added\n");
    let document = json(&tree, &[], 0);
    let hook = hook(&document, &format!("{SITE}/x.pth"));
    let keys: Vec<_> = hook.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "path",
            "real_path",
            "kind",
            "form",
            "location",
            "version",
            "class",
            "signals",
            "decoded",
            "runs",
            "runs_truncated",
            "imports",
            "paths",
            "settings",
            "interpreters",
            "provenance",
            "package",
            "shadowed_by",
            "state",
            "target",
            "sha256",
            "size",
            "mtime",
            "owner",
            "mode",
        ]
    );
    assert_eq!((&hook["kind"], &hook["form"], &hook["location"]), (&"pth".into(), &"file".into(), &"site".into()));
    assert_eq!((&hook["version"], &hook["size"], &hook["state"]), (&"3.12".into(), &22.into(), &"file".into()));
    assert_eq!(hook["paths"][0], "/opt/added");
    assert_eq!(hook["sha256"].as_str().unwrap().len(), 64);
    let pythons = document["pythons"].as_array().unwrap();
    assert_eq!(pythons.len(), 1);
    assert_eq!((&pythons[0]["prefix"], &pythons[0]["role"]), (&"/usr".into(), &"packages".into()));
}

#[test]
fn what_a_hook_leads_to_is_judged_too() {
    let tree = ScratchTree::new();
    plant(&tree, &format!("{SITE}/a.pth"), "import _telemetry\n../../../../srv/added\n");
    plant(&tree, &format!("{SITE}/_telemetry.py"), "import sys\n");
    plant(&tree, "/srv/added/usercustomize.py", "import sys\n");
    plant(&tree, "/srv/hidden/evil.pth", "import sys\n");
    fs::create_dir_all(tree.inside("/usr/lib/python3.13")).unwrap();
    symlink("/srv/hidden", tree.inside("/usr/lib/python3.13/site-packages")).unwrap();
    let document = json(&tree, &[], 0);
    assert_eq!(hook(&document, &format!("{SITE}/_telemetry.py"))["kind"], "module");
    assert_eq!(hook(&document, "/srv/added/usercustomize.py")["location"], "search-path");
    let linked = hook(&document, "/usr/lib/python3.13/site-packages/evil.pth");
    assert_eq!((&linked["location"], &linked["real_path"]), (&"site".into(), &"/srv/hidden/evil.pth".into()));
}

#[test]
fn environment_files_are_listed_when_they_set_something() {
    let tree = ScratchTree::new();
    plant(&tree, "/etc/environment", "PATH=/usr/bin\n");
    assert_eq!(paths(&json(&tree, &[], 0)), [""; 0]);
    plant(&tree, "/etc/environment", "PYTHONPATH=/opt/x\n");
    let document = json(&tree, &[], 0);
    let setting = &hook(&document, "/etc/environment")["settings"][0];
    assert_eq!((&setting["variable"], &setting["line"]), (&"PYTHONPATH".into(), &1.into()));
}

#[test]
fn arguments_limit_the_scan() {
    let tree = ScratchTree::new();
    plant(&tree, &format!("{SITE}/x.pth"), "import sys\n");
    plant(&tree, "/srv/venv/lib/python3.12/site-packages/y.pth", "import sys\n");
    let real = tree.inside("/srv/venv");
    for argument in ["/srv/venv", real.to_str().unwrap(), "/srv/venv/lib/python3.12/site-packages/y.pth"] {
        assert_eq!(paths(&json(&tree, &[argument], 0)), ["/srv/venv/lib/python3.12/site-packages/y.pth"]);
    }
    let root = tree.root();
    for (path, words) in [("/nowhere", "name a file or directory"), ("../../../../../../../../../etc", "outside")] {
        let said = program(&["scan", "--root", root.to_str().unwrap(), path]);
        let line = said.one_line(64);
        assert!(line.contains(words) || line.contains("No such file"), "{line}");
    }
    program(&["scan", "--root", "/nowhere-at-all"]).one_line(64);
}

#[test]
fn loops_of_links_and_things_that_are_no_files_do_not_hold_it_up() {
    let tree = ScratchTree::new();
    symlink("/", tree.inside("/srv")).unwrap();
    symlink("loop.pth", tree.inside(&format!("{SITE}/loop.pth"))).unwrap();
    symlink("/usr", tree.inside("/usr/lib/python3.12/dist-packages")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        tree.inside(&format!("{SITE}/fifo.pth")),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let said = scan(&tree, &["--json"]);
    let document: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(hook(&document, &format!("{SITE}/fifo.pth"))["state"], "fifo");
    assert_eq!(hook(&document, &format!("{SITE}/loop.pth"))["state"], "link");
}

#[test]
fn a_hostile_name_cannot_drive_the_terminal() {
    let tree = ScratchTree::new();
    plant(&tree, &format!("{SITE}/\x1b[2J\u{202e}\nx.pth"), "import sys\n");
    for arguments in [&[][..], &["--json"]] {
        let said = scan(&tree, arguments);
        assert!(said.stdout.contains("x.pth"));
        assert!(!said.stdout.contains(['\x1b', '\u{202e}']), "{}", said.stdout);
    }
}

/// As `nobody`: root reads everything.
#[test]
fn what_cannot_be_read_is_named_and_reported_by_the_exit_code() {
    crate::support::needs!(Root);
    let tree = ScratchTree::new();
    plant(&tree, &format!("{SITE}/closed.pth"), "import sys\n");
    plant(&tree, "/root/.local/lib/python3.12/site-packages/x.pth", "import sys\n");
    fs::set_permissions(tree.root(), PermissionsExt::from_mode(0o755)).unwrap();
    fs::set_permissions(tree.inside(&format!("{SITE}/closed.pth")), PermissionsExt::from_mode(0o000)).unwrap();
    fs::set_permissions(tree.inside("/root"), PermissionsExt::from_mode(0o700)).unwrap();
    // Copied: the program's own directory may be closed for others.
    let copy = tree.path("pyhookwatch");
    fs::copy(PROGRAM, &copy).unwrap();
    let root = tree.root();
    let said = |arguments: &[&str]| {
        let mut command = Command::new(&copy);
        command.args(["scan", "--root", root.to_str().unwrap()]).args(arguments).current_dir("/").uid(65534).gid(65534);
        CommandOutput::of(&mut command)
    };
    let text = said(&[]);
    assert_eq!(text.code, 77, "{}", text.stdout);
    assert!(text.stdout.contains("NOT READ: 2 files and directories"), "{}", text.stdout);
    let document: Value = serde_json::from_str(&said(&["--json"]).stdout).unwrap();
    let unread: Vec<_> =
        document["skipped"].as_array().unwrap().iter().map(|item| item["path"].as_str().unwrap()).collect();
    assert_eq!(unread, ["/root", &format!("{SITE}/closed.pth")]);
}
