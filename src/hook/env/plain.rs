//! Settings in files that are not shell scripts, each in its own grammar. Programs that read the same file differ: a
//! setting for any of them is reported.

use super::found::Found;
use super::found::SourceLine;
use super::found::VARIABLES;
use super::found::variable;
use super::shell;
use crate::event::Hook;

/// Bytes of a continued line that are put together.
const MAX_LOGICAL: usize = 1 << 20;

/// Lines with their places, unchanged.
fn lines(content: &[u8]) -> impl Iterator<Item = (SourceLine<'_>, &[u8])> {
    let (mut at, mut number) = (0, 0);
    std::iter::from_fn(move || {
        let from = content.get(at..).filter(|rest| !rest.is_empty())?;
        let length = from.iter().position(|&byte| byte == b'\n').unwrap_or(from.len());
        at += length + 1;
        number += 1;
        Some((SourceLine { number, from }, from.get(..length).unwrap_or_default()))
    })
}

/// Lines without comments, those that end in a backslash joined with what follows.
fn logical_lines<'a>(content: &'a [u8], comments: &'a [u8]) -> impl Iterator<Item = (SourceLine<'a>, Vec<u8>)> {
    let mut rest = lines(content);
    std::iter::from_fn(move || {
        let mut logical: Option<(SourceLine<'a>, Vec<u8>)> = None;
        for (place, line) in rest.by_ref() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.trim_ascii_start().first().is_some_and(|first| comments.contains(first)) {
                continue;
            }
            let continued = line.strip_suffix(b"\\");
            let (_, text) = logical.get_or_insert((place, Vec::new()));
            if text.len() < MAX_LOGICAL {
                text.extend_from_slice(continued.unwrap_or(line));
                text.extend(continued.map(|_| b' '));
            }
            if continued.is_none() {
                break;
            }
        }
        logical
    })
}

/// `/etc/environment`, `/etc/default/locale`, environment.d, `~/.ssh/environment`: `NAME=value`, perhaps
/// with `export` before it and blanks around the `=`, perhaps in quotes, perhaps continued by a backslash.
pub(super) fn assignments(content: &[u8], found: &mut Found) {
    for (place, line) in lines(content) {
        let line = line.trim_ascii();
        let line = line.strip_prefix(b"export ").unwrap_or(line);
        let Some(at) = line.iter().position(|&byte| byte == b'=') else { continue };
        let (name, value) = line.split_at_checked(at).unwrap_or_default();
        let (name, value) = (name.trim_ascii(), value.get(1..).unwrap_or_default());
        if variable(name).is_none() {
            continue;
        }
        let mut value = value.trim_ascii_start().to_vec();
        let mut following = lines(place.from).skip(1);
        while value.ends_with(b"\\") && value.len() < Hook::MAX_LINE {
            value.pop();
            let Some((_, next)) = following.next() else { break };
            value.extend_from_slice(next.get(..Hook::MAX_LINE).unwrap_or(next));
        }
        found.set(name, &value_of(&value), place);
    }
}

/// A value up to a comment, with its quotes removed.
fn value_of(text: &[u8]) -> Vec<u8> {
    let (mut value, mut quote, mut escaped) = (Vec::new(), None, false);
    for &byte in text.trim_ascii() {
        match (quote, byte) {
            _ if escaped => {
                escaped = false;
                value.push(byte);
            }
            (None | Some(b'"'), b'\\') => escaped = true,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            (None, b'#') if value.last().is_none_or(u8::is_ascii_whitespace) => break,
            _ => value.push(byte),
        }
    }
    value.trim_ascii_end().to_vec()
}

/// `pam_env.conf`: `NAME DEFAULT=value OVERRIDE=value`.
pub(super) fn pam_env(content: &[u8], found: &mut Found) {
    for (place, line) in logical_lines(content, b"#") {
        let mut words = words(&line, b"");
        let Some(name) = words.next() else { continue };
        for word in words {
            for key in [&b"DEFAULT="[..], b"OVERRIDE="] {
                if let Some(value) = word.strip_prefix(key) {
                    found.set(&name, value, place);
                }
            }
        }
    }
}

