//! Removes passwords and tokens from command lines and settings in alerts. Rules see the whole.
//!
//! A secret is recognised by its name (`--password`, `PGPASSWORD=`, `Authorization:`), by its place (a URL's password,
//! `mysql -p...`) or by its shape (a GitHub token), and replaced by [`MARK`]. Every other byte stays, and so does a secret
//! without such a sign. A hook's own code is evidence and is never redacted.

use std::ops::Range;

/// Replaces a secret.
pub const MARK: &[u8] = b"[redacted]";

/// Longest name that is looked at, in bytes.
const MAX_NAME: usize = 64;

/// Maximum passes over a line; real input needs two.
const MAX_PASSES: usize = 8;

/// Last parts of names, as `--db-password`, `db_password` and `dbPassword` have them; also at the end of a word that is
/// not divided, as in `PGPASSWORD`.
const ENDINGS: [&[u8]; 8] =
    [b"password", b"passwd", b"passphrase", b"passcode", b"secret", b"token", b"apikey", b"credentials"];
/// The same, but only as a part of their own: `compass` is no password.
const PARTS: [&[u8]; 4] = [b"pass", b"pwd", b"pw", b"credential"];
/// The words before `key` in the name of a secret. The id of a key is none.
const KEYS: [&[u8]; 9] =
    [b"api", b"access", b"secret", b"private", b"auth", b"account", b"encryption", b"signing", b"shared"];
/// HTTP headers whose whole value is secret, blanks included.
const HEADERS: [&[u8]; 5] =
    [b"authorization", b"proxy-authorization", b"cookie", b"set-cookie", b"x-amz-security-token"];
/// Words that can precede the secret in such a header.
const SCHEMES: [&[u8]; 5] = [b"bearer", b"basic", b"token", b"digest", b"negotiate"];

/// Beginnings of well-known tokens, and the least number of characters after each.
const SHAPES: [(&[u8], usize); 16] = [
    (b"ghp_", 20),
    (b"gho_", 20),
    (b"ghu_", 20),
    (b"ghs_", 20),
    (b"ghr_", 20),
    (b"github_pat_", 20),
    (b"glpat-", 16),
    (b"pypi-", 32),
    (b"npm_", 20),
    (b"xoxb-", 16),
    (b"xoxp-", 16),
    (b"xoxa-", 16),
    (b"sk-", 20),
    (b"hvs.", 20),
    (b"AIza", 30),
    (b"eyJ", 30),
];

/// How an option without a revealing name takes its secret.
#[derive(Clone, Copy)]
enum Form {
    /// `-pSECRET`.
    Joined,
    /// `-a SECRET`.
    Next,
    /// Both.
    Either,
    /// `-u user:SECRET`, joined or next.
    After(u8),
}

/// An option that takes a secret.
struct Takes {
    programs: &'static [&'static [u8]],
    option: &'static [u8],
    form: Form,
}

const OPTIONS: [Takes; 10] = [
    Takes {
        programs: &[b"mysql", b"mysqldump", b"mysqladmin", b"mysqlimport", b"mariadb", b"mariadb-dump"],
        option: b"-p",
        form: Form::Joined,
    },
    Takes { programs: &[b"sshpass"], option: b"-p", form: Form::Either },
    Takes { programs: &[b"docker", b"podman", b"helm", b"skopeo"], option: b"-p", form: Form::Next },
    Takes { programs: &[b"curl"], option: b"-u", form: Form::After(b':') },
    Takes { programs: &[b"curl"], option: b"-U", form: Form::After(b':') },
    Takes { programs: &[b"curl"], option: b"--user", form: Form::After(b':') },
    Takes { programs: &[b"curl"], option: b"--proxy-user", form: Form::After(b':') },
    Takes { programs: &[b"redis-cli"], option: b"-a", form: Form::Next },
    Takes {
        programs: &[b"ldapsearch", b"ldapadd", b"ldapmodify", b"ldapdelete", b"ldapwhoami"],
        option: b"-w",
        form: Form::Either,
    },
    Takes { programs: &[b"smbclient", b"rpcclient", b"net"], option: b"-U", form: Form::After(b'%') },
];

