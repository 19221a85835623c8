//! Wiring: what runs where, signals, reload, and the order of the end.
//!
//! Threads: the fanotify reader (`watch`), inotify where it is needed, and this one, a tokio
//! current-thread runtime that does everything after the channel. One more thread lists renamed
//! directories; helper threads write to files and standard output.

mod budget;
mod listings;
mod losses;
mod notify;
mod pipeline;
pub mod placing;
mod settle;
mod status_collector;
pub mod status_report;
mod status_socket;
mod stock;
mod watch;

use crate::alert::Format;
use crate::alert::ecs::Composer;
use crate::alert::sink::{OutputError, OutputSettings, Outputs, Target};
use crate::config::{self, Config};
use crate::diagnostic::{Diagnostic, DiagnosticKind};
use crate::event::{LossCause, LossReport};
use crate::hook;
use crate::hook::Surface;
use crate::privileges;
use crate::privileges::Role;
use crate::rules::RuleSet;
use crate::sys;
use listings::Listings;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use notify::SystemdNotifier;
use pipeline::Pipeline;
use status_collector::StatusCollector;
use status_socket::{NoSocket, StatusSocket};
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use watch::{SharedFilter, Sources};

/// The end, counted from SIGTERM: until when the kernel's queue is read, what was read is judged, and
/// alerts are delivered. Two seconds in all; the last two tenths are for the kernel to take the process
/// down. Without optimisation every step takes longer.
const READING: Duration = Duration::from_millis(800 * SLOWER);
const JUDGING: Duration = Duration::from_millis(1200 * SLOWER);
const DELIVERY: Duration = Duration::from_millis(1800 * SLOWER);
const SLOWER: u64 = if cfg!(debug_assertions) { 3 } else { 1 };

/// Open files wanted: a directory for each change in the channel, each one waited for and each
/// renamed directory to be listed, a pidfd for each record of a batch, and room.
const OPEN_FILES: u64 = 16_384;

/// Why the daemon ended, or did not start.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Mistakes in the configuration or the rules.
    #[error("{}", .0.iter().map(Diagnostic::to_string).collect::<Vec<_>>().join("\n"))]
    Configuration(Vec<Diagnostic>),
    /// The kernel refused what the settings demand.
    #[error(
        "fanotify is refused ({0}): run as root (CAP_SYS_ADMIN) and with CAP_DAC_READ_SEARCH, or use --backend auto or inotify"
    )]
    Refused(io::Error),
    /// An output cannot be started.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Every output has ended for good.
    #[error("every output is gone; nobody would see an alert")]
    NoOutput,
    /// The watcher ended.
    #[error("watching ended: {0}")]
    Watching(io::Error),
    /// The runtime, a signal handler or a thread cannot be set up.
    #[error("cannot start: {0}")]
    Start(#[from] io::Error),
}

