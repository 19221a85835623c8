//! A sieve for the names of a whole tree: could a hook have this name?

use crate::event::HookKind;
use crate::hook::kind;

/// The patterns of every kind of hook, by the byte that decides first.
pub struct HookNames {
    beginnings: Vec<Vec<Pattern>>,
    endings: Vec<Vec<&'static [u8]>>,
}

#[derive(PartialEq)]
struct Pattern {
    text: &'static [u8],
    exact: bool,
}

impl HookNames {
    pub fn new() -> Self {
        let empty = || (0..=u8::MAX).map(|_| Vec::new()).collect();
        let mut names = Self { beginnings: empty(), endings: (0..=u8::MAX).map(|_| Vec::new()).collect() };
        for pattern in HookKind::ALL.iter().flat_map(|kind| kind::names(kind.as_str())) {
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

    /// Whether a hook can have this name. What it lets through is judged by its path.
    pub fn has(&self, name: &[u8]) -> bool {
        let (Some(first), Some(last)) = (name.first(), name.last()) else { return false };
        let begins = self.beginnings.get(usize::from(*first)).is_some_and(|bucket| {
            bucket
                .iter()
                .any(|pattern| if pattern.exact { name == pattern.text } else { name.starts_with(pattern.text) })
        });
        begins
            || self.endings.get(usize::from(*last)).is_some_and(|bucket| bucket.iter().any(|text| name.ends_with(text)))
    }
}
