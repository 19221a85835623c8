//! The parsers take time in proportion to the size of a file, up to 16 MiB, whatever its content.

use pyhookwatch::event::Signal;
use pyhookwatch::hook::env;
use pyhookwatch::hook::pth;
use pyhookwatch::hook::start;
use pyhookwatch::hook::venv;
use rustix::time::ClockId;
use rustix::time::clock_gettime;
use std::path::Path;
use std::time::Duration;

type Parser = (&'static str, fn(&[u8]));

fn settings(path: &str, content: &[u8]) {
    let settings = env::settings(Path::new(path), content);
    assert!(settings.len() <= 50);
    assert!(settings.iter().all(|setting| !env::value_signals(setting).contains(Signal::Truncated)));
}

const PARSERS: [Parser; 15] = [
    ("pth", |content| drop(pth::parse(content))),
    ("start", |content| drop(start::parse(content))),
    ("pyvenv.cfg", |content| assert!(venv::pyvenv(content).home.is_none_or(|home| home.len() < content.len()))),
    ("._pth", |content| drop(venv::path_file(content))),
    ("shell", |content| settings("/root/.profile", content)),
    ("fish", |content| settings("/root/.config/fish/config.fish", content)),
    ("fish_variables", |content| settings("/root/.config/fish/fish_variables", content)),
    ("csh", |content| settings("/root/.cshrc", content)),
    ("assignments", |content| settings("/etc/environment", content)),
    ("sysconfig", |content| settings("/etc/sysconfig/x", content)),
    ("pam_env", |content| settings("/etc/security/pam_env.conf", content)),
    ("systemd", |content| settings("/etc/systemd/system/a.service", content)),
    ("crontab", |content| settings("/etc/crontab", content)),
    ("sudoers", |content| settings("/etc/sudoers", content)),
    ("sshd", |content| settings("/etc/ssh/sshd_config", content)),
];

/// Pieces that a parser might read more than once.
const UNITS: [&str; 40] = [
    "a",
    " ",
    "\n",
    "\r",
    "\\\n",
    "'",
    "\"",
    "`",
    "(",
    "$(",
    "${",
    "$(\"",
    "a ",
    "a=",
    "=",
    ":",
    ".",
    "#\n",
    "\u{b}",
    "\u{85}",
    "\u{a0}",
    "import x\n",
    "import x\u{b}",
    "/x\n",
    "../",
    "a:b\n",
    "<<E\n",
    "<<E ",
    "eval 'eval '",
    "eval \"",
    "alias x='",
    "PYTHONPATH=/x\n",
    "PYTHONPATH=/x ",
    "PYTHONPATH=\\\n",
    "${PYTHONPATH:=",
    "Environment=PYTHONPATH=/x \\\n",
    "Defaults env_keep+=PYTHON* ",
    "* * * * * a PYTHONPATH=/x\n",
    "BROWSER=x PYTHONWARNINGS=a:b:c.d,",
    "SetEnv PYTHONPATH=/x ",
];

/// The least processor time of several runs: other work on the machine does not count.
fn time(parser: fn(&[u8]), content: &[u8], runs: usize) -> Duration {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let once = |_| {
        let start = now();
        parser(content);
        now() - start
    };
    (0..runs).map(once).min().unwrap()
}

fn of_size(unit: &str, size: usize) -> Vec<u8> {
    unit.as_bytes().iter().copied().cycle().take(size).collect()
}

#[test]
fn time_is_in_proportion_to_the_size() {
    let (small, large) = (8 << 10, 64 << 10);
    for (name, parser) in PARSERS {
        for unit in UNITS {
            // Beginnings that make the rest one long line.
            for start in ["", "Environment=", "x '"] {
                let content = [start.as_bytes(), &of_size(unit, large)].concat();
                let base = time(parser, &content[..small], 3).max(Duration::from_millis(1));
                // A quadratic parser would take eight times more than in proportion: the limit is half of that.
                let is_linear = (0..3).any(|_| time(parser, &content, 2) < base * 8 * 4);
                assert!(is_linear, "{name} on {start:?} and {unit:?}: {base:?}, {:?}", time(parser, &content, 1));
            }
        }
    }
}

#[test]
fn sixteen_mebibytes_are_parsed_in_seconds() {
    let all = UNITS.concat();
    let mut slowest = (Duration::ZERO, "");
    for (name, parser) in PARSERS {
        let needed = time(parser, &of_size(&all, 16 << 20), 1);
        slowest = slowest.max((needed, name));
        assert!(needed < Duration::from_secs(60), "{name}: {needed:?}");
    }
    println!("slowest on 16 MiB: {} in {:?}", slowest.1, slowest.0);
}
