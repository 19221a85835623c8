use super::*;
use proptest::prelude::*;

/// As a person reads it: blanks between arguments.
fn shown(line: &[&str]) -> String {
    let given: Vec<Vec<u8>> = line.iter().map(|argument| argument.as_bytes().to_vec()).collect();
    String::from_utf8(arguments(&given).join(&b' ')).unwrap()
}

fn shown_text(line: &str) -> String {
    String::from_utf8(text(line.as_bytes())).unwrap()
}

#[test]
fn secrets_of_options_are_hidden_and_their_names_stay() {
    for (line, expected) in [
        (&["prog", "--password=hunter2", "x"][..], "prog --password=[redacted] x"),
        (&["prog", "--password", "hunter2", "x"], "prog --password [redacted] x"),
        (&["prog", "--password", "two words", "x"], "prog --password [redacted] x"),
        (&["prog", "--db-passwd=a=b"], "prog --db-passwd=[redacted]"),
        (&["vault", "--token", "abc"], "vault --token [redacted]"),
        (&["prog", "--password", "--verbose"], "prog --password --verbose"),
        (&["prog", "--password-file=/etc/pw", "--token-ttl", "5"], "prog --password-file=/etc/pw --token-ttl 5"),
        (&["prog", "--api-key=abc", "--key=/etc/x.key"], "prog --api-key=[redacted] --key=/etc/x.key"),
        (&["mysql", "-u", "root", "-phunter2", "db"], "mysql -u root -p[redacted] db"),
        (&["sudo", "/usr/bin/mysqldump", "-phunter2"], "sudo /usr/bin/mysqldump -p[redacted]"),
        (&["mysql", "-p", "db"], "mysql -p db"),
        (&["mkdir", "-p", "a", "-pb"], "mkdir -p a -pb"),
        (&["sshpass", "-p", "x y", "ssh", "h"], "sshpass -p [redacted] ssh h"),
        (&["curl", "-u", "me:hunter2", "h"], "curl -u me:[redacted] h"),
        (&["curl", "--user=me:hunter2"], "curl --user=me:[redacted]"),
        (&["curl", "-ume:hunter2", "-U", "me"], "curl -ume:[redacted] -U me"),
        (&["curl", "-H", "Authorization: Bearer abc.def", "u"], "curl -H Authorization: Bearer [redacted] u"),
        (&["curl", "-H", "X-Api-Key: abc"], "curl -H X-Api-Key: [redacted]"),
        (&["redis-cli", "-a", "s", "ping"], "redis-cli -a [redacted] ping"),
        (&["openssl", "-passin", "pass:abc"], "openssl -passin pass:[redacted]"),
        (&["smbclient", "-U", "me%pw", "//h/s"], "smbclient -U me%[redacted] //h/s"),
    ] {
        assert_eq!(shown(line), expected);
    }
}

