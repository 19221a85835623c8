//! The command line: an interface, kept stable.

use crate::alert::Format;
use crate::alert::sink::OutputSettings;
use crate::commands::{self, Exit};
use crate::config::{BACKENDS, FORMATS, parse_output, repeated};
use crate::diagnostic::quote;
use crate::event::Action;
use crate::event::Evidence;
use crate::hook::classify;
use crate::privileges;
use crate::privileges::Role;
use crate::rules::fields::FieldValue;
use crate::source::Backend;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// Alerts on every change to a file that Python runs by itself at start-up (ATT&CK T1546.018), and
/// names the process that made it.
#[derive(Parser)]
#[command(name = "pyhookwatch", version, about, arg_required_else_help = true, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit codes: 0 fine, 1 no rule matched (explain), something hostile found (scan), something blind or degraded (coverage)
or not told (selftest), 64 wrong usage, 69 no daemon answers (status), 70 watching ended or the test could not begin,
77 no permission, 78 mistake in the configuration or the rules.

With no configuration file the embedded rules are used; alerts go to syslog if /dev/log answers, and to
the terminal if standard output is one.";

#[derive(Subcommand)]
enum Command {
    /// Watch, and alert, until SIGTERM
    ///
    /// SIGHUP loads the rules again and reopens output files.
    Run(RunArgs),
    /// Say which rules match a change, which do not, and what decided
    Explain(ExplainArgs),
    /// Check the configuration and the rules; every problem with file and line
    Check(ConfigArgs),
    /// List what Python would run at start-up now, and whose it is
    ///
    /// Walks the filesystems of this machine, never through links and never over the network. Exit code 1 when
    /// something hostile is found, 77 when something could not be read.
    Scan(ScanArgs),
    /// Say what guards each place where Python runs something by itself, what is blind there, and why
    ///
    /// Asks the kernel as `run` does, and takes everything back. Exit code 1 when something is blind or degraded, 77
    /// without the permission to find out.
    Coverage(CoverageArgs),
    /// Plant harmless hooks in a scratch tree and see that each is told, how fast, and with its writer
    ///
    /// Starts the watcher on the scratch tree as a child, and leaves nothing behind. Exit code 1 when something was
    /// not told that should have been, 77 without the permission to test.
    Selftest(SelftestArgs),
    /// Ask the running daemon how it does: what it watches, what it has told, excluded and lost
    Status(StatusArgs),
    /// A process of the self-test
    #[command(hide = true)]
    SelftestHelper(HelperArgs),
}

#[derive(Args)]
struct ConfigArgs {
    /// Configuration file (TOML); by default /etc/pyhookwatch/pyhookwatch.toml if it is there
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of more rules (*.yml); a rule replaces an earlier one of the same id. Repeatable
    #[arg(long, value_name = "DIR")]
    rules: Vec<PathBuf>,
}

#[derive(Args)]
struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Treat DIR as `/`: watch only below it, and match and report paths as seen from there
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// How to watch: auto (fanotify, inotify where it is refused), fanotify, inotify
    #[arg(long, value_parser = backend)]
    backend: Option<Backend>,
    /// Where alerts go instead of the configured outputs: stdout, syslog, syslog:unix:PATH,
    /// file:PATH. Repeatable
    #[arg(long, value_parser = parse_output)]
    output: Vec<OutputSettings>,
    /// How alerts are written: ecs (JSON) or text. By default text on a terminal, ecs elsewhere
    #[arg(long, value_parser = format)]
    format: Option<Format>,
}

