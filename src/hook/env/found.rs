//! Collects the settings that a grammar finds.

use crate::event::EnvironmentSetting;
use crate::event::Hook;

/// Variables that make Python run or find something at start-up. [`super`] lists those that are not here.
pub(super) const VARIABLES: [&str; 8] = [
    "PYTHONSTARTUP",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONUSERBASE",
    "PYTHONPLATLIBDIR",
    "PYTHONPYCACHEPREFIX",
    "PYTHONWARNINGS",
    "BROWSER",
];

/// Most settings kept of one file.
pub(super) const MAX_SETTINGS: usize = 50;

/// Settings of BROWSER kept until a PYTHONWARNINGS is found.
const MAX_BROWSERS: usize = 5;

/// The line of a setting.
#[derive(Clone, Copy, Debug)]
pub(super) struct SourceLine<'a> {
    /// Line number, from 1.
    pub(super) number: usize,
    /// The content from the beginning of the line on, or from the setting on where that is far into the line.
    pub(super) from: &'a [u8],
}

/// Collects the settings of one file.
#[derive(Debug, Default)]
pub(super) struct Found {
    settings: Vec<EnvironmentSetting>,
    browsers: Vec<EnvironmentSetting>,
}

/// The known variable of this name.
pub(super) fn variable(name: &[u8]) -> Option<&'static str> {
    VARIABLES.into_iter().find(|known| known.as_bytes() == name)
}

impl Found {
    /// Adds `name=value` for a known variable. Python ignores an empty value, so it is no setting.
    pub(super) fn set(&mut self, name: &[u8], value: &[u8], line: SourceLine<'_>) {
        if !value.is_empty()
            && let Some(variable) = variable(name)
        {
            self.add(variable, value, line);
        }
    }

    /// Adds a variable of the caller that is kept, without a value.
    pub(super) fn keep(&mut self, variable: &'static str, line: SourceLine<'_>) {
        self.add(variable, b"", line);
    }

    /// Adds a `name=value` in one piece.
    pub(super) fn assignment(&mut self, text: &[u8], line: SourceLine<'_>) {
        if let Some((name, value)) = assignment(text) {
            self.set(name, value, line);
        }
    }

    fn add(&mut self, variable: &'static str, value: &[u8], line: SourceLine<'_>) {
        if variable == "PYTHONWARNINGS" && !has_dotted_category(value) {
            return;
        }
        // A line can be as long as the file and contain a setting every few bytes.
        let number = line.number;
        let line = line.from.get(..2 * Hook::MAX_LINE).unwrap_or(line.from);
        let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let setting = EnvironmentSetting { variable, line: number, text: kept(line.trim_ascii()), value: kept(value) };
        let (list, most) = match variable {
            "BROWSER" => (&mut self.browsers, MAX_BROWSERS),
            _ => (&mut self.settings, MAX_SETTINGS),
        };
        if list
            .iter()
            .any(|known| known.variable == variable && known.value == setting.value && known.line == setting.line)
        {
            return;
        }
        // The first setting wins in some grammars, the last in others: a flood must push out neither.
        if list.len() >= most {
            list.remove(most / 2);
        }
        list.push(setting);
    }

    /// The settings in the order of their lines. BROWSER is one only beside a PYTHONWARNINGS that can make
    /// Python start it.
    pub(super) fn finish(mut self) -> Vec<EnvironmentSetting> {
        if self.settings.iter().any(|setting| setting.variable == "PYTHONWARNINGS") {
            self.settings.truncate(MAX_SETTINGS - self.browsers.len());
            self.settings.append(&mut self.browsers);
        }
        self.settings.sort_by_key(|setting| setting.line);
        self.settings
    }
}

fn kept(text: &[u8]) -> Vec<u8> {
    text.get(..Hook::MAX_LINE).unwrap_or(text).to_vec()
}

/// Name and value of `name=value`, `name+=value` and `name[0]=value`.
pub(super) fn assignment(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&byte| byte == b'=')?;
    let (name, value) = text.split_at_checked(at)?;
    let name = name.strip_suffix(b"+").unwrap_or(name);
    let name = name.split(|&byte| byte == b'[').next().unwrap_or_default();
    Some((name, value.get(1..).unwrap_or_default()))
}

/// Variable and value of the expansion `${NAME:=value}` or `${NAME=value}`, from its name on.
pub(super) fn default_assignment(rest: &[u8]) -> Option<(&'static str, &[u8])> {
    VARIABLES.into_iter().find_map(|name| {
        let after = rest.strip_prefix(name.as_bytes())?;
        let value = after.strip_prefix(b":=").or(after.strip_prefix(b"="))?;
        let value = value.get(..Hook::MAX_LINE).unwrap_or(value);
        Some((name, value.split(|&byte| byte == b'}').next().unwrap_or_default()))
    })
}

/// Whether one of the filters names a category with a dot, which Python imports at start-up:
/// `action:message:category:module:line`, more after a comma.
fn has_dotted_category(value: &[u8]) -> bool {
    let category =
        |filter: &[u8]| filter.split(|&byte| byte == b':').nth(2).is_some_and(|category| category.contains(&b'.'));
    value.split(|&byte| byte == b',').any(category)
}
