//! From a source's message to an alert in the outputs' queues: merge, inspect, judge, alert.

use super::budget::ReadBudget;
use super::channel::{EventSender, PipelineInput};
use super::debounce::{Debouncer, Fingerprint};
use super::directory_scanner::DirectoryScanner;
use super::losses::Losses;
use super::sources::log_guard;
use super::stats::{Sample, Stats};
use super::watch_plan;
use crate::alert::ecs::{Composer, Finding, Names};
use crate::alert::sink::Outputs;
use crate::event::{
    Action, Change, Doubt, FileEvent, FileRef, FileState, Hook, HookKind, HookPath, LossCause, LossReport, Seen,
    SpecialFile, Verdict, Writer,
};
use crate::hook;
use crate::hook::Surface;
use crate::hook::content;
use crate::rules::fields::Facts;
use crate::rules::verdict::merge;
use crate::rules::{Exclusion, RuleSet};
use crate::source::mounts;
use crate::source::{Guard, Guarded, Message, Settings};
use crate::users::Users;
use rustix::fs::{Mode, OFlags};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Filesystems mounted while running that are kept for the status.
const MAX_LATER_GUARDS: usize = 1000;

/// The stages after the channel.
pub struct Pipeline {
    /// The loaded rules.
    pub rules: RuleSet,
    /// Counts of alerts, exclusions and losses.
    pub stats: Stats,
    /// Filesystems that were mounted while running.
    pub later_guards: Vec<Guard>,
    debouncer: Debouncer,
    losses: Losses,
    budget: ReadBudget,
    surface: Surface,
    settings: Settings,
    /// Deadline of the shutdown: changes not judged by then count as lost.
    deadline: Option<Instant>,
    users: Users,
    composer: Arc<Mutex<Composer>>,
    outputs: Arc<Outputs>,
    events: EventSender,
    scanner: DirectoryScanner,
}

impl Pipeline {
    /// Puts the stages together.
    pub fn new(
        rules: RuleSet,
        surface: Surface,
        settings: Settings,
        composer: Arc<Mutex<Composer>>,
        outputs: Arc<Outputs>,
        events: EventSender,
        scanner: DirectoryScanner,
    ) -> Self {
        Self {
            rules,
            stats: Stats::default(),
            later_guards: Vec::new(),
            debouncer: Debouncer::default(),
            losses: Losses::default(),
            budget: ReadBudget::new(Instant::now()),
            surface,
            settings,
            deadline: None,
            users: Users::default(),
            composer,
            outputs,
            events,
            scanner,
        }
    }

    /// Takes one input from the channel.
    pub fn take(&mut self, input: PipelineInput) {
        match input {
            PipelineInput::Source(Message::Event(event)) if event.is_directory => self.scan_directory(event),
            PipelineInput::Source(Message::Event(event)) => self.debounce(event),
            PipelineInput::Source(Message::EndOfRead) => {
                for change in self.debouncer.end_of_read() {
                    self.finish(&change);
                }
            }
            PipelineInput::Source(Message::Loss(loss)) => self.report(loss),
            PipelineInput::Source(Message::FilesystemAppeared(guard)) => self.filesystem_guarded(guard),
            PipelineInput::Source(Message::PathCovered { path, is_local }) => self.path_covered(path, is_local),
            PipelineInput::Baseline(path, hook) => self.surface.record_baseline(&path, &hook),
        }
        if let Some(loss) = self.events.take_dropped() {
            self.report(loss);
        }
    }

    /// Records the guard of a filesystem that was mounted while running.
    pub fn filesystem_guarded(&mut self, guard: Guard) {
        let holds_watch_trees = watch_plan::holds_watch_trees(&self.settings, &guard.mount_points);
        log_guard(&guard, holds_watch_trees);
        if let (Guarded::Refused(_), true) = (&guard.by, holds_watch_trees) {
            let detail = format!("{} was mounted and is {}", guard.mount_point().display(), guard.status());
            self.report(LossReport::new(LossCause::Unreadable, detail));
        }
        self.later_guards.retain(|known| known.device != guard.device);
        if self.later_guards.len() < MAX_LATER_GUARDS {
            self.later_guards.push(guard);
        }
    }

