//! A filter for the names of a whole tree: whether a start-up file can have this name.

use crate::event::HookKind;
use crate::hook::kind;

/// The file name patterns of every kind, by their first byte, or by their last byte for endings.
pub struct FileNames {
    beginnings: Vec<Vec<Pattern>>,
    endings: Vec<Vec<&'static [u8]>>,
}

#[derive(PartialEq)]
struct Pattern {
    text: &'static [u8],
    exact: bool,
}

impl Pattern {
    fn matches(&self, name: &[u8]) -> bool {
        if self.exact { name == self.text } else { name.starts_with(self.text) }
    }
}

impl FileNames {
    pub fn new() -> Self {
        let mut names = Self {
            beginnings: (0..=u8::MAX).map(|_| Vec::new()).collect(),
            endings: (0..=u8::MAX).map(|_| Vec::new()).collect(),
        };
        for pattern in HookKind::ALL.iter().flat_map(|kind| kind::names(*kind)) {
            names.add(pattern);
        }
        names
    }

    fn add(&mut self, pattern: &'static str) {
        if let Some(ending) = pattern.strip_prefix('*').map(str::as_bytes) {
            let bucket = ending.last().and_then(|last| self.endings.get_mut(usize::from(*last)));
            if let Some(bucket) = bucket.filter(|bucket| !bucket.contains(&ending)) {
                bucket.push(ending);
            }
            return;
        }
        let (text, exact) = pattern.strip_suffix('*').map_or((pattern, true), |beginning| (beginning, false));
        let pattern = Pattern { text: text.as_bytes(), exact };
        let bucket = text.as_bytes().first().and_then(|first| self.beginnings.get_mut(usize::from(*first)));
        if let Some(bucket) = bucket.filter(|bucket| !bucket.contains(&pattern)) {
            bucket.push(pattern);
        }
    }

    /// Whether a start-up file can have this name; [`kind::of`] then decides by the whole path.
    pub fn contains(&self, name: &[u8]) -> bool {
        let (Some(first), Some(last)) = (name.first(), name.last()) else { return false };
        let mut beginnings = self.beginnings.get(usize::from(*first)).into_iter().flatten();
        let mut endings = self.endings.get(usize::from(*last)).into_iter().flatten();
        beginnings.any(|pattern| pattern.matches(name)) || endings.any(|ending| name.ends_with(ending))
    }
}
