//! From a message of a source to an alert in the outputs' queues: settle, judge, read what matters, tell.

use super::budget::ReadBudget;
use super::listings::Listings;
use super::losses::Losses;
use super::settle::{Outcome, Settle};
use super::watch::{EventSender, SharedFilter, tell};
use crate::alert::ecs::{Composer, Finding, Names};
use crate::alert::sink::Outputs;
use crate::event::{
    Action, Change, Doubt, FileEvent, FileRef, FileState, Hook, HookKind, Level, LossCause, LossReport, Seen, Verdict,
    Writer,
};
use crate::hook;
use crate::hook::Surface;
use crate::hook::content;
use crate::rules::fields::Facts;
use crate::rules::verdict::merge;
use crate::rules::{Exclusion, RuleSet};
use crate::source::mounts;
use crate::source::{Guard, Guarded, Message};
use crate::users::Users;
use rustix::fs::{Mode, OFlags};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

/// Filesystems that appeared while running and are remembered for the status.
const MAX_MOUNTED: usize = 1000;

/// What became of the changes, for the last words of a run.
#[derive(Debug, Default)]
pub struct Stats {
    /// Alerts given to the outputs.
    pub alerts: u64,
    /// Changes that only an exclusion kept from being alerts.
    pub excluded: u64,
    /// Changes reported already (a late close).
    pub repeated: u64,
    /// Gaps reported.
    pub gaps: u64,
    /// Alerts by their level, in the order of [`Level::ALL`].
    pub levels: [u64; Level::ALL.len()],
    /// Gaps by their cause.
    pub causes: BTreeMap<LossCause, u64>,
    /// The last alerts.
    pub recent: Samples,
    /// The last changes that only an exclusion kept from being alerts.
    pub silenced: Samples,
}

/// The last few of something, for the status.
#[derive(Debug, Default)]
pub struct Samples(VecDeque<Sample>);

/// One change, in a few words.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When it was seen.
    pub time: SystemTime,
    /// The file.
    pub path: PathBuf,
    /// The writer's executable, where it is known.
    pub executable: Option<PathBuf>,
    /// The level of the alert; none for what was excluded.
    pub level: Option<Level>,
    /// Each rule that matched or was silenced: its title, and the selection or exclusion that settled it.
    pub rules: Vec<(String, String)>,
}

impl Samples {
    /// How many are kept.
    const KEPT: usize = 16;

    fn add(&mut self, sample: Sample) {
        if self.0.len() >= Self::KEPT {
            self.0.pop_front();
        }
        self.0.push_back(sample);
    }

    /// The oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Sample> {
        self.0.iter()
    }
}

/// The stages after the channel.
pub struct Pipeline {
    /// The loaded rules.
    pub rules: RuleSet,
    /// What became of the changes.
    pub tally: Stats,
    /// Filesystems that appeared while running, and how they are guarded.
    pub mounted: Vec<(Guard, bool)>,
    settle: Settle,
    losses: Losses,
    reading: ReadBudget,
    surface: Surface,
    filter: SharedFilter,
    /// At the end: what is not judged by then is counted as lost.
    until: Option<Instant>,
    users: Users,
    composer: Arc<Mutex<Composer>>,
    outputs: Arc<Outputs>,
    handover: EventSender,
    listings: Listings,
}

impl Pipeline {
    /// Puts the stages together.
    pub fn new(
        rules: RuleSet,
        surface: Surface,
        filter: SharedFilter,
        composer: Arc<Mutex<Composer>>,
        outputs: Arc<Outputs>,
        handover: EventSender,
        listings: Listings,
    ) -> Self {
        Self {
            rules,
            tally: Stats::default(),
            mounted: Vec::new(),
            settle: Settle::default(),
            losses: Losses::default(),
            reading: ReadBudget::new(Instant::now()),
            surface,
            filter,
            until: None,
            users: Users::default(),
            composer,
            outputs,
            handover,
            listings,
        }
    }

    /// Takes a message of a source.
    pub fn take(&mut self, message: Message) {
        match message {
            Message::Event(event) if event.is_directory => self.list(event),
            Message::Event(mut event) => {
                // While messages wait, their time is what passes, so that no flood holds up an alert.
                self.due(event.seen.monotonic);
                event.complete |= content::is_complete_at_once(&event.file);
                for change in self.settle.observe(event) {
                    self.finish(&change);
                }
            }
            Message::Known(path, hook) => self.surface.record_baseline(&path, &hook),
            Message::MountedOver { path, local } => self.mounted_over(path, local),
            Message::EndOfRead => {
                for change in self.settle.end_of_read() {
                    self.finish(&change);
                }
            }
            Message::LossReport(gap) => self.report(gap),
            Message::Mounted { guard, by_inotify } => {
                tell(&guard, by_inotify);
                self.mounted.retain(|(known, _)| known.device != guard.device);
                if self.mounted.len() < MAX_MOUNTED {
                    self.mounted.push((guard.clone(), by_inotify));
                }
                if let (Guarded::Refused(reason), true, false) = (&guard.by, guard.holds_trees, by_inotify) {
                    let place = guard.place();
                    self.report(LossReport {
                        cause: LossCause::Unreadable,
                        count: None,
                        detail: format!("{place} was mounted and refuses fanotify ({reason}); it is not watched"),
                    });
                }
            }
        }
        if let Some(gap) = self.handover.take_lost() {
            self.report(gap);
        }
    }