#[test]
fn secrets_of_assignments_urls_and_known_shapes_are_hidden() {
    for (line, expected) in [
        ("PGPASSWORD=hunter2 psql -h db", "PGPASSWORD=[redacted] psql -h db"),
        ("env MYSQL_PWD='a b' mysql", "env MYSQL_PWD='[redacted]' mysql"),
        (
            "AWS_SECRET_ACCESS_KEY=abc/+d AWS_ACCESS_KEY_ID=AKIA1",
            "AWS_SECRET_ACCESS_KEY=[redacted] AWS_ACCESS_KEY_ID=AKIA1",
        ),
        (
            "pip install --index-url https://u:p@ss@h/simple x",
            "pip install --index-url https://u:[redacted]@h/simple x",
        ),
        ("git clone https://git@h/a:b@c", "git clone https://git@h/a:b@c"),
        ("curl 'https://h/?token=abc&x=1'", "curl 'https://h/?token=[redacted]&x=1'"),
        ("curl -H 'authorization: Basic dXNlcg==' h", "curl -H 'authorization: Basic [redacted]' h"),
        (r#"curl -d '{"password": "a b", "user": "me"}' h"#, r#"curl -d '{"password": "[redacted]", "user": "me"}' h"#),
        (r#"sh -c "curl -d {\"token\":\"abc\"}""#, r#"sh -c "curl -d {\"token\":\"[redacted]\"}""#),
        (
            "git remote add o https://ghp_0123456789abcdefghijABCDEFGHIJ012345@github.com/x",
            "git remote add o https://ghp_[redacted]@github.com/x",
        ),
        ("x eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_def y", "x eyJ[redacted] y"),
        (
            "Environment=\"PYTHONPATH=/x\" \"DB_PASSWORD=hunter2\"",
            "Environment=\"PYTHONPATH=/x\" \"DB_PASSWORD=[redacted]\"",
        ),
        ("mysql -phunter2 -e 'select 1' | mysql -px", "mysql -p[redacted] -e 'select 1' | mysql -p[redacted]"),
    ] {
        assert_eq!(shown_text(line), expected);
        assert_eq!(shown(&["sh", "-c", line]), format!("sh -c {expected}"));
    }
}

#[test]
fn text_without_a_secret_stays_byte_for_byte() {
    for line in [
        "python3 -c import os; os.system('id') > /usr/lib/python3/dist-packages/x.pth",
        "pip install --require-hashes -r requirements.txt --cert /etc/ssl/x.pem",
        "PYTHONPATH=/opt/x:/opt/y python3 -m compass --compass=north --tokens=5 --keyboard=us",
        "ssh -i ~/.ssh/id_ed25519 me@host -p 22",
        "ftp://host:21/x git@github.com:a/b.git C:\\x",
        "password= --password= token: ",
    ] {
        assert_eq!(shown_text(line), line);
    }
    let bytes = [vec![0xff, b'=', 0xfe], b"a\nb".to_vec(), Vec::new()];
    assert_eq!(arguments(&bytes), bytes);
}

/// Words that the rules above look for, in any order and with anything around them.
fn hostile_line() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "--password",
            "-p",
            "-u",
            "mysql",
            "curl",
            "sshpass",
            "token",
            "PGPASSWORD",
            "authorization",
            "Bearer",
            "=",
            ":",
            "://",
            "@",
            "?",
            "&",
            "#",
            " ",
            "\"",
            "'",
            "\\",
            "/",
            "%",
            "\n",
            "ghp_",
            "eyJ",
            "[redacted]",
            "pass",
            "0123456789abcdefghij0123456789abcdefghij",
            "-",
            "x"
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    let argument = prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat());
    prop::collection::vec(argument, 0..6)
}

/// Whether `shown` is `given` with stretches replaced by the mark and nothing else changed.
fn is_unchanged_but_for_marks(given: &[u8], shown: &[u8]) -> bool {
    let mark = shown.windows(MARK.len()).position(|window| window == MARK);
    let Some(mark) = mark else { return given == shown };
    let (before, after) = (&shown[..mark], &shown[mark + MARK.len()..]);
    given.starts_with(before) && (mark..=given.len()).any(|next| is_unchanged_but_for_marks(&given[next..], after))
}

proptest! {
    #[test]
    fn whatever_is_given_it_ends_stays_in_bounds_and_changes_nothing_twice(line in hostile_line()) {
        let once = arguments(&line);
        prop_assert_eq!(once.len(), line.len());
        for (given, shown) in line.iter().zip(&once) {
            prop_assert!(shown.len() <= given.len() * MARK.len());
            prop_assert!(is_unchanged_but_for_marks(given, shown), "{:?} {:?}", given, shown);
        }
        prop_assert_eq!(arguments(&once), once);
    }

    #[test]
    fn a_text_too(line in hostile_line()) {
        let line = line.join(&b' ');
        let once = text(&line);
        prop_assert!(is_unchanged_but_for_marks(&line, &once));
        prop_assert_eq!(text(&once), once);
    }
}