#[derive(Args)]
struct ExplainArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The changed file
    #[arg(long, value_name = "PATH")]
    path: PathBuf,
    /// What was done to it: creation, change, rename, deletion, attribute, mount
    #[arg(long, default_value = "creation")]
    action: Action,
    /// Executable of the writer, taken as verified; without it the writer is unknown
    #[arg(long, value_name = "EXE")]
    exe: Option<PathBuf>,
    /// Arguments of the writer, separated by blanks: gives CommandLine, WriterScript and Installer
    #[arg(long, value_name = "LINE")]
    command_line: Option<String>,
    /// How the executable is known: proc (by default), exit-record, exec-record or fork-lineage, of which one
    /// alone lets no exclusion count
    #[arg(long, value_name = "WORD")]
    evidence: Option<Evidence>,
    /// Set a field of docs/rules.md, whatever the rest says of it. Repeatable
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = commands::parse_field)]
    fields: Vec<(&'static str, FieldValue)>,
    /// Judge this file's content as if it were at PATH
    #[arg(long, value_name = "FILE")]
    content: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct ScanArgs {
    /// Treat DIR as `/`: a mounted image, a container's root
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Print one JSON object (docs/scan.md)
    #[arg(long)]
    json: bool,
    /// Only these files and directories, as seen from the root
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
}

#[derive(Args)]
struct CoverageArgs {
    /// Configuration file (TOML); by default /etc/pyhookwatch/pyhookwatch.toml if it is there
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Treat DIR as `/`, as `run --root` does
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Print one JSON object (docs/coverage.md)
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct SelftestArgs {
    /// Only what is written through an overlay
    #[arg(long, hide = true)]
    overlay_only: bool,
    /// Print one JSON object (docs/selftest.md)
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct StatusArgs {
    /// Print the daemon's JSON object (docs/status.md)
    #[arg(long)]
    json: bool,
    /// The daemon's socket; by default the one of the configuration
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

#[derive(Args)]
struct HelperArgs {
    #[arg(value_parser = helper_action)]
    action: commands::HelperAction,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

fn helper_action(word: &str) -> Result<commands::HelperAction, String> {
    one_of(word, &commands::HelperAction::ALL)
}

fn backend(word: &str) -> Result<Backend, String> {
    one_of(word, &BACKENDS)
}

fn format(word: &str) -> Result<Format, String> {
    one_of(word, &FORMATS)
}

fn one_of<T: Copy>(word: &str, words: &[(&str, T)]) -> Result<T, String> {
    words.iter().find_map(|(known, value)| (*known == word).then_some(*value)).ok_or_else(|| {
        let known: Vec<_> = words.iter().map(|(known, _)| *known).collect();
        format!("use one of {}", known.join(", "))
    })
}

/// The command line as clap sees it: what shell completions are made from and the manual is held against.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Parses the arguments, runs the command, and gives the exit code.
pub fn main() -> ExitCode {
    crate::logger::install();
    end_with_a_panic();
    let cli = match Cli::try_parse().and_then(sensible) {
        Ok(cli) => cli,
        Err(error) => return no_command(&error).into(),
    };
    if matches!(cli.command, Command::Check(_) | Command::Explain(_) | Command::Scan(_)) {
        // They read what others wrote. What cannot be given up here is no reason not to answer.
        let _ = privileges::sandbox(Role::Files);
    }
    let exit = match cli.command {
        Command::Run(args) => commands::run(commands::Overrides {
            config: args.config.config,
            rules: args.config.rules,
            root: args.root,
            backend: args.backend,
            outputs: args.output,
            format: args.format,
        }),
        Command::Check(args) => commands::check(args.config, args.rules),
        Command::Scan(args) => {
            commands::scan(&commands::ScanRequest { root: args.root, json: args.json, paths: args.paths })
        }
        Command::Coverage(args) => commands::coverage(&commands::CoverageRequest {
            settings: commands::Overrides { config: args.config, root: args.root, ..Default::default() },
            json: args.json,
        }),
        Command::Selftest(args) => commands::selftest(args.json, args.overlay_only),
        Command::Status(args) => commands::status(args.socket, args.json),
        Command::SelftestHelper(args) => commands::selftest_helper(args.action, &args.arguments),
        Command::Explain(args) => commands::explain(
            commands::Overrides { config: args.config.config, rules: args.config.rules, ..Default::default() },
            &commands::ExplainRequest {
                path: args.path,
                action: args.action,
                executable: args.exe,
                command_line: args.command_line,
                evidence: args.evidence,
                fields: args.fields,
                content: args.content,
                json: args.json,
            },
        ),
    };
    exit.into()
}

/// Tells of a mistake of this program in one line, which may quote what others wrote, and ends it at once: a daemon with
/// one dead thread must not look as if it watched. Only a content that makes its own analysis fail ends nothing.
fn end_with_a_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
        let payload = panic.payload();
        let words = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
        log::error!("internal error{place}: {}", quote(words.unwrap_or_default()));
        if !classify::is_analysing() {
            std::process::abort();
        }
    }));
}

/// What clap cannot see in one argument.
fn sensible(cli: Cli) -> Result<Cli, clap::Error> {
    let wrong = match &cli.command {
        Command::Run(args) => {
            let twice = repeated(&args.output);
            twice.map(|place| format!("two --output go to {place}, every alert would arrive twice: remove one"))
        }
        Command::Explain(args) if !args.path.is_absolute() => {
            Some(format!("--path {}: it must be absolute (start with /)", args.path.display()))
        }
        Command::Explain(args) => match (&args.exe, args.evidence) {
            (Some(_), Some(Evidence::Unknown | Evidence::Unavailable)) => {
                Some("--evidence unknown and unavailable mean that no executable is known: leave out --exe".into())
            }
            (None, Some(evidence)) if !matches!(evidence, Evidence::Unknown | Evidence::Unavailable) => {
                Some(format!("--evidence {}: name the executable with --exe", evidence.as_str()))
            }
            _ => None,
        },
        Command::Check(_)
        | Command::Scan(_)
        | Command::Coverage(_)
        | Command::Selftest(_)
        | Command::SelftestHelper(_)
        | Command::Status(_) => None,
    };
    match wrong {
        Some(message) => Err(command().error(ErrorKind::ValueValidation, message + "; see --help")),
        None => Ok(cli),
    }
}

/// Help and version are printed as they are, a mistake as one line: it quotes arguments, which may
/// come from anywhere.
fn no_command(error: &clap::Error) -> Exit {
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // Nobody is left to tell when printing fails.
        let _ = error.print();
        return if error.use_stderr() { Exit::Usage } else { Exit::Fine };
    }
    let text = error.to_string();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("Usage: "));
    let words = lines.fold(String::new(), |words, line| match words.trim_start_matches("error: ") {
        "" => line.to_owned(),
        before if before.ends_with(':') => format!("{before} {line}"),
        before => format!("{before}; {line}"),
    });
    log::error!("{words}");
    Exit::Usage
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }
}
