//! The third stage: what is it, and what would run? A glance for the rules, and a full look at what
//! matters to them, both through the directory of the event, with a cap on everything read.

pub mod bytecode;
pub mod content;
pub mod env;
pub mod kind;
pub mod pth;
pub mod python;

use crate::event::{ContentClass, FileFacts, FileRef, FileState, Hook, HookKind, Signals};
use content::Content;
use std::path::Path;

/// What reading a content gives: the part of a [`Hook`] that comes from its bytes.
#[derive(Clone, Debug)]
pub struct Findings {
    /// See [`Hook::class`].
    pub class: ContentClass,
    /// See [`Hook::signals`].
    pub signals: Signals,
    /// See [`Hook::runs`].
    pub runs: Vec<Vec<u8>>,
    /// See [`Hook::runs_truncated`].
    pub truncated: bool,
    /// See [`Hook::decoded`].
    pub decoded: Vec<Vec<u8>>,
    /// See [`Hook::imports`].
    pub imports: Vec<String>,
    /// See [`Hook::paths`].
    pub paths: Vec<Vec<u8>>,
    /// See [`Hook::interpreters`].
    pub interpreters: Option<&'static str>,
}

/// What the rules need to judge a changed file: its kind, what it is, and what an environment file
/// sets. Nothing else is read yet: most files of an interesting name are of interest to no rule, and
/// anybody can make many large ones.
pub fn glance(file: &FileRef) -> Hook {
    let kind = kind::of(&file.path);
    match kind {
        HookKind::Environment => look(file, 0),
        _ => judge(kind, content::metadata(file), &[], false),
    }
}

/// All that is told of a changed file, hashed if it has at most `hash_limit` bytes.
pub fn look(file: &FileRef, hash_limit: u64) -> Hook {
    let Content { facts, head, whole } = content::read(file, hash_limit);
    judge(kind::of(&file.path), facts, &head, !whole)
}

/// A hook as `explain` sees it: the path, and possibly content that was never planted.
pub fn suppose(path: &Path, content: Option<&[u8]>) -> Hook {
    let head = content.unwrap_or_default();
    let kept = head.get(..content::MAX_PARSED).unwrap_or(head);
    let state = if content.is_some() { FileState::Regular } else { FileState::NotLooked };
    judge(kind::of(path), FileFacts { state, ..FileFacts::default() }, kept, kept.len() < head.len())
}

/// What of the content would run, by the kind of the hook.
fn judge(kind: HookKind, file: FileFacts, head: &[u8], cut: bool) -> Hook {
    let settings = if kind == HookKind::Environment { env::settings(head) } else { Vec::new() };
    let mut lines: Box<dyn Iterator<Item = &[u8]>> = match kind {
        HookKind::Pth => Box::new(pth::executed(head)),
        HookKind::Sitecustomize | HookKind::Usercustomize | HookKind::Site => Box::new(python_lines(head)),
        HookKind::Environment => Box::new(settings.iter().map(|setting| setting.text.as_slice())),
        _ => Box::new(std::iter::empty()),
    };
    let mut truncated = cut;
    let mut runs = Vec::new();
    for line in lines.by_ref().take(Hook::MAX_LINES) {
        truncated |= line.len() > Hook::MAX_LINE;
        runs.push(line.get(..Hook::MAX_LINE).unwrap_or(line).to_vec());
    }
    truncated |= lines.next().is_some();
    drop(lines);
    Hook { file, runs, runs_truncated: truncated, settings, ..Hook::at(kind::whereabouts(kind)) }
}

/// Lines of a Python source that are neither blank nor a comment. Compiled files have none to show.
fn python_lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_text = !head.contains(&0);
    head.split(|byte| matches!(byte, b'\n' | b'\r')).filter(move |line| {
        let code = line.trim_ascii_start();
        is_text && !code.is_empty() && !code.starts_with(b"#")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alert_shows_the_code_and_not_the_comments() {
        let hook = suppose(Path::new("/usr/lib/python3/sitecustomize.py"), Some(b"# hello\n\nimport os\r\nos.x()\n"));
        assert_eq!(hook.at.kind, HookKind::Sitecustomize);
        assert_eq!(hook.runs, [b"import os".to_vec(), b"os.x()".to_vec()]);
        assert!(!hook.runs_truncated);
    }

    #[test]
    fn long_and_many_lines_are_cut_and_said_to_be() {
        let long = [b"x".repeat(10_000), b"\n".to_vec()].concat();
        let hook = suppose(Path::new("/x/usercustomize.py"), Some(&long));
        assert_eq!(hook.runs.concat().len(), Hook::MAX_LINE);
        assert!(hook.runs_truncated);
        let hook = suppose(Path::new("/x/usercustomize.py"), Some(&b"pass\n".repeat(Hook::MAX_LINES + 1)));
        assert_eq!(hook.runs.len(), Hook::MAX_LINES);
        assert!(hook.runs_truncated);
    }

    #[test]
    fn bytecode_shows_no_lines() {
        let hook = suppose(Path::new("/x/sitecustomize.pyc"), Some(b"\xcb\r\r\n\0\0\0\0code"));
        assert!(hook.runs.is_empty());
    }
}
