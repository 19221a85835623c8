//! The main thread of the daemon: start, loop, stop.

use super::baseline;
use super::channel::PipelineInput;
use super::directory_scanner::DirectoryScanner;
use super::pipeline::Pipeline;
use super::shared_filter::SharedFilter;
use super::shutdown;
use super::signals::Signals;
use super::sources::Sources;
use super::startup;
use super::status_collector::StatusCollector;
use super::status_socket::{self, StatusSocket};
use super::systemd::SystemdNotifier;
use crate::alert::ecs::Composer;
use crate::alert::sink::{OutputError, Outputs};
use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::hook::Surface;
use crate::privileges;
use crate::privileges::Role;
use crate::source::Message;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

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
    #[error("every output has ended for good")]
    NoOutput,
    /// The reader thread or the channel has ended.
    #[error("watching ended: {0}")]
    Watching(io::Error),
    /// The runtime, a signal handler or a thread cannot be set up.
    #[error("cannot start: {0}")]
    Start(#[from] io::Error),
}

/// Reads the configuration with the overrides of the command line; called again on SIGHUP.
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
        // Helper threads open and write files with the rights of the user alone.
        .on_thread_start(|| privileges::drop_to(Role::Nothing))
        .build()?;
    let result = runtime.block_on(async {
        let mut daemon = Daemon::start(configure)?;
        let result = daemon.serve(configure).await;
        daemon.stop().await;
        result
    });
    // A write that hangs on a dead disk must not keep the process.
    runtime.shutdown_background();
    result
}

/// The running daemon.
struct Daemon {
    signals: Signals,
    notifier: SystemdNotifier,
    filter: SharedFilter,
    sources: Sources,
    pipeline: Pipeline,
    outputs: Arc<Outputs>,
    status: StatusCollector,
    status_socket: Option<StatusSocket>,
}

impl Daemon {
    /// Starts every part, inside the runtime.
    fn start(configure: Configure<'_>) -> Result<Self, Failure> {
        let signals = Signals::install()?;
        startup::raise_open_files();
        let mut notifier = SystemdNotifier::find();
        let config = configure().map_err(Failure::Configuration)?;
        let (rules, warnings) = startup::load_rules(&config).map_err(Failure::Configuration)?;
        let rule_count = rules.infos().count();
        let filter = SharedFilter::default();
        filter.replace(rules.filter().clone());

        let composer = Arc::new(Mutex::new(Composer::new()));
        // Opened without privileges, like after each rotation, so a file that rotation could not reopen is refused now.
        privileges::raise(Role::Nothing)?;
        let outputs = Arc::new(startup::start_outputs(&config, &composer)?);
        // File times are coarser than this clock, so a change just before counts as a change while watching.
        let since = SystemTime::now() - Duration::from_millis(100);
        let sources = Sources::start(&config.source, &filter).map_err(|error| match error.raw_os_error() {
            Some(libc::EPERM | libc::ENOSYS | libc::EINVAL) => Failure::Refused(error),
            _ => Failure::Start(error),
        })?;
        let (root, trees, events) = (config.source.root.clone(), &config.source.trees, sources.events.clone());
        let scanner = DirectoryScanner::start(filter.clone(), events.clone())?;
        let surface = Surface::new(&root, filter.tracked().clone(), since);
        let pipeline =
            Pipeline::new(rules, surface, config.source.clone(), composer, outputs.clone(), events.clone(), scanner);
        baseline::start(root, trees, since, filter.clone(), events)?;
        let status = StatusCollector::new(config.source.clone(), warnings);
        let status_socket = startup::open_status_socket(&config);
        log::info!("ready: {rule_count} rules, {}, alerts to {}", sources.summary, outputs.describe());
        notifier.ready(status.systemd_status(&sources, &pipeline));
        Ok(Self { signals, notifier, filter, sources, pipeline, outputs, status, status_socket })
    }

    /// Runs until a signal stops it, or a part fails for good.
    async fn serve(&mut self, configure: Configure<'_>) -> Result<(), Failure> {
        loop {
            let deadline = self.pipeline.next_deadline().map(Instant::from_std);
            tokio::select! {
                // The order matters: a change must not reach its deadline while its close waits in the channel.
                biased;
                _ = self.signals.terminate.recv() => return Ok(()),
                _ = self.signals.interrupt.recv() => return Ok(()),
                _ = self.signals.hangup.recv() => self.reload(configure),
                // Before the inputs: a flood of them must not look like a hang. Reaching this line proves that the loop
                // does not hang.
                () = self.notifier.watchdog_due() => self.ping_watchdog(),
                // Without a reader there is no sender, and a receiver that has resolved must not be polled again.
                Ok(error) = &mut self.sources.reader_failed, if !self.sources.reader_failed.is_terminated() => {
                    return Err(Failure::Watching(error));
                }
                name = self.outputs.lost() => {
                    log::error!("the output {name} is gone");
                    if self.outputs.all_gone() {
                        return Err(Failure::NoOutput);
                    }
                }
                input = self.sources.inputs.recv() => {
                    let Some(input) = input else { return Err(Failure::Watching(io::ErrorKind::BrokenPipe.into())) };
                    self.take(input);
                    // The outputs' tasks run on this thread too, so they get a turn after each change.
                    tokio::task::yield_now().await;
                }
                client = status_socket::next(self.status_socket.as_ref()) => {
                    client.send_report(&self.status.report(&self.sources, &self.pipeline, &self.outputs));
                }
                () = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    self.pipeline.due(std::time::Instant::now());
                }
            }
        }
    }

    fn take(&mut self, input: PipelineInput) {
        match input {
            PipelineInput::Source(Message::FilesystemAppeared(guard)) => {
                let guard = self.sources.handle_new_mount(guard);
                self.pipeline.filesystem_guarded(guard);
            }
            other => self.pipeline.take(other),
        }
    }

    /// Loads configuration and rules again. A mistake in either keeps both unchanged.
    fn reload(&mut self, configure: Configure<'_>) {
        self.notifier.reloading();
        let loaded = configure().and_then(|config| startup::load_rules(&config));
        let result = match loaded {
            Ok((rules, warnings)) => {
                let count = rules.infos().count();
                self.filter.replace(rules.filter().clone());
                self.pipeline.rules = rules;
                log::info!("reloaded: {count} rules; changes of [watch] and [[output]] need a restart");
                Ok(warnings)
            }
            Err(problems) => {
                problems.iter().for_each(|problem| log::error!("{problem}"));
                let count = problems.len();
                log::error!("reload refused: the old configuration and rules stay in force ({count} problems above)");
                Err(count)
            }
        };
        self.status.reloaded(result);
        self.outputs.reopen();
        self.notifier.ready(self.status.systemd_status(&self.sources, &self.pipeline));
    }

    fn ping_watchdog(&mut self) {
        if self.sources.all_threads_progressed() {
            self.notifier.watchdog_ping(self.status.systemd_status(&self.sources, &self.pipeline))
        } else {
            log::error!("a watcher thread made no progress; withholding WATCHDOG=1")
        }
    }

    async fn stop(self) {
        self.notifier.stopping();
        // Closed first, so that later clients fail at once.
        drop(self.status_socket);
        shutdown::finish(self.sources, self.pipeline, self.outputs).await;
    }
}