    /// When [`Pipeline::due`] must be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.settle.next_deadline(), self.losses.next_deadline()].into_iter().flatten().min()
    }

    /// Gives out what has waited long enough.
    pub fn due(&mut self, now: Instant) {
        for change in self.settle.due(now) {
            self.finish(&change);
        }
        for gap in self.losses.due(now) {
            self.tell_gap(&gap);
        }
    }

    /// The end has begun: nothing is judged any more after this moment.
    pub fn judge_until(&mut self, moment: Instant) {
        self.until = Some(moment);
    }

    /// Renamed directories that are still to be listed.
    pub fn unlisted(&self) -> usize {
        self.listings.unfinished()
    }

    /// Something could not be learned, because too much is known already.
    pub fn learned_is_full(&self) -> bool {
        self.filter.tracked_paths().is_full()
    }

    /// Gives out everything, finished or not. The outputs deliver meanwhile.
    pub async fn flush(&mut self) {
        for change in self.settle.flush() {
            self.finish(&change);
            tokio::task::yield_now().await;
        }
        let unlisted = self.unlisted();
        if unlisted > 0 {
            self.report(LossReport {
                cause: LossCause::Unreadable,
                count: None,
                detail: format!("{unlisted} renamed directories were not listed, or not completely, before the end"),
            });
        }
        if let Some(gap) = self.handover.take_lost() {
            self.report(gap);
        }
        for gap in self.losses.flush() {
            self.tell_gap(&gap);
        }
    }

    /// Reports a gap, at once or with others of its kind.
    fn report(&mut self, gap: LossReport) {
        if let Some(gap) = self.losses.add(gap, Instant::now()) {
            self.tell_gap(&gap);
        }
    }

    /// Sends the record of a gap, and says it on standard error too.
    fn tell_gap(&mut self, gap: &LossReport) {
        log::warn!("gap ({}): {}", gap.cause, gap.detail);
        self.tally.gaps += 1;
        *self.tally.causes.entry(gap.cause).or_default() += 1;
        let alert = self.composer.lock().unwrap_or_else(PoisonError::into_inner).loss(gap);
        self.outputs.send(Arc::new(alert));
    }

    /// One settled change: judge it by each of its writers; if it matters, read the file, and tell.
    fn finish(&mut self, change: &Change) {
        if self.until.is_some_and(|until| Instant::now() >= until) {
            return self.handover.lose(1);
        }
        let mut hook = self.surface.classify(&change.file);
        let is_hook = hook.path.kind != HookKind::Other;
        if is_hook {
            hook = self.look(&change.file);
        }
        if hook.file.state == FileState::Special(content::WHITEOUT) {
            return;
        }
        let Some((writer, verdict)) = self.judge(change, &hook) else { return };
        if verdict.matches.is_empty() {
            if !verdict.excluded.is_empty() {
                self.tally.excluded += 1;
                let rules =
                    verdict.excluded.iter().map(|silenced| (silenced.rule.name.clone(), silenced.decided_by.clone()));
                self.tally.silenced.add(sample(change, &writer, None, rules.collect()));
            }
            return;
        }
        if !is_hook {
            hook = self.look(&change.file);
        }
        if hook.file.state != FileState::Gone && !self.settle.is_news(change, outcome(change, &hook)) {
            self.tally.repeated += 1;
            return;
        }
        let credentials = writer.process.as_ref().and_then(|process| process.user);
        let nearest = writer.living_ancestor.as_ref().and_then(|nearest| nearest.user);
        let mut name = |uid: Option<u32>| uid.and_then(|uid| self.users.name(uid).map(str::to_owned));
        let names = Names {
            user: name(credentials.and_then(|user| user.effective)),
            login: name(credentials.and_then(|user| user.login).or(nearest.and_then(|user| user.login))),
            owner: name(hook.file.owner),
        };
        let finding = Finding { change, writer: &writer, hook: &hook, verdict: &verdict, names };
        let alert = self.composer.lock().unwrap_or_else(PoisonError::into_inner).alert(&finding);
        if let Some(alert) = alert {
            self.tally.alerts += 1;
            if let Some(level) = verdict.level {
                let slot = usize::from(level.severity()).saturating_sub(1);
                self.tally.levels.get_mut(slot).into_iter().for_each(|count| *count += 1);
            }
            let rules = verdict.matches.iter().map(|found| (found.rule.name.clone(), found.decided_by.clone()));
            self.tally.recent.add(sample(change, &writer, verdict.level, rules.collect()));
            self.outputs.send(Arc::new(alert));
        }
    }

    /// Reads the file, as much of it as the budget allows, and learns where it leads.
    fn look(&mut self, file: &FileRef) -> Hook {
        let limits = self.reading.limits(Instant::now());
        let (hook, spent) = self.surface.inspect(file, limits);
        self.reading.spend(spent.hashed, spent.parsed);
        self.surface.track(&file.path, &hook);
        hook
    }

    /// Something was mounted. Over a hook or a directory that Python searches it is a change, of which the kernel
    /// tells nothing else.
    fn mounted_over(&mut self, path: PathBuf, local: bool) {
        let tracked = self.filter.tracked_paths().clone();
        // Over a hook, a searched directory, or one above those that were there before.
        let covered =
            if tracked.is_startup_file(&path) { vec![path] } else { tracked.baseline_directories_below(&path) };
        covered.into_iter().for_each(|path| self.covered(path, local));
    }

    fn covered(&mut self, path: PathBuf, local: bool) {
        let directory = path.parent().filter(|_| local).and_then(|parent| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::open(mounts::above_root(parent, self.surface.root()), flags, Mode::empty()).ok()
        });
        self.finish(&Change::from(FileEvent {
            action: Action::Mount,
            complete: true,
            is_directory: false,
            listed: false,
            classification: None,
            file: FileRef { path, directory: directory.map(Arc::new) },
            previous_path: None,
            writer: Arc::new(Writer::unknown(Doubt::NoProcessOfMount)),
            seen: Seen::now(),
        }));
    }

    /// All rules that match for any of the writers, and the writer for whom the worst does: nobody is
    /// excluded because somebody else touched the file too.
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
            // Who is excluded must not cover for those who were not kept.
            let exclusion = match change.more_writers {
                true => Exclusion::Denied(Doubt::MoreWriters),
                false => Exclusion::of(writer),
            };
            let verdict = self.rules.judge(&facts, exclusion);
            verdicts.push((writer.clone(), verdict));
        }
        // The first of those that are equally bad: whoever made the name comes first.
        let weight = |(_, verdict): &(_, Verdict)| (verdict.level, verdict.matches.len());
        let heaviest = verdicts.iter().map(weight).max()?;
        let worst = verdicts.iter().position(|verdict| weight(verdict) == heaviest)?;
        let (writer, verdict) = verdicts.remove(worst);
        Some((writer, verdicts.into_iter().fold(verdict, |verdict, (_, other)| merge(verdict, other))))
    }

    /// A directory was renamed: the kernel tells only its name, so what came with it is listed. One that Python
    /// searches is a change of its own.
    fn list(&mut self, event: FileEvent) {
        let path = event.file.path.clone();
        let tracked = self.filter.tracked_paths();
        let kind = tracked.classify(&path).kind;
        // A new directory in a new place replaces nothing, and what is in it is told by itself. Of the zip's place not
        // all is known that would run.
        let is_new = kind != HookKind::StdlibZip
            && !tracked.is_baseline_directory(&path)
            && hook::follow::was_just_made(&event.file, event.seen.wall);
        if kind != HookKind::Other && !is_new {
            self.finish(&Change::from(event.clone()));
        }
        if !self.listings.add(event) {
            self.report(LossReport {
                cause: LossCause::Unreadable,
                count: None,
                detail: format!("{} was renamed among too many directories at once and was not listed", path.display()),
            });
        }
    }
}

fn sample(change: &Change, writer: &Writer, level: Option<Level>, rules: Vec<(String, String)>) -> Sample {
    let executable = writer.executable().map(|executable| executable.path.clone());
    Sample { time: change.first.wall, path: change.file.path.clone(), executable, level, rules }
}

fn outcome(change: &Change, hook: &Hook) -> Outcome {
    let facts = &hook.file;
    Outcome {
        inode: facts.inode.zip(facts.device),
        size: facts.size,
        // Without a hash only the time that nobody can set back tells that nothing was written since.
        modified: if facts.sha256.is_some() { facts.modified } else { facts.changed },
        sha256: facts.sha256,
        writers: change.writers.iter().filter_map(|writer| Some(writer.process.as_ref()?.pid)).collect(),
    }
}