    /// When [`Pipeline::due`] must be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.debouncer.next_deadline(), self.losses.next_deadline()].into_iter().flatten().min()
    }

    /// Judges the changes whose deadline has passed.
    pub fn due(&mut self, now: Instant) {
        for change in self.debouncer.due(now) {
            self.finish(&change);
        }
        for loss in self.losses.due(now) {
            self.send_loss(&loss);
        }
    }

    /// Begins the shutdown: no change is judged after `deadline`.
    pub fn judge_until(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }

    /// Renamed directories that are not listed yet.
    pub fn unlisted(&self) -> usize {
        self.scanner.unfinished()
    }

    /// Whether a path could not be tracked because too many are.
    pub fn tracked_paths_full(&self) -> bool {
        self.surface.tracked().is_full()
    }

    /// Finishes every change, complete or not. The outputs deliver meanwhile.
    pub async fn flush(&mut self) {
        for change in self.debouncer.flush() {
            self.finish(&change);
            tokio::task::yield_now().await;
        }
        let unlisted = self.unlisted();
        if unlisted > 0 {
            let detail = format!("{unlisted} renamed directories were not completely listed before the end");
            self.report(LossReport::new(LossCause::Unreadable, detail));
        }
        if let Some(loss) = self.events.take_dropped() {
            self.report(loss);
        }
        for loss in self.losses.flush() {
            self.send_loss(&loss);
        }
    }

    /// Ends the pipeline and releases the outputs.
    pub fn into_stats(self) -> Stats {
        self.stats
    }

    /// Reports a loss, at once or in a sum with others of its cause.
    pub fn report(&mut self, loss: LossReport) {
        if let Some(loss) = self.losses.add(loss, Instant::now()) {
            self.send_loss(&loss);
        }
    }

    /// Sends and logs the record of a loss.
    fn send_loss(&mut self, loss: &LossReport) {
        log::warn!("loss ({}): {}", loss.cause, loss.detail);
        self.stats.add_loss(loss.cause);
        let record = self.composer.lock().unwrap_or_else(PoisonError::into_inner).loss(loss);
        self.outputs.send(Arc::new(record));
    }

    fn debounce(&mut self, event: FileEvent) {
        // The event's own time, so that a backlog does not delay due alerts.
        self.due(event.seen.monotonic);
        let complete = event.complete || content::is_complete_at_once(&event.file);
        for change in self.debouncer.observe(FileEvent { complete, ..event }) {
            self.finish(&change);
        }
    }

    /// Judges one merged change by each of its writers, and sends an alert if a rule matches.
    fn finish(&mut self, change: &Change) {
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return self.events.record_drop(1);
        }
        let path = self.surface.classify(&change.file, change.classification);
        // A file that is no hook is judged by its name first, and read only if that matters.
        let mut hook = match path.kind {
            HookKind::Other => self.surface.unread(&change.file, path),
            _ => self.inspect(&change.file, path),
        };
        if hook.file.state == FileState::Special(SpecialFile::Whiteout) {
            return;
        }
        let Some((writer, verdict)) = self.judge(change, &hook) else { return };
        if verdict.matches.is_empty() {
            return self.count_excluded(change, &writer, &verdict);
        }
        if path.kind == HookKind::Other {
            hook = self.inspect(&change.file, path);
        }
        if hook.file.state != FileState::Gone && !self.debouncer.is_news(change, Fingerprint::of(change, &hook)) {
            self.stats.repeated += 1;
            return;
        }
        self.alert(change, &writer, &hook, &verdict);
    }

    /// Reads the file, as much of it as the budget allows, and tracks where it leads.
    fn inspect(&mut self, file: &FileRef, path: HookPath) -> Hook {
        let limits = self.budget.limits(Instant::now());
        let (hook, spent) = self.surface.inspect(file, path, limits);
        self.budget.spend(spent.hashed, spent.parsed);
        self.surface.track(&file.path, &hook);
        hook
    }

    /// All rules that match for any of the writers, and the writer with the highest-level verdict. A writer's exclusion
    /// does not cover the other writers.
    fn judge(&mut self, change: &Change, hook: &Hook) -> Option<(Arc<Writer>, Verdict)> {
        let mut verdicts: Vec<(Arc<Writer>, Verdict)> = Vec::new();
        for writer in &change.writers {
            let uid = writer.process.as_ref().and_then(|process| process.user).and_then(|user| user.effective);
            let facts = Facts {
                action: change.action,
                path: &change.file.path,
                previous_path: change.previous_path.as_deref(),
                hook,
                writer,
                user_name: uid.and_then(|uid| self.users.name(uid)),
            };
            // The change has more writers, and any of them may be hostile.
            let exclusion =
                if change.more_writers { Exclusion::Denied(Doubt::MoreWriters) } else { Exclusion::of(writer) };
            verdicts.push((writer.clone(), self.rules.judge(&facts, exclusion)));
        }
        // Among equal verdicts take the first: the writer that made the name comes first.
        let weight = |(_, verdict): &(_, Verdict)| (verdict.level, verdict.matches.len());
        let heaviest = verdicts.iter().map(weight).max()?;
        let worst = verdicts.iter().position(|verdict| weight(verdict) == heaviest)?;
        let (writer, verdict) = verdicts.remove(worst);
        Some((writer, verdicts.into_iter().fold(verdict, |verdict, (_, other)| merge(verdict, other))))
    }

    fn count_excluded(&mut self, change: &Change, writer: &Writer, verdict: &Verdict) {
        if verdict.excluded.is_empty() {
            return;
        }
        let rules = verdict.excluded.iter().map(|excluded| (excluded.rule.name.clone(), excluded.decided_by.clone()));
        self.stats.add_excluded(Sample::new(change, writer, None, rules.collect()));
    }

    fn alert(&mut self, change: &Change, writer: &Writer, hook: &Hook, verdict: &Verdict) {
        let credentials = writer.process.as_ref().and_then(|process| process.user);
        let ancestor = writer.living_ancestor.as_ref().and_then(|ancestor| ancestor.user);
        let mut name = |uid: Option<u32>| uid.and_then(|uid| self.users.name(uid).map(str::to_owned));
        let names = Names {
            user: name(credentials.and_then(|user| user.effective)),
            login: name(credentials.and_then(|user| user.login).or(ancestor.and_then(|user| user.login))),
            owner: name(hook.file.owner),
        };
        let finding = Finding { change, writer, hook, verdict, names };
        let composed = self.composer.lock().unwrap_or_else(PoisonError::into_inner).alert(&finding);
        let Some(alert) = composed else { return };
        let rules = verdict.matches.iter().map(|found| (found.rule.name.clone(), found.decided_by.clone()));
        self.stats.add_alert(Sample::new(change, writer, verdict.level, rules.collect()));
        self.outputs.send(Arc::new(alert));
    }

    /// Something was mounted over a path. Over a hook, a searched directory or a directory above one it is a change,
    /// for which the kernel has no other event.
    fn path_covered(&mut self, path: PathBuf, is_local: bool) {
        let tracked = self.surface.tracked();
        let covered =
            if tracked.is_startup_file(&path) { vec![path] } else { tracked.baseline_directories_below(&path) };
        covered.into_iter().for_each(|path| self.finish_mount(path, is_local));
    }

    fn finish_mount(&mut self, path: PathBuf, is_local: bool) {
        let directory = path.parent().filter(|_| is_local).and_then(|parent| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::open(mounts::above_root(parent, self.surface.root()), flags, Mode::empty()).ok()
        });
        self.finish(&Change::from(FileEvent {
            action: Action::Mount,
            complete: true,
            is_directory: false,
            listed: false,
            file: FileRef { path, directory: directory.map(Arc::new) },
            classification: None,
            previous_path: None,
            writer: Arc::new(Writer::unknown(Doubt::NoProcessOfMount)),
            seen: Seen::now(),
        }));
    }

    /// Queues a renamed directory for listing, because the kernel reports no file in it. A directory that Python
    /// searches is a change of its own too.
    fn scan_directory(&mut self, event: FileEvent) {
        let path = self.surface.classify(&event.file, event.classification);
        // A new directory in a new place replaces nothing, and its files have their own events. What a directory in the
        // zip's place would run is not fully known.
        let is_new = path.kind != HookKind::StdlibZip
            && !self.surface.tracked().is_baseline_directory(&event.file.path)
            && hook::birth::was_just_made(&event.file, event.seen.wall);
        if path.kind != HookKind::Other && !is_new {
            self.finish(&Change::from(FileEvent { classification: Some(path), ..event.clone() }));
        }
        if let Err(event) = self.scanner.add(event) {
            let path = event.file.path.display();
            let detail = format!("{path} was renamed among too many directories at once and was not listed");
            self.report(LossReport::new(LossCause::Unreadable, detail));
        }
    }
}
