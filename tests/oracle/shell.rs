//! Compares the shell grammar with real shells: if bash or dash has PYTHONPATH set after it has read a script, a setting
//! must be found in the script. The scripts are random mixtures of quotes, separators and commands; they run no program.
//!
//! Without a shell the test is skipped; with `PYHOOKWATCH_REQUIRE_LIVE=1` it fails.

use pyhookwatch::hook::env;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

const SCRIPTS: usize = 2000;

const PIECES: [&str; 52] = [
    "PYTHONPATH=/x",
    "PYTHONPATH=/x",
    "PYTHONPATH=/x",
    "export PYTHONPATH=/x",
    "export PYTHONPATH=/x",
    "PYTHONPATH+=/x",
    "\n",
    "\n",
    "\n",
    "\n",
    " ",
    " ",
    " ",
    ";",
    "; ",
    " && ",
    " || ",
    " | ",
    "'",
    "'",
    "\"",
    "\"",
    "\\",
    "\\\n",
    "$(",
    ")",
    "`",
    "`",
    "${Y:-",
    "${PYTHONPATH:=/x}",
    "}",
    "{ ",
    "( ",
    "# ",
    "#",
    ": ",
    "eval ",
    "export ",
    "A=b ",
    "<<E ",
    "<<-'E'",
    "\nE\n",
    "\tE\n",
    "<<<x ",
    "case a in a) ",
    ";; esac",
    "if :; then ",
    "; fi",
    "f() { ",
    "; }; f",
    "printf -v PYTHONPATH %s /x",
    "$'",
];

#[test]
fn what_a_shell_sets_is_found() {
    let scratch = tempfile::tempdir().unwrap();
    let mut state = 0x5e77_1e55_u64;
    let mut below = |end: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % end as u64) as usize
    };
    let scripts: Vec<String> =
        (0..SCRIPTS).map(|_| (0..3 + below(14)).map(|_| PIECES[below(PIECES.len())]).collect()).collect();
    let mut compared = 0;
    for shell in ["/bin/bash", "/bin/dash"] {
        if !Path::new(shell).exists() {
            continue;
        }
        compared += 1;
        let (mut set, mut too_many, mut wrong) = (0, 0, Vec::new());
        for script in &scripts {
            let file = scratch.path().join("script");
            std::fs::write(&file, script).unwrap();
            let mut command = Command::new(shell);
            // The trap prints the variable even if the script stops the shell.
            command.args(["-c", "trap 'printf %s \"$PYTHONPATH\"' EXIT; . ./script"]).current_dir(scratch.path());
            command.env_clear().env("PATH", "/nonexistent").stdin(Stdio::null()).stderr(Stdio::null());
            let output = command.output().unwrap().stdout;
            let is_set = String::from_utf8_lossy(&output).contains("/x");
            let is_found = !env::settings(Path::new("/root/.profile"), script.as_bytes()).is_empty();
            set += usize::from(is_set);
            too_many += usize::from(is_found && !is_set);
            if is_set && !is_found {
                wrong.push(format!("{script:?} -> {}", output.escape_ascii()));
            }
        }
        println!("{shell}: {set} of {SCRIPTS} scripts set it, {} not found, {too_many} found too many", wrong.len());
        assert!(wrong.is_empty(), "{shell}:\n{}", wrong[..wrong.len().min(20)].join("\n"));
        assert!(set > SCRIPTS / 20, "only {set}");
    }
    if compared == 0 {
        let line = "SKIPPED: no shell is here to compare the grammar with";
        assert!(std::env::var_os("PYHOOKWATCH_REQUIRE_LIVE").is_none_or(|value| value != "1"), "{line}");
        eprintln!("{line}");
    }
}