/// The arguments of a process without the secrets among them.
pub fn arguments(arguments: &[Vec<u8>]) -> Vec<Vec<u8>> {
    settled(arguments.to_vec(), |arguments| {
        let mut line = Line::default();
        arguments.iter().map(|argument| line.argument(argument)).collect()
    })
}

/// A line of a file, or of a shell, without the secrets in it.
pub fn text(line: &[u8]) -> Vec<u8> {
    settled(line.to_vec(), |line| once(line))
}

/// Repeats a pass until it finds nothing: a removed secret can have contained a quote, without which the rest reads
/// differently.
fn settled<T: PartialEq>(given: T, pass: impl Fn(&T) -> T) -> T {
    let mut shown = given;
    for _ in 0..MAX_PASSES {
        let next = pass(&shown);
        if next == shown {
            break;
        }
        shown = next;
    }
    shown
}

fn once(line: &[u8]) -> Vec<u8> {
    let mut state = Line::default();
    let mut shown = Vec::with_capacity(line.len());
    let mut rest = line;
    while !rest.is_empty() {
        let blanks = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let (blank, after) = rest.split_at_checked(blanks).unwrap_or((rest, b""));
        let (word, after) = after.split_at_checked(word_length(after)).unwrap_or((after, b""));
        // A header's blanks are part of it.
        if let Some((kept, end)) = header(rest, blanks) {
            shown.extend_from_slice(rest.get(..kept).unwrap_or_default());
            shown.extend_from_slice(MARK);
            rest = rest.get(end..).unwrap_or_default();
            state = Line::default();
            continue;
        }
        shown.extend_from_slice(blank);
        if !word.is_empty() {
            shown.extend(state.word(word));
        }
        rest = after;
    }
    shown
}

/// Length of the first word, up to a blank outside of quotes.
fn word_length(text: &[u8]) -> usize {
    let mut quote = None;
    let is_end = |byte: &u8| {
        match (quote, *byte) {
            (None, b'"' | b'\'') => quote = Some(*byte),
            (Some(open), byte) if open == byte => quote = None,
            (None, byte) if byte.is_ascii_whitespace() => return true,
            _ => {}
        }
        false
    };
    text.iter().position(is_end).unwrap_or(text.len())
}

/// A header right after these blanks: how much of the text is kept, and where the secret ends. It ends with the line.
fn header(text: &[u8], blanks: usize) -> Option<(usize, usize)> {
    let from = text.get(blanks..)?;
    let opened = from.iter().take_while(|byte| b"\"'".contains(byte)).count();
    let name = from.get(opened..)?.iter().take_while(|byte| is_name(**byte)).count();
    let named = from.get(opened..opened + name)?;
    let value = from.get(opened + name..)?.strip_prefix(b":")?;
    let quote = opened.checked_sub(1).and_then(|at| from.get(at)).copied();
    let is_header = is_header(named);
    // The name first: the search for the end of the value costs more.
    let is_named = is_header || (value.starts_with(b" ") && is_secret(named));
    if !is_named {
        return None;
    }
    let start = blanks + opened + name + 1;
    let (kept, end) = secret_of_header(text, start, quote)?;
    if is_header {
        return Some((kept, end));
    }
    // `X-Api-Key: secret`: the secret is one word, because the name is in no list of headers.
    let word = text.get(kept..end)?.iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
    Some((kept, kept + word))
}