/// Reads the configuration with the command line's word over it; called again on SIGHUP.
pub type Configure<'a> = &'a dyn Fn() -> Result<Config, Vec<Diagnostic>>;

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// See [`Failure`].
pub fn run(configure: Configure<'_>) -> Result<(), Failure> {
    privileges::sandbox(Role::Reader).iter().for_each(|undone| log::warn!("{undone}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        // Files are opened and written with the rights of the user alone.
        .on_thread_start(|| privileges::drop_to(Role::Nothing))
        .build()?;
    let result = runtime.block_on(serve(configure));
    // A write that hangs on a dead disk must not keep the process.
    runtime.shutdown_background();
    result
}

async fn serve(configure: Configure<'_>) -> Result<(), Failure> {
    let Signals { mut terminate, mut interrupt, mut hangup } = Signals::install()?;
    raise_open_files();
    let mut manager = SystemdNotifier::find();
    let config = configure().map_err(Failure::Configuration)?;
    let (rules, warnings) = load_rules(&config).map_err(Failure::Configuration)?;
    let rule_count = rules.infos().count();
    let filter = SharedFilter::default();
    filter.replace(rules.filter().clone());

    let composer = Arc::new(Mutex::new(Composer::new()));
    // As after each rotation: a file that could not be opened then is refused now.
    privileges::raise(Role::Nothing)?;
    let outputs = Arc::new(start_outputs(&config, &composer)?);
    // The clock of files is coarser than this one: what was changed just before counts as changed while watching.
    let since = SystemTime::now() - Duration::from_millis(100);
    let mut sources = Sources::start(&config.source, &filter).map_err(|error| match error.raw_os_error() {
        Some(libc::EPERM | libc::ENOSYS | libc::EINVAL) => Failure::Refused(error),
        _ => Failure::Start(error),
    })?;
    let listings = Listings::start(filter.clone(), sources.handover.clone())?;
    let surface = Surface::new(&config.source.root, filter.tracked_paths().clone(), since);
    let mut pipeline =
        Pipeline::new(rules, surface, filter.clone(), composer, outputs.clone(), sources.handover.clone(), listings);
    stock::start(config.source.root.clone(), &config.source.trees, since, filter.clone(), sources.handover.clone())?;
    let mut status = StatusCollector::new(config.source.clone(), warnings);
    let status_socket = open_status(&config);
    log::info!("ready: {rule_count} rules, {}, alerts to {}", sources.summary, outputs.describe());
    manager.ready(status.systemd_status(&sources, &pipeline));

    let result = loop {
        let deadline = pipeline.next_deadline().map(Instant::from_std);
        tokio::select! {
            // In this order: a change must not run out of time while its close waits in the channel.
            biased;
            _ = terminate.recv() => break Ok(()),
            _ = interrupt.recv() => break Ok(()),
            _ = hangup.recv() => {
                manager.reloading();
                status.reloaded(reload(configure, &mut pipeline, &filter));
                outputs.reopen();
                manager.ready(status.systemd_status(&sources, &pipeline));
            }
            // Before the messages: a flood of them is no reason to be taken for dead. That this loop comes here is the
            // proof that it does not hang.
            () = manager.is_due() => match sources.have_answered() {
                true => manager.lives(status.systemd_status(&sources, &pipeline)),
                false => log::error!("a thread that watches does not answer: the service manager is not told that all is well"),
            },
            // Without a fanotify reader there is no sender, and an answered receiver must not be asked again.
            Ok(error) = &mut sources.ended, if !sources.ended.is_terminated() => break Err(Failure::Watching(error)),
            name = outputs.lost() => {
                log::error!("the output {name} is gone");
                if outputs.all_gone() {
                    break Err(Failure::NoOutput);
                }
            }
            message = sources.messages.recv() => match message {
                Some(mut message) => {
                    sources.heed(&mut message);
                    pipeline.take(message);
                    // The outputs' tasks run on this thread too: they get a turn after each change.
                    tokio::task::yield_now().await;
                }
                None => break Err(Failure::Watching(io::ErrorKind::BrokenPipe.into())),
            },
            client = status_socket::next(status_socket.as_ref()) => {
                client.answer(&status.report(&sources, &pipeline, &outputs));
            }
            () = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                pipeline.due(std::time::Instant::now());
            }
        }
    };
    manager.stopping();
    // Whoever asks from now on is told at once that nobody answers.
    drop(status_socket);
    finish(sources, pipeline, outputs).await;
    result
}

/// The socket for `pyhookwatch status`. Without one the daemon watches all the same.
fn open_status(config: &Config) -> Option<StatusSocket> {
    let path = config.status.path(&config.source.root)?;
    match StatusSocket::open(path) {
        Ok(socket) => Some(socket),
        // By hand, as a user: nothing that was asked for is missing.
        Err(error) if config.status == config::StatusSocket::Usual && !matches!(error, NoSocket::Taken) => {
            log::info!("no status socket {}: {error}", path.display());
            None
        }
        Err(error) => {
            log::warn!("no status socket {}: {error}", path.display());
            None
        }
    }
}

/// The order of the end: no new records, judge what is here, deliver.
async fn finish(mut sources: Sources, mut pipeline: Pipeline, outputs: Arc<Outputs>) {
    let asked = std::time::Instant::now();
    pipeline.judge_until(asked + JUDGING);
    sources.stop(&mut pipeline, asked + READING).await;
    pipeline.flush().await;
    let tally = std::mem::take(&mut pipeline.tally);
    drop(pipeline);
    let undelivered = match Arc::try_unwrap(outputs) {
        Ok(outputs) => outputs.finish(DELIVERY.saturating_sub(asked.elapsed())).await,
        Err(_) => 0,
    };
    if undelivered > 0 {
        log::error!("{undelivered} alerts could not be delivered in time and are lost");
    }
    // What came after the last gap could be told to an output.
    if let Some(lost) = sources.handover.take_lost().and_then(|loss| loss.count) {
        log::error!("{lost} more changes came too late to be judged");
    }
    log::info!(
        "stopped: {} records read, {} alerts, {} changes excluded, {} repeated, {} gaps, {} gone before they could be located",
        sources.counters.records.load(Ordering::Relaxed),
        tally.alerts,
        tally.excluded,
        tally.repeated,
        tally.gaps,
        sources.counters.vanished.load(Ordering::Relaxed),
    );
}

/// The rules of this configuration, and how much was remarkable about both, which is said.
fn load_rules(config: &Config) -> Result<(RuleSet, usize), Vec<Diagnostic>> {
    let (rules, warnings) = RuleSet::load(&config.rules, hook::kind::names)?;
    let warnings = trusted(config.warnings.iter().cloned().chain(warnings).collect())?;
    warnings.iter().for_each(|warning| log::warn!("{warning}"));
    Ok((rules, warnings.len()))
}

/// These warnings, if none of them is one for a program with privileges: who could write its configuration or a rule
/// could tell it what to be silent about. It is refused as a whole, like a mistake: to go on without that file would
/// give whoever made it so what he wanted, and a rule may be missing that nobody misses.
///
/// # Errors
/// The files that others could have written.
pub fn trusted(warnings: Vec<Diagnostic>) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
    let is_untrusted = |problem: &Diagnostic| problem.kind == DiagnosticKind::Insecure;
    if !privileges::is_privileged() || !warnings.iter().any(is_untrusted) {
        return Ok(warnings);
    }
    Err(warnings.into_iter().filter(is_untrusted).collect())
}