/// Units, drop-ins and the managers' own files. `Environment=` and similar keys hold several assignments. A command line
/// may start with `env` or be a shell's.
pub(super) fn systemd(content: &[u8], found: &mut Found) {
    for (place, line) in logical_lines(content, b"#;") {
        let Some(at) = line.iter().position(|&byte| byte == b'=') else { continue };
        let (key, value) = line.split_at_checked(at).unwrap_or_default();
        let value = value.get(1..).unwrap_or_default();
        match key.trim_ascii() {
            b"Environment" | b"DefaultEnvironment" | b"ManagerEnvironment" => {
                words(value, b"\\").for_each(|word| found.assignment(&word, place));
            }
            key if key.starts_with(b"Exec") => {
                // Skip the prefixes `-`, `@`, `+`, `!` and `:` of a command line.
                let command = value.trim_ascii_start();
                let start = command.iter().position(|byte| !b"-@+!:".contains(byte)).unwrap_or(0);
                shell::read_line(command.get(start..).unwrap_or_default(), place, found);
            }
            _ => {}
        }
    }
}

/// Crontabs: `NAME = value`, and assignments in a command. The number of fields before the command differs from file to
/// file, so the text after each of the first fields is read as a command.
pub(super) fn crontab(content: &[u8], found: &mut Found) {
    for (place, line) in lines(content) {
        let line = line.trim_ascii();
        if line.first().is_none_or(|&first| first == b'#') {
            continue;
        }
        if let Some(at) = line.iter().position(|&byte| byte == b'=') {
            let (name, value) = line.split_at_checked(at).unwrap_or_default();
            found.set(&value_of(name), &value_of(value.get(1..).unwrap_or_default()), place);
        }
        // `@reboot`, with a user; anacron; the five times, with a user.
        let mut rest = line;
        for field in 0..6 {
            let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
            rest = rest.get(end..).unwrap_or_default().trim_ascii_start();
            let is_time = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_digit() || *byte == b'*');
            if (field < 2 && line.starts_with(b"@")) || (field == 2 || field >= 4) && !is_time(rest.first()) {
                shell::read_line(rest, place, found);
            }
        }
    }
}

/// sudoers: `Defaults env_keep += "NAME OTHER*"` keeps variables of the caller for root, as `env_check +=` and
/// `env_delete -=` do.
pub(super) fn sudoers(content: &[u8], found: &mut Found) {
    for (place, line) in logical_lines(content, b"#") {
        let text = line.trim_ascii();
        let Some(defaults) = text.strip_prefix(b"Defaults") else { continue };
        // Commas separate parameters, blanks in quotes the names of one. `+=` adds to the list of kept or deleted
        // variables, `-=` removes from it.
        let (mut keeps, mut deletes, mut takes) = (false, false, false);
        for word in defaults.split(|byte| matches!(byte, b' ' | b'\t' | b'"' | b',' | b'=')) {
            let (name, operator) = match word {
                [name @ .., operator @ (b'+' | b'-')] => (name, Some(*operator)),
                name => (name, None),
            };
            match name {
                b"env_keep" | b"env_check" => (keeps, deletes, takes) = (true, false, operator == Some(b'-')),
                b"env_delete" => (keeps, deletes, takes) = (false, true, operator == Some(b'-')),
                b"" => takes |= operator == Some(b'-'),
                pattern if (keeps && !takes) || (deletes && takes) => {
                    for variable in VARIABLES.into_iter().filter(|name| matches_pattern(name.as_bytes(), pattern)) {
                        found.keep(variable, place);
                    }
                }
                _ => {}
            }
        }
    }
}