/// The range of the secret in a header. Its value begins at `start`; `quote` closes it.
fn secret_of_header(text: &[u8], start: usize, quote: Option<u8>) -> Option<(usize, usize)> {
    let value = text.get(start..)?;
    let end = value.iter().position(|byte| *byte == b'\n' || Some(*byte) == quote).unwrap_or(value.len());
    let value = value.get(..end)?.trim_ascii_end();
    let end = value.len();
    let blank = |from: usize| value.iter().skip(from).take_while(|byte| byte.is_ascii_whitespace()).count();
    let mut kept = blank(0);
    let word = value.iter().skip(kept).take_while(|byte| !byte.is_ascii_whitespace()).count();
    let first = value.get(kept..kept + word)?;
    let scheme = kept + word + blank(kept + word);
    if SCHEMES.iter().any(|scheme| first.eq_ignore_ascii_case(scheme)) && scheme < value.len() {
        kept = scheme;
    }
    (kept < value.len()).then_some((start + kept, start + end))
}

/// The state that earlier words leave for the next one.
#[derive(Default)]
struct Line {
    /// The options of the last known program.
    program: Vec<(&'static [u8], Form)>,
    expected: Option<Form>,
    /// The secret is expected after an option with a revealing name, which can also stand alone.
    by_name: bool,
}

impl Line {
    /// One argument. One with blanks in it is a text of its own, such as that of `sh -c`.
    fn argument(&mut self, argument: &[u8]) -> Vec<u8> {
        if argument.iter().any(u8::is_ascii_whitespace) && !self.expects(argument) {
            self.expected = None;
            once(argument)
        } else {
            self.word(argument)
        }
    }

    fn expects(&self, word: &[u8]) -> bool {
        // `--password` alone can make the program prompt for it.
        self.expected.is_some() && !(self.by_name && word.starts_with(b"-"))
    }

