//! The shapes of writers: how each is started and who is the true writer.

use crate::tree::{Batch, canonical, text};
use std::path::Path;

/// Where the true process id of a write is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pids {
    /// The driver started the writer itself and reports its id.
    Driver,
    /// The writer wrote `# pid N` into the file.
    File,
    /// Nobody reports the id that this process would see.
    Nowhere,
}

/// A way to write a file.
pub struct Shape {
    /// Its word, in file names and for `PYHOOKWATCH_GATE_SHAPES`.
    pub word: &'static str,
    /// What it is, for the table.
    pub title: &'static str,
    /// The true process.
    pub pids: Pids,
    /// The executable is not this host's file at its path.
    pub is_foreign: bool,
    /// Names of the process (comm) besides that of the executable's file.
    pub names: &'static [&'static str],
    /// The path of the hooks as this process sees it; `@` stands for the number.
    pub hook: fn(&Batch<'_>) -> String,
    /// The command that makes all writes of a batch and ends when all writers are dead.
    pub start: fn(&Batch<'_>) -> Vec<String>,
    /// The paths of the executable that makes the write of this number.
    pub truth: fn(&Batch<'_>, usize) -> Vec<String>,
}

const SIMPLE: Shape = Shape {
    word: "",
    title: "",
    pids: Pids::File,
    is_foreign: false,
    names: &[],
    hook: |batch| batch.hook(),
    start: |_| Vec::new(),
    truth: |batch, _| vec![batch.tree.program(batch.shape)],
};

/// Every shape of the gate.
pub const SHAPES: [Shape; 34] = [
    Shape {
        word: "sh",
        title: "`sh -c 'echo > f'`",
        names: &["sh"],
        start: |batch| drive(batch, &["/bin/sh", "-c", "echo \"# pid $$\" > \"$0\"", &batch.hook()]),
        truth: |_, _| vec![canonical("/bin/sh")],
        ..SIMPLE
    },
    Shape {
        word: "cp",
        title: "cp",
        pids: Pids::Driver,
        start: |batch| drive(batch, &["/bin/cp", &batch.fill_staged(), &batch.hook()]),
        truth: |_, _| vec![canonical("/bin/cp")],
        ..SIMPLE
    },
    Shape {
        word: "tiny",
        title: "tiny static C program",
        start: |batch| drive(batch, &[&batch.tree.static_program(batch.shape), "write", &batch.hook()]),
        ..SIMPLE
    },
    Shape {
        word: "subshell",
        title: "subshell (fork, no exec)",
        names: &["sh"],
        start: |batch| drive(batch, &["/bin/sh", "-c", SUBSHELL, &batch.hook()]),
        truth: |_, _| vec![canonical("/bin/sh")],
        ..SIMPLE
    },
    Shape {
        word: "background",
        title: "background, orphaned subshell",
        names: &["sh"],
        start: |batch| drive(batch, &["/bin/sh", "-c", BACKGROUND, &batch.hook()]),
        truth: |_, _| vec![canonical("/bin/sh")],
        ..SIMPLE
    },
    Shape {
        word: "mv",
        title: "mv",
        pids: Pids::Driver,
        start: |batch| drive(batch, &["/bin/mv", &batch.fill_staged(), &batch.hook()]),
        truth: |_, _| vec![canonical("/bin/mv")],
        ..SIMPLE
    },
    Shape {
        word: "rename",
        title: "rename(2) in a tiny C program",
        pids: Pids::Driver,
        start: |batch| applet(batch, &["rename", &batch.fill_staged(), &batch.hook()]),
        ..SIMPLE
    },
    Shape {
        word: "script",
        title: "`#!` script",
        names: &["hash-bang", "sh"],
        start: |batch| {
            let script = batch.tree.script("hash-bang", "#!/bin/sh\necho \"# pid $$\" > \"$1\"\n");
            drive(batch, &[&script, &batch.hook()])
        },
        truth: |_, _| vec![canonical("/bin/sh")],
        ..SIMPLE
    },
    Shape {
        word: "loader",
        title: "started as `ld.so program`",
        start: |batch| drive(batch, &[loader(), &batch.tree.program(batch.shape), "write", &batch.hook()]),
        truth: |batch, _| vec![canonical(loader()), batch.tree.program(batch.shape)],
        ..SIMPLE
    },
    Shape {
        word: "multiprocessing",
        title: "Python multiprocessing (fork)",
        names: &["python3"],
        start: |batch| {
            let count = batch.writes.to_string();
            words(&[&canonical("/usr/bin/python3"), "-I", "-S", "-c", MULTIPROCESSING, &count, &batch.hook()])
        },
        truth: |_, _| vec![canonical("/usr/bin/python3")],
        ..SIMPLE
    },
    Shape {
        word: "link",
        title: "link(2) in a tiny C program",
        pids: Pids::Driver,
        start: |batch| applet(batch, &["link", &batch.fill_staged(), &batch.hook()]),
        ..SIMPLE
    },
    Shape {
        word: "vfork",
        title: "vfork and exec",
        start: |batch| {
            let tiny = batch.tree.static_program("vforked");
            applet(batch, &["vfork", &tiny, &batch.hook()])
        },
        truth: |batch, _| vec![batch.tree.static_program("vforked")],
        ..SIMPLE
    },
    Shape {
        word: "daemon",
        title: "double-forked daemon",
        start: |batch| applet(batch, &["daemon", &batch.hook()]),
        ..SIMPLE
    },
    Shape { word: "thread", title: "a thread", start: |batch| applet(batch, &["thread", &batch.hook()]), ..SIMPLE },
    Shape {
        word: "aftermain",
        title: "a thread after the main thread's end",
        start: |batch| applet(batch, &["after-main", &batch.hook()]),
        ..SIMPLE
    },
    Shape {
        word: "env",
        title: "`#!/usr/bin/env` script",
        names: &["env-script", "sh"],
        start: |batch| {
            let script = batch.tree.script("env-script", "#!/usr/bin/env sh\necho \"# pid $$\" > \"$1\"\n");
            drive(batch, &[&script, &batch.hook()])
        },
        truth: |_, _| vec![canonical("/bin/sh")],
        ..SIMPLE
    },
    Shape {
        word: "thenexec",
        title: "write, then exec of another program",
        start: |batch| applet(batch, &["write-exec", &batch.hook(), "/bin/true"]),
        ..SIMPLE
    },
    Shape {
        word: "enoexec",
        title: "failed exec (no program), then write",
        start: |batch| {
            let file = batch.tree.script("no-program", "this is no program\n");
            applet(batch, &["failed-exec", &batch.hook(), &file])
        },
        ..SIMPLE
    },
    Shape {
        word: "enoent",
        title: "failed exec (no interpreter), then write",
        start: |batch| {
            let file = batch.tree.script("no-interpreter", "#!/nonexistent/interpreter\n");
            applet(batch, &["failed-exec", &batch.hook(), &file])
        },
        ..SIMPLE
    },
    Shape {
        word: "memfd",
        title: "program in a memfd",
        start: |batch| applet(batch, &["memfd", &batch.hook()]),
        truth: |_, _| vec!["/memfd:gate".into()],
        ..SIMPLE
    },
    Shape {
        word: "deleted",
        title: "executable deleted before the write",
        start: |batch| {
            let (program, copy) = (batch.tree.program(batch.shape), batch.staged());
            driver(batch, "drive-copies", &[&program, &batch.writes.to_string(), &copy, "unlink-self", &batch.hook()])
        },
        truth: |batch, number| vec![batch.staged().replace('@', &number.to_string())],
        ..SIMPLE
    },
    Shape {
        word: "container",
        title: "container: own pids and mounts, overlay root",
        pids: Pids::Nowhere,
        start: |batch| {
            let layers = layers(batch);
            let packages = "usr/lib/python3/dist-packages";
            for directory in ["lower/bin", "work", "merged", &format!("upper/{packages}")] {
                std::fs::create_dir_all(Path::new(&layers).join(directory)).unwrap();
            }
            let tiny = batch.tree.static_program(batch.shape);
            crate::support::succeed(
                std::process::Command::new("/bin/cp").args([&tiny, &format!("{layers}/lower/bin/tiny")]),
            );
            let hook = format!("/{packages}/{}.pth", batch.key("@"));
            driver(batch, "drive-container", &[&layers, &batch.writes.to_string(), "/bin/tiny", "write", &hook])
        },
        truth: |batch, _| vec!["/bin/tiny".into(), format!("{}/lower/bin/tiny", layers(batch))],
        ..SIMPLE
    },
    Shape {
        word: "userns",
        title: "user namespace with a false pip3",
        is_foreign: true,
        hook: site_hook,
        start: |batch| {
            let hook = site_hook(batch);
            for number in 0..batch.writes {
                let path = hook.replace('@', &number.to_string());
                std::fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
            }
            let count = batch.writes.to_string();
            let write = "echo \"# pid $$\" > \"$0\"";
            driver(batch, "drive-user-namespace", &[&count, "/usr/local/bin/pip3", "-c", write, &hook])
        },
        truth: |_, _| vec!["/usr/local/bin/pip3".into()],
        ..SIMPLE
    },
    Shape { word: "iouring", title: "io_uring", start: |batch| applet(batch, &["ring", &batch.hook()]), ..SIMPLE },
    Shape {
        word: "iouringworker",
        title: "io_uring, by a worker thread of the kernel",
        start: |batch| applet(batch, &["ring-worker", &batch.hook()]),
        ..SIMPLE
    },
    Shape {
        word: "cloneparent",
        title: "clone(CLONE_PARENT), no exec",
        start: |batch| applet(batch, &["clone-parent", &batch.hook()]),
        ..SIMPLE
    },
    Shape {
        word: "clonevm",
        title: "clone(CLONE_VM), no exec",
        start: |batch| applet(batch, &["clone-vm", &batch.hook()]),
        ..SIMPLE
    },
    Shape {
        word: "recycled",
        title: "recycled pid: two programs, one number",
        start: |batch| {
            let (first, second) = (batch.tree.program("pid-first"), batch.tree.program("pid-second"));
            let pairs = (batch.writes / 2).to_string();
            driver(batch, "drive-recycled", &[&pairs, &first, &second, &batch.hook()])
        },
        truth: |batch, number| vec![batch.tree.program(["pid-first", "pid-second"][number % 2])],
        ..SIMPLE
    },
    Shape {
        word: "recycledfork",
        title: "recycled pid: a program, then a fork of another",
        start: |batch| {
            let first = batch.tree.program("pid-first");
            let pairs = (batch.writes / 2).to_string();
            let program = batch.tree.program("pid-forker");
            words(&[&program, "drive-recycled-fork", &pairs, &first, &batch.hook()])
        },
        truth: |batch, number| vec![batch.tree.program(["pid-first", "pid-forker"][number % 2])],
        ..SIMPLE
    },
    Shape {
        word: "replaced",
        title: "executable replaced before the write",
        start: |batch| {
            let (program, copy) = (batch.tree.program(batch.shape), batch.staged());
            let (count, new) = (batch.writes.to_string(), format!("{copy}.new"));
            driver(batch, "drive-replaced", &[&program, &count, &copy, "replace-self", &new, &batch.hook()])
        },
        truth: |batch, number| vec![batch.staged().replace('@', &number.to_string())],
        ..SIMPLE
    },
    Shape {
        word: "execchain",
        title: "three programs in one process, the last writes",
        start: |batch| {
            let program = batch.tree.program(batch.shape);
            drive(batch, &["/usr/bin/env", "/usr/bin/nice", &program, "write", &batch.hook()])
        },
        ..SIMPLE
    },
    Shape {
        word: "comm",
        title: "a process that calls itself pip3 (prctl)",
        start: |batch| applet(batch, &["rename-self", &batch.hook()]),
        ..SIMPLE
    },
    Shape {
        word: "hardlinks",
        title: "one executable under many names (hard links)",
        start: |batch| {
            let (program, link) = (batch.tree.program(batch.shape), batch.staged());
            for number in 0..batch.writes {
                std::fs::hard_link(&program, link.replace('@', &number.to_string())).unwrap();
            }
            drive(batch, &[&link, "write", &batch.hook()])
        },
        truth: |batch, number| vec![batch.staged().replace('@', &number.to_string())],
        ..SIMPLE
    },
    Shape {
        word: "unmarked",
        title: "program on a filesystem of its own mount namespace",
        start: |batch| {
            let (mount, program) = (private_mount(batch), batch.tree.program(batch.shape));
            std::fs::create_dir_all(&mount).unwrap();
            let (count, copy) = (batch.writes.to_string(), format!("{mount}/program"));
            driver(batch, "drive-private", &[&mount, &program, &copy, &count, &copy, "write", &batch.hook()])
        },
        truth: |batch, _| vec![format!("{}/program", private_mount(batch))],
        ..SIMPLE
    },
];

const SUBSHELL: &str = "(read -r pid rest < /proc/self/stat; echo \"# pid $pid\" > \"$0\"); :";
const BACKGROUND: &str = "(read -r pid rest < /proc/self/stat; echo \"# pid $pid\" > \"$0\") & :";
const MULTIPROCESSING: &str = "
import multiprocessing, os, sys
def write(path):
    with open(path, 'w') as file:
        file.write('# pid %d\\n' % os.getpid())
fork = multiprocessing.get_context('fork')
for number in range(int(sys.argv[1])):
    process = fork.Process(target=write, args=(sys.argv[2].replace('@', str(number)),))
    process.start()
    process.join()
    assert process.exitcode == 0
";

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// The parent of the writers, which is another executable than theirs.
fn driver(batch: &Batch<'_>, how: &str, more: &[&str]) -> Vec<String> {
    let mut command = vec![batch.tree.program("driver"), how.to_owned()];
    command.extend(words(more));
    command
}

/// Runs one command for each write.
fn drive(batch: &Batch<'_>, command: &[&str]) -> Vec<String> {
    let count = batch.writes.to_string();
    driver(batch, "drive", &[&[count.as_str()], command].concat())
}

/// Runs the writers' program, under the shape's own name, for each write.
fn applet(batch: &Batch<'_>, arguments: &[&str]) -> Vec<String> {
    let program = batch.tree.program(batch.shape);
    drive(batch, &[&[program.as_str()], arguments].concat())
}

/// The layers of the container's root, the upper one with the hooks.
fn layers(batch: &Batch<'_>) -> String {
    format!("{}/var/lib/containers/{}", text(&batch.tree.root()), batch.mode)
}

/// Where a filesystem is mounted that the host does not have.
fn private_mount(batch: &Batch<'_>) -> String {
    format!("{}/private", text(&batch.tree.outside()))
}

/// A path that the Elastic rule wants.
fn site_hook(batch: &Batch<'_>) -> String {
    format!("{}/usr/lib/python3-{}/sitecustomize.py", text(&batch.tree.root()), batch.key("@"))
}

/// The dynamic loader.
fn loader() -> &'static str {
    let known = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];
    known.into_iter().find(|path| Path::new(path).exists()).expect("a dynamic loader")
}