/// Loads configuration and rules again; keeps the old ones when the new ones are wrong, and says so. Gives the number
/// of warnings, or of problems.
fn reload(configure: Configure<'_>, pipeline: &mut Pipeline, filter: &SharedFilter) -> Result<usize, usize> {
    match configure().and_then(|config| load_rules(&config)) {
        Ok((rules, warnings)) => {
            filter.replace(rules.filter().clone());
            pipeline.rules = rules;
            log::info!(
                "reloaded: {} rules; changes of [watch] and [[output]] need a restart",
                pipeline.rules.infos().count()
            );
            Ok(warnings)
        }
        Err(problems) => {
            problems.iter().for_each(|problem| log::error!("{problem}"));
            log::error!(
                "reload refused: the old configuration and rules stay in force ({} problems above)",
                problems.len()
            );
            Err(problems.len())
        }
    }
}

fn start_outputs(config: &Config, composer: &Arc<Mutex<Composer>>) -> Result<Outputs, OutputError> {
    let settings = if config.outputs.is_empty() { default_outputs() } else { config.outputs.clone() };
    let composer = composer.clone();
    let on_dropped = move |dropped: u64, output: &str| {
        let gap = LossReport {
            cause: LossCause::OutputDropped,
            count: Some(dropped),
            detail: format!("the output {output} did not take alerts and its queue was full"),
        };
        composer.lock().unwrap_or_else(PoisonError::into_inner).loss_of_one_output(&gap)
    };
    Outputs::start(&settings, on_dropped, local_offset)
}

/// Syslog if its socket answers, the terminal if standard output is one; standard output if neither.
fn default_outputs() -> Vec<OutputSettings> {
    let syslog = config::local_syslog();
    let mut outputs = Vec::new();
    if answers(&syslog.socket) {
        outputs.push(config::output(Target::Syslog(syslog)));
    }
    if io::stdout().is_terminal() || outputs.is_empty() {
        outputs.push(config::output(Target::Stdout));
    }
    outputs
}

fn answers(socket: &Path) -> bool {
    std::os::unix::net::UnixDatagram::unbound().is_ok_and(|probe| probe.connect(socket).is_ok())
}

fn local_offset(time: SystemTime) -> time::UtcOffset {
    time::UtcOffset::from_whole_seconds(sys::local_offset(time)).unwrap_or(time::UtcOffset::UTC)
}

/// Raises the soft limit of open files as far as the hard one allows.
fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let wanted = OPEN_FILES.min(hard);
        if soft < wanted { setrlimit(Resource::RLIMIT_NOFILE, wanted, hard) } else { Ok(()) }
    });
    if let Err(error) = raised {
        log::warn!("the limit of open files stays as it is ({error})");
    }
}

/// SIGTERM and SIGINT end, SIGHUP reloads.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    fn install() -> io::Result<Self> {
        // A second signal ends a daemon whose runtime hangs. The order matters: the first one only
        // sets the flag, the second finds it set.
        for number in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
            let asked = Arc::new(AtomicBool::new(false));
            signal_hook::flag::register_conditional_shutdown(number, 128 + number, asked.clone())?;
            signal_hook::flag::register(number, asked)?;
        }
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// Gives every output this format, the default outputs too.
pub fn set_format(config: &mut Config, format: Format) {
    if config.outputs.is_empty() {
        config.outputs = default_outputs();
    }
    config.outputs.iter_mut().for_each(|output| output.format = Some(format));
}