    /// One word.
    fn word(&mut self, word: &[u8]) -> Vec<u8> {
        let is_expected = self.expects(word);
        match self.expected.take() {
            Some(Form::After(mark)) if is_expected => return after(word, 0, mark),
            // An empty argument is no secret.
            Some(_) if is_expected => return if word.is_empty() { Vec::new() } else { MARK.to_vec() },
            _ => {}
        }
        let name = word.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let options: Vec<_> = OPTIONS
            .iter()
            .filter(|takes| takes.programs.contains(&name))
            .map(|takes| (takes.option, takes.form))
            .collect();
        if !options.is_empty() {
            self.program = options;
            return word.to_vec();
        }
        for (option, form) in &self.program {
            let Some(joined) = word.strip_prefix(*option) else { continue };
            match form {
                Form::Next | Form::Either | Form::After(_) if joined.is_empty() => {
                    (self.expected, self.by_name) = (Some(*form), false);
                    return word.to_vec();
                }
                Form::Joined | Form::Either if !joined.is_empty() => return [option, MARK].concat(),
                // `--user=name:secret` too.
                Form::After(mark) if !joined.is_empty() && (option.len() == 2 || joined.starts_with(b"=")) => {
                    return after(word, option.len(), *mark);
                }
                _ => {}
            }
        }
        if let Some(long) = word.strip_prefix(b"--")
            && long.iter().all(|byte| is_name(*byte))
            && is_secret(long)
        {
            (self.expected, self.by_name) = (Some(Form::Next), true);
            return word.to_vec();
        }
        within(word)
    }
}

/// What follows the first `mark` from this offset on is replaced.
fn after(word: &[u8], from: usize, mark: u8) -> Vec<u8> {
    match word.iter().skip(from).position(|byte| *byte == mark).map(|at| from + at + 1) {
        Some(at) if at < word.len() => [word.get(..at).unwrap_or_default(), MARK].concat(),
        _ => word.to_vec(),
    }
}

/// Secrets by name, in URLs and by shape, anywhere in a word.
fn within(word: &[u8]) -> Vec<u8> {
    let mut shown = Vec::with_capacity(word.len());
    let mut done = 0;
    let mut at = 0;
    let mut is_url = false;
    while let Some(byte) = word.get(at) {
        let found = match byte {
            b'=' => named(word, at, is_url),
            b':' if word.get(at..).is_some_and(|rest| rest.starts_with(b"://")) => {
                is_url = true;
                password_of_url(word, at + 3)
            }
            b':' => named(word, at, is_url),
            _ if at == 0 || !is_name(word.get(at - 1).copied().unwrap_or_default()) => shaped(word, at),
            _ => None,
        };
        match found.filter(|secret| secret.start >= done && !secret.is_empty()) {
            Some(secret) => {
                shown.extend_from_slice(word.get(done..secret.start).unwrap_or_default());
                shown.extend_from_slice(MARK);
                (done, at) = (secret.end, secret.end.max(at + 1));
            }
            None => at += 1,
        }
    }
    shown.extend_from_slice(word.get(done..).unwrap_or_default());
    shown
}

/// The value of a revealing name, around the `=` or `:` at this offset. Quotes around name and value stay.
fn named(word: &[u8], at: usize, is_url: bool) -> Option<Range<usize>> {
    let before = word.get(..at)?;
    let quotes = before.iter().rev().take_while(|byte| b"\"'\\ ".contains(byte)).count();
    let before = before.get(..at.checked_sub(quotes)?)?;
    let length = before.iter().rev().take(MAX_NAME).take_while(|byte| is_name(**byte)).count();
    let name = before.get(before.len().checked_sub(length)?..)?;
    let is_header = is_header(name);
    if !is_header && !is_secret(name) {
        return None;
    }
    let opened = word.get(at + 1..)?.iter().take_while(|byte| b"\"'\\ ".contains(byte)).count();
    let start = at + 1 + opened;
    let quote = word.get(start.checked_sub(1)?).copied().filter(|byte| b"\"'".contains(byte));
    if is_header {
        let (kept, end) = secret_of_header(word, start, quote.or_else(|| word.first().copied().filter(is_quote)))?;
        return Some(kept..end);
    }
    let ends = |byte: &u8| match quote {
        Some(quote) => *byte == quote || *byte == b'\\',
        None => byte.is_ascii_whitespace() || is_quote(byte) || (is_url && b"&#".contains(byte)),
    };
    let length = word.get(start..)?.iter().position(ends).unwrap_or(word.len() - start);
    Some(start..start + length)
}

/// The password in `scheme://user:password@host`, where the authority begins at this offset.
fn password_of_url(word: &[u8], start: usize) -> Option<Range<usize>> {
    let rest = word.get(start..)?;
    let end = rest.iter().position(|byte| b"/?#\"'<>".contains(byte) || byte.is_ascii_whitespace());
    let authority = rest.get(..end.unwrap_or(rest.len()))?;
    let host = authority.iter().rposition(|byte| *byte == b'@')?;
    let colon = authority.get(..host)?.iter().position(|byte| *byte == b':')?;
    Some(start + colon + 1..start + host)
}

/// A token that begins at this offset, without the beginning that shows its kind.
fn shaped(word: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = word.get(at..)?;
    let (prefix, least) = SHAPES.iter().find(|(prefix, _)| rest.starts_with(prefix))?;
    let length = rest.iter().skip(prefix.len()).take_while(|byte| is_name(**byte)).count();
    (length >= *least).then(|| at + prefix.len()..at + prefix.len() + length)
}

fn is_quote(byte: &u8) -> bool {
    b"\"'".contains(byte)
}

/// Of names, and of tokens.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)
}

fn is_header(name: &[u8]) -> bool {
    HEADERS.iter().any(|header| name.eq_ignore_ascii_case(header))
}

/// Whether a value of this name is a secret.
fn is_secret(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    let mut parts = name.rsplit(|byte| b"_-.".contains(byte));
    let (last, before) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    ENDINGS.iter().any(|ending| last.ends_with(ending))
        || PARTS.contains(&last)
        || (last == b"key" && KEYS.contains(&before))
}

#[cfg(test)]
mod tests;
