//! The command line. Its options and exit codes are a stable interface.

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

/// The command line.
#[derive(Parser)]
#[command(name = "pyhookwatch", version, about, arg_required_else_help = true)]
#[command(after_help = after_help())]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn after_help() -> String {
    commands::exit_codes_help()
        + "

Without a configuration file, pyhookwatch uses the embedded rules. Alerts go to
syslog if /dev/log answers, and to standard output if it is a terminal or there
is no syslog."
}

#[derive(Subcommand)]
enum Command {
    /// Watch and send alerts until SIGTERM
    ///
    /// SIGHUP reloads the rules and reopens output files.
    #[command(verbatim_doc_comment)]
    Run(RunArgs),
    /// Show which rules match a change, and what decided
    #[command(next_line_help = true)]
    Explain(ExplainArgs),
    /// Check the configuration and the rules
    ///
    /// Reports every problem with file and line, and runs the rules' test cases.
    #[command(verbatim_doc_comment)]
    Check(ConfigArgs),
    /// List and judge the files that Python runs at start-up
    ///
    /// Searches the local filesystems of this machine. Symbolic links and network
    /// filesystems are not followed.
    #[command(verbatim_doc_comment)]
    Scan(ScanArgs),
    /// Show how each place of a start-up hook is watched, and what is blind
    ///
    /// Places the marks and watches that `run` would place, and removes them again.
    #[command(verbatim_doc_comment)]
    Coverage(CoverageArgs),
    /// Test detection with harmless files, and report latency and writer
    ///
    /// Starts a watcher on a scratch tree, and removes everything afterwards.
    #[command(verbatim_doc_comment)]
    Selftest(SelftestArgs),
    /// Show the daemon's status: filesystems, alerts, exclusions, losses
    Status(StatusArgs),
    /// A process of the self-test
    #[command(hide = true)]
    SelftestHelper(HelperArgs),
}

#[derive(Args)]
struct ConfigArgs {
    /// Configuration file (TOML) instead of
    /// /etc/pyhookwatch/pyhookwatch.toml
    #[arg(long, value_name = "FILE", verbatim_doc_comment)]
    config: Option<PathBuf>,
    /// Directory of more rules (*.yml); repeatable. A rule replaces an
    /// earlier one with the same id
    #[arg(long, value_name = "DIR", verbatim_doc_comment)]
    rules: Vec<PathBuf>,
}

#[derive(Args)]
struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Treat DIR as `/`: watch below it, and report paths relative to it
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// fanotify, inotify, or auto (fanotify, and inotify where the
    /// kernel refuses it)
    #[arg(long, value_parser = backend, verbatim_doc_comment)]
    backend: Option<Backend>,
    /// Output instead of the configured ones; repeatable: stdout,
    /// syslog, syslog:unix:PATH, file:PATH
    #[arg(long, value_parser = parse_output, verbatim_doc_comment)]
    output: Vec<OutputSettings>,
    /// Format of the alerts: ecs (JSON) or text. The default is text on
    /// a terminal, ecs elsewhere
    #[arg(long, value_parser = format, verbatim_doc_comment)]
    format: Option<Format>,
}

#[derive(Args)]
struct ExplainArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Changed file
    #[arg(long, value_name = "PATH")]
    path: PathBuf,
    /// creation, change, rename, deletion, attribute or mount
    #[arg(long, default_value = "creation")]
    action: Action,
    /// Executable of the writer, as if confirmed
    #[arg(long, value_name = "EXE")]
    exe: Option<PathBuf>,
    /// Arguments of the writer, separated by blanks; sets
    /// CommandLine, WriterScript and Installer
    #[arg(long, value_name = "LINE", verbatim_doc_comment)]
    command_line: Option<String>,
    /// Evidence for the executable: proc (default), or exit-record,
    /// exec-record, fork-lineage, with which no exclusion applies
    #[arg(long, value_name = "WORD", verbatim_doc_comment)]
    evidence: Option<Evidence>,
    /// Set a field of docs/rules.md; repeatable
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = commands::parse_field)]
    fields: Vec<(&'static str, FieldValue)>,
    /// Judge the content of FILE as that of PATH
    #[arg(long, value_name = "FILE")]
    content: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct ScanArgs {
    /// Treat DIR as `/`: a mounted image, the root of a container
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
    /// Configuration file (TOML) instead of
    /// /etc/pyhookwatch/pyhookwatch.toml
    #[arg(long, value_name = "FILE", verbatim_doc_comment)]
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
    /// Only writes through an overlay
    #[arg(long, hide = true)]
    overlay_only: bool,
    /// Print one JSON object (docs/selftest.md)
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct StatusArgs {
    /// Print one JSON object (docs/status.md)
    #[arg(long)]
    json: bool,
    /// Socket of the daemon instead of the configured one
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

/// The command line as clap sees it: the source of the shell completions and of the checks on the manual.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Parses the arguments, runs the command, and gives the exit code.
pub fn main() -> ExitCode {
    crate::logger::install();
    abort_on_panic();
    let cli = match Cli::try_parse().and_then(check_combinations) {
        Ok(cli) => cli,
        Err(error) => return print_parse_error(&error).into(),
    };
    if matches!(cli.command, Command::Check(_) | Command::Explain(_) | Command::Scan(_)) {
        // These commands parse files of other users. They work without the sandbox too.
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
                change: commands::HypotheticalChange {
                    path: args.path,
                    action: args.action,
                    executable: args.exe,
                    command_line: args.command_line,
                    evidence: args.evidence,
                },
                fields: args.fields,
                content: args.content,
                json: args.json,
            },
        ),
    };
    exit.into()
}

/// Logs a panic as one escaped line, then aborts: a daemon with a dead thread must not seem to watch. A panic of the
/// content analysis is caught by its caller instead.
fn abort_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map_or_else(String::new, |location| format!(" at {location}"));
        let payload = panic.payload();
        let message = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
        log::error!("internal error{location}: {}", quote(message.unwrap_or_default()));
        if !classify::is_analysing() {
            std::process::abort();
        }
    }));
}

/// Checks combinations of arguments, which clap does not.
fn check_combinations(cli: Cli) -> Result<Cli, clap::Error> {
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

/// Prints help and version as they are. An error is one escaped line, because it quotes arguments.
fn print_parse_error(error: &clap::Error) -> Exit {
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
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

    #[test]
    fn every_help_fits_into_80_columns() {
        let mut root = command();
        root.build();
        let mut helps = vec![root.render_long_help().to_string()];
        helps.extend(root.get_subcommands_mut().map(|command| command.render_long_help().to_string()));
        for line in helps.iter().flat_map(|help| help.lines()) {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