/// Matches `PYTHON*` and the like; text after the first `*` is ignored.
fn matches_pattern(name: &[u8], pattern: &[u8]) -> bool {
    match pattern.iter().position(|&byte| byte == b'*') {
        Some(at) => pattern.get(..at).is_some_and(|start| name.starts_with(start)),
        None => pattern == name,
    }
}

/// `sshd_config`: `SetEnv NAME=value NAME=value`.
pub(super) fn sshd(content: &[u8], found: &mut Found) {
    for (place, line) in lines(content) {
        let line = line.trim_ascii();
        let end = line.iter().position(|byte| byte.is_ascii_whitespace() || *byte == b'=').unwrap_or(line.len());
        let (key, rest) = line.split_at_checked(end).unwrap_or_default();
        if key.eq_ignore_ascii_case(b"SetEnv") {
            let rest = rest.trim_ascii_start();
            words(rest.strip_prefix(b"=").unwrap_or(rest), b"").for_each(|word| found.assignment(&word, place));
        }
    }
}

/// fish's own file of universal variables: `SETUVAR --export NAME:value`, elements divided by `\x1e`.
pub(super) fn fish_variables(content: &[u8], found: &mut Found) {
    for (place, line) in lines(content) {
        let Some(rest) = line.strip_prefix(b"SETUVAR ").or(line.strip_prefix(b"SET_EXPORT ")) else { continue };
        let setting = rest.split(|&byte| byte == b' ').find(|word| !word.starts_with(b"--")).unwrap_or_default();
        let Some(at) = setting.iter().position(|&byte| byte == b':') else { continue };
        let (name, value) = setting.split_at_checked(at).unwrap_or_default();
        found.set(name, &fish_value(value.get(1..).unwrap_or_default()), place);
    }
}

/// Decodes escapes such as `\x2f`, and divides elements by `:`.
fn fish_value(text: &[u8]) -> Vec<u8> {
    let mut value = Vec::new();
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.strip_prefix(b"x").and_then(|after| after.get(..2)).filter(|_| byte == b'\\');
        let code = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        value.push(match code {
            Some(0x1e) => b':',
            Some(code) => code,
            None => byte,
        });
        rest = if code.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    value
}

/// Words divided by blanks, with quotes removed. `escapes` names the bytes that begin an escape.
fn words<'a>(line: &'a [u8], escapes: &'a [u8]) -> impl Iterator<Item = Vec<u8>> + 'a {
    let mut bytes = line.iter().copied().peekable();
    std::iter::from_fn(move || {
        while bytes.next_if(u8::is_ascii_whitespace).is_some() {}
        bytes.peek()?;
        let (mut word, mut quote) = (Vec::new(), None);
        while let Some(byte) = bytes.next_if(|byte| quote.is_some() || !byte.is_ascii_whitespace()) {
            match (quote, byte) {
                (_, byte) if escapes.contains(&byte) => word.extend(unescaped(&mut bytes)),
                (None, b'"' | b'\'') => quote = Some(byte),
                (Some(open), _) if open == byte => quote = None,
                _ => word.push(byte),
            }
        }
        Some(word)
    })
}

/// Decodes an escape of systemd after its backslash: `\x2f`, `\057`, and any byte for itself.
fn unescaped(bytes: &mut std::iter::Peekable<impl Iterator<Item = u8>>) -> Option<u8> {
    let first = bytes.next()?;
    let (radix, count, mut code) = match first {
        b'x' => (16, 2, 0),
        b'0'..=b'7' => (8, 2, u32::from(first - b'0')),
        b's' => return Some(b' '),
        _ => return Some(first),
    };
    for _ in 0..count {
        let Some(digit) = bytes.next_if(|byte| char::from(*byte).is_digit(radix)) else { break };
        code = code * radix + char::from(digit).to_digit(radix).unwrap_or(0);
    }
    u8::try_from(code).ok()
}
