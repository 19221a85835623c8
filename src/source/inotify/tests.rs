//! Tests of the source as a whole, against the running kernel.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use super::watch_index::lock;
use super::*;
use crate::event::{Action, FileEvent, LossCause, LossReport};
use crate::source::message::Message;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tempfile::TempDir;

struct Watched {
    tmp: TempDir,
    messages: Receiver<Message>,
    inotify: Inotify,
}

fn watch(prepare: impl FnOnce(&Path)) -> Watched {
    let tmp = tempfile::tempdir().unwrap();
    prepare(tmp.path());
    let (messages, inotify) = start(vec![tmp.path().to_path_buf()]);
    Watched { tmp, messages, inotify }
}

fn start(trees: Vec<PathBuf>) -> (Receiver<Message>, Inotify) {
    let (sender, messages) = mpsc::channel();
    let name_filter: NameFilter = Arc::new(|name| name.ends_with(b".pth"));
    let inotify = spawn(trees, name_filter, Box::new(move |message| drop(sender.send(message)))).unwrap();
    (messages, inotify)
}

impl Watched {
    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.tmp.path().join(name)
    }

    fn next(&self) -> Message {
        self.messages.recv_timeout(Duration::from_secs(20)).unwrap()
    }

    /// The events up to the first that is wanted, which is the last of them.
    fn until(&self, wanted: impl Fn(&FileEvent) -> bool) -> Vec<FileEvent> {
        let mut events = Vec::new();
        loop {
            match self.next() {
                Message::Event(event) => {
                    let found = wanted(&event);
                    events.push(event);
                    if found {
                        return events;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn until_loss(&self) -> LossReport {
        loop {
            if let Message::Loss(loss) = self.next() {
                return loss;
            }
        }
    }

    /// Everything reported so far: up to the close of a file written last.
    fn so_far(&self, sentinel: &str) -> Vec<FileEvent> {
        let sentinel = self.path(sentinel);
        fs::write(&sentinel, "").unwrap();
        let mut events = self.until(|event| event.file.path == sentinel && event.complete);
        events.retain(|event| event.file.path != sentinel);
        events
    }
}

fn what(event: &FileEvent) -> (Action, bool) {
    (event.action, event.complete)
}

#[test]
fn a_new_file_is_a_creation_then_a_complete_change_by_an_unavailable_writer() {
    let watched = watch(|_| {});
    fs::write(watched.path("x.pth"), "import os").unwrap();
    let events = watched.until(|event| event.complete);
    assert_eq!(what(events.first().unwrap()), (Action::Creation, false));
    assert_eq!(what(events.last().unwrap()), (Action::Change, true));
    for event in &events {
        assert_eq!(event.file.path, watched.path("x.pth"));
        assert!(event.file.directory.is_none() && event.writer.process.is_none());
    }
}

#[test]
fn an_overwrite_or_append_is_a_change_that_is_complete_when_closed() {
    let watched = watch(|top| fs::write(top.join("x.pth"), "old").unwrap());
    let mut file = OpenOptions::new().append(true).open(watched.path("x.pth")).unwrap();
    file.write_all(b"new").unwrap();
    assert_eq!(what(watched.until(|_| true).first().unwrap()), (Action::Change, false));
    drop(file);
    assert_eq!(what(watched.until(|event| event.complete).last().unwrap()), (Action::Change, true));
    fs::write(watched.path("x.pth"), "other").unwrap();
    let events = watched.until(|event| event.complete);
    assert!(events.iter().all(|event| event.action == Action::Change));
}

#[test]
fn a_file_renamed_into_place_is_one_complete_rename_with_its_previous_name() {
    let watched = watch(|top| fs::write(top.join("x.tmp"), "").unwrap());
    fs::rename(watched.path("x.tmp"), watched.path("x.pth")).unwrap();
    let events = watched.so_far("end.pth");
    assert_eq!(events.len(), 1, "{events:?}");
    let event = events.first().unwrap();
    assert_eq!(what(event), (Action::Rename, true));
    assert_eq!(event.file.path, watched.path("x.pth"));
    assert_eq!(event.previous_path, Some(watched.path("x.tmp")));
}

#[test]
fn a_file_renamed_into_the_tree_has_no_previous_name() {
    let watched = watch(|_| {});
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("x.pth"), "").unwrap();
    fs::rename(outside.path().join("x.pth"), watched.path("x.pth")).unwrap();
    let events = watched.until(|_| true);
    let event = events.first().unwrap();
    assert_eq!((what(event), &event.previous_path), ((Action::Rename, true), &None));
}

#[test]
fn a_hard_link_is_a_creation_and_a_symbolic_link_a_complete_one() {
    let watched = watch(|top| fs::write(top.join("x"), "").unwrap());
    fs::hard_link(watched.path("x"), watched.path("hard.pth")).unwrap();
    symlink("/nowhere", watched.path("soft.pth")).unwrap();
    let events = watched.so_far("end.pth");
    let seen: Vec<_> = events.iter().map(|event| (event.file.path.clone(), what(event))).collect();
    let expected = [("hard.pth", false), ("soft.pth", true)];
    assert_eq!(seen, expected.map(|(name, complete)| (watched.path(name), (Action::Creation, complete))));
}

#[test]
fn names_that_are_not_utf_8_are_reported_as_they_are() {
    let directory = OsStr::from_bytes(b"d\xff\n");
    let name = OsStr::from_bytes(b"\xfe\x1b[2J.pth");
    let watched = watch(|top| fs::create_dir(top.join(directory)).unwrap());
    fs::write(watched.path(directory).join(name), "").unwrap();
    let events = watched.until(|event| event.complete);
    assert!(events.iter().all(|event| event.file.path == watched.path(directory).join(name)));
}

#[test]
fn uninteresting_names_reading_and_attributes_yield_nothing() {
    let watched = watch(|top| fs::write(top.join("x.pth"), "").unwrap());
    for number in 0..500 {
        fs::write(watched.path(format!("{number}.txt")), "noise").unwrap();
        fs::rename(watched.path(format!("{number}.txt")), watched.path(format!("{number}.py"))).unwrap();
        fs::read(watched.path("x.pth")).unwrap();
    }
    let mut permissions = fs::metadata(watched.path("x.pth")).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(watched.path("x.pth"), permissions).unwrap();
    let events = watched.so_far("end.pth");
    assert!(events.is_empty(), "{events:?}");
}

#[test]
fn every_file_written_right_after_its_directories_were_made_is_reported() {
    let watched = watch(|_| {});
    let mut missing: BTreeSet<PathBuf> = BTreeSet::new();
    for number in 0..300 {
        let directory = watched.path(format!("{number}/b/c"));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("x.pth"), "").unwrap();
        missing.insert(directory.join("x.pth"));
    }
    while !missing.is_empty() {
        for event in watched.until(|_| true) {
            assert!(matches!(event.action, Action::Creation | Action::Change));
            missing.remove(&event.file.path);
        }
    }
    watched.so_far("end.pth");
    assert_eq!(watched.inotify.report().first().unwrap().watched, 901);
}

#[test]
fn a_directory_renamed_into_place_reports_what_is_in_it_and_is_watched() {
    let watched = watch(|_| {});
    let outside = tempfile::tempdir().unwrap();
    let new = outside.path().join("new");
    fs::create_dir_all(new.join("a/b")).unwrap();
    fs::write(new.join("a/b/x.pth"), "").unwrap();
    fs::write(new.join("a/noise.py"), "").unwrap();
    fs::rename(&new, watched.path("here")).unwrap();
    let events = watched.until(|_| true);
    let event = events.first().unwrap();
    assert_eq!((what(event), &event.previous_path), ((Action::Rename, true), &None));
    assert_eq!(event.file.path, watched.path("here/a/b/x.pth"));
    fs::write(watched.path("here/a/b/y.pth"), "").unwrap();
    watched.until(|event| event.file.path == watched.path("here/a/b/y.pth") && event.complete);
}

#[test]
fn a_directory_renamed_within_the_tree_reports_under_its_new_path_only() {
    let watched = watch(|top| {
        fs::create_dir_all(top.join("old/deep")).unwrap();
        fs::write(top.join("old/deep/x.pth"), "").unwrap();
    });
    fs::rename(watched.path("old"), watched.path("new")).unwrap();
    let events = watched.until(|_| true);
    let event = events.first().unwrap();
    assert_eq!(event.file.path, watched.path("new/deep/x.pth"));
    assert_eq!(event.previous_path, Some(watched.path("old/deep/x.pth")));
    watched.so_far("middle.pth");
    fs::write(watched.path("new/deep/x.pth"), "again").unwrap();
    fs::write(watched.path("new/y.pth"), "").unwrap();
    let events = watched.so_far("end.pth");
    assert!(events.iter().all(|event| event.file.path.starts_with(watched.path("new"))), "{events:?}");
    for name in ["new/deep/x.pth", "new/y.pth"] {
        assert!(events.iter().any(|event| event.file.path == watched.path(name) && event.complete));
    }
    assert_eq!(watched.inotify.report().first().unwrap().watched, 3);
}

#[test]
fn directories_renamed_over_and_over_are_still_watched_in_the_end() {
    let watched = watch(|top| fs::create_dir_all(top.join("0/deep")).unwrap());
    for number in 0..200 {
        fs::rename(watched.path(number.to_string()), watched.path((number + 1).to_string())).unwrap();
    }
    watched.so_far("middle.pth");
    fs::write(watched.path("200/deep/x.pth"), "").unwrap();
    let events = watched.until(|event| event.complete);
    assert!(events.iter().all(|event| event.file.path == watched.path("200/deep/x.pth")), "{events:?}");
    assert_eq!(watched.inotify.report().first().unwrap().watched, 3);
}

#[test]
fn a_directory_removed_and_made_again_over_and_over_is_still_watched() {
    let watched = watch(|_| {});
    for _ in 0..200 {
        fs::create_dir_all(watched.path("d/e")).unwrap();
        fs::remove_dir_all(watched.path("d")).unwrap();
    }
    fs::create_dir_all(watched.path("d/e")).unwrap();
    watched.so_far("middle.pth");
    fs::write(watched.path("d/e/x.pth"), "").unwrap();
    watched.until(|event| event.file.path == watched.path("d/e/x.pth") && event.complete);
    assert_eq!(watched.inotify.report().first().unwrap().watched, 3);
}

#[test]
fn a_directory_moved_out_of_the_tree_is_not_watched_any_more() {
    let watched = watch(|top| fs::create_dir_all(top.join("d/e")).unwrap());
    let outside = tempfile::tempdir().unwrap();
    fs::rename(watched.path("d"), outside.path().join("d")).unwrap();
    watched.so_far("middle.pth");
    fs::write(outside.path().join("d/e/x.pth"), "").unwrap();
    assert!(watched.so_far("end.pth").is_empty());
    assert_eq!(watched.inotify.report().first().unwrap().watched, 1);
}

#[test]
fn two_directories_that_change_places_are_both_watched() {
    let watched = watch(|top| {
        fs::create_dir_all(top.join("one/1")).unwrap();
        fs::create_dir_all(top.join("two/2")).unwrap();
    });
    let (one, two) = (watched.path("one"), watched.path("two"));
    let (cwd, flags) = (rustix::fs::CWD, rustix::fs::RenameFlags::EXCHANGE);
    rustix::fs::renameat_with(cwd, &one, cwd, &two, flags).unwrap();
    watched.so_far("middle.pth");
    for name in ["one/2/x.pth", "two/1/x.pth"] {
        fs::write(watched.path(name), "").unwrap();
        watched.until(|event| event.file.path == watched.path(name) && event.complete);
    }
}

#[test]
fn a_link_to_a_directory_is_not_followed() {
    let outside = tempfile::tempdir().unwrap();
    let watched = watch(|top| symlink(outside.path(), top.join("before")).unwrap());
    symlink(outside.path(), watched.path("after")).unwrap();
    watched.so_far("middle.pth");
    fs::write(outside.path().join("x.pth"), "").unwrap();
    assert!(watched.so_far("end.pth").is_empty());
    assert_eq!(watched.inotify.report().first().unwrap().watched, 1);
}

#[test]
fn a_removed_root_is_a_loss_and_is_watched_again_when_it_is_back() {
    let watched = watch(|_| {});
    fs::remove_dir(watched.tmp.path()).unwrap();
    let loss = watched.until_loss();
    assert_eq!((loss.cause, loss.detail.contains("is gone")), (LossCause::Unreadable, true), "{loss:?}");
    let report = watched.inotify.report();
    assert_eq!(report.first().map(|tree| (tree.watched, tree.failed)), Some((0, 1)));
    fs::create_dir_all(watched.path("d")).unwrap();
    let loss = watched.until_loss();
    assert!(loss.detail.contains("appeared"), "{loss:?}");
    fs::write(watched.path("d/x.pth"), "").unwrap();
    watched.until(|event| event.file.path == watched.path("d/x.pth") && event.complete);
}

#[test]
fn a_root_replaced_by_a_rename_above_it_is_a_loss() {
    let tmp = tempfile::tempdir().unwrap();
    fs::create_dir_all(tmp.path().join("venv/lib")).unwrap();
    fs::create_dir_all(tmp.path().join("other/lib")).unwrap();
    let (messages, inotify) = start(vec![tmp.path().join("venv/lib")]);
    let watched = Watched { tmp, messages, inotify };
    fs::rename(watched.path("venv"), watched.path("old")).unwrap();
    fs::rename(watched.path("other"), watched.path("venv")).unwrap();
    while !watched.until_loss().detail.contains("is watched from now on") {}
    fs::write(watched.path("venv/lib/x.pth"), "").unwrap();
    watched.until(|event| event.file.path == watched.path("venv/lib/x.pth") && event.complete);
}

#[test]
fn a_root_that_is_missing_a_link_or_relative_is_reported() {
    let tmp = tempfile::tempdir().unwrap();
    symlink("/", tmp.path().join("link")).unwrap();
    let (_messages, inotify) = start(vec![tmp.path().join("missing"), tmp.path().join("link")]);
    let report = inotify.report();
    assert_eq!(report.len(), 2);
    assert!(report.iter().all(|tree| (tree.watched, tree.failed, tree.examples.len()) == (0, 1, 1)), "{report:?}");
    inotify.stop();
    let refused = spawn(vec![PathBuf::from("relative")], Arc::new(|_| true), Box::new(drop));
    assert!(refused.is_err_and(|error| error.kind() == io::ErrorKind::InvalidInput));
}

#[test]
fn trees_inside_each_other_are_counted_each() {
    let tmp = tempfile::tempdir().unwrap();
    fs::create_dir_all(tmp.path().join("a/b/c")).unwrap();
    let (_messages, inotify) = start(vec![tmp.path().join("a/b"), tmp.path().join("a"), tmp.path().join("a")]);
    let watched: Vec<usize> = inotify.report().iter().map(|tree| tree.watched).collect();
    assert_eq!(watched, [3, 2]);
}

#[test]
fn after_an_overflow_there_is_a_loss_and_directories_made_unseen_are_watched() {
    let watched = watch(|_| {});
    watched.inotify.sender.send(WatchEvent::Overflow);
    let loss = watched.until_loss();
    assert_eq!((loss.cause, loss.count), (LossCause::QueueOverflow, None));
    let (sender, _receiver) = mpsc::channel();
    let mut watcher =
        watcher_of(vec![watched.tmp.path().to_path_buf()], Box::new(move |message| drop(sender.send(message))));
    watcher.place_roots();
    fs::create_dir_all(watched.path("d/e")).unwrap();
    watcher.forget(&watched.path("d"));
    lock(&watcher.index).insert(&watched.path("gone"));
    watcher.overflowed = true;
    watcher.recover_if_due();
    assert_eq!(lock(&watcher.index).report().first().unwrap().watched, 3);
}

fn watcher_of(roots: Vec<PathBuf>, emit: Emit) -> InotifyWatcher {
    let watcher = RecommendedWatcher::new(drop::<notify::Result<notify::Event>>, notify::Config::default()).unwrap();
    InotifyWatcher::new(watcher, Arc::new(|_| true), emit, Arc::new(Mutex::new(WatchIndex::new(roots))), Arc::default())
}

#[test]
fn more_events_than_the_bound_are_dropped_and_counted_and_reported_as_a_loss() {
    let (events, receiver) = mpsc::channel();
    let sender = BoundedSender { events, queue: Arc::default() };
    let queue = Arc::clone(&sender.queue);
    let long = PathBuf::from("x".repeat(4000));
    for _ in 0..10_000 {
        sender.send(WatchEvent::Left(long.clone()));
    }
    drop(sender);
    let kept = receiver.iter().count();
    assert!((7_000..10_000).contains(&kept), "{kept}");
    assert_eq!(queue.dropped.load(Ordering::Relaxed), 10_000 - kept as u64);
    let (sender, messages) = mpsc::channel();
    let mut watcher = watcher_of(Vec::new(), Box::new(move |message| drop(sender.send(message))));
    watcher.queue.dropped.store(7, Ordering::Relaxed);
    watcher.recover_if_due();
    watcher.queue.dropped.store(1, Ordering::Relaxed);
    watcher.recover_if_due(); // too early for the next
    let losses: Vec<Message> = messages.try_iter().collect();
    assert!(matches!(
        losses.as_slice(),
        [Message::Loss(LossReport { cause: LossCause::ChannelFull, count: Some(7), .. })]
    ));
}

#[test]
fn errors_of_notify_are_a_loss_and_a_stream_of_them_is_reported_once_a_second() {
    let (events, receiver) = mpsc::channel();
    let mut filter = Filter::new(Arc::new(|_| true), BoundedSender { events, queue: Arc::default() });
    for _ in 0..1_000 {
        notify::EventHandler::handle_event(&mut filter, Err(notify::Error::generic("broken")));
    }
    assert!(receiver.try_iter().count() < 5);
    let watched = watch(|_| {});
    watched.inotify.sender.send(WatchEvent::Error("broken".into()));
    let loss = watched.until_loss();
    assert_eq!((loss.cause, loss.detail.contains("broken")), (LossCause::Unreadable, true));
}

#[test]
fn every_event_releases_its_bytes_of_the_queue() {
    let watched = watch(|_| {});
    for _ in 0..3 {
        watched.inotify.sender.send(WatchEvent::Wake);
        watched.so_far("x.pth");
    }
    assert_eq!(watched.inotify.sender.queue.bytes.load(Ordering::Relaxed), 0);
}

#[test]
fn stopping_ends_the_thread_and_the_messages() {
    let watched = watch(|_| {});
    watched.inotify.stop();
    assert!(matches!(watched.messages.recv_timeout(Duration::from_secs(20)), Err(RecvTimeoutError::Disconnected)));
}
