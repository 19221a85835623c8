//! The tree that is watched, the programs that write into it, and the names of the hooks.

use crate::support::{PACKAGES, ScratchTree, needs, succeed};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the words `gate_SHAPE_MODE_NUMBER` stand in the path of every hook.
const MARK: &str = "gate_";

/// The word that reports which write a path is about.
pub fn key_of(path: &str) -> Option<&str> {
    let rest = &path[path.find(MARK)?..];
    let end = rest.find(['/', '.']).unwrap_or(rest.len());
    Some(&rest[..end])
}

/// A scratch tree with directories for programs and for files that are moved.
pub struct GateTree(ScratchTree);

impl Deref for GateTree {
    type Target = ScratchTree;

    fn deref(&self) -> &ScratchTree {
        &self.0
    }
}

impl GateTree {
    pub fn new() -> Self {
        let tree = Self(ScratchTree::new());
        for directory in [tree.root().join("noise"), tree.programs(), tree.staging()] {
            std::fs::create_dir_all(directory).unwrap();
        }
        tree
    }

    /// Where the hooks are written.
    pub fn packages(&self) -> PathBuf {
        self.inside(PACKAGES)
    }

    /// Where files lie that are moved and copied.
    pub fn staging(&self) -> PathBuf {
        self.outside().join("staging")
    }

    /// Where the programs lie.
    pub fn programs(&self) -> PathBuf {
        self.outside().join("bin")
    }

    /// The writers under a name of their own, so that nobody else is that executable.
    pub fn program(&self, name: &str) -> String {
        self.copy_of("writers", name)
    }

    /// The same, linked statically.
    pub fn static_program(&self, name: &str) -> String {
        self.copy_of("writers-static", name)
    }

    /// A compiled program under another name. Not copied by this process: a child of another of its
    /// threads would hold the copy open, and it could not be started.
    pub fn copy_of(&self, program: &str, name: &str) -> String {
        let to = self.programs().join(name);
        if !to.exists() {
            succeed(Command::new("/bin/cp").arg(compiled(program)).arg(&to));
        }
        text(&to)
    }

    /// A script that the kernel can start.
    pub fn script(&self, name: &str, content: &str) -> String {
        let to = self.programs().join(name);
        if !to.exists() {
            // By another process, as above.
            let make = "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\"";
            succeed(Command::new("/bin/sh").args(["-c", make]).arg(&to).arg(content));
        }
        text(&to)
    }
}

/// One shape in one mode.
pub struct Batch<'a> {
    /// Where.
    pub tree: &'a GateTree,
    /// The shape's word.
    pub shape: &'static str,
    /// The mode's word.
    pub mode: &'static str,
    /// How many files are written.
    pub writes: usize,
}

impl Batch<'_> {
    /// The word for one write.
    pub fn key(&self, number: impl std::fmt::Display) -> String {
        format!("{MARK}{}_{}_{number}", self.shape, self.mode)
    }

    /// The words of all.
    pub fn keys(&self) -> impl Iterator<Item = String> + '_ {
        (0..self.writes).map(|number| self.key(number))
    }

    /// The path of the hooks; `@` stands for the number.
    pub fn hook(&self) -> String {
        text(&self.tree.packages().join(format!("{}.pth", self.key("@"))))
    }

    /// Another path for each number, not of a hook.
    pub fn staged(&self) -> String {
        text(&self.tree.staging().join(format!("{}_{}_@", self.shape, self.mode)))
    }

    /// Makes the staged files.
    pub fn fill_staged(&self) -> String {
        let staged = self.staged();
        for number in 0..self.writes {
            std::fs::write(staged.replace('@', &number.to_string()), "import os\n").unwrap();
        }
        staged
    }
}

/// The compiled C programs, in cargo's directory for test files.
fn compiled(program: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("attribution").join(program)
}

/// Whether the first file is there, as is the second, and not written since.
fn is_older(first: &Path, second: &Path) -> bool {
    let written = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    written(first).is_some_and(|first| written(second).is_some_and(|second| first < second))
}

/// Compiles the C programs, unless they are there.
pub fn compile() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/attribution");
    std::fs::create_dir_all(compiled("")).unwrap();
    for (program, source, more) in [
        ("writers", "writers.c", &["-pthread"][..]),
        ("writers-static", "writers.c", &["-pthread", "-static"]),
        ("procreader", "procreader.c", &[]),
    ] {
        let (source, program) = (sources.join(source), compiled(program));
        // Where there is no compiler they were brought along.
        if is_older(&source, &program) {
            continue;
        }
        let mut command = Command::new("cc");
        command.args(["-O1", "-Wall", "-o"]).arg(program).arg(source).args(more);
        succeed(&mut command);
    }
}

/// A path as text; all paths here are.
pub fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// The files behind a path.
pub fn canonical(path: &str) -> String {
    text(&Path::new(path).canonicalize().unwrap())
}

/// Process ids by the number of the write, as the driver prints them.
pub fn pids(output: &str) -> BTreeMap<usize, u32> {
    let parse = |line: &str| {
        let (number, pid) = line.split_once(' ')?;
        Some((number.parse().ok()?, pid.parse().ok()?))
    };
    output.lines().filter_map(parse).collect()
}

/// tests/kernels/run takes the programs to machines without a compiler.
#[test]
fn every_program_of_the_writers_compiles() {
    needs!(Compiler);
    compile();
}
